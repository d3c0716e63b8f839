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
        let (tag, text) = told(value)?;
        if !sink.cell(column, tag, &text) {
            return Err(Fault::Twice { name: name.into_owned() });
        }
    }
    Ok(())
}

/// What a value is, and its text: without quotes and escapes where it is text.
pub fn told(value: &RawValue) -> Result<(Tag, Cow<'_, [u8]>), Fault> {
    let value = value.get();
    Ok(match value.as_bytes() {
        b"null" => (Tag::Null, Cow::Borrowed(b"")),
        [b'"', text @ .., b'"'] if !text.contains(&b'\\') => (Tag::Text, Cow::Borrowed(text)),
        [b'"', ..] => {
            let text: String = serde_json::from_str(value).map_err(|error| bad_json(&error))?;
            (Tag::Text, Cow::Owned(text.into_bytes()))
        }
        [b'{' | b'[', ..] => (Tag::Nested, Cow::Borrowed(value.as_bytes())),
        _ => (Tag::Bare, Cow::Borrowed(value.as_bytes())),
    })
}

/// The values of a list, which is JSON.
pub fn values_of(list: &[u8]) -> Result<Vec<&RawValue>, Fault> {
    serde_json::from_slice(list).map_err(|error| bad_json(&error))
}

/// The fields of an object, which is JSON.
pub fn fields_of(object: &[u8]) -> Result<Vec<(Cow<'_, str>, &RawValue)>, Fault> {
    serde_json::from_slice(object).map(|object: JsonObject<'_>| object.0).map_err(|error| bad_json(&error))
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
