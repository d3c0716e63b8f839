//! Several outputs of one file: all of them or none, through kills, changes and failures.

use std::fs;

use pravah_core::{
    engine::{Ending, WindowRecord, undo},
    outcome::Recorded,
};
use serde_json::json;

use crate::bench::{Bench, Stop, age};

/// A task of two files, which are cut into three parts and one.
fn splitting() -> Bench {
    let mut bench = Bench::new(&[("d/a.txt", b"aabbc"), ("e", b"")]);
    bench.steps = json!([{"name": "split", "params": {"bytes": 2}}]);
    bench.manifest();
    bench
}

fn part(number: u32) -> String {
    format!("d/a-{number:05}.txt")
}

/// What the parts of `d/a.txt` hold, as far as there are some.
fn parts(bench: &Bench) -> Vec<String> {
    let read = |number| fs::read_to_string(bench.sink().join(part(number))).ok();
    (0..9).map_while(read).collect()
}

fn lose_the_last_record(_: usize, record: &WindowRecord) -> Stop {
    if record.window.is_none() { Stop::Before } else { Stop::Never }
}

#[test]
fn run_publishes_each_part_and_tells_of_all() {
    let mut bench = splitting();
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.bytes_in, last.counts.bytes_out), (2, 5, 5));
    assert_eq!(parts(&bench), ["aa", "bb", "c"]);
    assert_eq!(bench.output("e-00000"), b"");
    let outputs = bench.account()[0]["outputs"].clone();
    assert_eq!(outputs.as_array().map(Vec::len), Some(3), "{outputs}");
    assert!(outputs[2].as_str().is_some_and(|uri| uri.ends_with("/out/d/a-00002.txt")), "{outputs}");
    assert_eq!(bench.litter(), 0);
}

#[test]
fn run_again_after_a_kill_at_each_record_ends_with_the_same_parts() {
    for overwrite in ["error", "never", "changed", "newer", "always"] {
        for (stop, at) in [(Stop::Before, 0), (Stop::After, 0), (Stop::Before, 1), (Stop::After, 1)] {
            let mut bench = splitting();
            bench.overwrite = overwrite; // our own half-acknowledged outputs must not make it fail
            let (ending, _) = bench.run(|number, _| if number == at { stop } else { Stop::Never }).expect("runs");
            assert_eq!(ending, Ending::Fenced);
            bench.task.unclean = true;
            assert_eq!(bench.run_through().counts.done, 2, "{overwrite} {stop:?} {at}");
            assert_eq!(parts(&bench), ["aa", "bb", "c"]);
            assert_eq!(bench.litter(), 0);
        }
    }
}

#[test]
fn take_over_of_a_file_of_which_some_parts_were_published_makes_all_again() {
    for overwrite in ["error", "never", "changed"] {
        let mut bench = splitting();
        bench.overwrite = overwrite;
        bench.run(lose_the_last_record).expect("runs");
        fs::remove_file(bench.sink().join(part(1))).expect("removes");
        bench.task.unclean = true;
        assert_eq!(bench.run_through().counts.done, 2, "{overwrite}");
        assert_eq!(parts(&bench), ["aa", "bb", "c"]);
        let windows: &[Recorded] = &bench.task.windows;
        let undone = undo::undo(&bench.plan(), &bench.task.manifest, windows, undo::Undo::Look).expect("runs");
        assert_eq!((undone.account.counts.done, undone.replaced), (4, 0), "{overwrite}: none has replaced anything");
    }
}

#[test]
fn take_over_of_a_file_of_which_some_parts_were_replaced_replaces_all() {
    let mut bench = splitting();
    bench.run_through();
    bench.next_job();
    bench.write(&bench.source().join("d/a.txt"), b"xxyyz");
    bench.manifest();
    let kept = bench.directory.path().join("kept");
    fs::hard_link(bench.sink().join(part(1)), &kept).expect("links");
    bench.run(lose_the_last_record).expect("runs");
    // As if the process had died when one part of three was replaced: the next one still is the earlier job's.
    fs::rename(&kept, bench.sink().join(part(1))).expect("renames");
    bench.task.unclean = true;
    assert_eq!(bench.run_through().counts.done, 2);
    assert_eq!(parts(&bench), ["xx", "yy", "z"]);
    assert_eq!(bench.litter(), 0);
}

