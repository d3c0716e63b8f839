//! What outputs keep of their sources, and how they are checked.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use serde_json::json;

use crate::bench::{Bench, Stop, age};

#[test]
fn preserve_mtime_and_mode_keeps_them_and_nothing_else_by_default() {
    for (preserve, keeps) in [(json!(["mtime", "mode"]), true), (json!([]), false)] {
        let mut bench = Bench::new(&[("a", b"one")]);
        let source = bench.source().join("a");
        age(&source);
        fs::set_permissions(&source, fs::Permissions::from_mode(0o751)).expect("sets");
        bench.sink_keys = json!({"preserve": preserve});
        bench.manifest();
        bench.run_through();
        let (before, after) = (fs::metadata(&source).expect("is there"), fs::metadata(bench.sink().join("a")));
        let after = after.expect("is there");
        assert_eq!(before.mtime_nsec() == after.mtime_nsec() && before.mtime() == after.mtime(), keeps);
        assert_eq!(before.mode() == after.mode(), keeps);
    }
}

#[test]
fn preserve_mode_makes_directories_as_private_as_those_of_the_source() {
    for (preserve, expected) in [(json!(["mode"]), [0o700, 0o770, 0o755]), (json!([]), [0o755; 3])] {
        let mut bench = Bench::new(&[("a/b/c/inner", b"one"), ("a/outer", b"two")]);
        for (path, mode) in [("a", 0o700), ("a/b", 0o770), ("a/b/c", 0o555)] {
            fs::set_permissions(bench.source().join(path), fs::Permissions::from_mode(mode)).expect("sets");
        }
        bench.sink_keys = json!({"preserve": preserve});
        bench.manifest();
        assert_eq!(bench.run_through().counts.done, 2);
        let made = ["a", "a/b", "a/b/c"].map(|path| fs::metadata(bench.sink().join(path)).expect("is there").mode());
        assert_eq!(made.map(|mode| mode & 0o7777), expected, "{preserve}");
    }
}

#[test]
fn preserve_mode_leaves_directories_that_were_there_as_they_are() {
    let mut bench = Bench::new(&[("a/b/inner", b"one")]);
    fs::set_permissions(bench.source().join("a"), fs::Permissions::from_mode(0o700)).expect("sets");
    fs::create_dir_all(bench.sink().join("a")).expect("makes it");
    fs::set_permissions(bench.sink().join("a"), fs::Permissions::from_mode(0o751)).expect("sets");
    bench.sink_keys = json!({"preserve": ["mode"]});
    bench.manifest();
    assert_eq!(bench.run_through().counts.done, 1);
    assert_eq!(fs::metadata(bench.sink().join("a")).expect("is there").mode() & 0o7777, 0o751);
}

#[test]
fn verify_in_each_form_passes_what_was_written() {
    let large = b"0123456789abcdef".repeat(200_000);
    for verify in ["size", "checksum", "content"] {
        let mut bench = Bench::new(&[("a", b"one"), ("empty", b""), ("large", &large)]);
        bench.sink_keys = json!({"verify": verify});
        bench.manifest();
        assert_eq!(bench.run_through().counts.done, 3, "{verify}");
        assert_eq!(bench.output("large"), large, "{verify}");
    }
}

