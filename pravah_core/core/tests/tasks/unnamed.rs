//! Temporaries with and without names (protocol, rules 6 and 7).

use std::{fs, path::Path};

use pravah_core::engine::Ending;

use crate::bench::{Bench, Stop};

/// Do what the next holder of a task does first.
fn remove_temporaries(directory: &Path) -> usize {
    let mut removed = 0;
    for entry in fs::read_dir(directory).expect("lists") {
        let entry = entry.expect("lists");
        if entry.file_name().as_encoded_bytes().starts_with(b".pravah-") {
            fs::remove_file(entry.path()).expect("removes");
            removed += 1;
        }
    }
    removed
}

#[test]
fn publish_under_an_expired_lease_finds_nothing_and_ends_fenced() {
    let mut bench = Bench::new(&[("a", b"one"), ("b", b"two")]);
    bench.task.kernel_leases = false;
    bench.manifest();
    let sink = bench.sink();
    let (ending, records) = bench
        .run(|number, _| {
            if number == 0 {
                assert_eq!(remove_temporaries(&sink), 2, "each output has a name");
            }
            Stop::Never
        })
        .expect("runs");
    assert_eq!((ending, records.len()), (Ending::Fenced, 1));
    assert_eq!(fs::read_dir(&sink).expect("lists").count(), 0, "nothing is published");
    bench.task.unclean = true;
    assert_eq!(bench.run_through().counts.done, 2);
}

#[test]
fn publish_under_a_kernel_lease_stages_anew_what_somebody_removed() {
    let mut bench = Bench::new(&[("a", b"one")]);
    bench.overwrite = "always";
    bench.write(&bench.sink().join("a"), b"old");
    bench.manifest();
    let sink = bench.sink();
    let (ending, _) = bench
        .run(|number, _| {
            if number == 0 {
                assert_eq!(remove_temporaries(&sink), 1);
            }
            Stop::Never
        })
        .expect("runs");
    assert_eq!(ending, Ending::Finished);
    assert_eq!(bench.output("a"), b"one");
    assert_eq!(bench.account()[0]["attempts"], 2);
}

#[test]
fn take_over_removes_the_temporaries_of_the_dead_before_it_looks_at_names() {
    let mut bench = Bench::new(&[("a", b"one")]);
    bench.task.kernel_leases = false;
    bench.manifest();
    bench.run(|_, _| Stop::After).expect("runs");
    bench.write(&bench.sink().join(".pravah-01TEST-7-1-0"), b"a late rename would find this");
    bench.run_through();
    assert_eq!((bench.output("a"), bench.litter()), (b"one".to_vec(), 0));
}

#[test]
fn closing_removes_what_a_zombie_staged_since() {
    let mut bench = Bench::new(&[("a", b"one"), ("d/b", b"two")]);
    bench.manifest();
    bench.run_through();
    // The last one is of a task that the ledger has forgotten.
    for litter in ["d/.pravah-01TEST-7-1-9", ".pravah-01TEST-7-2-0", ".pravah-01TEST-8-1-0"] {
        bench.write(&bench.sink().join(litter), b"staged under an expired lease");
    }
    bench.write(&bench.sink().join(".pravah-01OTHER-7-1-0"), b"another job's");
    let removed = pravah_core::engine::takeover::sweep_job(&bench.plan(), &bench.task.manifest, &bench.task.windows);
    assert_eq!((removed.expect("sweeps"), bench.litter()), (3, 1));
    assert_eq!((bench.output("a"), bench.output("d/b")), (b"one".to_vec(), b"two".to_vec()));
}
