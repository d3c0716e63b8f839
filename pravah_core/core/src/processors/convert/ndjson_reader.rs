//! Reads one JSON object a line; columns are the fields in the order in which they appear first.
//!
//! Numbers and nested values keep their text, so that nothing is lost before types are known.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    fmt,
};

use memchr::memchr;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    super::column_types::Tag,
    cells::{Cells, MOST_COLUMNS, MOST_ROW_BYTES},
    rows::{Rows, too_large},
};
use crate::{Error, Result};

/// A reader at work.
#[derive(Default)]
pub struct NdjsonReader {
    /// The line that has begun in earlier pieces.
    begun: Vec<u8>,
    /// Lines that have ended.
    lines: u64,
    names: Vec<String>,
    positions: HashMap<String, usize>,
    cells: Cells,
}

impl Rows for NdjsonReader {
    fn push(&mut self, mut piece: &[u8], batches: &mut VecDeque<Cells>) -> Result<()> {
        while let Some(end) = memchr(b'\n', piece) {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            if self.begun.is_empty() {
                self.line(line, batches)?;
            } else {
                self.keep(line)?;
                let mut whole = std::mem::take(&mut self.begun);
                self.line(&whole, batches)?;
                whole.clear();
                self.begun = whole;
            }
            piece = rest;
        }
        self.keep(piece)
    }

    fn end(&mut self, batches: &mut VecDeque<Cells>) -> Result<()> {
        let last = std::mem::take(&mut self.begun);
        self.line(&last, batches)?;
        if !self.cells.lines.is_empty() {
            batches.push_back(self.cells.take());
        }
        Ok(())
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn bad_value(&self, message: String) -> Error {
        Error::NdjsonBadValue(message)
    }
}

impl NdjsonReader {
    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        if self.begun.len() + bytes.len() > MOST_ROW_BYTES {
            return Err(too_large(self.lines + 1, ""));
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8], batches: &mut VecDeque<Cells>) -> Result<()> {
        self.lines += 1;
        if line.len() > MOST_ROW_BYTES {
            return Err(too_large(self.lines, ""));
        }
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let text = std::str::from_utf8(line).map_err(|error| {
            Error::InvalidUtf8(format!("line {} is not UTF-8 at its byte {}", self.lines, error.valid_up_to() + 1))
        })?;
        let row: JsonObject<'_> = serde_json::from_str(text).map_err(|error| self.bad_line(&error))?;
        for (expected, (name, value)) in row.0.into_iter().enumerate() {
            self.cell(expected, &name, value.get())?;
        }
        self.cells.end_row(self.lines, line.len());
        if self.cells.is_full() {
            batches.push_back(self.cells.take());
        }
        Ok(())
    }

    /// Keep a value, which is `expected` to be that of this column.
    fn cell(&mut self, expected: usize, name: &str, value: &str) -> Result<()> {
        let is_there = self.names.get(expected).is_some_and(|there| there == name);
        let known = if is_there { Some(expected) } else { self.positions.get(name).copied() };
        let column = known.map_or_else(|| self.add(name), Ok)?;
        if self.cells.columns[column].len() > self.cells.lines.len() {
            let message = format!("line {} has the field `{name}` twice", self.lines);
            return Err(Error::NdjsonBadLine(message));
        }
        self.cells.pad(column);
        let cells = &mut self.cells.columns[column];
        match value.as_bytes() {
            b"null" => cells.close(Tag::Null),
            [b'"', text @ .., b'"'] if !text.contains(&b'\\') => {
                cells.extend(text);
                cells.close(Tag::Text);
            }
            [b'"', ..] => {
                let text: String = serde_json::from_str(value).map_err(|error| self.bad_line(&error))?;
                let cells = &mut self.cells.columns[column];
                cells.extend(text.as_bytes());
                cells.close(Tag::Text);
            }
            [b'{' | b'[', ..] => {
                cells.extend(value.as_bytes());
                cells.close(Tag::Text);
            }
            _ => {
                cells.extend(value.as_bytes());
                cells.close(Tag::Bare);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str) -> Result<usize> {
        let column = self.names.len();
        if column == MOST_COLUMNS {
            let message = format!("line {} has the field `{name}` beyond {MOST_COLUMNS} others", self.lines);
            return Err(Error::UnsupportedInput(message));
        }
        self.names.push(name.to_owned());
        self.positions.insert(name.to_owned(), column);
        self.cells.columns.push(Default::default());
        Ok(column)
    }

    fn bad_line(&self, error: &serde_json::Error) -> Error {
        let told = error.to_string();
        let reason = told.split(" at line ").next().unwrap_or(&told);
        Error::NdjsonBadLine(format!("line {}, column {}: {reason}", self.lines, error.column()))
    }
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
