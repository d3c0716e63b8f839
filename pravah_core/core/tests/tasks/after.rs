//! What becomes of sources once their outputs are acknowledged.

use std::fs;

use serde_json::json;

use crate::bench::Bench;

fn deleting() -> Bench {
    let mut bench = Bench::new(&[("a", b"one"), ("d/b", b"two")]);
    bench.plan_keys = json!({"after": "delete"});
    bench.manifest();
    bench
}

fn moving() -> Bench {
    let mut bench = deleting();
    bench.plan_keys = json!({"after": {"move": format!("file://{}/kept", bench.directory.path().display())}});
    bench
}

#[test]
fn delete_removes_sources_and_may_be_repeated() {
    let mut bench = deleting();
    bench.run_through();
    let counts = bench.finish_sources().counts;
    assert_eq!((counts.done, counts.skipped, counts.failed), (2, 0, 0));
    assert!(!bench.source().join("a").exists() && !bench.source().join("d/b").exists());
    assert_eq!((bench.output("a"), bench.output("d/b")), (b"one".to_vec(), b"two".to_vec()));
    assert_eq!(bench.finish_sources().counts.done, 2, "what is gone has been dealt with");
}

#[test]
fn delete_keeps_a_source_that_changed_and_one_whose_output_did() {
    let mut bench = deleting();
    bench.run_through();
    fs::write(bench.source().join("a"), b"changed").expect("writes");
    fs::write(bench.sink().join("d/b"), b"changed").expect("writes");
    let account = bench.finish_sources();
    assert_eq!((account.counts.done, account.counts.skipped, account.counts.failed), (0, 1, 1));
    assert!(account.summary().contains("output_changed"));
    assert!(bench.source().join("a").exists() && bench.source().join("d/b").exists());
}

#[test]
fn delete_leaves_what_is_not_acknowledged() {
    let mut bench = deleting();
    bench.task.windows.clear();
    bench.finish_sources();
    assert!(bench.source().join("a").exists());
}

#[test]
fn delete_removes_both_names_of_one_file() {
    let mut bench = deleting();
    fs::hard_link(bench.source().join("a"), bench.source().join("a2")).expect("links");
    bench.manifest();
    bench.run_through();
    assert_eq!(bench.finish_sources().counts.done, 3);
    assert!(!bench.source().join("a").exists() && !bench.source().join("a2").exists());
}

#[test]
fn delete_takes_sources_of_outputs_that_are_unchanged() {
    let mut bench = deleting();
    // Inode times can't be set back: wait until they prove something (see RACY_NS).
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    bench.run_through();
    bench.next_job();
    assert_eq!(bench.run_through().counts.skipped, 2);
    assert_eq!(bench.finish_sources().counts.done, 2);
    assert!(!bench.source().join("a").exists());
}

#[test]
fn delete_keeps_sources_of_outputs_that_are_somebody_elses() {
    let mut bench = deleting();
    bench.overwrite = "never";
    bench.write(&bench.sink().join("a"), b"not ours");
    bench.run_through();
    assert_eq!(bench.finish_sources().counts.done, 1);
    assert!(bench.source().join("a").exists());
}

#[test]
fn move_keeps_relative_paths_and_replaces_nothing() {
    let mut bench = moving();
    bench.run_through();
    bench.write(&bench.directory.path().join("kept/a"), b"a stranger's");
    let account = bench.finish_sources();
    assert_eq!((account.counts.done, account.counts.failed), (1, 1));
    let kept = |path: &str| fs::read(bench.directory.path().join("kept").join(path)).expect("is there");
    assert_eq!((kept("a"), kept("d/b")), (b"a stranger's".to_vec(), b"two".to_vec()));
    assert!(bench.source().join("a").exists() && !bench.source().join("d/b").exists());
    assert!(account.summary().contains("output_exists"));
}

#[test]
fn move_to_another_file_system_copies_and_comes_to_its_end_after_a_kill() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let mut bench = deleting();
    bench.plan_keys = json!({"after": {"move": format!("file://{}", other.path().display())}});
    bench.run_through();
    // Killed after the copy had its name, and in the middle of another one.
    fs::copy(bench.source().join("a"), other.path().join("a")).expect("copies");
    let time = fs::metadata(bench.source().join("a")).and_then(|found| found.modified()).expect("has one");
    fs::File::options().write(true).open(other.path().join("a")).and_then(|f| f.set_modified(time)).expect("sets");
    fs::create_dir(other.path().join("d")).expect("makes it");
    fs::write(other.path().join("d/.pravah-01TEST-7-moved-1"), b"tw").expect("writes");
    assert_eq!(bench.finish_sources().counts.done, 2);
    assert_eq!(fs::read(other.path().join("a")).expect("is there"), b"one");
    assert_eq!(fs::read(other.path().join("d/b")).expect("is there"), b"two");
    assert_eq!(fs::read_dir(other.path().join("d")).expect("lists").count(), 1, "no temporary is left");
    assert!(!bench.source().join("a").exists() && !bench.source().join("d/b").exists());
}

#[test]
fn delete_goes_on_after_a_kill_between_two_names_of_one_file() {
    let mut bench = deleting();
    fs::hard_link(bench.source().join("a"), bench.source().join("a2")).expect("links");
    bench.manifest();
    bench.run_through();
    fs::remove_file(bench.source().join("a")).expect("removes, as the killed closing did");
    assert_eq!(bench.finish_sources().counts.done, 3);
    assert!(!bench.source().join("a2").exists());
}

#[test]
fn move_to_where_the_sources_are_loses_none() {
    let mut bench = deleting();
    bench.plan_keys = json!({"after": {"move": format!("file://{}", bench.source().display())}});
    bench.run_through();
    assert_eq!(bench.finish_sources().counts.failed, 2);
    assert!(bench.source().join("a").exists() && bench.source().join("d/b").exists());
}
