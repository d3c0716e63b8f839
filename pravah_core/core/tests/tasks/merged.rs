//! Outputs that are made of several files: all of them or none, through kills, changes and failures.

use std::fs;

use pravah_core::{
    engine::{Ending, WindowRecord, undo},
    manifest::Manifest,
    naming::group::Grouping,
    outcome::Recorded,
    retry::{self, Group},
};
use serde_json::{Value, json};

use crate::bench::{Bench, Stop, age};

/// A task of two outputs, each of two files; what makes them is `steps`.
fn merging(steps: Value) -> Bench {
    let files: [(&str, &[u8]); 4] = [("a/1", b"one\ntwo"), ("a/2", b"three"), ("b/1", b"four\n"), ("b/2", b"")];
    let mut bench = Bench::new(&files);
    bench.steps = steps;
    bench.sink_keys = json!({"path": "{dir}.txt"});
    grouped(&mut bench);
    bench
}

fn by_directory() -> Value {
    json!([{"name": "merge", "params": {"group_by": "{dir}"}}])
}

/// Put the files of the source together, as a job does when it has listed them.
pub fn grouped(bench: &mut Bench) {
    bench.manifest();
    let scratch = tempfile::tempdir().expect("makes a directory");
    let mut grouping = Grouping::new(bench.plan(), scratch.path()).expect("begins");
    grouping.add(&bench.task.manifest).expect("takes it");
    let groups = grouping.finish(scratch.path()).expect("cuts");
    bench.task.manifest = groups.get(0).expect("has a task").0;
}

fn kinds(bench: &Bench) -> Vec<String> {
    let kind = |line: &Value| match line["error"]["kind"].as_str() {
        Some(kind) => kind.to_owned(),
        None => line["outcome"].as_str().expect("has one").to_owned(),
    };
    bench.account().iter().map(kind).collect()
}

#[test]
fn run_puts_files_together_and_tells_each_of_its_output() {
    let mut bench = merging(by_directory());
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.bytes_in, last.counts.bytes_out), (4, 17, 18));
    assert_eq!(bench.output("a.txt"), b"one\ntwo\nthree");
    assert_eq!(bench.output("b.txt"), b"four\n");
    let lines = bench.account();
    assert!(lines[1]["outputs"][0].as_str().is_some_and(|uri| uri.ends_with("/out/a.txt")), "{lines:?}");
    assert_eq!((&lines[0]["output_bytes"], &lines[1]["output_bytes"]), (&json!(13), &json!(13)));
}

#[test]
fn run_again_after_a_kill_at_each_record_ends_with_the_same_outputs() {
    for overwrite in ["error", "never", "changed"] {
        for (stop, at) in [(Stop::Before, 0), (Stop::After, 0), (Stop::Before, 1), (Stop::After, 1)] {
            let mut bench = merging(by_directory());
            bench.overwrite = overwrite; // our own half-acknowledged outputs must not make it fail
            let (ending, _) = bench.run(|number, _| if number == at { stop } else { Stop::Never }).expect("runs");
            assert_eq!(ending, Ending::Fenced);
            bench.task.unclean = true;
            let last = bench.run_through();
            assert_eq!((last.counts.done, last.counts.bytes_out), (4, 18), "{overwrite} {stop:?} {at}");
            assert_eq!(bench.output("a.txt"), b"one\ntwo\nthree");
            assert_eq!(bench.output("b.txt"), b"four\n");
            assert_eq!(bench.litter(), 0);
        }
    }
}

#[test]
fn take_over_makes_the_whole_output_again_where_it_was_not_published() {
    let mut bench = merging(by_directory());
    bench
        .run(|_, record: &WindowRecord| if record.window.is_none() { Stop::Before } else { Stop::Never })
        .expect("runs");
    fs::remove_file(bench.sink().join("a.txt")).expect("removes");
    fs::write(bench.sink().join("b.txt"), b"a stranger's").expect("writes");
    bench.task.unclean = true;
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.failed), (2, 2));
    assert_eq!(bench.output("a.txt"), b"one\ntwo\nthree");
    assert_eq!(bench.output("b.txt"), b"a stranger's");
    assert_eq!(kinds(&bench), ["done", "done", "output_exists", "output_exists"]);
}