#[test]
fn copy_of_a_sparse_file_of_a_tebibyte_is_sparse_and_whole() {
    const TEBIBYTE: u64 = 1 << 40;
    for verify in ["size", "content"] {
        let mut bench = Bench::new(&[("first", b"one")]);
        bench.sink_keys = json!({"verify": verify});
        let mut file = fs::File::create(bench.source().join("sparse")).expect("creates");
        if file.set_len(TEBIBYTE).is_err() {
            return; // the file system takes no such file
        }
        for at in [0, TEBIBYTE / 2 + 5, TEBIBYTE - 3] {
            file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(b"xyz")).expect("writes");
        }
        bench.manifest();
        let counts = bench.run_through().counts;
        assert_eq!((counts.done, counts.bytes_out), (2, TEBIBYTE + 3), "{verify}");
        let made = fs::metadata(bench.sink().join("sparse")).expect("is there");
        assert_eq!(made.len(), TEBIBYTE);
        assert!(made.blocks() < 1_000, "{} blocks are allocated", made.blocks());
        use std::os::unix::fs::FileExt;
        let copy = fs::File::open(bench.sink().join("sparse")).expect("opens");
        for (at, expected) in [(0, b"xyz\0"), (TEBIBYTE / 2 + 4, b"\0xyz"), (TEBIBYTE - 4, b"\0xyz")] {
            let mut found = [1; 4];
            copy.read_exact_at(&mut found, at).expect("reads");
            assert_eq!(&found, expected);
        }
    }
}

#[test]
fn file_that_changes_at_every_read_fails_with_its_kind() {
    let mut bench = Bench::new(&[("a", &vec![7; 3 << 20])]);
    bench.plan_keys = json!({"read_rate": 8 << 20}); // a read takes hundreds of changes
    bench.manifest();
    let source = bench.source().join("a");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let mut file = fs::File::options().append(true).open(&source).expect("opens");
                file.write_all(b"more").expect("writes");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        bench.run(|_, _| Stop::Never).expect("runs");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(bench.account()[0]["error"]["kind"], "changed_while_read");
    assert_eq!(bench.account()[0]["attempts"], 3);
    assert!(!bench.sink().join("a").exists() && bench.litter() == 0);
}

#[test]
fn pipe_or_device_in_the_place_of_a_file_is_no_input() {
    let mut bench = Bench::new(&[("a", b"one"), ("b", b"two")]);
    bench.manifest();
    for name in ["a", "b"] {
        fs::remove_file(bench.source().join(name)).expect("removes");
    }
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, bench.source().join("a"), rustix::fs::FileType::Fifo, mode, 0).expect("makes");
    fs::create_dir(bench.source().join("b")).expect("makes it");
    assert_eq!(bench.run_through().counts.failed, 2);
    assert_eq!(bench.account()[0]["error"]["kind"], "changed_while_read");
}

#[test]
fn preserve_links_keeps_them_as_they_are_and_follows_none() {
    let mut bench = Bench::new(&[("a", b"one")]);
    for (target, name) in [("a", "good"), ("/nowhere", "dangling"), ("loop", "loop")] {
        std::os::unix::fs::symlink(target, bench.source().join(name)).expect("links");
    }
    bench.manifest();
    assert_eq!(bench.run_through().counts.skipped, 3, "by default links are skipped");
    bench.sink_keys = json!({"preserve": ["links"]});
    bench.next_job();
    bench.overwrite = "always";
    assert_eq!(bench.run_through().counts.done, 4);
    for (target, name) in [("a", "good"), ("/nowhere", "dangling"), ("loop", "loop")] {
        assert_eq!(fs::read_link(bench.sink().join(name)).expect("is a link").as_os_str(), target);
    }
    assert_eq!(bench.litter(), 0);
}

#[test]
fn preserve_links_never_leads_outputs_through_a_link() {
    let mut bench = Bench::new(&[("a", b"one")]);
    let outside = bench.directory.path().join("outside");
    fs::create_dir(&outside).expect("makes it");
    std::os::unix::fs::symlink(&outside, bench.source().join("d")).expect("links");
    bench.sink_keys = json!({"preserve": ["links"]});
    bench.manifest();
    assert_eq!(bench.run_through().counts.done, 2);
    fs::remove_file(bench.source().join("d")).expect("removes");
    bench.write(&bench.source().join("d/e/inner"), b"not for there");
    bench.write(&bench.source().join("d/outer"), b"not for there");
    bench.next_job();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.failed), (1, 2));
    let failed = &bench.account()[1]["error"];
    assert_eq!(failed["kind"], "output_exists");
    assert!(failed["message"].as_str().expect("is told").contains("`d` in the sink is a link"), "{failed}");
    assert_eq!(fs::read_dir(&outside).expect("lists").count(), 0);
    assert!(bench.sink().join("d").is_symlink());
}

