//! Blocks of one file in work at once: the same bytes and the same errors as one after the other.

use std::sync::LazyLock;

use pravah_core::{
    pipeline::{Pipeline, Workers},
    plan::StepConfig,
};
use proptest::prelude::*;
use rayon::ThreadPool;
use serde_json::{Value, json};

use crate::run::{Batching, Outcome, compressed, pipeline, run, run_by, text};

static POOL: LazyLock<ThreadPool> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("built"));

/// What came of a file: what came out, or step, kind and text of the error.
fn told(workers: Workers<'_>, pipeline: &Pipeline, input: &[u8], pieces: &[usize]) -> Result<Outcome, String> {
    let batching = Batching::Pieces(pieces.to_vec());
    run_by(workers, pipeline, input, &batching)
        .map_err(|failure| format!("{:?} {}: {}", failure.step, failure.error.kind(), failure.error))
}

/// Run it one block after the other and several at once; they must tell the same.
fn both(pipeline: &Pipeline, input: &[u8], pieces: &[usize], what: &str) -> Result<Outcome, String> {
    let serial = told(Workers::NONE, pipeline, input, pieces);
    let split = told(Workers::new(&POOL, 5), pipeline, input, pieces);
    assert!(split == serial, "{what}, {} bytes: {}", input.len(), difference(&split, &serial));
    serial
}

fn difference(split: &Result<Outcome, String>, serial: &Result<Outcome, String>) -> String {
    let short = |outcome: &Result<Outcome, String>| match outcome {
        Ok(outcome) => format!("{} bytes", outcome.bytes.len()),
        Err(error) => error.clone(),
    };
    format!("{}, and one after the other {}", short(split), short(serial))
}

fn decompress() -> Pipeline {
    pipeline("decompress", json!({}))
}

fn steps(steps: &[(&str, Value)]) -> Pipeline {
    let steps = steps.iter().map(|(name, params)| {
        let params = params.as_object().cloned().unwrap_or_default();
        StepConfig { name: (*name).to_owned(), params }
    });
    Pipeline::new(&steps.collect::<Vec<_>>()).expect("built")
}

/// Blocks of 65,536 bytes as BGZF has them: members that tell their sizes.
fn bgzf(content: &[u8]) -> Vec<u8> {
    let block = |content: &[u8]| {
        let plain = compressed("gzip", content);
        let size = u16::try_from(plain.len() + 8 - 1).expect("small").to_le_bytes();
        [&[0x1f, 0x8b, 8, 4], &plain[4..10], &[6, 0, b'B', b'C', 2, 0, size[0], size[1]], &plain[10..]].concat()
    };
    content.chunks(60_000).flat_map(block).collect()
}

#[test]
fn test_compressed_bytes_around_block_borders_do_not_depend_on_blocks_at_once() {
    let content = text((8 << 20) + 5);
    let mib = 1 << 20;
    for (codec, level, block) in [("gzip", 1, mib), ("zstd", 1, 4 * mib), ("lz4", 1, 4 * mib), ("snappy", 1, mib)] {
        let compress = pipeline("compress", json!({"codec": codec, "level": level}));
        for size in [block - 1, block, block + 1, 2 * block - 1, 2 * block, 2 * block + 1] {
            let packed = both(&compress, &content[..size], &[block], codec).expect("compressed").bytes;
            let restored = both(&decompress(), &packed, &[mib], codec).expect("decompressed").bytes;
            assert!(restored == content[..size], "{codec}, {size} bytes");
        }
    }
}

#[test]
fn test_slow_codecs_and_one_stream_give_the_same_bytes_at_once() {
    let content = text((8 << 20) + 1_000);
    for (codec, level, size) in [("xz", 0, content.len()), ("bzip2", 1, 3_700_000), ("brotli", 1, 2_500_000)] {
        let (compress, content) = (pipeline("compress", json!({"codec": codec, "level": level})), &content[..size]);
        let packed = both(&compress, content, &[700_001], codec).expect("compressed").bytes;
        let decompress = pipeline("decompress", json!({"codec": codec}));
        assert!(run(&decompress, &packed, &Batching::Whole).expect("decompressed").bytes == content, "{codec}");
    }
}

#[test]
fn test_steps_in_a_row_give_the_same_bytes_and_records_at_once() {
    let content = text((5 << 20) + 17);
    let packed = compressed("gzip", &content);
    let recoded = steps(&[
        ("decompress", json!({})),
        ("checksum", json!({"algorithm": "blake3"})),
        ("compress", json!({"codec": "zstd", "level": 1})),
        ("checksum", json!({})),
    ]);
    let outcome = both(&recoded, &packed, &[1 << 20, 77], "gzip to zstd").expect("recoded");
    assert_eq!(outcome.records.len(), 2);
    assert!(run(&decompress(), &outcome.bytes, &Batching::Whole).expect("decompressed").bytes == content);
}

