//! Where parts end, whatever the pieces that a file comes in.

use ::bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::Event, *};

/// The parts of an input that comes in pieces of these sizes.
fn parts_of(params: &Value, input: &[u8], piece_bytes: usize) -> Result<Vec<Vec<u8>>> {
    parts_by(build(params.as_object().expect("is a map"))?.open()?, input, piece_bytes)
}

fn parts_by(mut step: Box<dyn Step>, input: &[u8], piece_bytes: usize) -> Result<Vec<Vec<u8>>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut drain = |step: &mut Box<dyn Step>| -> Result<()> {
        while let Some(event) = step.pull()? {
            match event {
                Event::Part(part) => {
                    assert_eq!(part.number as usize, parts.len());
                    parts.push(Vec::new());
                }
                Event::Bytes(bytes) => parts.last_mut().expect("a part has begun").extend_from_slice(&bytes),
                _ => {}
            }
        }
        Ok(())
    };
    step.push(Event::Begin { name: Bytes::from_static(b"a.log"), size_bytes: None, source_bytes: None, path: None })?;
    for piece in input.chunks(piece_bytes) {
        step.push(Event::Bytes(Bytes::copy_from_slice(piece)))?;
        drain(&mut step)?;
    }
    step.push(Event::End)?;
    drain(&mut step)?;
    Ok(parts)
}

/// Whole lines of at most so many bytes together, by hand; lines of more than `held` begin a part.
fn packed(input: &[u8], limit: usize, held: usize) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let last = parts.last_mut().expect("is never empty");
        if !last.is_empty() && (last.len() + line.len() > limit || line.len() > held) {
            parts.push(line.to_vec());
        } else {
            last.extend_from_slice(line);
        }
    }
    parts
}

#[test]
fn test_empty_input_has_one_empty_part() {
    for params in [json!({"lines": 3}), json!({"bytes": 3}), json!({"bytes": 3, "whole": "lines"})] {
        assert_eq!(parts_of(&params, b"", 1).expect("splits"), [b""], "{params}");
    }
}

#[test]
fn test_input_that_fills_its_last_part_has_no_empty_one_behind_it() {
    assert_eq!(parts_of(&json!({"bytes": 2}), b"abcd", 3).expect("splits"), [b"ab", b"cd"]);
    assert_eq!(parts_of(&json!({"lines": 1}), b"a\nb\n", 3).expect("splits"), [b"a\n", b"b\n"]);
}

#[test]
fn test_lines_of_what_is_compressed_are_refused() {
    let gzip: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    assert_eq!(parts_of(&json!({"lines": 1}), gzip, 99).expect_err("refused").kind(), "not_text");
    assert!(parts_of(&json!({"bytes": 1}), gzip, 99).is_ok());
}

#[test]
fn test_parameters_that_say_nothing_or_too_much_are_refused() {
    for params in [json!({}), json!({"rows": 0}), json!({"rows": 1, "lines": 1}), json!({"rows": 1, "whole": "lines"})]
    {
        let error = build(params.as_object().expect("is a map")).err().expect("refused");
        assert_eq!(error.kind(), "invalid_parameter", "{params}");
    }
}

proptest! {
    #[test]
    fn test_parts_do_not_depend_on_pieces_and_hold_what_they_may(
        input in "[ab\n]{0,60}",
        limit in 1usize..12,
        held in 1usize..12,
        piece_bytes in 1usize..20,
    ) {
        let input = input.as_bytes();
        let exact = parts_of(&json!({"bytes": limit}), input, piece_bytes).expect("splits");
        let mut expected: Vec<Vec<u8>> = input.chunks(limit).map(<[u8]>::to_vec).collect();
        expected.resize(expected.len().max(1), Vec::new());
        prop_assert_eq!(exact, expected);
        let whole = parts_of(&json!({"bytes": limit, "whole": "lines"}), input, piece_bytes).expect("splits");
        prop_assert_eq!(whole, packed(input, limit, HELD_BYTES));
        let cutter = Box::new(LineCutter::holding(Limit::Bytes(limit as u64), held));
        prop_assert_eq!(parts_by(cutter, input, piece_bytes).expect("splits"), packed(input, limit, held));
        let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
        let mut expected: Vec<Vec<u8>> = lines.chunks(limit).map(<[&[u8]]>::concat).collect();
        expected.resize(expected.len().max(1), Vec::new());
        prop_assert_eq!(parts_of(&json!({"lines": limit}), input, piece_bytes).expect("splits"), expected);
    }
}