#[test]
fn changed_skips_what_is_current_and_removes_parts_of_a_longer_result() {
    let mut bench = splitting();
    age(&bench.source().join("d/a.txt"));
    std::thread::sleep(std::time::Duration::from_millis(2_100)); // younger inodes are racy
    bench.run_through();
    let again = |bench: &mut Bench| {
        bench.next_job();
        let counts = bench.run_through().counts;
        (counts.done, counts.skipped, counts.failed)
    };
    assert_eq!(again(&mut bench), (0, 2, 0));
    fs::remove_file(bench.sink().join(part(2))).expect("removes");
    assert_eq!(again(&mut bench), (1, 1, 0), "a part is missing");
    assert_eq!(parts(&bench), ["aa", "bb", "c"]);
    bench.steps = json!([{"name": "split", "params": {"bytes": 4}}]);
    bench.plan_keys = json!({"pipeline_hash": "p2"});
    assert_eq!(again(&mut bench), (2, 0, 0), "the pipeline is another one");
    assert_eq!(parts(&bench), ["aabb", "c"]);
    fs::write(bench.sink().join(part(2)), b"a stranger's").expect("writes");
    assert_eq!(again(&mut bench), (0, 2, 0));
    bench.write(&bench.source().join("d/a.txt"), b"xx");
    assert_eq!(again(&mut bench), (1, 1, 0));
    assert_eq!(fs::read(bench.sink().join(part(0))).expect("is there"), b"xx");
    assert!(!bench.sink().join(part(1)).exists());
    assert_eq!(bench.output(&part(2)), b"a stranger's");
    bench.write(&bench.source().join("d/a.txt"), b"11112222333");
    assert_eq!(again(&mut bench), (0, 1, 1), "a stranger has the name of a part");
    assert_eq!(fs::read(bench.sink().join(part(0))).expect("is there"), b"xx");
    assert_eq!(bench.litter(), 0);
}

#[test]
fn take_over_removes_what_a_longer_result_has_left() {
    let mut bench = splitting();
    bench.run_through();
    bench.next_job();
    bench.write(&bench.source().join("d/a.txt"), b"xx");
    bench.manifest();
    let kept = bench.directory.path().join("kept");
    fs::hard_link(bench.sink().join(part(2)), &kept).expect("links");
    bench.run(lose_the_last_record).expect("runs");
    fs::rename(&kept, bench.sink().join(part(2))).expect("renames"); // as if it had died before it came to that
    bench.task.unclean = true;
    assert_eq!(bench.run_through().counts.done, 2);
    assert_eq!(parts(&bench), ["xx"]);
    assert!(!bench.sink().join(part(2)).exists());
}

#[test]
fn overwrite_forms_decide_about_all_parts_by_a_file_that_has_the_name_of_one() {
    for (overwrite, done, skipped, failed) in
        [("always", 2, 0, 0), ("never", 1, 1, 0), ("error", 1, 0, 1), ("newer", 2, 0, 0), ("changed", 1, 0, 1)]
    {
        for number in [0, 2] {
            let mut bench = splitting();
            bench.overwrite = overwrite;
            bench.write(&bench.sink().join(part(number)), b"old");
            age(&bench.sink().join(part(number)));
            let counts = bench.run_through().counts;
            assert_eq!((counts.done, counts.skipped, counts.failed), (done, skipped, failed), "{overwrite} {number}");
            let standing = (0..3).filter(|number| bench.sink().join(part(*number)).exists()).count();
            assert_eq!(standing, if done == 2 { 3 } else { 1 }, "{overwrite} {number}");
            assert_eq!(bench.litter(), 0, "{overwrite}");
        }
    }
}

