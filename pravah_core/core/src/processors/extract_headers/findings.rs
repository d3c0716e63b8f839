//! What has been found of a table, and the record that it becomes once the file's size is known.

use serde_json::{Map, Value, json};

use super::{format::Format, text::Text};

/// What was found of a table.
pub struct Findings {
    pub format: Format,
    pub compression: Option<&'static str>,
    /// How its text is encoded, and whether a mark of that stands before it; none where it is no text.
    pub encoding: Option<(&'static str, bool)>,
    /// Delimiter and quote.
    pub dialect: Option<(u8, u8)>,
    /// Whether the first row looks like names; none: it can't be told, or the format has no such row.
    pub header_likely: Option<bool>,
    /// Names and types, in order.
    pub columns: Vec<(String, String)>,
    pub rows: Rows,
}

/// What is known of the number of rows.
pub enum Rows {
    /// It has so many.
    Exact(u64),
    /// It has about so many.
    Estimated(u64),
    /// So many were in the part of the text that was seen.
    Seen(Seen),
    /// Nothing.
    Unknown,
}

/// A part of a text, and the rows in it.
pub struct Seen {
    pub rows: u64,
    /// Bytes of text before the first row.
    pub before_bytes: u64,
    /// Bytes of text up to the end of the last one.
    pub until_bytes: u64,
    /// Bytes of text that so many bytes of the file gave.
    pub text_bytes: u64,
    pub file_bytes: u64,
}

impl Seen {
    /// The rows of a file of this size, if the rest of it is like the part.
    fn estimate(&self, size_bytes: u64) -> Option<u64> {
        let text = u128::from(size_bytes) * u128::from(self.text_bytes) / u128::from(self.file_bytes.max(1));
        let of_rows = u128::from(self.until_bytes.saturating_sub(self.before_bytes));
        let all = text.saturating_sub(u128::from(self.before_bytes));
        // To the nearest number; there is at least what was seen.
        let rows = (u128::from(self.rows) * all + of_rows / 2).checked_div(of_rows)?;
        (self.rows > 0).then(|| u64::try_from(rows).unwrap_or(u64::MAX).max(self.rows))
    }
}

impl Rows {
    /// What so many rows of a text tell, of which the first begins and the last ends at these bytes.
    pub fn of(text: &Text<'_>, rows: u64, before_bytes: usize, until_bytes: usize) -> Self {
        if text.is_whole {
            return Self::Exact(rows);
        }
        Self::Seen(Seen {
            rows,
            before_bytes: before_bytes as u64,
            until_bytes: until_bytes as u64,
            text_bytes: text.bytes.len() as u64,
            file_bytes: text.file_bytes,
        })
    }
}

impl Findings {
    /// Tell it of a file of this size.
    pub fn record(self, size_bytes: u64) -> Map<String, Value> {
        let (row_estimate, exact) = match &self.rows {
            Rows::Exact(rows) => (Some(*rows), true),
            Rows::Estimated(rows) => (Some(*rows), false),
            Rows::Seen(seen) => (seen.estimate(size_bytes), false),
            Rows::Unknown => (None, false),
        };
        let letter = |byte: u8| char::from(byte).to_string();
        let columns = self.columns.into_iter().map(|(name, kind)| json!({"name": name, "type": kind}));
        Map::from_iter(
            [
                ("format", json!(self.format.name())),
                ("compression", json!(self.compression)),
                ("encoding", json!(self.encoding.map(|(name, _)| name))),
                ("bom", json!(self.encoding.map(|(_, is_marked)| is_marked))),
                ("delimiter", json!(self.dialect.map(|(delimiter, _)| letter(delimiter)))),
                ("quote", json!(self.dialect.map(|(_, quote)| letter(quote)))),
                ("header_likely", json!(self.header_likely)),
                ("columns", Value::from_iter(columns)),
                ("row_estimate", json!(row_estimate)),
                ("exact", json!(exact)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        )
    }
}
