//! Rows of NDJSON, one object a line, and of JSON, one object an element of the array; read off a piece of them.
//!
//! Numbers and nested values keep their text, so that nothing is lost before types are known.

use std::{borrow::Cow, fmt};

use memchr::memchr;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    fault::{BadRow, Fault, MOST_ROW_BYTES},
    rows::{Extent, RowSink},
};
use crate::processors::Tag;

/// Read the lines of a piece.
pub fn read_lines<S: RowSink>(piece: &[u8], is_last: bool, sink: &mut S) -> Extent {
    let mut read = Extent::default();
    while read.bytes < piece.len() && sink.wants_more() {
        let rest = &piece[read.bytes..];
        let end = memchr(b'\n', rest);
        if end.is_none() && !is_last {
            break;
        }
        let extent = read.bytes..read.bytes + end.map_or(rest.len(), |end| end + 1);
        let line = &rest[..end.unwrap_or(rest.len())];
        if !line.trim_ascii().is_empty() {
            let given = row(line, sink);
            end_row(sink, given, read.lines, extent.clone());
        }
        read = Extent { bytes: extent.end, lines: read.lines + u32::from(end.is_some()) };
    }
    read
}

/// End a row, or have it forgotten where it is bad.
pub fn end_row(sink: &mut impl RowSink, given: Result<(), Fault>, line: u32, extent: std::ops::Range<usize>) {
    let given = if extent.len() > MOST_ROW_BYTES { Err(Fault::TooLarge) } else { given };
    match given {
        Ok(()) => sink.end_row(line, extent),
        Err(fault) => sink.reject(BadRow { line, extent, fault }),
    }
}

/// Give the fields of the object that a line or an element is.
pub fn row(line: &[u8], sink: &mut impl RowSink) -> Result<(), Fault> {
    let text = std::str::from_utf8(line).map_err(|error| Fault::BadText { at: error.valid_up_to() + 1 })?;
    let row: JsonObject<'_> = serde_json::from_str(text).map_err(|error| bad_json(&error))?;
    give(row, sink)
}

/// The fault of a row that a reader of JSON refuses.
fn bad_json(error: &serde_json::Error) -> Fault {
    let told = error.to_string();
    let reason = told.split(" at line ").next().unwrap_or(&told);
    Fault::Json { at: error.column(), reason: reason.to_owned() }
}

/// Give the fields of an object.
fn give(row: JsonObject<'_>, sink: &mut impl RowSink) -> Result<(), Fault> {
    for (expected, (name, value)) in row.0.into_iter().enumerate() {
        let Some(column) = sink.column(expected, &name) else { continue };
        let value = value.get();
        let is_new = match value.as_bytes() {
            b"null" => sink.cell(column, Tag::Null, b""),
            [b'"', text @ .., b'"'] if !text.contains(&b'\\') => sink.cell(column, Tag::Text, text),
            [b'"', ..] => {
                let text: String = serde_json::from_str(value).map_err(|error| bad_json(&error))?;
                sink.cell(column, Tag::Text, text.as_bytes())
            }
            [b'{' | b'[', ..] => sink.cell(column, Tag::Text, value.as_bytes()),
            _ => sink.cell(column, Tag::Bare, value.as_bytes()),
        };
        if !is_new {
            return Err(Fault::Twice { name: name.into_owned() });
        }
    }
    Ok(())
}

/// The fields of an object, in order, with their values as they are written.
pub struct JsonObject<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for JsonObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = JsonObject<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonObject<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(JsonObject(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
