//! What is found of a file that is no table: of e-mail, HTML, Markdown and images.

use serde_json::{Map, Value, json};

use super::text::Text;

/// Headings, fields and the like of one file that are told.
pub const MOST_FOUND: usize = 1_000;

/// Letters of one text that are told.
const MOST_LETTERS: usize = 2_000;

/// What was found.
pub struct Document {
    pub format: &'static str,
    pub compression: Option<&'static str>,
    /// How its text is encoded; none where it is no text.
    pub encoding: Option<&'static str>,
    /// What its format has, by name.
    pub found: Vec<(&'static str, Value)>,
    /// Whether all of it was looked at.
    pub exact: bool,
}

impl Document {
    /// A document that was read as text.
    pub fn of(format: &'static str, text: &Text<'_>, found: Vec<(&'static str, Value)>) -> Self {
        let (compression, encoding) = (text.compression, Some(text.encoding));
        Self { format, compression, encoding, found, exact: text.is_whole }
    }

    /// What the dataset gets.
    pub fn record(self) -> Map<String, Value> {
        let first = [
            ("format", json!(self.format)),
            ("compression", json!(self.compression)),
            ("encoding", json!(self.encoding)),
        ];
        let all = first.into_iter().chain(self.found).chain([("exact", json!(self.exact))]);
        all.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// A heading.
pub fn heading(level: u8, text: &str) -> Value {
    json!({"level": level, "text": tidy(text)})
}

/// Something with a name.
pub fn named(name: &str, value: &str) -> Value {
    json!({"name": name, "value": tidy(value)})
}

/// A text on one line, cut where it is long.
pub fn tidy(text: &str) -> String {
    let mut tidy = String::new();
    for word in text.split_whitespace() {
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.push_str(word);
        if tidy.len() > MOST_LETTERS {
            break;
        }
    }
    let cut = tidy.char_indices().nth(MOST_LETTERS).map_or(tidy.len(), |(at, _)| at);
    tidy.truncate(cut);
    tidy
}
