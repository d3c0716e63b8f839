//! Outputs, windows, take-over after a kill.

use std::fs;

use pravah_core::{
    engine::{Ending, WindowRecord},
    entry::{Entry, Kind, Problem},
    manifest::{Manifest, ManifestBuilder},
    naming::Naming,
    outcome::Recorded,
};
use serde_json::{Value, json};

use crate::bench::{Bench, Stop, age};

#[test]
fn run_over_small_and_large_files_publishes_each() {
    let large = b"0123456789abcdef".repeat(200_000);
    let mut bench = Bench::new(&[("a", b"one"), ("d/b", b""), ("d/e/large", &large)]);
    bench.manifest();
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.bytes_in), (3, 3 + large.len() as u64));
    assert_eq!((bench.output("a"), bench.output("d/b"), bench.output("d/e/large")), (b"one".to_vec(), vec![], large));
    assert_eq!(bench.litter(), 0);
    let account = bench.account();
    assert!(account.iter().all(|line| line["outcome"] == "done" && line["attempts"] == 1));
}

#[test]
fn run_again_after_a_kill_at_each_record_ends_with_the_same_outputs() {
    for (stop, at) in [(Stop::Before, 0), (Stop::After, 0), (Stop::Before, 1), (Stop::After, 1)] {
        let mut bench = Bench::new(&[("a", b"one"), ("b", b"two")]);
        bench.overwrite = "error"; // our own half-acknowledged outputs must not make it fail
        bench.manifest();
        let kill = |number, _: &WindowRecord| match (&stop, number == at) {
            (Stop::Before, true) => Stop::Before,
            (Stop::After, true) => Stop::After,
            _ => Stop::Never,
        };
        let (ending, _) = bench.run(kill).expect("runs");
        assert_eq!(ending, Ending::Fenced);
        bench.task.unclean = true;
        let last = bench.run_through();
        assert_eq!(last.counts.done, 2);
        assert_eq!((bench.output("a"), bench.output("b")), (b"one".to_vec(), b"two".to_vec()));
        assert_eq!(bench.litter(), 0);
    }
}

#[test]
fn adopt_an_output_that_a_stranger_replaced_leaves_it_alone() {
    let mut bench = Bench::new(&[("a", b"one"), ("b", b"two")]);
    bench.manifest();
    // The transaction of the last record is lost, after the outputs have been published.
    bench.run(|_, record| if record.window.is_none() { Stop::Before } else { Stop::Never }).expect("runs");
    fs::remove_file(bench.sink().join("a")).expect("removes");
    fs::write(bench.sink().join("a"), b"a stranger's").expect("writes");
    bench.task.unclean = true;
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.failed), (1, 1));
    assert_eq!(bench.output("a"), b"a stranger's");
    assert_eq!(bench.account()[0]["error"]["kind"], "output_exists");
}

#[test]
fn settle_acknowledges_what_is_published_and_begins_nothing() {
    let mut bench = Bench::new(&[("a", b"one"), ("b", b"two")]);
    bench.manifest();
    bench.run(|_, record| if record.window.is_none() { Stop::Before } else { Stop::Never }).expect("runs");
    fs::remove_file(bench.sink().join("b")).expect("removes");
    (bench.task.unclean, bench.task.settle) = (true, true);
    let (ending, records) = bench.run(|_, _| Stop::Never).expect("runs");
    assert_eq!((ending, records[0].counts.done, records[0].finished), (Ending::Drained, 1, false));
    assert!(!bench.sink().join("b").exists());
}

#[test]
fn overwrite_changed_skips_what_is_current_and_replaces_what_is_not() {
    let mut bench = Bench::new(&[("same", b"one"), ("new", b"two"), ("foreign", b"three")]);
    ["same", "new", "foreign"].iter().for_each(|name| age(&bench.source().join(name)));
    bench.write(&bench.sink().join("foreign"), b"not ours");
    bench.manifest();
    // Inode times can't be set back: wait until they prove something (see RACY_NS).
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.failed), (2, 1));
    bench.write(&bench.source().join("new"), b"changed");
    bench.next_job();
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.skipped, last.counts.failed), (1, 1, 1));
    assert_eq!((bench.output("new"), bench.output("foreign")), (b"changed".to_vec(), b"not ours".to_vec()));
    let reasons: Value = serde_json::from_str(&last.summary).expect("is JSON");
    assert_eq!(reasons["reasons"], json!({"skipped:unchanged": 1, "failed:output_exists": 1}));
}

