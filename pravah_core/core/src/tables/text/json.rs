//! Rows of JSON: the elements of one array of objects, read off pieces that are cut behind a comma.

use super::{
    csv::line_ends,
    cut::Nesting,
    fault::Fault,
    ndjson::{end_row, row},
    rows::{Extent, RowSink},
};
use crate::{Error, Result, tables::Format};

/// Begin with the first piece of a file: give where the elements begin.
pub fn begin(piece: &[u8]) -> Result<Extent> {
    let blank = piece.len() - piece.trim_ascii_start().len();
    let lines = line_ends(&piece[..blank]);
    let refused = |reason: &str| {
        let fault = Fault::Json { at: 1, reason: reason.to_owned() };
        Err(fault.error(Format::Json, u64::from(lines) + 1))
    };
    match piece.get(blank) {
        Some(b'[') => Ok(Extent { bytes: blank + 1, lines }),
        None => Err(Error::NoColumns("the file has no columns: it is empty".to_owned())),
        Some(b'{') => refused("the document is one object, and an array of objects is a table"),
        Some(_) => refused("an array of objects is expected"),
    }
}

/// Read the elements of a piece, which may be the first one; the last one ends with the array.
pub fn read_elements<S: RowSink>(piece: &[u8], is_first: bool, is_last: bool, sink: &mut S) -> Extent {
    let mut read = Extent::default();
    let mut nesting = Nesting::ARRAY;
    let mut is_first = is_first;
    for (at, &byte) in piece.iter().enumerate() {
        if !nesting.ends_element(byte) {
            continue;
        }
        let element = &piece[read.bytes..at];
        let content = element.trim_ascii();
        let line = read.lines + line_ends(&element[..element.len() - element.trim_ascii_start().len()]);
        let extent = read.bytes..at + 1;
        read = Extent { bytes: at + 1, lines: read.lines + line_ends(element) };
        let is_empty_array = is_first && byte == b']' && content.is_empty();
        if !is_empty_array {
            let given = if content.is_empty() { Err(stray(byte)) } else { row(content, sink) };
            end_row(sink, given, line, extent);
        }
        if byte != b',' {
            return end(piece, read, (byte == b']' && is_last).then_some(at), sink);
        }
        is_first = false;
        if !sink.wants_more() {
            return read;
        }
    }
    if is_last {
        bad(sink, read, piece.len(), "the array is never closed");
        return Extent { bytes: piece.len(), lines: read.lines + line_ends(&piece[read.bytes..]) };
    }
    read
}

fn stray(byte: u8) -> Fault {
    let reason = if byte == b',' { "a comma has nothing before it" } else { "the last comma has nothing behind it" };
    Fault::Json { at: 1, reason: reason.to_owned() }
}

/// The array has ended, by `bracket` if it did well: nothing may come behind it.
fn end(piece: &[u8], read: Extent, bracket: Option<usize>, sink: &mut impl RowSink) -> Extent {
    let behind = &piece[read.bytes..];
    if bracket.is_none() || !behind.trim_ascii().is_empty() {
        bad(sink, read, piece.len(), "the array ends here, and the document does not");
    }
    Extent { bytes: piece.len(), lines: read.lines + line_ends(behind) }
}

fn bad(sink: &mut impl RowSink, read: Extent, end: usize, reason: &str) {
    let fault = Fault::Json { at: 1, reason: reason.to_owned() };
    end_row(sink, Err(fault), read.lines, read.bytes..end);
}