#[test]
fn file_that_fails_leaves_its_output_unmade_and_is_named_by_the_others() {
    let mut bench = merging(by_directory());
    bench.write(&bench.source().join("a/2"), b"\0");
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.failed), (2, 2));
    assert_eq!(kinds(&bench), ["group_incomplete", "not_text", "done", "done"]);
    let message = bench.account()[0]["error"]["message"].to_string();
    assert!(message.contains("in/a/2") && message.contains("not_text"), "{message}");
    assert!(!bench.sink().join("a.txt").exists());
    assert_eq!(bench.litter(), 0);
}

#[test]
fn table_whose_types_prove_too_narrow_is_read_again_within_its_output() {
    // More rows than the sample of types has, and a value behind it that is no integer.
    let large = format!("n,text\n{}1.5,end\n", format!("7,{}\n", "x".repeat(998)).repeat(9_500));
    let mut bench = Bench::new(&[("a/1.csv", b"n,text\n1,first\n"), ("a/2.csv", large.as_bytes())]);
    bench.steps = json!([{"name": "convert", "params": {"format": "csv"}}, {"name": "merge", "params": {}}]);
    bench.sink_keys = json!({"path": "all.csv"});
    grouped(&mut bench);
    let last = bench.run_through();
    assert_eq!(last.counts.done, 2);
    let output = String::from_utf8(bench.output("all.csv")).expect("is text");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines.len(), lines[1], lines[9_502]), (9_503, "1,first", "1.5,end"));
    assert!(lines[2].starts_with("7.0,x"));
    assert!(last.summary.contains(r#""rows":{"in":9502,"out":9502,"#), "{}", last.summary);
}

#[test]
fn file_that_vanished_leaves_its_output_unmade() {
    let mut bench = merging(by_directory());
    fs::remove_file(bench.source().join("b/1")).expect("removes");
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.vanished, last.counts.failed), (2, 1, 1));
    assert_eq!(kinds(&bench), ["done", "done", "not_found", "group_incomplete"]);
    assert!(!bench.sink().join("b.txt").exists());
}

#[test]
fn changed_sees_a_member_that_changed_came_or_went() {
    let mut bench = merging(by_directory());
    for name in ["a/1", "a/2", "b/1", "b/2"] {
        age(&bench.source().join(name));
    }
    std::thread::sleep(std::time::Duration::from_millis(2_100)); // younger inodes are racy
    bench.run_through();
    let again = |bench: &mut Bench| {
        grouped(bench);
        bench.task.windows.clear();
        let counts = bench.run_through().counts;
        (counts.done, counts.skipped, counts.failed)
    };
    assert_eq!(again(&mut bench), (0, 4, 0));
    bench.write(&bench.source().join("a/2"), b"3");
    assert_eq!(again(&mut bench), (2, 2, 0));
    assert_eq!(bench.output("a.txt"), b"one\ntwo\n3");
    bench.write(&bench.source().join("a/3"), b"new");
    assert_eq!(again(&mut bench), (3, 2, 0));
    assert_eq!(bench.output("a.txt"), b"one\ntwo\n3\nnew");
    fs::remove_file(bench.source().join("b/2")).expect("removes");
    assert_eq!(again(&mut bench).0, 4, "a's files are young, and of b's one went");
    fs::remove_file(bench.sink().join("b.txt")).expect("removes");
    fs::write(bench.sink().join("b.txt"), b"a stranger's").expect("writes");
    assert_eq!(again(&mut bench).2, 1);
    assert_eq!(bench.output("b.txt"), b"a stranger's");
}

#[test]
fn steps_before_run_on_each_file_and_those_behind_on_the_output() {
    let mut bench = merging(by_directory());
    bench.steps = json!([{"name": "compress"}]);
    bench.sink_keys = json!({});
    bench.manifest();
    bench.run_through();
    fs::remove_dir_all(bench.source()).expect("removes");
    fs::rename(bench.sink(), bench.source()).expect("moves");
    bench.task.windows.clear();
    bench.steps = json!([
        {"name": "count"}, {"name": "decompress"}, {"name": "merge", "params": {"group_by": "{dir}"}},
        {"name": "compress"}, {"name": "decompress"},
    ]);
    bench.sink_keys = json!({"path": "{dir}.txt"});
    bench.task.fingerprints.clear();
    grouped(&mut bench);
    let last = bench.run_through();
    assert_eq!(last.counts.done, 4);
    assert_eq!(bench.output("a.txt"), b"one\ntwo\nthree");
    assert_eq!(bench.output("b.txt"), b"four\n");
    let rows = bench.task.windows[0].rows().expect("reads");
    assert!(rows.iter().all(|row| row.records.as_ref().is_some_and(|records| records.contains("\"path\""))));
    assert!(rows[1].records.as_ref().is_some_and(|records| records.contains("/a/2.zst")), "{rows:?}");
}

