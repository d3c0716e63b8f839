//! What walkers stumble over: depth, length, few descriptors, closed doors, change.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pravah_core::{
    engine::{Ending, Verdict, scan_task::unit::Unit},
    scan::{Detail, Scanner},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::tempdir;

use crate::{
    job::{by_path, entries, plan, scan_unit, scan_until},
    support::{DeepDirectory, in_child, nest, rows, run_in_child, run_unprivileged, scanner, write},
};

#[test]
fn test_scan_deeper_than_path_max_finds_the_bottom() {
    let root = tempdir().expect("creates");
    let name = "n".repeat(200);
    nest(root.path(), &name, 64, 1);
    let count = scanner(root.path()).detail(Detail::Sizes).count().expect("counts");
    assert_eq!((count.files, count.directories, count.fault_count), (64, 128, 0));
    let longest = scanner(root.path()).batches().expect("starts").flat_map(|batch| rows(&batch.expect("scans")));
    assert!(longest.map(|(path, _)| path.len()).max() > Some(64 * 201));
}

/// 30,000 levels, each with a sibling that keeps its parent wanted: no descriptor, stack or path may run out.
#[test]
fn test_scan_of_30000_nested_directories_finds_all() {
    let root = DeepDirectory::new();
    nest(root.path(), "d", 30_000, 1);
    let count = scanner(root.path()).count().expect("counts");
    assert_eq!((count.files, count.directories, count.fault_count), (30_000, 60_000, 0));
}

/// The same as a job that is killed: the next attempt finds its way to where the other one was.
#[test]
fn test_job_over_30000_nested_directories_goes_on_after_a_kill() {
    let root = DeepDirectory::new();
    nest(root.path(), "d", 30_000, 25);
    let plan = plan(root.path(), |_| {});
    let (mut left, mut frontier, mut tasks) = (1, None, Vec::new());
    let first = scan_until(&plan, |emission| {
        if left == 0 {
            return Verdict::Fenced;
        }
        left -= 1;
        frontier.clone_from(&emission.frontier);
        tasks.extend(emission.tasks.iter().map(|task| task.manifest.clone()));
        Verdict::Committed
    });
    assert_eq!(first.expect("scans").1, Ending::Fenced);
    let frontier = frontier.expect("something is left");
    assert!(frontier.len() < 256 << 10, "{} bytes", frontier.len());
    let unit = Unit::decode(Some(&frontier)).expect("decodes");
    let (rest, ending) = scan_unit(&plan, &unit, |_| Verdict::Committed).expect("scans");
    assert_eq!(ending, Ending::Finished);
    assert_eq!(by_path([entries(&tasks), rest.entries()].concat()).len(), 1_200);
}

/// The comb of the test above with 24 descriptors in all: directories are closed, and opened again step by step.
#[test]
fn test_scan_with_few_descriptors_finds_all() {
    if !in_child() {
        return run_in_child("limits::test_scan_with_few_descriptors_finds_all", |_| {});
    }
    let root = DeepDirectory::new();
    nest(root.path(), "d", 2_000, 1);
    for number in 0..200 {
        write(root.path(), &format!("{number}/a/b/c/file"), b"");
    }
    let few = Rlimit { current: Some(24), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, few).expect("limits");
    for threads in [1, 4, 8] {
        let count = scanner(root.path()).threads(threads).detail(Detail::Sizes).count().expect("counts");
        assert_eq!((count.files, count.directories, count.fault_count), (2_200, 4_800, 0), "{:?}", count.faults);
    }
}

#[test]
fn test_scan_of_root_that_is_longer_than_path_max_works() {
    let base = tempdir().expect("creates");
    let name = "n".repeat(200);
    nest(base.path(), &name, 40, 40);
    let root = format!("{}/{}", base.path().display(), vec![name; 40].join("//"));
    let count = Scanner::new([root.into_bytes()]).count().expect("counts");
    assert_eq!((count.files, count.directories, count.fault_count), (1, 1, 0));
}