#[test]
fn links_of_the_user_in_a_sink_are_followed_where_none_are_kept() {
    let mut bench = Bench::new(&[("d/a", b"one")]);
    let elsewhere = bench.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).and_then(|()| fs::create_dir(bench.sink())).expect("makes them");
    std::os::unix::fs::symlink(&elsewhere, bench.sink().join("d")).expect("links");
    bench.manifest();
    assert_eq!(bench.run_through().counts.done, 1);
    assert_eq!(fs::read(elsewhere.join("a")).expect("is there"), b"one");
}

#[test]
fn preserve_links_after_a_kill_adopts_its_own() {
    for stop in [Stop::Before, Stop::After] {
        for kernel_leases in [true, false] {
            let mut bench = Bench::new(&[]);
            std::os::unix::fs::symlink("a", bench.source().join("link")).expect("links");
            bench.sink_keys = json!({"preserve": ["links"]});
            (bench.overwrite, bench.task.kernel_leases) = ("error", kernel_leases);
            bench.manifest();
            bench.run(|_, record| if record.window.is_none() { stop } else { Stop::Never }).expect("runs");
            if stop == Stop::Before {
                bench.task.unclean = true;
                assert_eq!(bench.run_through().counts.done, 1);
            }
            assert!(bench.sink().join("link").is_symlink());
            assert_eq!(bench.litter(), 0);
        }
    }
}

#[test]
fn preserve_links_makes_the_names_of_one_file_names_of_one_output() {
    for (kernel_leases, verify, kill) in
        [(true, "size", None), (false, "size", None), (true, "content", None), (true, "size", Some(Stop::Before))]
    {
        let mut bench = Bench::new(&[("a", b"one"), ("alone", b"one"), ("d/x", &vec![7; 2 << 20])]);
        for (source, name) in [("a", "b"), ("a", "d/c"), ("d/x", "d/y")] {
            fs::hard_link(bench.source().join(source), bench.source().join(name)).expect("links");
        }
        bench.sink_keys = json!({"preserve": ["mtime", "links"], "verify": verify});
        bench.task.kernel_leases = kernel_leases;
        bench.manifest();
        if let Some(kill) = kill {
            bench.run(|_, _| kill).expect("runs");
            bench.task.unclean = true;
        }
        assert_eq!(bench.run_through().counts.done, 6);
        assert!(pravah_core::engine::shared::unshare(&bench.plan()).expect("removes") >= 2);
        let inode = |name: &str| fs::metadata(bench.sink().join(name)).expect("is there").ino();
        assert_eq!((inode("a"), inode("a"), inode("d/x")), (inode("b"), inode("d/c"), inode("d/y")));
        assert!(inode("a") != inode("alone") && inode("a") != inode("d/x"));
        assert_eq!((bench.output("d/c"), bench.output("d/y")), (b"one".to_vec(), vec![7; 2 << 20]));
        assert_eq!(bench.litter(), 0);
    }
}

#[test]
fn preserve_links_of_a_file_that_changed_shares_nothing_old() {
    let mut bench = Bench::new(&[("a", b"one")]);
    fs::hard_link(bench.source().join("a"), bench.source().join("b")).expect("links");
    bench.sink_keys = json!({"preserve": ["links"]});
    bench.manifest();
    bench.run_through();
    fs::write(bench.source().join("b"), b"changed").expect("writes");
    bench.next_job();
    assert_eq!(bench.run_through().counts.done, 2);
    assert_eq!((bench.output("a"), bench.output("b")), (b"changed".to_vec(), b"changed".to_vec()));
}