#[test]
fn file_that_fails_in_its_middle_publishes_nothing() {
    let mut bench = Bench::new(&[("a", &b"0123456789".repeat(1_000))]);
    bench.steps = json!([{"name": "compress", "params": {"codec": "gzip"}}]);
    bench.manifest();
    bench.run_through();
    let whole = bench.output("a.gz");
    let cut = [&whole[..whole.len() - 6], b"\0"].concat();
    fs::remove_dir_all(bench.source()).expect("removes");
    bench.write(&bench.source().join("b.gz"), &cut);
    bench.steps = json!([{"name": "decompress"}, {"name": "split", "params": {"bytes": 100}}]);
    bench.next_job();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.failed), (0, 1));
    assert!(!bench.sink().join("b-00000").exists());
    assert_eq!(bench.litter(), 0);
}

#[test]
fn file_of_more_parts_than_names_tell_apart_fails() {
    let mut bench = splitting();
    bench.steps = json!([{"name": "split", "params": {"bytes": 1}}]);
    bench.sink_keys = json!({"path": "{part:01}/{stem}"});
    bench.write(&bench.source().join("d/a.txt"), b"0123456789");
    bench.write(&bench.source().join("e"), b"0123456789-");
    bench.manifest();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.failed), (1, 1));
    assert_eq!(bench.output("9/a"), b"9");
    assert_eq!(bench.account()[1]["error"]["kind"], "too_many_parts");
    assert_eq!(bench.litter(), 0);
}

#[test]
fn steps_behind_work_on_each_part_and_a_large_file_gives_what_a_small_one_does() {
    let line = b"0123456789abcde\n";
    let mut bench = Bench::new(&[("small", &line.repeat(3_000)), ("large", &line.repeat(200_000))]);
    bench.steps = json!([
        {"name": "split", "params": {"lines": 50_000}}, {"name": "compress"}, {"name": "decompress"},
    ]);
    bench.manifest();
    let last = bench.run_through();
    assert_eq!((last.counts.done, last.counts.bytes_out), (2, 203_000 * 16));
    for number in 0..4 {
        assert!(bench.output(&format!("large-{number:05}")) == line.repeat(50_000), "{number}");
    }
    assert!(bench.output("small-00000") == line.repeat(3_000));
}

#[test]
fn tables_are_cut_by_rows_and_their_books_close() {
    let rows: String = (0..25).map(|n| format!("{n},x\n")).collect();
    let mut bench = Bench::new(&[("a.csv", format!("n,text\n{rows}").as_bytes()), ("empty.csv", b"n,text\n")]);
    bench.steps = json!([
        {"name": "convert", "params": {"format": "tsv"}}, {"name": "split", "params": {"rows": 10}},
    ]);
    bench.manifest();
    let last = bench.run_through();
    assert_eq!(bench.output("a-00002.tsv"), b"n\ttext\n20\tx\n21\tx\n22\tx\n23\tx\n24\tx\n");
    assert_eq!(bench.output("empty-00000.tsv"), b"n\ttext\n");
    assert!(last.summary.contains(r#""rows":{"in":25,"out":25,"#), "{}", last.summary);
    bench.steps = json!([
        {"name": "split", "params": {"bytes": "100B", "whole": "rows"}},
        {"name": "convert", "params": {"format": "parquet"}},
    ]);
    bench.next_job();
    bench.run_through();
    let parquet = bench.account()[0]["outputs"].as_array().map_or(0, Vec::len);
    assert!((4..10).contains(&parquet), "{parquet} parts of about 100 bytes each");
}

#[test]
fn sources_are_removed_only_where_all_parts_are_as_published() {
    let mut bench = splitting();
    bench.plan_keys = json!({"after": "delete"});
    bench.run_through();
    fs::write(bench.sink().join(part(1)), b"changed").expect("writes");
    let ended = bench.finish_sources().counts;
    assert_eq!((ended.done, ended.failed), (1, 1));
    assert!(bench.source().join("d/a.txt").exists() && !bench.source().join("e").exists());
}

#[test]
fn undo_removes_each_part() {
    let mut bench = splitting();
    bench.run_through();
    let undo = |how| {
        let windows: &[Recorded] = &bench.task.windows;
        undo::undo(&bench.plan(), &bench.task.manifest, windows, how).expect("runs").account.counts
    };
    assert_eq!((undo(undo::Undo::Look).done, undo(undo::Undo::Remove).done), (4, 4));
    assert_eq!(undo(undo::Undo::Remove).vanished, 4);
    assert!(parts(&bench).is_empty());
}
