//! What is listed: the scanner against `walkdir`, and filters.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use pravah_core::scan::{Detail, Filter, Format, Glob, GroupBy, Links, Reason, Scanner, Skip, Total};
use proptest::prelude::*;
use serde_json::json;
use tempfile::tempdir;

use crate::support::{make_special, reference, reference_followed, rows, scanned, scanner, write, written};

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
    fn test_scan_of_random_tree_equals_walkdir(
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
                // Never upwards: a later path may lead through it, and must not leave the directory.
                _ => std::os::unix::fs::symlink(".", &path),
            };
        }
        let expected = reference(root.path());
        prop_assert_eq!(&scanned(root.path(), scanner(root.path()).threads(threads)), &expected);
        let sizes = scanner(root.path()).threads(threads).detail(Detail::Sizes);
        prop_assert_eq!(&scanned(root.path(), sizes), &expected);
    }
}

#[test]
fn test_scan_of_special_files_and_link_loops_names_their_kinds() {
    let root = tempdir().expect("creates");
    make_special(root.path());
    write(root.path(), "a/b/c.txt", b"abc");
    let tree = scanned(root.path(), scanner(root.path()));
    assert_eq!(tree, reference(root.path()));
    let count = scanner(root.path()).detail(Detail::Sizes).count().expect("counts");
    assert_eq!((count.files, count.directories, count.other, count.bytes), (1, 3, 7, 3));
}

#[test]
fn test_scan_with_sizes_tells_size_and_time_of_files_only() {
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
fn test_scan_of_huge_directory_lists_each_name_once() {
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
fn test_scan_of_root_that_is_a_file_lists_itself() {
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"content");
    let file = root.path().join("file").as_os_str().as_bytes().to_vec();
    let count = Scanner::new([file.clone()]).detail(Detail::Sizes).count().expect("counts");
    assert_eq!((count.files, count.bytes), (1, 7));
    assert_eq!(written(&Scanner::new([file.clone()]), Format::Paths { terminator: 0 }), [file, vec![0]].concat());
}

#[test]
fn test_scan_of_root_that_is_a_link_follows_it() {
    let root = tempdir().expect("creates");
    write(root.path(), "real/file", b"");
    std::os::unix::fs::symlink("real", root.path().join("link")).expect("links");
    assert_eq!(scanner(&root.path().join("link")).count().expect("counts").files, 1);
}

#[test]
fn test_scan_with_filters_lists_what_they_leave() {
    let root = tempdir().expect("creates");
    for path in ["a.csv", "a.txt", "deep/er/b.csv", "skip/c.csv", "deep/skip/d.csv", "all/e.txt", "all/no.tmp"] {
        write(root.path(), path, b"");
    }
    write(root.path(), "_pravah/job/results.ndjson", b"");
    write(root.path(), "deep/.pravah-job-1-1-0", b"");
    let rules = json!({"include": ["*.csv", "all/", "!*.tmp"], "exclude": ["skip/"]});
    let filter = Filter::new(&serde_json::from_value(rules).expect("reads")).expect("compiles");
    let count = scanner(root.path()).filter(filter.clone()).count().expect("counts");
    let filtered: Vec<u64> = Reason::ALL.iter().map(|reason| count.filtered.get(*reason)).collect();
    assert_eq!(filtered[..4], [2, 2, 2, 0]);
    let files = scanned(root.path(), scanner(root.path()).filter(filter)).into_iter();
    let files: Vec<_> = files.filter(|(_, kind)| kind == "file").map(|(path, _)| path).collect();
    assert_eq!(files, [b"a.csv".to_vec(), b"all/e.txt".to_vec(), b"deep/er/b.csv".to_vec()]);
}

#[test]
fn test_scan_that_follows_links_equals_walkdir_but_for_loops() {
    let root = tempdir().expect("creates");
    for path in ["a/b/one", "a/two", "c/three", "c/d/e/four"] {
        write(root.path(), path, b"12345");
    }
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.path().join(name)).expect("links");
    for (target, name) in [
        ("../c", "a/to_c"), // and back again: a/to_c/to_a is a loop
        ("../a", "c/to_a"),
        ("..", "a/b/up"),
        (".", "self"),
        ("a/b/one", "file"), // the same file by two links
        ("file", "file_again"),
        ("nowhere", "dangling"),
        ("loop", "loop"),
    ] {
        link(target, name);
    }
    let expected = reference_followed(root.path());
    for threads in [1, 4] {
        let scanner = scanner(root.path()).links(Links::Follow).threads(threads);
        let count = scanner.clone().detail(Detail::Sizes).count().expect("counts");
        let files = expected.iter().filter(|(_, kind)| kind == "file").count() as u64;
        assert_eq!((count.files, count.bytes, count.other), (files, 5 * files, 2));
        let loops = count.filtered.get(Reason::Loop);
        // A directory that lies above itself is listed under its name, and nothing below it.
        let found = scanned(root.path(), scanner);
        assert!(loops >= 4 && found.is_superset(&expected), "{loops}");
        assert_eq!(found.len() as u64, expected.len() as u64 + loops);
        assert!(found.contains(&(b"self".to_vec(), "directory".to_owned())));
    }
}

