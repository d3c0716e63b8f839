//! What holds for every processor: pieces don't matter, nothing panics, errors are typed, outputs are bounded.

use proptest::prelude::*;
use serde_json::json;

use crate::run::{Batching, compressed, configurations, pipeline, run, text, verdict};

/// The kinds that bad input may end as.
const INPUT_KINDS: &[&str] = &[
    "corrupt_input",
    "truncated_input",
    "not_compressed",
    "unsupported_input",
    "invalid_utf8",
    "no_columns",
    "csv_ragged_row",
    "csv_bad_quotes",
    "csv_bad_header",
    "csv_bad_value",
    "ndjson_bad_line",
    "ndjson_bad_value",
    "json_bad_element",
    "json_bad_value",
    "no_such_column",
    "not_text",
    "header_mismatch",
    "columns_differ",
];

/// Inputs that mean something to one processor or another.
fn inputs() -> Vec<Vec<u8>> {
    let text = text(200_000);
    let (gzip, zstd) = (compressed("gzip", &text), compressed("zstd", &text));
    let members = [compressed("gzip", &text[..1000]), compressed("gzip", b""), compressed("gzip", &text)].concat();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], zstd.as_slice(), zstd.as_slice()].concat();
    vec![Vec::new(), b"x".to_vec(), text, gzip.clone(), zstd, members, skippable, [gzip, vec![0; 512]].concat()]
}

#[test]
fn test_output_does_not_depend_on_pieces() {
    for (step, pipeline) in configurations() {
        for (at, input) in inputs().iter().enumerate() {
            let expected = verdict(&pipeline, input, &Batching::Whole);
            for batching in [Batching::OnePiece, Batching::Pieces(vec![1_000]), Batching::Pieces(vec![1, 65_536, 7])] {
                assert_eq!(verdict(&pipeline, input, &batching), expected, "{step}, input {at}, {batching:?}");
            }
        }
    }
}

#[test]
fn test_blocks_and_chunks_of_large_files_give_the_same_bytes() {
    let content = text(9 << 20);
    for codec in ["gzip", "zstd"] {
        let compress = pipeline("compress", json!({"codec": codec}));
        let decompress = pipeline("decompress", json!({}));
        let [chunks, odd] = [vec![1 << 20], vec![300_007, 1, 900_000]]
            .map(|sizes| run(&compress, &content, &Batching::Pieces(sizes)).expect("compressed").bytes);
        assert!(chunks == odd && chunks == compressed(codec, &content), "{codec}");
        let restored = run(&decompress, &odd, &Batching::Pieces(vec![1 << 20])).expect("decompressed");
        assert!(restored.bytes == content, "{codec}");
    }
}

#[test]
fn test_empty_input_gives_an_empty_content() {
    for codec in ["gzip", "zstd"] {
        let packed = compressed(codec, b"");
        assert!(!packed.is_empty());
        let restored = run(&pipeline("decompress", json!({})), &packed, &Batching::Whole).expect("decompressed");
        assert!(restored.bytes.is_empty() && restored.has_ended);
    }
    assert_eq!(verdict(&pipeline("decompress", json!({})), b"", &Batching::Whole), Err("not_compressed".to_owned()));
}

#[test]
fn test_truncated_stream_is_a_typed_error_at_each_offset() {
    let decompress = pipeline("decompress", json!({}));
    for codec in ["gzip", "zstd"] {
        let packed = compressed(codec, &text(600));
        for end in 0..packed.len() {
            let expected = if end < 4 { "not_compressed" } else { "truncated_input" };
            // Two bytes are all of gzip's magic.
            let expected = if codec == "gzip" && end >= 2 { "truncated_input" } else { expected };
            for batching in [Batching::Whole, Batching::OnePiece, Batching::Pieces(vec![1])] {
                let failure = run(&decompress, &packed[..end], &batching).expect_err("cut off");
                assert_eq!(failure.error.kind(), expected, "{codec} at {end}: {}", failure.error);
            }
        }
    }
}

#[test]
fn test_bomb_is_pulled_in_bounded_outputs() {
    // 300 MiB of zeros in 10 kB or so; `Outcome::take` checks each output's size, here they are only counted.
    let zeros = vec![0; 100 << 20];
    for codec in ["gzip", "zstd"] {
        let bomb = compressed(codec, &zeros);
        let decompress = pipeline("decompress", json!({}));
        let mut size = 0;
        decompress
            .run_whole("bomb".into(), bomb.repeat(3).into(), &mut |event| {
                if let pravah_core::processors::Event::Bytes(bytes) = event {
                    assert!(bytes.len() <= pravah_core::processors::PULL_BYTES);
                    size += bytes.len();
                }
                Ok(())
            })
            .expect("decompressed");
        assert_eq!(size, 300 << 20);
    }
}

#[test]
fn test_output_error_stops_a_bomb() {
    let bomb = compressed("zstd", &vec![0; 100 << 20]);
    let mut pulls = 0;
    let failure = pipeline("decompress", json!({}))
        .run_whole("bomb".into(), bomb.into(), &mut |_| {
            pulls += 1;
            if pulls == 3 { Err(pravah_core::Error::Cancelled) } else { Ok(()) }
        })
        .expect_err("cancelled");
    assert_eq!((failure.error.kind(), pulls), ("cancelled", 3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_random_input_in_random_pieces_gives_equal_outcomes(
        input in prop::collection::vec(any::<u8>(), 0..2_000),
        sizes in prop::collection::vec(1usize..500, 1..20),
    ) {
        for (step, pipeline) in configurations() {
            let whole = verdict(&pipeline, &input, &Batching::Whole);
            prop_assert_eq!(&verdict(&pipeline, &input, &Batching::Pieces(sizes.clone())), &whole, "{}", step);
            if let Err(kind) = whole {
                prop_assert!(INPUT_KINDS.contains(&kind.as_str()), "{step}: {kind}");
            }
        }
    }

    #[test]
    fn test_mutated_stream_is_decoded_or_a_typed_error(
        size in 0usize..3_000,
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        sizes in prop::collection::vec(1usize..900, 1..10),
    ) {
        let decompress = pipeline("decompress", json!({}));
        for codec in ["gzip", "zstd"] {
            let mut packed = compressed(codec, &text(size));
            for (at, mask) in &mutations {
                let at = at.index(packed.len());
                packed[at] ^= mask;
            }
            let whole = verdict(&decompress, &packed, &Batching::Whole);
            prop_assert_eq!(&verdict(&decompress, &packed, &Batching::Pieces(sizes.clone())), &whole, "{}", codec);
            if let Err(kind) = whole {
                prop_assert!(INPUT_KINDS.contains(&kind.as_str()), "{codec}: {kind}");
            }
        }
    }

    #[test]
    fn test_compressed_comes_back(content in prop::collection::vec(any::<u8>(), 0..5_000), level in 1i32..=12) {
        for codec in ["gzip", "zstd"] {
            let compress = pipeline("compress", json!({"codec": codec, "level": level}));
            let packed = run(&compress, &content, &Batching::Whole).expect("compressed").bytes;
            let decompress = pipeline("decompress", json!({"codec": codec}));
            prop_assert_eq!(&run(&decompress, &packed, &Batching::Whole).expect("decompressed").bytes, &content);
        }
    }
}
