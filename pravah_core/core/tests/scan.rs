//! The scanner against `walkdir`, and against what walkers stumble over.

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pravah_core::scan::{Detail, Filter, Format, Reason, Scanner, Skip};
use proptest::prelude::*;
use support::{DeepDirectory, make_special, nest, reference, rows, scanned, scanner, write};
use tempfile::tempdir;

/// Names as file systems allow them: any bytes but NUL and slash, 1 to 255 of them.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => b'a'..=b'd', 1 => (1u8..=255).prop_filter("no slash", |byte| *byte != b'/')];
    let long = prop::collection::vec(Just(b'x'), 255);
    let reserved = |name: &Vec<u8>| name != b"." && name != b"..";
    prop_oneof![30 => prop::collection::vec(byte, 1..6), 1 => long].prop_filter("no dots", reserved)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn scan_of_random_tree_equals_walkdir(
        paths in prop::collection::vec((prop::collection::vec(name(), 1..6), 0..3u8), 0..60),
        threads in 1..6usize,
    ) {
        let root = tempdir().expect("creates");
        for (names, kind) in &paths {
            let joined = names.join(&b'/');
            let path = root.path().join(OsStr::from_bytes(&joined));
            // Some paths lead through what is a file already: whatever could be made is what counts.
            let _ = path.parent().map(fs::create_dir_all);
            let _ = match kind {
                0 => fs::write(&path, b"content"),
                1 => fs::create_dir_all(&path),
                _ => std::os::unix::fs::symlink("..", &path),
            };
        }
        let expected = reference(root.path());
        prop_assert_eq!(&scanned(root.path(), scanner(root.path()).threads(threads)), &expected);
        let sizes = scanner(root.path()).threads(threads).detail(Detail::Sizes);
        prop_assert_eq!(&scanned(root.path(), sizes), &expected);
    }
}

#[test]
fn scan_of_special_files_and_link_loops_names_their_kinds() {
    let root = tempdir().expect("creates");
    make_special(root.path());
    write(root.path(), "a/b/c.txt", b"abc");
    let tree = scanned(root.path(), scanner(root.path()));
    assert_eq!(tree, reference(root.path()));
    let count = scanner(root.path()).detail(Detail::Sizes).count().expect("counts");
    assert_eq!((count.files, count.directories, count.other, count.bytes), (1, 3, 7, 3));
}

#[test]
fn scan_with_sizes_tells_size_and_time_of_files_only() {
    use arrow_array::{
        Array,
        cast::AsArray,
        types::{TimestampNanosecondType, UInt64Type},
    };
    let root = tempdir().expect("creates");
    write(root.path(), "seven", b"1234567");
    fs::create_dir(root.path().join("directory")).expect("creates");
    let modified = fs::metadata(root.path().join("seven")).expect("looks").modified().expect("has a time");
    let modified = modified.duration_since(std::time::UNIX_EPOCH).expect("is later").as_nanos();
    let mut batches = scanner(root.path()).detail(Detail::Sizes).batches().expect("starts");
    let batch = batches.next().expect("has one").expect("scans");
    for (row, (_, kind)) in rows(&batch).into_iter().enumerate() {
        let sizes = batch.column(3).as_primitive::<UInt64Type>();
        let times = batch.column(4).as_primitive::<TimestampNanosecondType>();
        assert_eq!(sizes.is_valid(row), kind == "file");
        if kind == "file" {
            assert_eq!((sizes.value(row), i128::from(times.value(row))), (7, modified as i128));
        }
    }
    assert!(batches.next().is_none());
    assert_eq!(batches.counted().map(|count| count.bytes), Some(7));
}

#[test]
fn scan_of_huge_directory_lists_each_name_once() {
    let root = tempdir().expect("creates");
    for number in 0..25_000 {
        fs::write(root.path().join(format!("file-{number}")), b"").expect("writes");
    }
    for number in 0..3_000 {
        fs::create_dir(root.path().join(format!("directory-{number}"))).expect("creates");
    }
    assert_eq!(scanned(root.path(), scanner(root.path())), reference(root.path()));
}

#[test]
fn scan_deeper_than_path_max_finds_the_bottom() {
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
fn scan_of_30000_nested_directories_finds_all() {
    let root = DeepDirectory::new();
    nest(root.path(), "d", 30_000, 1);
    let count = scanner(root.path()).count().expect("counts");
    assert_eq!((count.files, count.directories, count.fault_count), (30_000, 60_000, 0));
}

#[test]
fn scan_of_root_that_is_longer_than_path_max_works() {
    let base = tempdir().expect("creates");
    let name = "n".repeat(200);
    nest(base.path(), &name, 40, 40);
    let root = format!("{}/{}", base.path().display(), vec![name; 40].join("//"));
    let count = Scanner::new([root.into_bytes()]).count().expect("counts");
    assert_eq!((count.files, count.directories, count.fault_count), (1, 1, 0));
}

#[test]
fn scan_of_missing_root_reports_it_and_lists_the_others() {
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"");
    let missing = root.path().join("missing").as_os_str().as_bytes().to_vec();
    let count = Scanner::new([missing.clone(), root.path().as_os_str().as_bytes().to_vec()]).count().expect("counts");
    assert_eq!((count.files, count.fault_count), (1, 1));
    assert_eq!((count.faults[0].path.as_slice(), count.faults[0].error().kind()), (missing.as_slice(), "not_found"));
}