#[test]
fn large_output_is_the_same_as_its_files_in_a_row() {
    let line = b"0123456789abcdef\n".repeat(100_000);
    let files: Vec<(String, Vec<u8>)> = (0..70).map(|n| (format!("d/{n:02}"), line[..n * 24_001].to_vec())).collect();
    let borrowed: Vec<(&str, &[u8])> =
        files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let mut bench = Bench::new(&borrowed);
    bench.steps = by_directory();
    bench.sink_keys = json!({"path": "{dir}.txt"});
    grouped(&mut bench);
    bench.run_through();
    let mut expected: Vec<u8> = Vec::new();
    for (_, content) in files {
        if !expected.is_empty() && !expected.ends_with(b"\n") && !content.is_empty() {
            expected.push(b'\n');
        }
        expected.extend(content);
    }
    assert!(bench.output("d.txt") == expected);
}

#[test]
fn retry_takes_the_whole_output_up_again_and_no_other() {
    for group in [None, Some("not_text"), Some("group_incomplete")] {
        let mut bench = merging(by_directory());
        bench.write(&bench.source().join("a/2"), b"\0");
        bench.run_through();
        let pattern = |kind: &str| {
            let lines = bench.account();
            let line = lines.iter().find(|line| line["error"]["kind"] == kind).expect("failed").clone();
            let message = line["error"]["message"].as_str().expect("is text");
            let pattern = pravah_core::engine::failure_pattern(message);
            let step = line["error"]["step"].as_str().map(str::to_owned);
            Group { kind: kind.to_owned(), step, pattern }
        };
        let group = group.map(pattern);
        let moved = retry::move_out(&bench.plan(), &bench.task.manifest, &bench.task.windows, group.as_ref());
        let moved = moved.expect("reads").expect("moves");
        assert_eq!((moved.gone, moved.counts.done, moved.parts.len()), (2, 2, 1), "{group:?}");
        bench.write(&bench.source().join("a/2"), b"three");
        bench.task.manifest = moved.parts[0].manifest.clone();
        bench.task.windows.clear();
        assert_eq!(bench.run_through().counts.done, 2);
        assert_eq!(bench.output("a.txt"), b"one\ntwo\nthree");
    }
}

#[test]
fn split_keeps_the_files_of_an_output_in_one_task() {
    let bench = merging(by_directory());
    let moved = retry::split(&bench.plan(), &bench.task.manifest, &[], 2).expect("reads").expect("splits");
    for (part, directory) in moved.parts.iter().zip(["a", "b"]) {
        let manifest = Manifest::decode(&part.manifest).expect("decodes");
        assert_eq!(manifest.len(), 2);
        assert!((0..2).all(|at| manifest.directory(at) == directory.as_bytes()));
    }
    assert!(retry::split(&bench.plan(), &bench.task.manifest, &[], 3).expect("reads").is_none());
}

#[test]
fn undo_counts_and_removes_each_output_once() {
    let mut bench = merging(by_directory());
    bench.run_through();
    let undo = |how| {
        let windows: &[Recorded] = &bench.task.windows;
        undo::undo(&bench.plan(), &bench.task.manifest, windows, how).expect("runs").account.counts
    };
    assert_eq!(undo(undo::Undo::Look).done, 2);
    assert_eq!((undo(undo::Undo::Remove).done, undo(undo::Undo::Remove).vanished), (2, 2));
    assert!(!bench.sink().join("a.txt").exists());
}

#[test]
fn sources_are_removed_only_where_their_output_was_made() {
    let mut bench = merging(by_directory());
    bench.plan_keys = json!({"after": "delete"});
    bench.write(&bench.source().join("a/2"), b"\0");
    bench.run_through();
    assert_eq!(bench.finish_sources().counts.done, 2);
    let left = |name: &str| bench.source().join(name).exists();
    assert_eq!(["a/1", "a/2", "b/1", "b/2"].map(left), [true, true, false, false]);
}
