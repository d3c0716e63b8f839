//! Jobs for the tests of the scan task: a plan over a directory, and what came of scanning it.

use std::{collections::BTreeMap, ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use pravah_core::{
    Error,
    engine::{
        Control, Ending, Verdict,
        scan_task::{Emission, run_scan, unit::Unit},
    },
    entry::Entry,
    manifest::Manifest,
    plan::Plan,
    scan::Filtered,
};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::{make_special, write};

/// A job over one directory, without a sink; `change` makes another one of it.
pub fn plan(root: &Path, change: impl FnOnce(&mut Value)) -> Plan {
    let mut plan = json!({"job": "01TEST", "roots": [{"uri": uri(root)}], "steps": [], "pipeline_hash": "p"});
    change(&mut plan);
    Plan::parse(&plan.to_string()).expect("parses")
}

pub fn uri(path: &Path) -> String {
    let encoded = |part: &OsStr| percent_encode(part.as_bytes(), NON_ALPHANUMERIC).to_string();
    format!("file://{}", path.iter().skip(1).map(|part| format!("/{}", encoded(part))).collect::<String>())
}

pub fn to(sink: &Path) -> Value {
    json!({"uri": uri(sink), "overwrite": "changed", "durability": "batch"})
}

/// What came of a scan.
#[derive(Default)]
pub struct Scanned {
    pub manifests: Vec<Vec<u8>>,
    pub filtered: Filtered,
    pub finished: usize,
    pub emissions: usize,
}

impl Scanned {
    pub fn entries(&self) -> Vec<Entry> {
        entries(&self.manifests)
    }

    pub fn sizes(&self) -> Vec<usize> {
        self.manifests.iter().map(|blob| Manifest::decode(blob).expect("decodes").len()).collect()
    }
}

pub fn entries(manifests: &[Vec<u8>]) -> Vec<Entry> {
    let manifests = manifests.iter().map(|blob| Manifest::decode(blob).expect("decodes"));
    manifests.flat_map(|manifest| manifest.iter().collect::<Result<Vec<_>, _>>().expect("reads")).collect()
}

pub fn scan_until(plan: &Plan, verdict: impl FnMut(&Emission) -> Verdict) -> Result<(Scanned, Ending), Error> {
    scan_unit(plan, &Unit::Roots, verdict)
}

pub fn scan_unit(
    plan: &Plan,
    unit: &Unit,
    mut verdict: impl FnMut(&Emission) -> Verdict,
) -> Result<(Scanned, Ending), Error> {
    let mut scanned = Scanned::default();
    let ending = run_scan(plan, unit, &[], &Control::new(Arc::default()), &mut |emission| {
        let verdict = verdict(&emission);
        scanned.emissions += 1;
        scanned.filtered = emission.filtered;
        scanned.finished += usize::from(emission.finished);
        for task in emission.tasks {
            let manifest = Manifest::decode(&task.manifest).expect("decodes");
            assert_eq!(manifest.len() as u64, task.entries);
            let size_bytes: u64 = (0..manifest.len()).map(|index| manifest.size_bytes(index)).sum();
            assert_eq!(size_bytes, task.size_bytes);
            scanned.manifests.push(task.manifest);
        }
        verdict
    })?;
    Ok((scanned, ending))
}

pub fn scan(plan: &Plan) -> Scanned {
    let (scanned, ending) = scan_until(plan, |_| Verdict::Committed).expect("scans");
    assert_eq!((ending, scanned.finished), (Ending::Finished, 1));
    scanned
}

/// Entries by path; fails where one comes twice.
pub fn by_path(entries: Vec<Entry>) -> BTreeMap<Vec<u8>, Entry> {
    let mut map = BTreeMap::new();
    for entry in entries {
        let before = map.insert(entry.relative_path(), entry);
        assert!(before.is_none(), "{before:?} came twice");
    }
    map
}

/// A tree of many small directories, one large one, and something of every kind.
pub fn sample() -> TempDir {
    let root = tempdir().expect("creates");
    make_special(root.path());
    for number in 0..2_000 {
        write(root.path(), &format!("large/{number}"), b"12345");
    }
    for number in 0..300 {
        write(root.path(), &format!("{}/{}/{number}", number % 3, number % 40), b"x");
    }
    fs::write(root.path().join(OsStr::from_bytes(b"0/not\xffutf8\n")), b"").expect("writes");
    root
}
