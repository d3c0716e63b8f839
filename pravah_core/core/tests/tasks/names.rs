//! Tasks whose outputs have names of their own, also after a kill at each record.

use pravah_core::engine::{Ending, WindowRecord, undo};
use serde_json::json;

use crate::bench::{Bench, Stop};

fn hex(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

fn bench(template: &str) -> Bench {
    let mut bench = Bench::new(&[("a/x.csv", b"one"), ("b/y.csv", b"two")]);
    bench.sink_keys = json!({"path": template});
    bench.manifest();
    bench
}

#[test]
fn run_with_a_template_after_a_kill_at_each_record_ends_with_the_same_outputs() {
    let (one, two) = (hex(b"one"), hex(b"two"));
    for (template, outputs) in [
        ("{ext}/{stem}-{dir}", [".csv/x-a".to_owned(), ".csv/y-b".to_owned()]),
        ("{mtime:%Y/%m}/{name}", ["1970/01/x.csv".to_owned(), "1970/01/y.csv".to_owned()]),
        ("{hash}/{name}", [format!("{one}/x.csv"), format!("{two}/y.csv")]),
        ("{dir}/{hash:8}{ext}", [format!("a/{}.csv", &one[..8]), format!("b/{}.csv", &two[..8])]),
    ] {
        for (stop, at) in [(Stop::Before, 0), (Stop::After, 0), (Stop::Before, 1), (Stop::After, 1)] {
            for kernel_leases in [true, false] {
                let mut bench = bench(template);
                (bench.overwrite, bench.task.kernel_leases) = ("error", kernel_leases);
                let kill = |number, _: &WindowRecord| if number == at { stop } else { Stop::Never };
                assert_eq!(bench.run(kill).expect("runs").0, Ending::Fenced);
                bench.task.unclean = true;
                let context = format!("{template}, {stop:?} {at}, kernel leases {kernel_leases}");
                assert_eq!(bench.run_through().counts.done, 2, "{context}");
                assert_eq!((bench.output(&outputs[0]), bench.output(&outputs[1])), (b"one".to_vec(), b"two".to_vec()));
                assert_eq!(bench.litter(), 0, "{context}");
                let account = bench.account();
                let uri = account[0]["outputs"][0].as_str().expect("has one");
                assert!(uri.ends_with(&format!("/out/{}", outputs[0])), "{context}: {uri}");
            }
        }
    }
}

#[test]
fn run_with_hashes_leaves_equal_content_with_one_output_and_other_content_alone() {
    let mut bench = Bench::new(&[("a", b"same"), ("b", b"same"), ("c", b"other")]);
    bench.sink_keys = json!({"path": "{hash}"});
    bench.manifest();
    bench.write(&bench.sink().join(hex(b"other")), b"a stranger's");
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.skipped, counts.failed), (1, 1, 1));
    let account = bench.account();
    assert!(account.iter().any(|line| line["reason"] == "same_content"));
    assert_eq!(account[2]["error"]["kind"], "output_exists");
    assert_eq!(
        (bench.output(&hex(b"same")), bench.output(&hex(b"other"))),
        (b"same".to_vec(), b"a stranger's".to_vec())
    );
    assert_eq!(bench.litter(), 0);
}

#[test]
fn run_again_with_hashes_skips_what_is_there_and_never_replaces() {
    let mut bench = bench("{hash}");
    bench.run_through();
    bench.overwrite = "always";
    bench.next_job();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.skipped), (0, 2));
}

#[test]
fn run_with_a_template_that_fits_not_every_entry_fails_those() {
    let mut bench = bench("{host}/{day}");
    bench.plan_keys = json!({"capture": "{host}/x.{day}"});
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.failed), (1, 1));
    assert_eq!(bench.output("a/csv"), b"one");
    assert_eq!(bench.account()[1]["error"]["kind"], "capture_mismatch");
}

#[test]
fn overwrite_changed_with_a_template_knows_its_own_outputs() {
    let mut bench = bench("{mtime:%Y}/{stem}");
    bench.run_through();
    bench.write(&bench.source().join("a/x.csv"), b"changed");
    let directories = bench.plan().output_directories(&bench.task.manifest).expect("reads");
    assert_eq!(directories, [b"1970".to_vec()]);
    bench.next_job();
    assert_eq!(bench.run_through().counts.failed, 0);
    assert_eq!(bench.output("1970/x"), b"changed");
}

#[test]
fn undo_and_sources_find_outputs_that_only_the_content_names() {
    let mut bench = bench("{hash:4}/{name}");
    bench.plan_keys = json!({"after": "delete"});
    bench.run_through();
    assert_eq!(bench.finish_sources().counts.done, 2);
    assert!(!bench.source().join("a/x.csv").exists());
    let undone = undo::undo(&bench.plan(), &bench.task.manifest, &bench.task.windows, undo::Undo::Remove);
    assert_eq!(undone.expect("runs").account.counts.done, 2);
    assert!(!bench.sink().join(&hex(b"one")[..4]).join("x.csv").exists());
}
