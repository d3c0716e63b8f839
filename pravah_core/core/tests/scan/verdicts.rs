//! What the scan task decides: left out, colliding, unreadable, or an error of the whole.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use pravah_core::{
    engine::{
        Verdict,
        scan_task::{
            named::NamedPath,
            unit::{NamedPaths, Unit},
        },
    },
    entry::{Entry, Kind},
    plan::Plan,
    scan::Reason,
};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{
    job::{by_path, plan, scan, scan_unit, scan_until, to, uri},
    support::{run_unprivileged, write},
};

#[test]
fn test_scan_counts_what_it_leaves_out_by_reason() {
    let root = tempdir().expect("creates");
    for path in ["a.csv", "b.txt", "tmp/c.csv", "tmp/d.csv", "out/x.csv", "_pravah/x", ".pravah-1", "deep/e.csv"] {
        write(root.path(), path, b"");
    }
    let scanned = scan(&plan(root.path(), |plan| {
        plan["filter"] = json!({"include": ["*.csv"], "exclude": ["tmp/"]});
        plan["sink"] = to(&root.path().join("out"));
    }));
    let filtered: Vec<_> = Reason::ALL.iter().map(|reason| scanned.filtered.get(*reason)).collect();
    assert_eq!(filtered, [1, 1, 2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(by_path(scanned.entries()).into_keys().collect::<Vec<_>>(), [b"a.csv".to_vec(), b"deep/e.csv".to_vec()]);
}

#[test]
fn test_names_that_would_become_one_output_all_fail() {
    let root = tempdir().expect("creates");
    for path in ["a.gz", "a.zst", "b.gz", "b/x.gz", "c.gz", "deep/a.gz", "deep/c.gz"] {
        write(root.path(), path, b"");
    }
    let out = tempdir().expect("creates");
    let scanned = scan(&plan(root.path(), |plan| {
        plan["steps"] = json!([{"name": "decompress"}]);
        plan["sink"] = to(out.path());
    }));
    let failed: BTreeMap<_, _> =
        by_path(scanned.entries()).into_iter().filter_map(|(path, entry)| Some((path, entry.problem?))).collect();
    assert!(failed.values().all(|problem| problem.kind == "output_collision"));
    let messages: Vec<_> = failed.iter().map(|(path, p)| (path.as_slice(), p.message.as_str())).collect();
    let expected: [(&[u8], &str); 3] = [
        (b"a.gz", "its output collides with `a.zst`: each output would be called `a`"),
        (b"a.zst", "its output collides with `a.gz`: each output would be called `a`"),
        (b"b.gz", "its output collides with the directory `b`, as the output would be called"),
    ];
    assert_eq!(messages, expected);
}

#[test]
fn test_second_file_for_a_sink_that_is_one_file_fails_both() {
    let root = tempdir().expect("creates");
    write(root.path(), "a", b"");
    let out = tempdir().expect("creates");
    let plan = plan(root.path(), |plan| {
        plan["sink"] = to(out.path());
        plan["sink"]["only"] = json!("out.bin");
    });
    let one = scan(&plan);
    assert_eq!(one.entries()[0].problem, None);
    for name in ["b", "c/d"] {
        write(root.path(), name, b"");
    }
    let three = scan(&plan).entries();
    assert_eq!(three.iter().filter(|entry| entry.problem.is_some()).count(), 3);
}

#[test]
fn test_output_below_the_source_is_never_an_entry() {
    let root = tempdir().expect("creates");
    write(root.path(), "a", b"");
    write(root.path(), "out.bin", b"");
    let scanned = scan(&plan(root.path(), |plan| {
        plan["sink"] = to(root.path());
        plan["sink"]["only"] = json!("out.bin");
    }));
    assert_eq!(scanned.filtered.get(Reason::Sink), 1);
    assert_eq!(scanned.entries().len(), 1);
}

/// The first task makes what is not there when the scan begins, while the scan is still on its way.
#[test]
fn test_sink_that_is_made_during_the_scan_is_left_out() {
    let below = |root: &Path| root.join("z/".repeat(200));
    let changes: [fn(&mut Value, &Path); 5] = [
        |plan, place| plan["sink"] = to(&place.join("out")),
        |plan, place| {
            plan["sink"] = to(&place.join("out"));
            plan["sink"]["only"] = json!("file");
        },
        |plan, place| plan["after"] = json!({"move": uri(&place.join("out"))}),
        |plan, place| plan["dataset"] = json!(uri(&place.join("out"))),
        |plan, place| {
            plan["sink"] = to(place);
            plan["sink"]["only"] = json!("other");
            plan["after"] = json!({"move": uri(&place.join("out"))});
        },
    ];
    for change in changes {
        let root = tempdir().expect("creates");
        let place = below(root.path());
        fs::create_dir_all(&place).expect("creates");
        (0..300).for_each(|number| write(root.path(), &number.to_string(), b"")); // enough for a task at once
        let (scanned, _) = scan_until(&plan(root.path(), |plan| change(plan, &place)), |_| {
            write(&place, "out/file", b"");
            Verdict::Committed
        })
        .expect("scans");
        assert_eq!((scanned.entries().len(), scanned.filtered.get(Reason::Sink)), (300, 1));
    }
}

#[test]
fn test_names_of_a_list_that_are_the_sink_or_lie_in_it_are_left_out() {
    let root = tempdir().expect("creates");
    ["a.csv", "all.csv", "made/b.csv"].iter().for_each(|path| write(root.path(), path, b""));
    let unit = |paths: &[&str]| {
        Unit::Named(NamedPaths { paths: paths.iter().map(|path| NamedPath::new(0, path.as_bytes())).collect() })
    };
    let left_out = |sink: Value, paths: &[&str]| {
        let plan = plan(root.path(), |plan| plan["sink"] = sink);
        let (scanned, _) = scan_unit(&plan, &unit(paths), |_| Verdict::Committed).expect("scans");
        assert_eq!(scanned.entries().iter().map(|entry| entry.name.as_slice()).collect::<Vec<_>>(), [b"a.csv"]);
        scanned.filtered.get(Reason::Sink)
    };
    let mut file = to(root.path());
    file["only"] = json!("all.csv");
    assert_eq!(left_out(file, &["a.csv", "all.csv"]), 1);
    assert_eq!(left_out(to(&root.path().join("made")), &["a.csv", "made/b.csv"]), 1);
    assert_eq!(left_out(to(&root.path().join("new/out")), &["a.csv", "new", "new/c.csv", "new/out/d.csv"]), 3);
}

#[test]
fn test_roots_that_are_files_are_entries_of_their_directories() {
    let root = tempdir().expect("creates");
    write(root.path(), "a/x.csv", b"123");
    write(root.path(), "a/other", b"");
    write(root.path(), "b/x.csv", b"");
    let change = |prefixes: [&'static str; 2]| {
        let root = &root;
        move |plan: &mut Value| {
            let file =
                |at: &str, prefix| json!({"uri": uri(&root.path().join(at)), "only": "x%2Ecsv", "prefix": prefix});
            plan["roots"] = json!([file("a", prefixes[0]), file("b", prefixes[1])]);
            plan["sink"] = to(&root.path().join("out"));
        }
    };
    let problems = |entries: &[Entry]| entries.iter().filter(|entry| entry.problem.is_some()).count();
    let directory = tempdir().expect("creates");
    let entries = scan(&plan(directory.path(), change(["a", "b"]))).entries();
    assert_eq!(entries.iter().map(|entry| (entry.root, entry.size_bytes)).collect::<Vec<_>>(), [(0, 3), (1, 0)]);
    assert!(entries.iter().all(|entry| entry.directory.is_empty() && entry.name == b"x.csv"));
    assert_eq!(problems(&entries), 0);
    assert_eq!(problems(&scan(&plan(directory.path(), change(["same", "same"]))).entries()), 2);
}

#[test]
fn test_root_that_is_missing_or_no_directory_or_the_sink_is_an_error() {
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"");
    let kind = |plan: Plan| scan_until(&plan, |_| Verdict::Committed).err().map(|error| error.kind());
    assert_eq!(kind(plan(&root.path().join("missing"), |_| {})), Some("not_found"));
    assert_eq!(kind(plan(&root.path().join("file"), |_| {})), Some("not_a_directory"));
    assert_eq!(kind(plan(root.path(), |plan| plan["sink"] = to(root.path()))), Some("invalid_plan"));
    assert_eq!(kind(plan(root.path(), |plan| plan["filter"] = json!({"include": ["a["]}))), Some("invalid_parameter"));
}

/// It was there when the job was created.
#[test]
fn test_named_file_that_is_gone_is_an_entry_that_fails_and_the_others_are_not() {
    let root = tempdir().expect("creates");
    ["a", "c/d"].iter().for_each(|path| write(root.path(), path, b""));
    let plan = plan(root.path(), |plan| {
        let file = |only: &str| json!({"uri": uri(root.path()), "only": only, "prefix": only});
        plan["roots"] = json!([file("a"), file("b"), file("c")]);
    });
    let entries = scan(&plan).entries();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.problem.as_ref().map(|it| it.kind.as_str())).collect();
    assert_eq!(kinds, [None, Some("not_found"), Some("is_a_directory")]);
    assert!(entries.iter().all(|entry| entry.kind == Kind::File));
}

