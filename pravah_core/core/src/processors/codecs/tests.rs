//! Every codec: what it packs it unpacks, in whatever pieces, and damage is told, never a panic.

use proptest::prelude::*;

use super::*;
use crate::Error;

const ALL: [Codec; 7] = [Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Xz, Codec::Bzip2, Codec::Brotli, Codec::Snappy];

fn decoded(codec: Codec, packed: &[u8], piece_bytes: usize) -> Result<Vec<u8>> {
    let (mut input, mut decoder, mut output) = (Input::new(None), codec.decoder()?, Vec::new());
    for piece in packed.chunks(piece_bytes) {
        input.push(Bytes::copy_from_slice(piece));
        while let Some(decoded) = decoder.decode(&mut input)? {
            let bytes = decoded.bytes()?;
            assert!(bytes.len() <= 4 << 20, "one output is bounded");
            output.extend_from_slice(&bytes);
        }
    }
    input.end();
    while let Some(decoded) = decoder.decode(&mut input)? {
        output.extend_from_slice(&decoded.bytes()?);
    }
    Ok(output)
}

fn text(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(|i| (i.wrapping_mul(i) % 1000).to_string().into_bytes()).take(size).collect()
}

#[test]
fn test_streams_in_a_row_are_one_content() {
    for codec in ALL.into_iter().filter(|codec| codec.stream_encoder(1).is_none()) {
        let level = codec.default_level();
        let (first, second) = (text(300_000), text(70_001));
        let packed = [codec.compress(level, &first), codec.compress(level, &second)].map(|part| part.expect("packed"));
        let unpacked = decoded(codec, &packed.concat(), 4099).expect("decoded");
        assert!(unpacked == [first, second].concat(), "{}", codec.name());
    }
}

#[test]
fn test_magic_tells_every_codec_that_has_one() {
    for codec in ALL {
        let packed = codec.compress(codec.default_level(), b"pravah").expect("packed");
        let expected = (codec != Codec::Brotli).then_some(codec);
        assert_eq!(Codec::of_magic(&packed), expected, "{}", codec.name());
    }
}

#[test]
fn test_output_fits_into_the_bound() {
    let noise: Vec<u8> = blake3_noise(1 << 20);
    for codec in ALL {
        for level in [*codec.levels().start(), codec.default_level()] {
            for size in [0, 1, 100, 65_537, 1 << 20] {
                let packed = codec.compress(level, &noise[..size]).expect("packed").len() as u64;
                let bound = codec.bound(size as u64);
                assert!(packed <= bound, "{} {level}: {size} became {packed}, bound {bound}", codec.name());
            }
        }
    }
}

#[test]
fn test_input_cut_off_is_truncated() {
    for codec in ALL {
        let packed = codec.compress(codec.default_level(), &text(100_000)).expect("packed");
        let error = decoded(codec, &packed[..packed.len() - 3], 1 << 16).expect_err("it is cut off");
        assert_eq!(error.kind(), "truncated_input", "{}: {error}", codec.name());
    }
}

#[test]
fn test_padding_of_xz_is_skipped_in_multiples_of_four_between_and_behind_streams() {
    let stream = Codec::Xz.compress(0, b"text").expect("packed");
    for (between, behind) in [(0, 4), (4, 0), (8, 4096)] {
        let file = [stream.clone(), vec![0; between], stream.clone(), vec![0; behind]].concat();
        for piece_bytes in [1, 3, file.len()] {
            assert_eq!(decoded(Codec::Xz, &file, piece_bytes).expect("decoded"), b"texttext", "{between}, {behind}");
        }
    }
    for (between, behind) in [(2, 0), (0, 5), (4, 1)] {
        let file = [stream.clone(), vec![0; between], stream.clone(), vec![0; behind]].concat();
        for piece_bytes in [1, 3, file.len()] {
            let error = decoded(Codec::Xz, &file, piece_bytes).expect_err("is no padding");
            assert_eq!(error.kind(), "corrupt_input");
            assert!(error.to_string().contains("multiples of 4"), "{error}");
        }
    }
    let error = decoded(Codec::Bzip2, &[Codec::Bzip2.compress(1, b"text").expect("packed"), vec![0; 4]].concat(), 9);
    assert_eq!(error.expect_err("has no padding").kind(), "corrupt_input");
}

#[test]
fn test_xz_beyond_the_limit_is_unsupported_and_not_damaged() {
    let (dictionary_of_128_mib, unknown_filter) = (changed_xz(16, 30), changed_xz(14, 0x22));
    for (file, expected) in [
        (dictionary_of_128_mib, "the xz stream at byte 0 needs a dictionary beyond the limit of 72 MiB"),
        (unknown_filter, "the xz stream at byte 0 needs filters that are not known"),
    ] {
        let error = decoded(Codec::Xz, &file, file.len()).expect_err("refused");
        assert_eq!((error.kind(), error.to_string().as_str()), ("unsupported_input", expected));
    }
}

/// A stream of xz with another byte in its block's header, which has sizes, flags, the filter, its dictionary, and a
/// CRC-32, and stands behind that of the stream.
fn changed_xz(at: usize, byte: u8) -> Vec<u8> {
    let mut file = Codec::Xz.compress(0, b"text").expect("packed");
    file[at] = byte;
    let crc = libdeflater::crc32(&file[12..20]);
    file[20..24].copy_from_slice(&crc.to_le_bytes());
    file
}

#[test]
fn test_window_beyond_the_usual_is_given_back_by_a_thread_that_is_confined() {
    let zstd = |descriptor: u8| vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor << 3, 0x09, 0x00, 0x00, b'x'];
    // Windows of 8 and 16 MiB each; an empty stream of brotli is its window, and a mark of its end.
    for (codec, usual, larger) in [
        (Codec::Zstd, zstd(13), zstd(14)),
        (Codec::Xz, changed_xz(16, 22), changed_xz(16, 24)),
        (Codec::Brotli, vec![0x3d], vec![0x3f]),
    ] {
        let name = codec.name();
        let content = decoded(codec, &larger, 9).expect("is decoded where there is memory for it");
        assert_eq!(confined(|| decoded(codec, &usual, 9)).expect("is usual"), content, "{name}");
        let refused = confined(|| decoded(codec, &larger, 9)).expect_err("is larger");
        assert!(matches!(refused, Error::WindowTooLarge), "{name}: {refused}");
        assert!(decoded(codec, &larger, 9).is_ok(), "{name}: it is confined no longer");
    }
}

fn blake3_noise(size: usize) -> Vec<u8> {
    let mut noise = vec![0; size];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn test_content_comes_back(content in prop::collection::vec(any::<u8>(), 0..3000), piece in 1usize..700) {
        for codec in ALL {
            let packed = codec.compress(codec.default_level(), &content)?;
            prop_assert_eq!(&decoded(codec, &packed, piece)?, &content, "{}", codec.name());
        }
    }

    #[test]
    fn test_damage_is_told_or_harmless(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>()) {
        for codec in ALL {
            let mut packed = codec.compress(codec.default_level(), &text(20_000))?;
            let at = at.index(packed.len());
            packed[at] ^= 1 << bit;
            // Never a panic or a hang; whether it is an error is the format's: some bytes mean nothing.
            let _ = decoded(codec, &packed, 997);
            packed.truncate(cut.index(packed.len()));
            let _ = decoded(codec, &packed, 997);
        }
    }
}
