//! The comparison of all names of a job, against one that compares each with each.

use std::collections::BTreeMap;

use pravah_core::{
    engine::{
        Control, Verdict,
        scan_task::{run_scan, unit::Unit},
    },
    manifest::Manifest,
    outcome::{Outcome, Reason, Recorded, Row, encode_rows},
    retry,
};
use proptest::prelude::*;
use serde_json::json;

use crate::job::{compared, manifest, names, plan};

fn task(paths: &[&[u8]]) -> (Vec<u8>, Vec<Recorded>) {
    (manifest(paths), Vec::new())
}

fn collision() -> Result<Vec<u8>, String> {
    Err("output_collision".into())
}

#[test]
fn names_that_are_equal_across_tasks_collide_and_name_each_other() {
    let plan = plan(Some("{name}"), &json!([{"name": "copy"}]), json!({}));
    let manifests = compared(&plan, &[task(&[b"a/x", b"b/y"]), task(&[b"c/x", b"z\xff/\xff"])]);
    assert_eq!(names(&plan, &manifests), [collision(), Ok(b"y".to_vec()), collision(), Ok(b"\xff".to_vec())]);
    let first = Manifest::decode(&manifests[0]).expect("decodes").entry(0).expect("reads").problem.expect("has one");
    let other = Manifest::decode(&manifests[1]).expect("decodes").entry(0).expect("reads").problem.expect("has one");
    assert!(first.message.contains("`c/x`") && other.message.contains("`a/x`"), "{first:?} {other:?}");
}

#[test]
fn name_that_is_a_directory_of_another_output_collides() {
    let plan = plan(Some("x-{path}"), &json!([{"name": "decompress"}]), json!({}));
    let manifests = compared(&plan, &[task(&[b"d.gz", b"d-/y"]), task(&[b"d/y"])]);
    assert_eq!(names(&plan, &manifests), [collision(), Ok(b"x-d-/y".to_vec()), Ok(b"x-d/y".to_vec())]);
}

#[test]
fn keep_ext_gives_colliding_outputs_names_of_their_own_unless_those_collide() {
    let keep = json!({"on_collision": "keep_ext"});
    let plan = plan(Some("{stem}.parquet"), &json!([{"name": "copy"}]), keep);
    let manifests = compared(&plan, &[task(&[b"x/a.csv", b"y/a.json"]), task(&[b"b.csv", b"p/c.csv", b"q/c.csv"])]);
    let text = |name: &str| Ok(name.as_bytes().to_vec());
    let expected = [text("a.csv.parquet"), text("a.json.parquet"), text("b.parquet"), collision(), collision()];
    assert_eq!(names(&plan, &manifests), expected);
    // Who has the name already keeps it.
    let manifests = compared(&plan, &[task(&[b"x/a.csv", b"y/a.json", b"z/a.csv.txt"])]);
    assert_eq!(names(&plan, &manifests), [collision(), text("a.json.parquet"), text("a.csv.parquet")]);
}

#[test]
fn index_follows_the_bytewise_order_of_paths() {
    let plan = plan(Some("{index:03}"), &json!([{"name": "copy"}]), json!({}));
    let manifests = compared(&plan, &[task(&[b"b/x", b"a"]), task(&[b"b-", b"b/\xff", b"B"])]);
    let text = |name: &str| Ok(name.as_bytes().to_vec());
    assert_eq!(names(&plan, &manifests), [text("003"), text("001"), text("002"), text("004"), text("000")]);
}

#[test]
fn later_round_keeps_names_that_are_taken() {
    let plan = plan(Some("{index}-{name}"), &json!([{"name": "copy"}]), json!({}));
    let mut manifests = compared(&plan, &[task(&[b"b", b"c"])]);
    let failed = Reason { kind: "io_error".into(), step: None, message: String::new() };
    let rows = [Row::done(0), Row::unread(1, Outcome::Failed, failed)];
    let window = Recorded { blob: encode_rows(&rows).expect("encodes"), amendments: None, acknowledged: true };
    let moved = retry::move_out(&plan, &manifests[0], std::slice::from_ref(&window), None);
    let mut moved = moved.expect("reads").expect("one failed");
    let mark = Recorded { blob: moved.window, amendments: None, acknowledged: true };
    let retried = moved.parts.remove(0).manifest;
    // In the next round `a` comes to light.
    let tasks = [(manifests.remove(0), vec![window, mark]), (retried, Vec::new()), task(&[b"a"])];
    let named = names(&plan, &compared(&plan, &tasks)[1..]);
    assert_eq!(named, [Ok(b"1-c".to_vec()), Ok(b"2-a".to_vec())]);
}

