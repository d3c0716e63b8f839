//! Scans that are killed after any emission: the next attempt lists only what the last one stored had not covered.
//!
//! Paces are so that each directory may bring an emission, tasks are small, and units soon give directories away.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

mod ranged;

use super::*;
use crate::{
    entry::{Entry, Kind},
    manifest::Manifest,
    naming::Naming,
    scan::Reason,
};

/// What a ledger has of one unit.
#[derive(Default)]
struct Stored {
    frontier: Option<Vec<u8>>,
    tasks: Vec<Vec<u8>>,
    filtered: Filtered,
    finished: bool,
    /// The most that one emission wrote of its frontier.
    widest: usize,
}

/// A job and its scan units, as a ledger would have them.
struct Job {
    plan: Plan,
    units: Vec<Stored>,
    entries: usize,
    waiting_bytes: usize,
    lister: Option<Arc<dyn Lister>>,
}

impl Job {
    fn new(root: &Path, change: impl FnOnce(&mut Value)) -> Self {
        let uri = format!("file://{}", root.display());
        let mut plan = json!({"job": "01TEST", "roots": [{"uri": uri}], "steps": [], "pipeline_hash": "p"});
        change(&mut plan);
        let plan = Plan::parse(&plan.to_string()).expect("parses");
        Self { plan, units: vec![Stored::default()], entries: 7, waiting_bytes: 256 << 10, lister: None }
    }

    /// Work on a unit until it has ended, or until its process dies before it can store one more emission.
    fn attempt(&mut self, index: usize, emissions: usize) -> Ending {
        let stored = &mut self.units[index];
        let unit = Unit::decode(stored.frontier.as_deref()).expect("decodes");
        let known = known_of(&unit, &stored.tasks);
        let known: Vec<&[u8]> = known.iter().map(Vec::as_slice).collect();
        let (mut left, mut away) = (emissions, Vec::new());
        let pace = Pace {
            interval: Duration::ZERO,
            slow_interval: Duration::ZERO,
            entries: self.entries,
            waiting_bytes: self.waiting_bytes,
        };
        let scan = Scan { plan: &self.plan, unit: &unit, pace, lister: self.lister.clone() };
        let ending = scan.run(&known, &Control::new(Arc::default()), &mut |emission| {
            if left == 0 {
                return Verdict::Fenced;
            }
            left -= 1;
            assert_eq!(emission.frontier.is_none(), emission.finished);
            stored.widest = stored.widest.max(emission.frontier.as_ref().map_or(0, Vec::len));
            (stored.frontier, stored.filtered, stored.finished) =
                (emission.frontier, emission.filtered, emission.finished);
            stored.tasks.extend(emission.tasks.into_iter().map(|task| task.manifest));
            away.extend(emission.units);
            Verdict::Committed
        });
        self.units.extend(away.into_iter().map(|unit| Stored { frontier: Some(unit), ..Stored::default() }));
        ending.expect("scans")
    }

    /// Work on everything until it has ended.
    fn finish(&mut self) {
        while let Some(index) = self.units.iter().position(|unit| !unit.finished) {
            assert_eq!(self.attempt(index, usize::MAX), Ending::Finished);
        }
    }

    fn entries(&self) -> Vec<Entry> {
        self.units.iter().flat_map(|unit| &unit.tasks).flat_map(|task| entries(task)).collect()
    }

    fn filtered(&self) -> Filtered {
        self.units.iter().fold(Filtered::default(), |mut sum, unit| {
            sum += unit.filtered;
            sum
        })
    }
}

fn known_of(unit: &Unit, tasks: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let unit::LookBack::Last(count) = unit.look_back() else { panic!("no round was before") };
    let first = tasks.len().checked_sub(count as usize).expect("no more than there are");
    tasks[first..].iter().filter_map(|task| unit.known_in(task).expect("reads")).collect()
}

fn entries(manifest: &[u8]) -> Vec<Entry> {
    Manifest::decode(manifest).expect("decodes").iter().collect::<Result<_>>().expect("reads")
}

/// Entries by path; fails where one comes twice.
fn by_path(entries: Vec<Entry>) -> BTreeMap<Vec<u8>, Entry> {
    let mut map = BTreeMap::new();
    for entry in entries {
        let before = map.insert(entry.relative_path(), entry);
        assert!(before.is_none(), "{before:?} came twice");
    }
    map
}

fn write(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("has one")).expect("creates");
    fs::write(path, b"x").expect("writes");
}