#[test]
fn test_unreadable_directory_is_an_entry_that_fails_once() {
    run_unprivileged("verdicts::test_unreadable_directory_is_an_entry_that_fails_once", || {
        let root = tempdir().expect("creates");
        write(root.path(), "deep/closed/file", b"");
        write(root.path(), "open/file", b"");
        let closed = root.path().join("deep/closed");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closes");
        let plan = plan(root.path(), |_| {});
        let first = scan(&plan);
        let entries = by_path(first.entries());
        let entry = &entries[b"deep/closed".as_slice()];
        assert_eq!((entry.kind, entry.directory.as_slice()), (Kind::Directory, b"deep".as_slice()));
        let again = || {
            let unit = Unit::again(std::slice::from_ref(entry));
            let (scanned, _) = scan_unit(&plan, &unit, |_| Verdict::Committed).expect("scans");
            let entries = scanned.entries();
            entries.iter().map(|entry| (entry.relative_path(), entry.problem.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(again(), [(b"deep/closed".to_vec(), true)]);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("opens");
        assert_eq!(again(), [(b"deep/closed/file".to_vec(), false)]);
        let problem = entry.problem.as_ref().expect("fails");
        assert_eq!(problem.kind, "permission_denied");
        assert_eq!(problem.message, "can't list the directory: permission denied (errno 13)");
        assert_eq!(entries.len(), 2);
    });
}