/// What a comparison of each with each says: the names that are taken twice, or that are directories of others.
fn brute_force(paths: &[Vec<u8>], name: impl Fn(&[u8]) -> Vec<u8>) -> Vec<bool> {
    let names: Vec<Vec<u8>> = paths.iter().map(|path| name(path)).collect();
    let collides = |at: usize| {
        let below = [names[at].as_slice(), b"/"].concat();
        names.iter().enumerate().any(|(other, name)| other != at && (*name == names[at] || name.starts_with(&below)))
    };
    (0..names.len()).map(collides).collect()
}

fn tree() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let path = "[ab](/[ab]){0,2}(\\.gz|\\.zst|\\.csv)?";
    proptest::collection::btree_set(path, 1..12).prop_map(|paths| {
        // A tree: no file is a directory of another.
        let is_directory = |path: &String| paths.iter().any(|other| other.starts_with(&format!("{path}/")));
        paths.iter().filter(|path| !is_directory(path)).map(|path| path.clone().into_bytes()).collect()
    })
}

proptest! {
    #[test]
    fn comparison_of_a_job_agrees_with_brute_force(paths in tree(), cut in 0_usize..12) {
        let plan = plan(Some("x-{path}"), &json!([{"name": "decompress"}]), json!({}));
        let (left, right) = paths.split_at(cut.min(paths.len()));
        let of = |paths: &[Vec<u8>]| task(&paths.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let named = names(&plan, &compared(&plan, &[of(left), of(right)]));
        let strip = |path: &[u8]| {
            let path = String::from_utf8(path.to_vec()).expect("is text");
            format!("x-{}", path.strip_suffix(".gz").or(path.strip_suffix(".zst")).unwrap_or(&path)).into_bytes()
        };
        let expected = brute_force(&paths, strip);
        prop_assert_eq!(named.iter().map(Result::is_err).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_that_are_left_are_different_whatever_is_done_about_collisions(paths in tree(), keeps in any::<bool>()) {
        let on_collision = if keeps { "keep_ext" } else { "fail" };
        for template in ["x-{path}", "{name}", "{stem}.out", "{ext}/{stem}"] {
            let plan = plan(Some(template), &json!([{"name": "decompress"}]), json!({"on_collision": on_collision}));
            let named = names(&plan, &compared(&plan, &[task(&paths.iter().map(Vec::as_slice).collect::<Vec<_>>())]));
            let left: Vec<&Vec<u8>> = named.iter().filter_map(|name| name.as_ref().ok()).collect();
            for (at, name) in left.iter().enumerate() {
                let below = [name.as_slice(), b"/"].concat();
                let is_taken = |other: &&Vec<u8>| *other == *name || other.starts_with(&below);
                prop_assert!(!left.iter().enumerate().any(|(place, other)| place != at && is_taken(other)));
            }
        }
    }
}

#[test]
fn scan_decides_collisions_of_one_directory_as_a_comparison_of_all_names_would() {
    let root = tempfile::tempdir().expect("makes a directory");
    let paths = ["a.gz", "a.zst", "b.gz", "b/c", "d.csv", "e/a.gz", "e/a", "f.txt.gz", "f.txt"];
    for path in paths {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("makes it");
        std::fs::write(path, b"").expect("writes");
    }
    let mut found = BTreeMap::new();
    for on_collision in ["fail", "keep_ext"] {
        let mut plan = plan(None, &json!([{"name": "decompress"}]), json!({"on_collision": on_collision}));
        plan.roots[0].uri = format!("file://{}", root.path().display());
        let mut manifests = Vec::new();
        run_scan(&plan, &Unit::Roots, &[], &Control::new(std::sync::Arc::default()), &mut |emission| {
            manifests.extend(emission.tasks.into_iter().map(|task| task.manifest));
            Verdict::Committed
        })
        .expect("scans");
        let mut named = names(&plan, &manifests);
        named.sort();
        found.insert(on_collision, named);
    }
    let text = |name: &str| Ok(name.as_bytes().to_vec());
    let free = [text("b/c"), text("d.csv")];
    let mut failing = [free.to_vec(), vec![collision(); 7]].concat();
    failing.sort();
    assert_eq!(found["fail"], failing);
    let kept = ["a.gz.out", "a.zst.out", "b.gz.out", "e/a.gz.out", "f.txt.gz.txt"].map(text);
    // `e/a` and `f.txt` become what they are: nothing is left to keep, but the others make room.
    let mut keeping = [free.to_vec(), kept.to_vec(), vec![text("e/a"), text("f.txt")]].concat();
    keeping.sort();
    assert_eq!(found["keep_ext"], keeping);
}