#[test]
fn test_multi_frame_zstd_ends_with_a_seek_table() {
    let content = text((8 << 20) + 5);
    let packed = compressed("zstd", &content);
    let number = |at: usize| u32::from_le_bytes(packed[at..at + 4].try_into().expect("4 bytes")) as usize;
    let footer = packed.len() - 9;
    assert_eq!((number(footer), packed[footer + 4], number(footer + 5)), (3, 0, 0x8f92_eab1));
    let table = footer - 3 * 8;
    assert_eq!((number(table - 8), number(table - 4)), (0x184d_2a5e, packed.len() - table));
    let entries: Vec<_> = (0..3).map(|frame| (number(table + frame * 8), number(table + frame * 8 + 4))).collect();
    assert_eq!(entries.iter().map(|entry| entry.1).collect::<Vec<_>>(), [4 << 20, 4 << 20, 5]);
    let mut at = 0;
    for (frame_bytes, content_bytes) in entries {
        let frame = run(&decompress(), &packed[at..at + frame_bytes], &Batching::Whole).expect("a frame of its own");
        assert_eq!(frame.bytes.len(), content_bytes);
        at += frame_bytes;
    }
    assert_eq!(at, table - 8);
    let single = compressed("zstd", &content[..4 << 20]);
    assert!(!single.ends_with(&0x8f92_eab1_u32.to_le_bytes()), "one frame needs no table");
}

#[test]
fn test_bgzf_is_decoded_at_once() {
    let content = text(3_000_000);
    let file =
        [bgzf(&content), b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0".to_vec()].concat();
    for pieces in [vec![1 << 20], vec![65_521, 3]] {
        assert!(both(&decompress(), &file, &pieces, "BGZF").expect("decoded").bytes == content);
    }
}

#[test]
fn test_members_that_lie_about_their_size_are_corrupt_or_decoded_without_it() {
    let content = text(200_000);
    let good = bgzf(&content);
    let first = usize::from(u16::from_le_bytes([good[16], good[17]])) + 1;
    for told in [first - 1, first + 1, first + 40] {
        let mut file = good.clone();
        file[16..18].copy_from_slice(&u16::try_from(told - 1).expect("small").to_le_bytes());
        match both(&decompress(), &file, &[1 << 20], "a lie") {
            Ok(outcome) => assert!(outcome.bytes == content, "{told} for {first}"),
            Err(error) => assert!(error.contains("corrupt_input"), "{told} for {first}: {error}"),
        }
    }
}

#[test]
fn test_content_beyond_what_a_member_says_is_corrupt_and_not_kept() {
    // A member of 5 MiB of zeros that says it holds 5 bytes.
    let plain = compressed("gzip", &vec![0; (1 << 20) - 1]);
    let mut file = bgzf(b"x");
    let body = &plain[10..];
    let size = u16::try_from(18 + body.len() - 1).expect("small").to_le_bytes();
    file.truncate(16);
    file.extend_from_slice(&size);
    file.extend_from_slice(body);
    let end = file.len();
    file[end - 4..].copy_from_slice(&5_u32.to_le_bytes());
    let error = both(&decompress(), &file, &[1 << 20], "a bomb").expect_err("corrupt");
    assert!(error.contains("more bytes than the 5 that are stored"), "{error}");
}

#[test]
fn test_budget_holds_for_blocks_before_they_are_decoded() {
    let content = text((9 << 20) + 1);
    for codec in ["gzip", "zstd"] {
        let packed = compressed(codec, &content);
        let limited =
            |limit: usize| both(&pipeline("decompress", json!({"max_size_bytes": limit})), &packed, &[1 << 20], codec);
        assert!(limited(content.len()).is_ok());
        let error = limited(content.len() - 1).expect_err("too much");
        assert!(error.contains("decompression_budget"), "{error}");
    }
}

#[test]
fn test_error_in_an_early_block_comes_before_that_of_a_later_one() {
    let content = text(3 << 20);
    let mut packed = compressed("gzip", &content);
    let (early, late) = (packed.len() / 5, packed.len() - 20);
    packed[early] ^= 0x55;
    packed[late] ^= 0x55;
    let error = both(&decompress(), &packed, &[1 << 20], "two errors").expect_err("corrupt");
    assert!(error.contains("the gzip member at byte 0 is damaged"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_random_sizes_and_pieces_do_not_depend_on_blocks_at_once(
        size in 0usize..5_000_000,
        pieces in prop::collection::vec(60_000usize..2_000_000, 1..6),
    ) {
        let content = text(size);
        for codec in ["gzip", "zstd"] {
            let compress = pipeline("compress", json!({"codec": codec, "level": 1}));
            let packed = both(&compress, &content, &pieces, codec).expect("compressed").bytes;
            prop_assert!(both(&decompress(), &packed, &pieces, codec).expect("decompressed").bytes == content);
        }
    }

    #[test]
    fn test_damaged_and_cut_streams_tell_the_same_errors_at_once(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..3),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
        pieces in prop::collection::vec(10_000usize..900_000, 1..4),
    ) {
        let content = text(2_500_000);
        let files = [("gzip", compressed("gzip", &content)), ("zstd", compressed("zstd", &content).repeat(2)), ("bgzf", bgzf(&content))];
        for (codec, mut file) in files {
            for (at, mask) in &damage {
                let at = at.index(file.len());
                file[at] ^= mask;
            }
            if is_cut {
                file.truncate(cut.index(file.len()));
            }
            let serial = both(&decompress(), &file, &pieces, codec);
            let whole = told(Workers::new(&POOL, 4), &decompress(), &file, &[file.len().max(1)]);
            prop_assert!(whole == serial, "{}: {}", codec, difference(&whole, &serial));
        }
    }
}
