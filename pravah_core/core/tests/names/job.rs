//! A job that only has names: entries that nobody has listed, and a plan for them.

use pravah_core::{
    entry::{Entry, Kind, join},
    manifest::{Manifest, ManifestBuilder},
    naming::{Naming, check::NameCheck},
    outcome::Recorded,
    pipeline::Pipeline,
    plan::Plan,
};
use serde_json::{Value, json};

/// A plan with this template, and more keys of its sink.
pub fn plan(path: Option<&str>, steps: &Value, sink: Value) -> Plan {
    let mut plan = json!({
        "job": "01TEST", "roots": [{"uri": "file:///data/in"}], "steps": steps, "pipeline_hash": "p",
        "sink": {"uri": "file:///out", "overwrite": "changed", "durability": "batch", "path": path},
    });
    let keys = sink.as_object().expect("is a map").clone();
    plan["sink"].as_object_mut().expect("is a map").extend(keys);
    Plan::parse(&plan.to_string()).expect("is a plan")
}

pub fn with_capture(plan: &str, path: &str) -> Plan {
    let plan = json!({
        "job": "01TEST", "roots": [{"uri": "file:///data/in"}], "steps": [{"name": "copy"}], "pipeline_hash": "p",
        "capture": plan,
        "sink": {"uri": "file:///out", "overwrite": "changed", "durability": "batch", "path": path},
    });
    Plan::parse(&plan.to_string()).expect("is a plan")
}

pub fn entry(path: &[u8]) -> Entry {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let (directory, name) = slash.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
    Entry {
        root: 0,
        directory: directory.to_vec(),
        name: name.to_vec(),
        kind: Kind::File,
        size_bytes: 1,
        modified_ns: 1_767_225_600_000_000_000, // 2026-01-01
        problem: None,
        naming: Naming::default(),
    }
}

pub fn manifest(paths: &[&[u8]]) -> Vec<u8> {
    let mut builder = ManifestBuilder::default();
    paths.iter().for_each(|path| builder.push(&entry(path)).expect("pushes"));
    builder.finish().expect("encodes")
}

/// Compare the names of these tasks; gives each manifest with what was decided behind it, as the ledger does.
pub fn compared(plan: &Plan, tasks: &[(Vec<u8>, Vec<Recorded>)]) -> Vec<Vec<u8>> {
    let scratch = tempfile::tempdir().expect("makes a directory");
    let mut check = NameCheck::new(plan.clone(), scratch.path()).expect("begins");
    for (task, (manifest, windows)) in (1..).zip(tasks) {
        check.add(task, manifest, windows).expect("takes it");
    }
    let decisions = check.finish().expect("decides");
    let mut manifests: Vec<Vec<u8>> = tasks.iter().map(|(manifest, _)| manifest.clone()).collect();
    for place in 0..decisions.len() {
        let (task, blob) = decisions.get(place).expect("reads");
        manifests[usize::try_from(task).expect("is small") - 1].extend(blob);
    }
    manifests
}

/// Each entry's name, or the kind of its failure, in order.
pub fn names(plan: &Plan, manifests: &[Vec<u8>]) -> Vec<Result<Vec<u8>, String>> {
    let pipeline: Pipeline = plan.pipeline().expect("builds");
    let mut names = Vec::new();
    for manifest in manifests {
        let manifest = Manifest::decode(manifest).expect("decodes");
        for index in 0..manifest.len() {
            names.push(match manifest.entry(index).expect("reads").problem {
                Some(problem) => Err(problem.kind),
                None => plan
                    .output_name(&pipeline, &manifest.named(index))
                    .map(|(directory, name)| join(&directory, &name))
                    .map_err(|error| error.kind().to_owned()),
            });
        }
    }
    names
}