/// Directories of many shapes: wide, deep, empty, with some of their files and directories left out.
fn tree(wide: usize, deep: usize, flat: usize) -> TempDir {
    let root = tempdir().expect("creates");
    for number in 0..wide {
        write(root.path(), &format!("wide/{number}/a.txt"));
        write(root.path(), &format!("wide/{number}/b.tmp"));
    }
    for level in 1..=deep {
        write(root.path(), &format!("{}file.txt", "deep/".repeat(level)));
        fs::create_dir(root.path().join(format!("{}empty", "deep/".repeat(level)))).expect("creates");
        write(root.path(), &format!("{}cache/c.txt", "deep/".repeat(level)));
    }
    for number in 0..flat {
        write(root.path(), &format!("flat/{number}.txt"));
    }
    root
}

fn with_filter(plan: &mut Value) {
    plan["filter"] = json!({"exclude": ["*.tmp", "cache/"]});
}

fn directories_of(entries: &[Entry]) -> BTreeSet<Vec<u8>> {
    entries.iter().map(|entry| entry.directory.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However often units are killed, and after however many emissions: each path comes once, what is left out is
    /// counted once, and of the directories that were emitted whole none is listed again.
    #[test]
    fn test_scan_killed_at_any_emission_emits_exactly_the_rest(
        wide in 0..40_usize, deep in 0..12_usize, flat in 0..60_usize, task in 1..20_usize,
        waiting_bytes in prop::sample::select(vec![40_usize, 200, 256 << 10]),
        kills in prop::collection::vec(0..12_usize, 1..6),
    ) {
        let root = tree(wide, deep, flat);
        let mut whole = Job::new(root.path(), with_filter);
        whole.finish();
        let mut job = Job::new(root.path(), with_filter);
        (job.entries, job.waiting_bytes) = (task, waiting_bytes);
        for (number, emissions) in kills.iter().enumerate() {
            let open: Vec<usize> = (0..job.units.len()).filter(|index| !job.units[*index].finished).collect();
            if let Some(index) = open.get(number % open.len().max(1)) {
                job.attempt(*index, *emissions);
            }
        }
        let before = job.entries();
        job.finish();
        prop_assert_eq!(job.filtered(), whole.filtered());
        prop_assert_eq!(job.filtered().get(Reason::Exclude), (wide + deep) as u64);
        let (found, expected) = (by_path(job.entries()), by_path(whole.entries()));
        prop_assert!(before.len() <= found.len());
        prop_assert_eq!(found, expected);
    }
}

/// The proof that a directory which was emitted whole is not read again: a file that was put into each meanwhile.
#[test]
fn test_directory_emitted_whole_is_not_listed_again() {
    for emissions in 1..60 {
        let root = tree(12, 3, 30);
        let (mut whole, mut job) = (Job::new(root.path(), with_filter), Job::new(root.path(), with_filter));
        whole.finish();
        if job.attempt(0, emissions) == Ending::Finished {
            assert!(emissions > 5, "there are too few emissions to be killed at");
            return;
        }
        let (all, before) = (by_path(whole.entries()), by_path(job.entries()));
        let rest: Vec<Entry> =
            all.values().filter(|each| !before.contains_key(&each.relative_path())).cloned().collect();
        let unfinished = directories_of(&rest);
        for directory in directories_of(&whole.entries()) {
            write(root.path(), &format!("{}/late.txt", String::from_utf8_lossy(&directory)));
        }
        job.finish();
        let late: Vec<Entry> = job.entries().into_iter().filter(|entry| entry.name == b"late.txt").collect();
        assert!(directories_of(&late).is_subset(&unfinished), "after {emissions} emissions");
        assert_eq!(by_path(job.entries()).len(), all.len() + late.len());
    }
    panic!("the scan never ended");
}

#[test]
fn test_flat_directory_killed_in_its_middle_is_listed_again_without_what_was_emitted() {
    let root = tree(0, 0, 100);
    let mut job = Job::new(root.path(), |_| {});
    job.attempt(0, 2); // of the root, then of the directory
    let stored = Unit::decode(job.units[0].frontier.as_deref()).expect("decodes");
    let tasks = job.units[0].tasks.len();
    assert!(tasks > 0 && known_of(&stored, &job.units[0].tasks).len() == tasks, "every task holds some of its names");
    job.finish();
    assert_eq!(by_path(job.entries()).len(), 100);
}

#[test]
fn test_wide_directory_is_given_away_in_units_and_the_frontier_stays_small() {
    let root = tree(1_500, 0, 0);
    let mut job = Job::new(root.path(), with_filter);
    (job.waiting_bytes, job.entries) = (4 << 10, 100);
    job.finish();
    assert_eq!(by_path(job.entries()).len(), 1_500);
    assert_eq!(job.filtered().get(Reason::Exclude), 1_500);
    assert!(job.units.len() > 20, "{} units", job.units.len());
    let widest = job.units.iter().map(|unit| unit.widest).max().expect("there is one");
    assert!(widest < 4 << 10, "{widest} bytes");
}

#[test]
fn test_unit_whose_directories_are_gone_ends() {
    let root = tree(200, 0, 0);
    let mut job = Job::new(root.path(), |_| {});
    job.waiting_bytes = 1 << 10;
    assert_eq!(job.attempt(0, usize::MAX), Ending::Finished);
    assert!(job.units.len() > 1);
    let before = job.entries().len();
    fs::remove_dir_all(root.path().join("wide")).expect("removes");
    job.finish();
    assert_eq!(job.entries().len(), before);
}

#[test]
fn test_root_that_is_gone_is_an_error_of_any_unit() {
    let root = tree(20, 0, 0);
    let mut job = Job::new(root.path(), |_| {});
    job.attempt(0, 1);
    let unit = Unit::decode(job.units[0].frontier.as_deref()).expect("decodes");
    root.close().expect("removes");
    let ending = run_scan(&job.plan, &unit, &[], &Control::new(Arc::default()), &mut |_| Verdict::Committed);
    assert_eq!(ending.expect_err("fails").kind(), "not_found");
}

#[test]
fn test_roots_that_are_files_are_emitted_once_after_a_kill() {
    let root = tree(0, 0, 30);
    let flat = root.path().join("flat");
    let change = |plan: &mut Value| {
        let uri = format!("file://{}", flat.display());
        let file = |number: usize| json!({"uri": uri, "only": format!("{number}.txt"), "prefix": number.to_string()});
        plan["roots"] = (0..30).map(file).collect();
    };
    for emissions in 0..3 {
        let mut job = Job::new(root.path(), change);
        job.entries = 4;
        job.attempt(0, emissions);
        job.finish();
        let roots: Vec<u16> = job.entries().iter().map(|entry| entry.root).collect();
        assert_eq!((roots.len(), roots.into_iter().collect::<BTreeSet<_>>().len()), (30, 30));
    }
}

#[test]
fn test_sink_that_is_one_file_keeps_its_verdicts_after_a_kill() {
    let out = tempdir().expect("creates");
    let change = |plan: &mut Value| {
        let uri = format!("file://{}", out.path().display());
        plan["sink"] = json!({"uri": uri, "only": "out.bin", "overwrite": "changed", "durability": "batch"});
    };
    for (files, problems) in [(1, 0), (30, 30)] {
        for emissions in 0..6 {
            let root = tree(0, 0, files);
            for number in 0..20 {
                let link = root.path().join(format!("links/{number}/link"));
                fs::create_dir_all(link.parent().expect("has one")).expect("creates");
                std::os::unix::fs::symlink("nowhere", link).expect("links");
            }
            let mut job = Job::new(root.path(), change);
            (job.entries, job.waiting_bytes) = (2, 40);
            job.attempt(0, emissions);
            job.finish();
            let found = by_path(job.entries());
            assert_eq!(found.len(), files + 20);
            assert_eq!(found.values().filter(|entry| entry.problem.is_some()).count(), problems);
            assert_eq!(job.units.len(), 1);
        }
    }
}

#[test]
fn test_empty_directory_that_is_to_be_made_is_emitted_once_after_a_kill() {
    let root = tempdir().expect("creates");
    for number in 0..40 {
        fs::create_dir_all(root.path().join(format!("{number}/empty"))).expect("creates");
    }
    let out = tempdir().expect("creates");
    let change = |plan: &mut Value| {
        let uri = format!("file://{}", out.path().display());
        plan["sink"] = json!({"uri": uri, "preserve": ["empty_dirs"], "overwrite": "changed", "durability": "batch"});
    };
    for emissions in 0..8 {
        let mut job = Job::new(root.path(), change);
        job.attempt(0, emissions);
        job.finish();
        let found = by_path(job.entries());
        assert_eq!(found.len(), 40);
        assert!(found.values().all(|entry| entry.kind == Kind::Directory));
    }
}

#[test]
fn test_directory_listed_again_in_a_later_round_leaves_out_what_is_known() {
    let root = tree(3, 0, 10);
    let mut job = Job::new(root.path(), |_| {});
    job.finish();
    write(root.path(), "flat/late.txt");
    let again = Unit::again(&[directory("flat", 0)]);
    assert_eq!(again.look_back(), unit::LookBack::Everywhere);
    let tasks = &job.units[0].tasks;
    let known: Vec<Vec<u8>> = tasks.iter().filter_map(|task| again.known_in(task).expect("reads")).collect();
    assert_eq!(known.iter().map(|task| entries(task).len()).sum::<usize>(), 10);
    let known: Vec<&[u8]> = known.iter().map(Vec::as_slice).collect();
    let mut found = Vec::new();
    let ending = run_scan(&job.plan, &again, &known, &Control::new(Arc::default()), &mut |emission| {
        found.extend(emission.tasks.iter().flat_map(|task| entries(&task.manifest)));
        Verdict::Committed
    });
    assert_eq!(ending.expect("scans"), Ending::Finished);
    assert_eq!(found.iter().map(|entry| entry.name.as_slice()).collect::<Vec<_>>(), [b"late.txt"]);
}

/// It was readable when its subdirectories were found, then not, then it is again: none of them is walked twice.
#[test]
fn test_directory_unreadable_on_the_second_look_is_listed_again_without_what_lies_below() {
    let root = tree(0, 0, 30);
    write(root.path(), "flat/below/file.txt");
    let mut job = Job::new(root.path(), |_| {});
    job.finish();
    let again = Unit::again(&[directory("flat", Entry::FOUND_BELOW_NS)]);
    let known: Vec<Vec<u8>> =
        job.units[0].tasks[..2].iter().filter_map(|task| again.known_in(task).expect("reads")).collect();
    let count: usize = known.iter().map(|task| entries(task).len()).sum();
    let known: Vec<&[u8]> = known.iter().map(Vec::as_slice).collect();
    let mut found = Vec::new();
    let ending = run_scan(&job.plan, &again, &known, &Control::new(Arc::default()), &mut |emission| {
        found.extend(emission.tasks.iter().flat_map(|task| entries(&task.manifest)));
        Verdict::Committed
    });
    assert_eq!(ending.expect("scans"), Ending::Finished);
    assert_eq!(found.len(), 30 - count);
    assert!(found.iter().all(|entry| entry.directory == b"flat"));
}

/// What could not be read hides what lies below it, so whoever goes on has to walk all of it.
#[cfg(target_os = "linux")]
#[test]
fn test_unreadable_directories_that_were_at_hand_at_a_kill_are_walked_when_they_can_be_read() {
    for emissions in 1..20 {
        let root = tempdir().expect("creates");
        let closed: Vec<_> = (0..20).map(|number| root.path().join(number.to_string())).collect();
        for directory in &closed {
            write(directory, "top.txt");
            write(directory, "x/deep.txt");
        }
        let mut job = Job::new(root.path(), |_| {});
        let set = |mode: u32| {
            let permissions = fs::Permissions::from_mode(mode);
            closed.iter().for_each(|path| fs::set_permissions(path, permissions.clone()).expect("sets the mode"));
        };
        set(0o000);
        unprivileged(|| job.attempt(0, emissions));
        set(0o700);
        let failed = job.entries();
        assert!(failed.iter().all(|entry| entry.kind == Kind::Directory && entry.problem.is_some()));
        job.finish();
        let found = by_path(job.entries());
        assert_eq!(found.len(), failed.len() + 2 * (20 - failed.len()), "after {emissions} emissions");
    }
}

/// Do something where modes mean something, also where this process is root's.
#[cfg(target_os = "linux")]
fn unprivileged<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let drop_and_work = || {
        let mut sets = capabilities(None).expect("reads");
        sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, sets).expect("drops"); // of this thread, and of those that it starts
        work()
    };
    std::thread::scope(|scope| scope.spawn(drop_and_work).join().expect("works"))
}

fn directory(path: &str, modified_ns: i64) -> Entry {
    let (kind, name) = (Kind::Directory, path.as_bytes().to_vec());
    Entry {
        root: 0,
        directory: Vec::new(),
        name,
        kind,
        size_bytes: 0,
        modified_ns,
        problem: None,
        naming: Naming::default(),
    }
}
