//! Which files make which output, against grouping by hand.

use std::collections::BTreeMap;

use pravah_core::{
    entry::{Entry, Kind, Problem, join},
    manifest::{Manifest, ManifestBuilder},
    naming::group::{Grouping, check},
    plan::Plan,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::job::{entry, plan};

/// Name of the output, or the kind of the verdict, and the path of a file.
type Placed = (Result<String, String>, String);

fn merging(params: Value, path: &str) -> Plan {
    plan(Some(path), &json!([{"name": "merge", "params": params}]), json!({}))
}

fn blob(entries: &[Entry]) -> Vec<u8> {
    let mut builder = ManifestBuilder::default();
    entries.iter().for_each(|entry| builder.push(entry).expect("pushes"));
    builder.finish().expect("encodes")
}

/// Put the entries of these tasks together; gives the new tasks.
fn grouped(plan: &Plan, tasks: &[Vec<Entry>]) -> Vec<Vec<u8>> {
    let scratch = tempfile::tempdir().expect("makes a directory");
    let mut grouping = Grouping::new(plan.clone(), scratch.path()).expect("begins");
    for task in tasks {
        assert!(grouping.add(&blob(task)).expect("takes it"));
    }
    let groups = grouping.finish(scratch.path()).expect("cuts");
    assert_eq!(scratch.path().read_dir().expect("lists").count(), 0);
    (0..groups.len()).map(|place| groups.get(place).expect("reads").0).collect()
}

fn placed(plan: &Plan, manifest: &[u8]) -> Vec<Placed> {
    let (pipeline, manifest) = (plan.pipeline().expect("builds"), Manifest::decode(manifest).expect("decodes"));
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let place = |index: usize| {
        let entry = manifest.entry(index).expect("reads");
        let output = match (&entry.problem, entry.kind) {
            (Some(problem), _) => Err(problem.kind.clone()),
            (None, Kind::File) => {
                let (directory, name) = plan.output_name(&pipeline, &manifest.named(index)).expect("is named");
                Ok(text(&join(&directory, &name)))
            }
            (None, kind) => Err(kind.name().to_owned()),
        };
        (output, text(&entry.relative_path()))
    };
    (0..manifest.len()).map(place).collect()
}

fn all(plan: &Plan, tasks: &[Vec<Entry>]) -> Vec<Placed> {
    grouped(plan, tasks).iter().flat_map(|manifest| placed(plan, manifest)).collect()
}

fn made(output: &str, path: &str) -> Placed {
    (Ok(output.into()), path.into())
}

fn refused(kind: &str, path: &str) -> Placed {
    (Err(kind.into()), path.into())
}

fn entries(paths: &[&str]) -> Vec<Entry> {
    paths.iter().map(|path| entry(path.as_bytes())).collect()
}

fn unreadable(path: &str) -> Entry {
    let problem = Some(Problem { kind: "permission_denied".into(), message: "can't".into() });
    Entry { kind: Kind::Directory, problem, ..entry(path.as_bytes()) }
}

#[test]
fn outputs_of_a_group_are_cut_by_size_and_numbered_in_order_of_paths() {
    let plan = merging(json!({"group_by": "{dir}", "target_size": 2}), "{dir}/all-{index:02}");
    let tasks = [entries(&["b/1", "a/9", "a/1"]), entries(&["a/5", "b/0"])];
    let expected = [
        made("a/all-00", "a/1"),
        made("a/all-00", "a/5"),
        made("a/all-01", "a/9"),
        made("b/all-00", "b/0"),
        made("b/all-00", "b/1"),
    ];
    assert_eq!(all(&plan, &tasks), expected);
}

#[test]
fn file_larger_than_the_target_has_an_output_of_its_own() {
    let plan = merging(json!({"target_size": "10B"}), "all-{index}");
    let sized = |path: &str, size_bytes| Entry { size_bytes, ..entry(path.as_bytes()) };
    let tasks = [vec![sized("a", 4), sized("b", 50), sized("c", 0), sized("d", 10), sized("e", 1 << 60)]];
    let names: Vec<_> = all(&plan, &tasks).into_iter().map(|(name, _)| name.expect("is made")).collect();
    assert_eq!(names, ["all-0", "all-1", "all-2", "all-2", "all-3"]);
}

#[test]
fn outputs_of_too_many_files_are_cut_where_names_have_numbers_and_refused_elsewhere() {
    let most = 1 << 18;
    let task: Vec<Entry> = (0..=most).map(|number| entry(format!("{number:06}").as_bytes())).collect();
    let counts = |path: &str| {
        let mut counts = BTreeMap::new();
        for (output, _) in all(&merging(json!({}), path), std::slice::from_ref(&task)) {
            *counts.entry(output.unwrap_or_else(|kind| kind)).or_default() += 1;
        }
        counts
    };
    assert_eq!(counts("all-{index}"), BTreeMap::from([("all-0".to_owned(), most), ("all-1".to_owned(), 1)]));
    assert_eq!(counts("all"), BTreeMap::from([("group_too_large".to_owned(), most + 1)]));
}

#[test]
fn links_and_what_the_scan_could_not_read_stay_in_the_books() {
    let plan = merging(json!({"group_by": "{dir}"}), "{dir}/all");
    let link = Entry { kind: Kind::Symlink, ..entry(b"a/link") };
    let mut task = entries(&["a/1", "locked/below/2", "c/3"]);
    task.extend([link, unreadable("locked")]);
    let expected = [
        made("a/all", "a/1"),
        made("c/all", "c/3"),
        refused("symlink", "a/link"),
        refused("permission_denied", "locked"),
        refused("group_incomplete", "locked/below/2"),
    ];
    assert_eq!(all(&plan, &[task]), expected);
    // Nobody knows what of the job's one output the directory hides.
    let plan = merging(json!({}), "all");
    let task = vec![entry(b"a/1"), unreadable("z")];
    assert_eq!(all(&plan, &[task]), [refused("group_incomplete", "a/1"), refused("permission_denied", "z")]);
}

#[test]
fn outputs_of_one_name_collide_and_others_are_made() {
    let plan = merging(json!({"group_by": "{dir}/{stem}"}), "{dir}{stem}");
    let tasks = [entries(&["a/bc.x", "ab/c.x", "ab/c.y", "d/e.x"])];
    let expected = [
        made("de", "d/e.x"),
        refused("output_collision", "a/bc.x"),
        refused("output_collision", "ab/c.x"),
        refused("output_collision", "ab/c.y"),
    ];
    assert_eq!(all(&plan, &tasks), expected);
    let manifest = Manifest::decode(&grouped(&plan, &tasks)[1]).expect("decodes");
    let problem = manifest.problem(0).expect("has one");
    assert!(problem.message.contains("`ab/c.x`") && problem.message.contains("`abc`"), "{problem:?}");
}

#[test]
fn extensions_that_steps_remove_do_not_tell_groups_apart() {
    let steps =
        json!([{"name": "decompress"}, {"name": "merge", "params": {"group_by": "{ext}"}}, {"name": "compress"}]);
    let plan = plan(Some("all{ext}"), &steps, json!({}));
    let tasks = [entries(&["a.csv.gz", "b.csv.zst", "c.log.gz"])];
    let expected = [made("all.csv.zst", "a.csv.gz"), made("all.csv.zst", "b.csv.zst"), made("all.log.zst", "c.log.gz")];
    assert_eq!(all(&plan, &tasks), expected);
}

#[test]
fn outputs_cut_in_an_earlier_round_stay_as_they_are_and_keep_their_names() {
    let plan = merging(json!({"group_by": "{dir}/{stem}"}), "{dir}{stem}");
    let cut = grouped(&plan, &[entries(&["a/bc.x"])]);
    let scratch = tempfile::tempdir().expect("makes a directory");
    let mut grouping = Grouping::new(plan.clone(), scratch.path()).expect("begins");
    assert!(!grouping.add(&cut[0]).expect("leaves it"));
    assert!(grouping.add(&blob(&entries(&["ab/c.x", "d/e.x"]))).expect("takes it"));
    let groups = grouping.finish(scratch.path()).expect("cuts");
    let placed: Vec<_> = (0..groups.len()).flat_map(|at| placed(&plan, &groups.get(at).expect("reads").0)).collect();
    assert_eq!(placed, [made("de", "d/e.x"), refused("output_collision", "ab/c.x")]);
}

#[test]
fn names_that_differ_among_the_files_of_an_output_are_refused() {
    let refusal = |params: Value, path: Option<&str>, sink: Value| {
        let plan = plan(path, &json!([{"name": "merge", "params": params}]), sink);
        check(&plan).err().map(|error| error.to_string())
    };
    assert_eq!(refusal(json!({}), None, json!({"only": "all"})), None);
    assert_eq!(refusal(json!({"group_by": "{dir}"}), Some("{dir}/x"), json!({})), None);
    assert_eq!(refusal(json!({"target_size": 5}), Some("x-{index}"), json!({})), None);
    for (params, path, sink) in [
        (json!({}), None, json!({})),
        (json!({}), Some("{stem}"), json!({})),
        (json!({"group_by": "{dir}"}), Some("{dir}/{name}"), json!({})),
        (json!({"target_size": 5}), Some("x"), json!({})),
        (json!({"target_size": 5}), None, json!({"only": "all"})),
        (json!({"group_by": "{dir}"}), None, json!({"only": "all"})),
    ] {
        assert!(refusal(params.clone(), path, sink).is_some(), "{params} {path:?}");
    }
}

proptest! {
    #[test]
    fn grouping_agrees_with_grouping_by_hand(
        paths in prop::collection::btree_map("[ab]{1,2}/[ab]{1,2}(/[ab])?", 0_u64..5, 0..40),
        cuts in prop::collection::vec(0_usize..40, 0..3),
        target in 1_u64..9,
    ) {
        let plan = merging(json!({"group_by": "{dir}", "target_size": target}), "{dir}/~{index}");
        let mut expected: BTreeMap<Vec<u8>, Vec<Placed>> = BTreeMap::new();
        let mut filled: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
        for (path, size_bytes) in &paths {
            let entry = entry(path.as_bytes());
            let group = expected.entry(entry.directory.clone()).or_default();
            let (index, sum) = filled.entry(entry.directory.clone()).or_default();
            if !group.is_empty() && *sum + size_bytes > target && group.last().is_some_and(|(name, _)| name.is_ok()) {
                (*index, *sum) = (*index + 1, 0);
            }
            *sum += size_bytes;
            group.push(made(&format!("{}/~{index}", String::from_utf8_lossy(&entry.directory)), path));
        }
        let mut tasks: Vec<Vec<Entry>> = vec![Vec::new(); cuts.len() + 1];
        for (at, (path, size_bytes)) in paths.iter().enumerate() {
            let task = cuts.iter().filter(|cut| **cut <= at).count();
            tasks[task].push(Entry { size_bytes: *size_bytes, ..entry(path.as_bytes()) });
        }
        let expected: Vec<Placed> = expected.into_values().flatten().collect();
        prop_assert_eq!(all(&plan, &tasks), expected);
    }
}