#[test]
fn scan_of_root_that_is_a_file_lists_itself() {
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"content");
    let file = root.path().join("file").as_os_str().as_bytes().to_vec();
    let count = Scanner::new([file.clone()]).detail(Detail::Sizes).count().expect("counts");
    assert_eq!((count.files, count.bytes), (1, 7));
    assert_eq!(written(&Scanner::new([file.clone()]), Format::Paths { terminator: 0 }), [file, vec![0]].concat());
}

#[test]
fn scan_of_root_that_is_a_link_follows_it() {
    let root = tempdir().expect("creates");
    write(root.path(), "real/file", b"");
    std::os::unix::fs::symlink("real", root.path().join("link")).expect("links");
    assert_eq!(scanner(&root.path().join("link")).count().expect("counts").files, 1);
}

#[test]
fn scan_with_filters_lists_what_they_leave() {
    let root = tempdir().expect("creates");
    for path in ["a.csv", "a.txt", "deep/er/b.csv", "skip/c.csv", "deep/skip/d.csv", "all/e.txt", "all/no.tmp"] {
        write(root.path(), path, b"");
    }
    write(root.path(), "_pravah/job/results.ndjson", b"");
    write(root.path(), "deep/.pravah-job-1-1-0", b"");
    let filter = Filter::new(&["*.csv", "all/", "!*.tmp"], &["skip/"]).expect("compiles");
    let count = scanner(root.path()).filter(filter.clone()).count().expect("counts");
    let filtered: Vec<u64> = Reason::ALL.iter().map(|reason| count.filtered.get(*reason)).collect();
    assert_eq!(filtered, [2, 2, 2, 0]);
    let files = scanned(root.path(), scanner(root.path()).filter(filter)).into_iter();
    let files: Vec<_> = files.filter(|(_, kind)| kind == "file").map(|(path, _)| path).collect();
    assert_eq!(files, [b"a.csv".to_vec(), b"all/e.txt".to_vec(), b"deep/er/b.csv".to_vec()]);
}

#[test]
fn scan_with_skipped_directory_prunes_it_under_any_name() {
    use std::os::unix::fs::MetadataExt;
    let root = tempdir().expect("creates");
    write(root.path(), "in/file", b"");
    write(root.path(), "out/file", b"");
    let out = fs::metadata(root.path().join("out")).expect("looks");
    let skip = Skip { device: out.dev(), inode: out.ino(), name: None };
    let count = scanner(root.path()).skip(vec![skip]).count().expect("counts");
    assert_eq!((count.files, count.filtered.get(Reason::Sink)), (1, 1));
}

#[test]
fn scan_while_directories_come_and_go_has_no_faults() {
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
fn scan_that_is_stopped_or_dropped_ends_early() {
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

fn written(scanner: &Scanner, format: Format) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("creates");
    scanner.write(file.as_fd(), format).expect("writes");
    std::io::Seek::rewind(&mut file).expect("rewinds");
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut text).expect("reads");
    text
}

fn sorted(text: &[u8], terminator: u8) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = text.split_inclusive(|byte| *byte == terminator).map(<[u8]>::to_vec).collect();
    lines.sort();
    lines
}

#[test]
fn paths_written_equal_those_of_find() {
    let root = tempdir().expect("creates");
    make_special(root.path());
    write(root.path(), "a/b/new\nline", b"");
    write(root.path(), "-leading/esc\u{1b}ape", b"");
    fs::write(root.path().join(OsStr::from_bytes(b"not\xffutf8")), b"").expect("writes");
    for suffix in ["", "/", "//", "/.", "/a/../a"] {
        let argument = format!("{}{suffix}", root.path().display());
        let find = Command::new("find").args([&argument, "-type", "f", "-print0"]).output().expect("runs");
        let scanner = Scanner::new([argument.into_bytes()]);
        let ours = written(&scanner, Format::Paths { terminator: 0 });
        assert_eq!(sorted(&ours, 0), sorted(&find.stdout, 0));
    }
}

#[test]
fn ndjson_written_parses_to_every_file() {
    let root = tempdir().expect("creates");
    write(root.path(), "a/\"b\"\n", b"12");
    fs::write(root.path().join(OsStr::from_bytes(b"\xff")), b"").expect("writes");
    let text = written(&scanner(root.path()).detail(Detail::Sizes), Format::Ndjson);
    let lines: Vec<serde_json::Value> =
        sorted(&text, b'\n').iter().map(|line| serde_json::from_slice(line).expect("parses")).collect();
    assert_eq!(lines.len(), 2);
    let quoted = root.path().join("a/\"b\"\n");
    let line = lines.iter().find(|line| line["path"] == quoted.to_str().expect("is text")).expect("is there");
    assert_eq!(line["size_bytes"], 2);
    assert!(line.get("path_b64").is_none());
    assert!(lines.iter().any(|line| line.get("path_b64").is_some()));
}

#[test]
fn writing_to_closed_pipe_ends_quietly() {
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"");
    let (reader, writer) = std::io::pipe().expect("opens");
    drop(reader);
    scanner(root.path()).write(writer, Format::Csv).expect("ends quietly");
}

#[test]
fn writing_to_full_device_fails() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("opens");
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"");
    let error = scanner(root.path()).write(full, Format::Paths { terminator: b'\n' }).expect_err("is full");
    assert_eq!(error.kind(), "no_space");
}

#[test]
fn scan_of_proc_ends() {
    let count = scanner(Path::new("/proc/self")).detail(Detail::Sizes).count().expect("counts");
    assert!(count.files > 50);
}
