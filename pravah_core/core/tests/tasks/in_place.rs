//! Jobs that replace each source by its output.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use serde_json::json;

use crate::bench::{Bench, Stop, age};

fn in_place(files: &[(&str, &[u8])]) -> Bench {
    let mut bench = Bench::new(files);
    bench.plan_keys = json!({"in_place": true});
    bench.sink_keys = json!({"preserve": ["mtime", "mode", "owner"]});
    bench
}

fn compressing(files: &[(&str, &[u8])]) -> Bench {
    let mut bench = in_place(files);
    bench.steps = json!([{"name": "compress"}]);
    bench
}

#[test]
fn replace_keeps_mode_and_time_and_breaks_no_other_name() {
    let mut bench = in_place(&[("d/a", b"one")]);
    let path = bench.source().join("d/a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("sets");
    age(&path);
    fs::hard_link(&path, bench.directory.path().join("other")).expect("links");
    let before = fs::metadata(&path).expect("is there");
    bench.manifest();
    assert_eq!(bench.run_through().counts.done, 1);
    let after = fs::metadata(&path).expect("is there");
    assert_ne!(before.ino(), after.ino(), "the output has taken the name, and was not written through it");
    assert_eq!((before.mode(), before.mtime(), before.uid()), (after.mode(), after.mtime(), after.uid()));
    assert_eq!(fs::read(bench.directory.path().join("other")).expect("is there"), b"one");
}

#[test]
fn replace_again_by_the_same_steps_leaves_outputs_alone() {
    let mut bench = in_place(&[("a", b"one")]);
    bench.manifest();
    bench.run_through();
    bench.next_job();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.skipped), (0, 1));
}

#[test]
fn replace_under_another_name_removes_the_source_once_acknowledged() {
    let mut bench = compressing(&[("a", b"one"), ("b", b"two")]);
    bench.manifest();
    let source = bench.source().join("a");
    bench
        .run(|number, record| {
            if number == 0 {
                assert!(source.exists(), "nothing is removed before its output is acknowledged");
                assert!(record.window.is_some());
            }
            Stop::Never
        })
        .expect("runs");
    let mut left: Vec<_> =
        fs::read_dir(bench.source()).expect("lists").map(|e| e.expect("lists").file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.zst", "b.zst"]);
}

#[test]
fn replace_never_loses_a_change_made_after_the_read() {
    let mut bench = in_place(&[("a", b"one")]);
    bench.manifest();
    let source = bench.source().join("a");
    bench
        .run(|number, _| {
            if number == 0 {
                fs::write(&source, b"written meanwhile").expect("writes");
            }
            Stop::Never
        })
        .expect("runs");
    assert_eq!(fs::read(&source).expect("is there"), b"written meanwhile");
    assert_eq!(bench.account()[0]["outcome"], "done", "it was tried again, with the new content");
    assert_eq!(bench.account()[0]["attempts"], 2);
}

#[test]
fn replace_never_brings_back_what_was_removed_after_the_read() {
    let mut bench = in_place(&[("a", b"one")]);
    bench.manifest();
    let source = bench.source().join("a");
    bench
        .run(|number, _| {
            if number == 0 {
                fs::remove_file(&source).expect("removes");
            }
            Stop::Never
        })
        .expect("runs");
    assert!(!source.exists());
    assert_eq!(bench.account()[0]["outcome"], "vanished");
    assert_eq!(bench.litter(), 0);
}

#[test]
fn take_over_processes_no_published_entry_again() {
    let mut bench = in_place(&[("a", b"one")]);
    bench.manifest();
    // The transaction of the last record is lost, after the output has taken its source's place.
    bench.run(|_, record| if record.window.is_none() { Stop::Before } else { Stop::Never }).expect("runs");
    let published = fs::metadata(bench.source().join("a")).expect("is there").ino();
    bench.task.unclean = true;
    assert_eq!(bench.run_through().counts.done, 1);
    assert_eq!(fs::metadata(bench.source().join("a")).expect("is there").ino(), published);
}

#[test]
fn take_over_fails_an_entry_whose_published_output_was_changed_by_others() {
    let mut bench = in_place(&[("a", b"one")]);
    bench.manifest();
    bench.run(|_, record| if record.window.is_none() { Stop::Before } else { Stop::Never }).expect("runs");
    fs::write(bench.source().join("a"), b"made from the output").expect("writes");
    bench.task.unclean = true;
    assert_eq!(bench.run_through().counts.failed, 1);
    assert_eq!(bench.account()[0]["error"]["kind"], "changed_while_read");
    assert_eq!(fs::read(bench.source().join("a")).expect("is there"), b"made from the output");
}

#[test]
fn take_over_finishes_what_is_left_after_a_kill_at_each_record() {
    for stop in [Stop::Before, Stop::After] {
        for at in [0, 1] {
            let mut bench = compressing(&[("a", b"one"), ("b", b"two")]);
            bench.manifest();
            bench.run(|number, _| if number == at { stop } else { Stop::Never }).expect("runs");
            bench.task.unclean = true;
            let finished = bench.task.windows.iter().all(|w| w.acknowledged) && !bench.task.windows.is_empty();
            if !finished {
                assert_eq!(bench.run_through().counts.done, 2);
            }
            bench.finish_sources();
            let mut left: Vec<_> =
                fs::read_dir(bench.source()).expect("lists").map(|e| e.expect("lists").file_name()).collect();
            left.sort();
            assert_eq!(left, ["a.zst", "b.zst"], "{stop:?} at {at}");
        }
    }
}

#[test]
fn replace_under_another_name_removes_every_name_of_one_file() {
    let mut bench = compressing(&[("a", b"one")]);
    fs::hard_link(bench.source().join("a"), bench.source().join("b")).expect("links");
    bench.manifest();
    bench.run(|_, _| Stop::After).expect("runs");
    bench.task.unclean = true;
    bench.run_through();
    assert!(!bench.source().join("a").exists() && !bench.source().join("b").exists());
}
