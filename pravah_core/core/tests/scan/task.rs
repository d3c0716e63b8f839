//! The scan task: what is in its manifests, how they are cut, and how a scan ends. What is left after a kill is tested beside the code.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    os::unix::ffi::OsStrExt,
    sync::Arc,
};

use pravah_core::{
    engine::{
        Control, Ending, Verdict,
        scan_task::{run_scan, unit::Unit},
    },
    entry::Kind,
};
use tempfile::tempdir;

use crate::{
    job::{by_path, plan, sample, scan, scan_until},
    support::reference,
};

#[test]
fn test_scan_emits_every_entry_once_with_its_kind_and_size() {
    let root = sample();
    let expected: BTreeSet<_> = reference(root.path()).into_iter().filter(|(_, kind)| kind != "directory").collect();
    let entries = by_path(scan(&plan(root.path(), |_| {})).entries());
    let kinds = ["file", "directory", "symlink", "fifo", "socket", "device"];
    let found: BTreeSet<_> =
        entries.iter().map(|(path, entry)| (path.clone(), kinds[entry.kind as usize].to_owned())).collect();
    assert_eq!(found, expected);
    for (path, entry) in entries.iter().filter(|(_, entry)| entry.kind == Kind::File) {
        let seen = fs::metadata(root.path().join(OsStr::from_bytes(path))).expect("looks");
        let modified = seen.modified().expect("has a time").duration_since(std::time::UNIX_EPOCH).expect("is later");
        assert_eq!((entry.size_bytes, i128::from(entry.modified_ns)), (seen.len(), modified.as_nanos() as i128));
        assert_eq!(entry.problem, None);
    }
}

#[test]
fn test_entries_of_a_directory_follow_each_other_in_bytewise_order() {
    let root = sample();
    let entries = scan(&plan(root.path(), |_| {})).entries();
    let mut ended = BTreeSet::new();
    for pair in entries.windows(2) {
        if pair[0].directory == pair[1].directory {
            assert!(pair[0].name < pair[1].name);
        } else {
            assert!(ended.insert(pair[0].directory.clone()) && !ended.contains(&pair[1].directory));
        }
    }
}

#[test]
fn test_first_tasks_are_small_and_later_ones_full() {
    let root = tempdir().expect("creates");
    for number in 0..10_000 {
        File::create(root.path().join(number.to_string())).expect("creates");
    }
    let scanned = scan(&plan(root.path(), |_| {}));
    assert_eq!(scanned.sizes(), [256, 1024, 8192, 528]);
}

#[test]
fn test_task_is_cut_before_it_exceeds_its_bytes() {
    let root = tempdir().expect("creates");
    for name in ["a", "b", "c", "d", "e", "f"] {
        let size_bytes = if name < "d" { 3 << 30 } else { 300 << 20 };
        File::create(root.path().join(name)).expect("creates").set_len(size_bytes).expect("grows");
    }
    assert_eq!(scan(&plan(root.path(), |_| {})).sizes(), [1, 1, 1, 3]);
}

#[test]
fn test_scan_without_entries_still_says_that_it_has_finished() {
    let root = tempdir().expect("creates");
    let scanned = scan(&plan(root.path(), |_| {}));
    assert_eq!((scanned.manifests.len(), scanned.emissions), (0, 1));
}

#[test]
fn test_verdict_decides_how_a_scan_ends() {
    let root = sample();
    let plan = plan(root.path(), |_| {});
    let answer = |verdict| scan_until(&plan, move |_| verdict).expect("scans");
    let (scanned, ending) = answer(Verdict::Fenced);
    assert_eq!((ending, scanned.emissions), (Ending::Fenced, 1));
    let (scanned, ending) = answer(Verdict::Drain);
    assert_eq!((ending, scanned.emissions, scanned.finished), (Ending::Drained, 1, 0));
}

#[test]
fn test_scan_that_is_drained_emits_nothing_more() {
    let root = sample();
    let control = Control::new(Arc::default());
    control.drain();
    let ending = run_scan(&plan(root.path(), |_| {}), &Unit::Roots, &[], &control, &mut |_| panic!("nothing is due"));
    assert_eq!(ending.expect("ends"), Ending::Drained);
}