#[test]
fn test_scan_of_unreadable_directories_reports_each_with_its_errno() {
    run_unprivileged("limits::test_scan_of_unreadable_directories_reports_each_with_its_errno", || {
        let root = tempdir().expect("creates");
        write(root.path(), "closed/file", b"");
        write(root.path(), "names-only/file", b"");
        write(root.path(), "open/file", b"");
        let set = |path: &str, mode| fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(mode));
        set("closed", 0o000).expect("closes");
        set("names-only", 0o444).expect("closes");
        let count = scanner(root.path()).detail(Detail::Sizes).count();
        set("closed", 0o700).expect("opens");
        set("names-only", 0o700).expect("opens");
        let count = count.expect("counts");
        let mut faults: Vec<_> = count.faults.iter().map(|fault| (&fault.path[..], fault.error())).collect();
        faults.sort_by_key(|(path, _)| *path);
        assert_eq!((count.files, count.fault_count), (2, 2));
        let path = |path: &str| root.path().join(path).into_os_string().into_encoded_bytes();
        assert_eq!([faults[0].0, faults[1].0], [path("closed"), path("names-only/file")]);
        assert!(faults.iter().all(|(_, error)| error.kind() == "permission_denied"));
        assert_eq!(faults[0].1.to_string(), "can't list the directory: permission denied (errno 13)");
    });
}

#[test]
fn test_scan_of_missing_root_reports_it_and_lists_the_others() {
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"");
    let missing = root.path().join("missing").as_os_str().as_bytes().to_vec();
    let count = Scanner::new([missing.clone(), root.path().as_os_str().as_bytes().to_vec()]).count().expect("counts");
    assert_eq!((count.files, count.fault_count), (1, 1));
    assert_eq!((count.faults[0].path.as_slice(), count.faults[0].error().kind()), (missing.as_slice(), "not_found"));
}

#[test]
fn test_scan_while_directories_come_and_go_has_no_faults() {
    let root = tempdir().expect("creates");
    for number in 0..200 {
        write(root.path(), &format!("stays/{number}/file"), b"");
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                let path = root.path().join(format!("goes-{}/a/b/c", number % 7));
                let _ = fs::create_dir_all(&path);
                let _ = fs::rename(root.path().join(format!("goes-{}/a", number % 7)), root.path().join("moved"));
                let _ = fs::remove_dir_all(root.path().join("moved"));
                let _ = fs::remove_dir_all(root.path().join(format!("goes-{}", (number + 3) % 7)));
            }
        });
        for _ in 0..100 {
            let count = scanner(root.path()).detail(Detail::Sizes).count().expect("counts");
            assert_eq!((count.files, count.fault_count), (200, 0), "{:?}", count.faults);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn test_scan_that_is_stopped_or_dropped_ends_early() {
    let root = tempdir().expect("creates");
    for number in 0..300 {
        write(root.path(), &format!("{}/{number}", number % 60), b"");
    }
    let stop = Arc::new(AtomicBool::new(true));
    assert_eq!(scanner(root.path()).stop(stop).count().expect("counts").files, 0);
    let mut batches = scanner(root.path()).threads(2).batches().expect("starts");
    assert!(batches.next().is_some());
    drop(batches);
}

#[test]
fn test_scan_of_proc_ends() {
    let count = scanner(Path::new("/proc/self")).detail(Detail::Sizes).count().expect("counts");
    assert!(count.files > 50);
}

#[test]
fn test_dropped_stream_leaves_others_of_its_scanner_whole() {
    let root = tempfile::tempdir().expect("makes a directory");
    fs::write(root.path().join("file"), b"").expect("writes");
    let scanner = scanner(root.path());
    drop(scanner.clone().batches().expect("starts"));
    let rows = scanner.clone().batches().expect("starts").map(|batch| batch.expect("scans").num_rows());
    assert_eq!(rows.sum::<usize>(), 1);
    assert_eq!(scanner.count().expect("counts").files, 1);
}
