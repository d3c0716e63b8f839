//! Bytes of the codecs: never different from one release to the next, and understood by other tools.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    thread,
};

use bytes::Bytes;
use pravah_core::{pipeline::Pipeline, plan::StepConfig, processors::Event};
use serde_json::{Map, json};

use crate::run::{Batching, compressed, pipeline, run, text};

/// Changes here mean that a codec library gives other bytes: raise the version of `compress`.
#[test]
fn test_compressed_bytes_are_those_of_this_version() {
    let content = text(6 << 20);
    let digest = |codec: &str, level: i32| {
        let compress = pipeline("compress", json!({"codec": codec, "level": level}));
        let packed = run(&compress, &content, &Batching::OnePiece).expect("compressed").bytes;
        let checksum =
            run(&pipeline("checksum", json!({})), &packed, &Batching::Pieces(vec![1 << 20])).expect("digested");
        checksum.records[0]["checksum"].as_str().expect("text").to_owned()
    };
    let digests = [("gzip", 1), ("gzip", 6), ("gzip", 10), ("zstd", 1), ("zstd", 3), ("zstd", 9)]
        .map(|(codec, level)| format!("{codec} {level} {}", digest(codec, level)));
    let expected = [
        "gzip 1 b481a885a346fafe",
        "gzip 6 5af90188e143ac5c",
        "gzip 10 0f1c280d7c9f5a2b",
        "zstd 1 4c65cfc0004b74dc",
        "zstd 3 a6c223db066b0cb2",
        "zstd 9 ebeeef73d22816af",
    ];
    assert_eq!(digests, expected);
}

#[test]
fn test_system_tools_read_what_we_write() {
    let content = text(5 << 20);
    for (codec, tool) in [("gzip", ["gzip", "-dc"]), ("zstd", ["zstd", "-dcq"])] {
        for content in [&content[..], &content[..1], b""] {
            let Some(restored) = piped(&tool, compressed(codec, content)) else { continue };
            assert!(restored == content, "{codec}, {} bytes", content.len());
        }
    }
}

#[test]
fn test_we_read_what_system_tools_write() {
    let content = text(3 << 20);
    let decompress = pipeline("decompress", json!({}));
    for tool in [&["gzip", "-c"][..], &["gzip", "-9c"], &["zstd", "-cq"], &["zstd", "-cq", "--no-check", "-19"]] {
        let Some(one) = piped(tool, content.clone()) else { continue };
        let Some(empty) = piped(tool, Vec::new()) else { continue };
        let file = [one.as_slice(), &empty, &one].concat();
        for batching in [Batching::Whole, Batching::Pieces(vec![70_001])] {
            let restored = run(&decompress, &file, &batching).expect("decompressed").bytes;
            assert!(restored == [content.as_slice(), &content].concat(), "{tool:?}");
        }
    }
}

#[test]
fn test_bgzf_is_read() {
    // A BGZF block is a member whose extra field `BC` tells its size; the empty one is the format's end mark.
    let plain = compressed("gzip", b"chr1\t100\n");
    let size = u16::try_from(plain.len() + 8 - 1).expect("small").to_le_bytes();
    let mut block = plain[..10].to_vec();
    block[3] = 4;
    block.extend_from_slice(&[6, 0, b'B', b'C', 2, 0, size[0], size[1]]);
    block.extend_from_slice(&plain[10..]);
    let end = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0";
    let file = [block.as_slice(), &block, end].concat();
    for batching in [Batching::Whole, Batching::Pieces(vec![1])] {
        let restored = run(&pipeline("decompress", json!({})), &file, &batching).expect("decompressed").bytes;
        assert_eq!(restored, b"chr1\t100\nchr1\t100\n");
    }
}

#[test]
fn test_window_beyond_the_limit_is_refused_by_name() {
    let decompress = pipeline("decompress", json!({}));
    // A frame with a window of 256 MiB, then a raw block of one byte; written by hand after RFC 8878.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3, 0x09, 0x00, 0x00, b'x'];
    for batching in [Batching::Whole, Batching::Pieces(vec![1])] {
        let failure = run(&decompress, &frame, &batching).expect_err("refused");
        assert_eq!(failure.error.kind(), "unsupported_input");
        let told = failure.error.to_string();
        assert_eq!(told, "the zstd frame at byte 0 needs a window of 256 MiB, the limit is 128 MiB");
    }
    let mut within = frame;
    within[5] = 17 << 3;
    assert_eq!(run(&decompress, &within, &Batching::Whole).expect("decoded").bytes, b"x");
}

#[test]
fn test_bomb_within_a_bomb_is_judged_by_its_entry() {
    // A little more than 1 GiB of zeros in two layers, each of which is allowed by itself.
    let inner = compressed("zstd", &vec![0; 4 << 20]).repeat(257);
    let outer = compressed("zstd", &inner);
    let layer =
        StepConfig { name: "decompress".into(), params: Map::from_iter([("max_ratio".into(), json!(100_000))]) };
    let unpacked = |steps: usize, file: &[u8]| {
        let (pipeline, mut size) = (Pipeline::new(&vec![layer.clone(); steps]).expect("is valid"), 0);
        let mut count = |event| {
            if let Event::Bytes(bytes) = event {
                size += bytes.len();
            }
            Ok(())
        };
        pipeline.run_whole("a.zst.zst".into(), Bytes::copy_from_slice(file), &mut count).map(|()| size)
    };
    assert_eq!(unpacked(1, &inner).expect("is within the limit"), 257 * (4 << 20));
    assert_eq!(unpacked(1, &outer).expect("is within the limit"), inner.len());
    let failure = unpacked(2, &outer).expect_err("is refused");
    assert_eq!(failure.error.kind(), "decompression_budget");
    assert!(failure.error.to_string().starts_with(&format!("{} bytes have become", outer.len())), "{}", failure.error);
}

#[test]
fn test_frame_of_a_dictionary_is_refused_by_name() {
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x00, 77, 0x09, 0x00, 0x00, b'x'];
    let failure = run(&pipeline("decompress", json!({})), &frame, &Batching::Whole).expect_err("refused");
    assert_eq!(failure.error.to_string(), "the zstd frame at byte 0 needs dictionary 77, there is none");
}

/// Pipe bytes through a tool; none, with a message, where it is not installed.
fn piped(command: &[&str], input: Vec<u8>) -> Option<Vec<u8>> {
    let spawned = Command::new(command[0]).args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: there is no `{}` here", command[0]);
        return None;
    };
    let mut stdin = child.stdin.take().expect("piped");
    let writer = thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut output).expect("read");
    writer.join().expect("joined").expect("written");
    assert!(child.wait().expect("waited").success(), "{command:?}");
    Some(output)
}
