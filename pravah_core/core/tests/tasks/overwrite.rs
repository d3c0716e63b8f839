//! `overwrite` in all its forms, also where a kill comes between record and publishing, or a stranger does.

use std::fs;

use pravah_core::engine::{Ending, WindowRecord};

use crate::bench::{Bench, Stop, age};

const FORMS: [&str; 5] = ["changed", "never", "newer", "always", "error"];

/// What a form makes of a file that stands there and is older than the source.
fn replaces(overwrite: &str) -> bool {
    matches!(overwrite, "newer" | "always")
}

fn only_windows(stop: Stop) -> impl Fn(usize, &WindowRecord) -> Stop {
    move |number, _| if number == 0 { stop } else { Stop::Never }
}

#[test]
fn every_form_after_a_kill_around_the_record_ends_as_without_one() {
    for overwrite in FORMS {
        for stop in [Stop::Before, Stop::After] {
            for kernel_leases in [true, false] {
                let mut bench = Bench::new(&[("new", b"one"), ("taken", b"two")]);
                (bench.overwrite, bench.task.kernel_leases) = (overwrite, kernel_leases);
                bench.write(&bench.sink().join("taken"), b"old");
                age(&bench.sink().join("taken"));
                bench.manifest();
                let (ending, _) = bench.run(only_windows(stop)).expect("runs");
                assert_eq!(ending, Ending::Fenced);
                bench.task.unclean = true;
                bench.run_through();
                let context = format!("{overwrite}, {stop:?}, kernel leases {kernel_leases}");
                assert_eq!(bench.output("new"), b"one", "{context}");
                let expected: &[u8] = if replaces(overwrite) { b"two" } else { b"old" };
                assert_eq!(bench.output("taken"), expected, "{context}");
                assert_eq!(bench.litter(), 0, "{context}");
            }
        }
    }
}

#[test]
fn every_form_adopts_its_own_output_whose_acknowledgement_was_lost() {
    for overwrite in FORMS {
        let mut bench = Bench::new(&[("new", b"one")]);
        bench.overwrite = overwrite;
        bench.manifest();
        bench.run(|_, record| if record.window.is_none() { Stop::Before } else { Stop::Never }).expect("runs");
        assert_eq!(bench.output("new"), b"one", "published before the kill");
        bench.task.unclean = true;
        let counts = bench.run_through().counts;
        assert_eq!((counts.done, counts.skipped, counts.failed), (1, 0, 0), "{overwrite}");
    }
}

#[test]
fn every_form_decides_about_a_file_that_came_between_record_and_publishing() {
    for (overwrite, done, skipped, failed) in
        [("always", 1, 0, 0), ("never", 0, 1, 0), ("error", 0, 0, 1), ("newer", 0, 1, 0), ("changed", 0, 0, 1)]
    {
        let mut bench = Bench::new(&[("a", b"ours")]);
        bench.overwrite = overwrite;
        age(&bench.source().join("a"));
        bench.manifest();
        let taken = bench.sink().join("a");
        bench
            .run(|number, _| {
                if number == 0 {
                    fs::write(&taken, b"a stranger's").expect("writes");
                }
                Stop::Never
            })
            .expect("runs");
        let account = bench.account();
        let counts = ["done", "skipped", "failed"].map(|o| account.iter().filter(|line| line["outcome"] == o).count());
        assert_eq!(counts, [done, skipped, failed], "{overwrite}");
        let expected: &[u8] = if done == 1 { b"ours" } else { b"a stranger's" };
        assert_eq!(bench.output("a"), expected, "{overwrite}");
        assert_eq!(bench.litter(), 0, "{overwrite}");
    }
}

#[test]
fn changed_never_replaces_what_took_the_place_of_its_own_output() {
    let mut bench = Bench::new(&[("a", b"one")]);
    bench.manifest();
    bench.run_through();
    bench.write(&bench.source().join("a"), b"changed");
    bench.next_job();
    let taken = bench.sink().join("a");
    bench
        .run(|number, _| {
            if number == 0 {
                fs::remove_file(&taken).expect("removes");
                fs::write(&taken, b"a stranger's").expect("writes");
            }
            Stop::Never
        })
        .expect("runs");
    assert_eq!(bench.output("a"), b"a stranger's");
    assert_eq!(bench.account()[0]["error"]["kind"], "output_exists");
}

#[test]
fn newer_with_the_mtime_preserved_does_nothing_twice() {
    let mut bench = Bench::new(&[("a", b"one")]);
    bench.overwrite = "newer";
    bench.sink_keys = serde_json::json!({"preserve": ["mtime"]});
    bench.manifest();
    assert_eq!(bench.run_through().counts.done, 1);
    bench.next_job();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.skipped), (0, 1));
}

#[test]
fn adopt_takes_what_is_equal_and_forgotten_for_its_own_whatever_overwrite_says() {
    for overwrite in FORMS {
        for kernel_leases in [true, false] {
            let mut bench = Bench::new(&[("a", b"one"), ("b", b"two"), ("c", b"six")]);
            (bench.overwrite, bench.task.kernel_leases) = (overwrite, kernel_leases);
            for name in ["a", "b"] {
                age(&bench.source().join(name));
            }
            bench.manifest();
            bench.run_through();
            // The ledger knows of nothing; a stranger has written meanwhile, as many bytes.
            (bench.task.windows, bench.task.fingerprints) = (Vec::new(), Vec::new());
            fs::remove_file(bench.sink().join("b")).expect("removes");
            bench.write(&bench.sink().join("b"), b"TWO");
            bench.plan_keys = serde_json::json!({"adopt": true});
            bench.run_through();
            let account = bench.account();
            let outcomes: Vec<_> = account.iter().map(|line| line["outcome"].as_str().expect("is one")).collect();
            let context = format!("{overwrite}, kernel leases {kernel_leases}");
            let b = match overwrite {
                "always" => "done",
                "never" | "newer" => "skipped",
                _ => "failed",
            };
            assert_eq!(outcomes, ["done", b, "done"], "{context}");
            assert_eq!(bench.output("b"), if b == "done" { b"two" } else { b"TWO" }, "{context}");
            assert_eq!((bench.output("a"), bench.output("c")), (b"one".to_vec(), b"six".to_vec()), "{context}");
            assert_eq!(bench.litter(), 0, "{context}");
        }
    }
}

#[test]
fn adopted_output_is_known_to_the_next_job() {
    let mut bench = Bench::new(&[("a", b"one")]);
    age(&bench.source().join("a"));
    bench.manifest();
    bench.run_through();
    (bench.task.windows, bench.task.fingerprints) = (Vec::new(), Vec::new());
    bench.plan_keys = serde_json::json!({"adopt": true});
    assert_eq!(bench.run_through().counts.done, 1);
    bench.plan_keys = serde_json::json!({});
    bench.write(&bench.source().join("a"), b"new");
    bench.next_job();
    assert_eq!(bench.run_through().counts.done, 1);
    assert_eq!(bench.output("a"), b"new");
}
