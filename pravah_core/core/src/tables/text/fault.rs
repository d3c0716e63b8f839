//! What can be wrong with a row of text, and the row that it is wrong with.

use std::ops::Range;

use crate::{Error, tables::Format};

/// Bytes of one row, at most: a quote that is never closed would take the whole file.
pub const MOST_ROW_BYTES: usize = 16 << 20;

/// Characters of a value that a message shows.
const SHOWN_CHARACTERS: usize = 40;

/// A row that can't be read.
#[derive(Debug)]
pub struct BadRow {
    /// Its first line, counted from the beginning of its piece.
    pub line: u32,
    /// Where it is in its piece, its line's end included.
    pub extent: Range<usize>,
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug)]
pub enum Fault {
    /// It has another number of fields than the first row.
    Ragged { found: usize, expected: usize },
    /// There is text behind the closing quote of a field.
    BehindQuote { column: usize },
    /// A quote is never closed.
    NeverClosed,
    /// It takes more memory than a row may.
    TooLarge,
    /// Its lists have nearly empty objects of so many fields that these take more memory than a piece may.
    TooSparse,
    /// A cell is not UTF-8.
    NotUtf8 { column: String },
    /// A cell is nothing that its column can hold.
    Value { column: String, value: Vec<u8>, wanted: &'static str },
    /// A line or an element is not UTF-8 from this byte on.
    BadText { at: usize },
    /// It is no JSON, or no object.
    Json { at: usize, reason: String },
    /// An object has a field twice.
    Twice { name: String },
}

impl Fault {
    /// The column that it is in, where it is in one.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::NotUtf8 { column } | Self::Value { column, .. } => Some(column),
            Self::Twice { name } => Some(name),
            _ => None,
        }
    }

    /// The error of a file of this format whose row at `line` has it.
    pub fn error(&self, format: Format, line: u64) -> Error {
        let message = self.message(format, line);
        match self {
            Self::Ragged { .. } => Error::CsvRaggedRow(message),
            Self::BehindQuote { .. } | Self::NeverClosed => Error::CsvBadQuotes(message),
            Self::TooLarge | Self::TooSparse => Error::UnsupportedInput(message),
            Self::NotUtf8 { .. } | Self::BadText { .. } => Error::InvalidUtf8(message),
            Self::Value { .. } => match format {
                Format::Ndjson => Error::NdjsonBadValue(message),
                Format::Json => Error::JsonBadValue(message),
                Format::Xlsx => Error::XlsxBadValue(message),
                _ => Error::CsvBadValue(message),
            },
            Self::Json { .. } | Self::Twice { .. } => match format {
                Format::Json => Error::JsonBadElement(message),
                _ => Error::NdjsonBadLine(message),
            },
        }
    }

    fn message(&self, format: Format, line: u64) -> String {
        match self {
            Self::Ragged { found, expected } => {
                format!("line {line} has {found} fields, the first row has {expected}")
            }
            Self::BehindQuote { column } => format!(
                "line {line}, field {}: there is text behind the closing quote; a quote within a quoted field is doubled",
                column + 1
            ),
            Self::NeverClosed => format!("the quote that opens in the row of line {line} is never closed"),
            Self::TooLarge => {
                let most = MOST_ROW_BYTES >> 20;
                let why = if format.is_delimited() { ", which a quote that is never closed makes, too" } else { "" };
                format!("the row at line {line} has more than {most} MiB{why}")
            }
            Self::TooSparse => format!(
                "the row at line {line} has lists of nearly empty objects, which together have too many fields to be \
                 structs; `types` declares their column as text"
            ),
            Self::NotUtf8 { column } => {
                format!("line {line}, column `{column}`: the text is not UTF-8; `encoding` tells what it is")
            }
            Self::Value { column, value, wanted } => {
                let text = String::from_utf8_lossy(value);
                let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
                if shown.len() < text.len() {
                    shown.push('…');
                }
                format!("line {line}, column `{column}`: `{shown}` is no {wanted}, which `types` declares")
            }
            Self::BadText { at } => format!("line {line} is not UTF-8 at its byte {at}"),
            Self::Json { at, reason } => format!("line {line}, column {at}: {reason}"),
            Self::Twice { name } => format!("line {line} has the field `{name}` twice"),
        }
    }
}
