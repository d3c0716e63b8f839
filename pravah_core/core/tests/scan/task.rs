//! The scan task: what is in its manifests, how they are cut, and what a second attempt leaves out.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    os::unix::ffi::OsStrExt,
    sync::Arc,
};

use pravah_core::{
    engine::{Control, Ending, Verdict, scan_task::run_scan},
    entry::Kind,
};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::{
    job::{by_path, entries, plan, sample, scan, scan_until},
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever an attempt had handed over when it was killed: the next one hands over the rest, nothing twice.
    #[test]
    fn test_scan_after_a_kill_emits_exactly_the_rest(chosen in prop::collection::vec(any::<bool>(), 8)) {
        thread_local!(static SAMPLE: TempDir = sample());
        SAMPLE.with(|root| {
            let plan = plan(root.path(), |_| {});
            let all = scan(&plan);
            let known = all.manifests.iter().zip(chosen.iter().cycle()).filter(|(_, chosen)| **chosen);
            let known: Vec<_> = known.map(|(manifest, _)| manifest.clone()).collect();
            let (rest, _) = scan_until(&plan, &known, |_| Verdict::Committed).expect("scans");
            let union = by_path([entries(&known), rest.entries()].concat());
            prop_assert_eq!(union, by_path(all.entries()));
            Ok(())
        })?;
    }
}

#[test]
fn test_scan_killed_at_any_emission_is_completed_by_the_next_attempt() {
    let root = sample();
    let plan = plan(root.path(), |_| {});
    let whole = by_path(scan(&plan).entries());
    for committed in 0..3 {
        let (mut emissions, mut known) = (0, Vec::new());
        scan_until(&plan, &[], |emission| {
            emissions += 1;
            if emissions > committed {
                return Verdict::Fenced; // the process died before the ledger had it
            }
            known.extend(emission.tasks.iter().map(|task| task.manifest.clone()));
            Verdict::Committed
        })
        .expect("scans");
        let (rest, _) = scan_until(&plan, &known, |_| Verdict::Committed).expect("scans");
        assert_eq!(by_path([entries(&known), rest.entries()].concat()), whole);
    }
}

#[test]
fn test_verdict_decides_how_a_scan_ends() {
    let root = sample();
    let plan = plan(root.path(), |_| {});
    let answer = |verdict| scan_until(&plan, &[], move |_| verdict).expect("scans");
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
    let ending = run_scan(&plan(root.path(), |_| {}), &[], &control, &mut |_| panic!("nothing is due"));
    assert_eq!(ending.expect("ends"), Ending::Drained);
}