#[test]
fn overwrite_forms_decide_about_a_file_that_stands_there() {
    for (overwrite, done, skipped, failed) in
        [("always", 1, 0, 0), ("never", 0, 1, 0), ("error", 0, 0, 1), ("newer", 1, 0, 0), ("changed", 0, 0, 1)]
    {
        let mut bench = Bench::new(&[("a", b"ours")]);
        bench.overwrite = overwrite;
        bench.write(&bench.sink().join("a"), b"old");
        age(&bench.sink().join("a"));
        bench.manifest();
        let counts = bench.run_through().counts;
        assert_eq!((counts.done, counts.skipped, counts.failed), (done, skipped, failed), "{overwrite}");
        assert_eq!(bench.output("a"), if done == 1 { b"ours".to_vec() } else { b"old".to_vec() }, "{overwrite}");
        assert_eq!(bench.litter(), 0, "{overwrite}");
    }
}

#[test]
fn run_over_files_that_vanished_or_became_something_else_goes_on_with_the_rest() {
    let mut bench = Bench::new(&[("gone", b"1"), ("here", b"2"), ("link", b"3"), ("lost/x", b"4")]);
    bench.manifest();
    fs::remove_file(bench.source().join("gone")).expect("removes");
    fs::remove_dir_all(bench.source().join("lost")).expect("removes");
    fs::remove_file(bench.source().join("link")).expect("removes");
    std::os::unix::fs::symlink("here", bench.source().join("link")).expect("links");
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.vanished, counts.failed), (1, 2, 1));
    assert_eq!(bench.account()[2]["error"]["kind"], "link_loop");
}

#[test]
fn run_where_an_output_would_replace_its_source_fails_that_file() {
    let mut bench = Bench::new(&[("a", b"1"), ("b", b"2")]);
    std::os::unix::fs::symlink("in", bench.sink()).expect("links");
    bench.overwrite = "always";
    bench.manifest();
    assert_eq!(bench.run_through().counts.failed, 2);
    assert_eq!(bench.account()[0]["error"]["kind"], "source_is_sink");
    bench.task.windows.clear();
    bench.steps = json!([{"name": "compress"}]);
    assert_eq!(bench.run_through().counts.done, 2, "other names do no harm");
    assert_eq!(fs::read(bench.source().join("a")).expect("is there"), b"1");
}

#[test]
fn run_where_a_directory_has_the_outputs_name_fails_that_file() {
    let mut bench = Bench::new(&[("a", b"1"), ("b", b"2")]);
    fs::create_dir_all(bench.sink().join("a")).expect("makes it");
    bench.overwrite = "always";
    bench.manifest();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.failed), (1, 1));
}

#[test]
fn run_with_a_checksum_keeps_its_record_in_the_account() {
    let mut bench = Bench::new(&[("a", b"one")]);
    bench.steps = json!([{"name": "checksum", "params": {"algorithm": "sha256"}}, {"name": "compress"}]);
    bench.manifest();
    bench.run_through();
    let hex = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    assert_eq!(bench.account()[0]["checksum"], hex);
    assert!(bench.sink().join("a.zst").exists());
}

#[test]
fn move_out_of_a_task_takes_failures_into_a_new_manifest() {
    let mut bench = Bench::new(&[("bad.gz", b"not gzip"), ("good", b"")]);
    bench.steps = json!([{"name": "decompress"}]);
    bench.manifest();
    bench.run_through();
    let moved = pravah_core::retry::move_out(&bench.plan(), &bench.task.manifest, &bench.task.windows, None);
    let moved = moved.expect("reads").expect("something failed");
    let [part] = &moved.parts[..] else { panic!("one task") };
    assert_eq!((part.entries, moved.gone, moved.counts.entries()), (2, 2, 0));
    bench.task.windows.push(Recorded { blob: moved.window, amendments: None, acknowledged: true });
    assert!(bench.account().is_empty());
}

/// A split is no retry: a directory that could not be read, or is to be made, is an entry of one part, as it is.
#[test]
fn split_of_a_task_gives_its_directories_to_its_parts() {
    let mut bench = Bench::new(&[("a", b"1"), ("b", b"2")]);
    bench.manifest();
    let mut entries = entries_of(&bench.task.manifest);
    let problem = Problem { kind: "permission_denied".to_owned(), message: "can't list".to_owned() };
    for (name, problem) in [("empty", None), ("unreadable", Some(problem))] {
        let (directory, name, naming) = (Vec::new(), name.as_bytes().to_vec(), Naming::default());
        let kind = Kind::Directory;
        entries.push(Entry { root: 0, directory, name, kind, size_bytes: 0, modified_ns: 0, problem, naming });
    }
    let mut builder = ManifestBuilder::default();
    entries.iter().for_each(|entry| builder.push(entry).expect("pushes"));
    let manifest = builder.finish().expect("encodes");
    let moved = pravah_core::retry::split(&bench.plan(), &manifest, &[], 2).expect("reads").expect("splits");
    let parts: Vec<Entry> = moved.parts.iter().flat_map(|part| entries_of(&part.manifest)).collect();
    assert_eq!((parts, moved.gone, moved.unit), (entries, 4, None));
}

fn entries_of(manifest: &[u8]) -> Vec<Entry> {
    Manifest::decode(manifest).expect("decodes").iter().collect::<pravah_core::Result<_>>().expect("reads")
}