#[test]
fn test_scan_of_globs_walks_only_what_may_match() {
    let root = tempdir().expect("creates");
    for path in ["2025/a.csv", "2026/a.csv", "2026/b.txt", "2026/deep/c.csv", "other/d.csv"] {
        write(root.path(), path, b"");
    }
    let files = |patterns: &[&str]| {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let scanner = scanner(root.path()).globs(vec![Some(Glob::new(&patterns).expect("compiles"))]);
        let count = scanner.count().expect("counts");
        (count.files, count.directories)
    };
    assert_eq!(files(&["2026/*.csv"]), (1, 1));
    assert_eq!(files(&["202?/**/*.csv"]), (3, 3));
    assert_eq!(files(&["2026"]), (3, 2));
    assert_eq!(files(&["2025/*", "other/*"]), (2, 2));
    assert_eq!(files(&["none/*"]), (0, 0));
}

#[test]
fn test_totals_by_directory_and_extension_add_up() {
    let root = tempdir().expect("creates");
    for (path, size) in [("a.csv", 1), ("d/b.CSV", 10), ("d/e/c.csv.gz", 100), ("d/e/f/none", 1000)] {
        write(root.path(), path, &vec![b'x'; size]);
    }
    let base = root.path().to_str().expect("is text");
    let totals = |by| {
        let totals = scanner(root.path()).detail(Detail::Sizes).totals(by).expect("sums up");
        assert_eq!((totals.count.files, totals.count.bytes, totals.others), (4, 1111, Total::default()));
        let text = |name: Vec<u8>| String::from_utf8(name).expect("is text").replace(base, "");
        totals.groups.into_iter().map(|(name, total)| (text(name), total.files, total.bytes)).collect::<Vec<_>>()
    };
    let group = |name: &str, files, bytes| (name.to_owned(), files, bytes);
    assert_eq!(totals(GroupBy::Extension), [group("", 1, 1000), group("csv", 2, 11), group("csv.gz", 1, 100)]);
    assert_eq!(totals(GroupBy::Directory { depth: 1 }), [group("", 1, 1), group("/d", 3, 1110)]);
    let deep = [group("", 1, 1), group("/d", 1, 10), group("/d/e", 2, 1100)];
    assert_eq!(totals(GroupBy::Directory { depth: 2 }), deep);
}

#[test]
fn test_scan_with_bounds_counts_what_it_leaves_out_by_reason() {
    let root = tempdir().expect("creates");
    for (path, size) in [("a.csv", 10), ("b.csv.gz", 20), ("c.txt", 20), ("deep/d.csv", 20), ("deep/er/e.csv", 20)] {
        write(root.path(), path, &vec![b'x'; size]);
    }
    let old = fs::File::options().write(true).open(root.path().join("b.csv.gz")).expect("opens");
    old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(100)).expect("sets");
    let count = |rules| {
        let filter = Filter::new(&serde_json::from_value(rules).expect("reads")).expect("compiles");
        let count = scanner(root.path()).filter(filter).count().expect("counts");
        let left_out = count.filtered.iter().filter(|(_, number)| *number > 0);
        (count.files, left_out.map(|(reason, number)| (reason.name(), number)).collect::<Vec<_>>())
    };
    assert_eq!(count(json!({"min_size_bytes": 20})), (4, vec![("size", 1)]));
    assert_eq!(count(json!({"max_size_bytes": 19})), (1, vec![("size", 4)]));
    assert_eq!(count(json!({"newer_than_ns": 200_000_000_000_i64})), (4, vec![("time", 1)]));
    assert_eq!(count(json!({"older_than_ns": 200_000_000_000_i64})), (1, vec![("time", 4)]));
    assert_eq!(count(json!({"types": ["csv"]})), (4, vec![("type", 1)]));
    assert_eq!(count(json!({"max_depth": 2})), (4, vec![("max_depth", 1)]));
    assert_eq!(count(json!({"max_depth": 1})), (3, vec![("max_depth", 1)]));
    assert_eq!(count(json!({"include": ["*.CSV"], "ignore_case": true})), (3, vec![("include", 2)]));
}

#[test]
fn test_root_that_is_a_file_is_left_out_by_the_same_rules() {
    let root = tempdir().expect("creates");
    write(root.path(), "sub/b.csv", &[0; 20]);
    for (rules, reason) in [
        (json!({"include": ["*.txt"]}), Reason::Include),
        (json!({"exclude": ["*.csv"]}), Reason::Exclude),
        (json!({"types": ["json"]}), Reason::Type),
        (json!({"max_size_bytes": 1}), Reason::Size),
        (json!({"older_than_ns": 0}), Reason::Time),
    ] {
        let filter = Filter::new(&serde_json::from_value(rules).expect("reads")).expect("compiles");
        let count = scanner(&root.path().join("sub/b.csv")).filter(filter).count().expect("counts");
        assert_eq!((count.files, count.filtered.get(reason)), (0, 1), "{reason:?}");
    }
    let filter = Filter::new(&serde_json::from_value(json!({"include": ["*.csv"]})).expect("reads")).expect("compiles");
    assert_eq!(scanner(&root.path().join("sub/b.csv")).filter(filter).count().expect("counts").files, 1);
}

#[test]
fn test_scan_with_skipped_directory_prunes_it_under_any_name() {
    use std::os::unix::fs::MetadataExt;
    let root = tempdir().expect("creates");
    write(root.path(), "in/file", b"");
    write(root.path(), "out/file", b"");
    let out = fs::metadata(root.path().join("out")).expect("looks");
    let skip = Skip { device: out.dev(), inode: out.ino(), name: None };
    let count = scanner(root.path()).skip(vec![skip]).count().expect("counts");
    assert_eq!((count.files, count.filtered.get(Reason::Sink)), (1, 1));
}
