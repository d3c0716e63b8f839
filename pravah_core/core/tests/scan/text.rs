//! What is written: paths, NDJSON and CSV, to files, pipes and full disks.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, process::Command};

use pravah_core::scan::{Detail, Format, Scanner};
use tempfile::tempdir;

use crate::support::{make_special, scanner, write, written};

fn sorted(text: &[u8], terminator: u8) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = text.split_inclusive(|byte| *byte == terminator).map(<[u8]>::to_vec).collect();
    lines.sort();
    lines
}

#[test]
fn test_paths_written_equal_those_of_find() {
    let root = tempdir().expect("creates");
    make_special(root.path());
    write(root.path(), "a/b/new\nline", b"");
    write(root.path(), "-leading/esc\u{1b}ape", b"");
    fs::write(root.path().join(OsStr::from_bytes(b"not\xffutf8")), b"").expect("writes");
    for suffix in ["", "/", "//", "/.", "/a/../a"] {
        let argument = format!("{}{suffix}", root.path().display());
        let find = Command::new("find").args([&argument, "-type", "f", "-print0"]).output().expect("runs");
        let scanner = Scanner::new([argument.into_bytes()]);
        let ours = written(&scanner, Format::Paths { terminator: 0 });
        assert_eq!(sorted(&ours, 0), sorted(&find.stdout, 0));
    }
}

#[test]
fn test_ndjson_written_parses_to_every_file() {
    let root = tempdir().expect("creates");
    write(root.path(), "a/\"b\"\n", b"12");
    fs::write(root.path().join(OsStr::from_bytes(b"\xff")), b"").expect("writes");
    let text = written(&scanner(root.path()).detail(Detail::Sizes), Format::Ndjson);
    let lines: Vec<serde_json::Value> =
        sorted(&text, b'\n').iter().map(|line| serde_json::from_slice(line).expect("parses")).collect();
    assert_eq!(lines.len(), 2);
    let quoted = root.path().join("a/\"b\"\n");
    let line = lines.iter().find(|line| line["path"] == quoted.to_str().expect("is text")).expect("is there");
    assert_eq!(line["size_bytes"], 2);
    assert!(line.get("path_b64").is_none());
    assert!(lines.iter().any(|line| line.get("path_b64").is_some()));
}

#[test]
fn test_writing_to_closed_pipe_ends_quietly() {
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"");
    let (reader, writer) = std::io::pipe().expect("opens");
    drop(reader);
    scanner(root.path()).write(writer, Format::Csv).expect("ends quietly");
}

#[test]
fn test_writing_to_full_device_fails() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("opens");
    let root = tempdir().expect("creates");
    write(root.path(), "file", b"");
    let error = scanner(root.path()).write(full, Format::Paths { terminator: b'\n' }).expect_err("is full");
    assert_eq!(error.kind(), "no_space");
}
