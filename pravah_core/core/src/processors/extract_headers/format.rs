//! Which format a file has: by its first bytes where they are unmistakable, then by its name, then by what it looks like.

use super::{columnar, dialect, json, text::Text};

/// A format of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Tsv,
    Ndjson,
    Json,
    Parquet,
    Arrow,
}

impl Format {
    /// Every format's name.
    pub const NAMES: [&str; 6] = ["csv", "tsv", "ndjson", "json", "parquet", "arrow"];

    /// The name in records.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    fn of_name(name: &[u8]) -> Option<Self> {
        let dot = name.iter().rposition(|&byte| byte == b'.')?;
        match name[dot + 1..].to_ascii_lowercase().as_slice() {
            b"csv" => Some(Self::Csv),
            b"tsv" | b"tab" => Some(Self::Tsv),
            b"ndjson" | b"jsonl" => Some(Self::Ndjson),
            b"json" => Some(Self::Json),
            b"parquet" => Some(Self::Parquet),
            b"arrow" | b"feather" | b"ipc" => Some(Self::Arrow),
            _ => None,
        }
    }
}

/// Tell the format of a file from its name, without extensions of compression, and its text.
pub fn detect(name: &[u8], text: &Text<'_>) -> Option<Format> {
    if text.bytes.starts_with(&columnar::PARQUET_MAGIC) {
        return Some(Format::Parquet);
    }
    if text.bytes.starts_with(&columnar::ARROW_MAGIC) {
        return Some(Format::Arrow);
    }
    let named = Format::of_name(name);
    if matches!(named, Some(Format::Parquet | Format::Arrow)) {
        // It says so: that it is not is damage, which its reader tells.
        return named;
    }
    if memchr::memchr(0, &text.bytes).is_some() {
        return None; // No text has a NUL.
    }
    match (named, json::looks_like(&text.bytes)) {
        // One object after the other has this extension as well.
        (Some(Format::Json), Some(format)) => Some(format),
        (Some(named), _) => Some(named),
        (None, Some(format)) => Some(format),
        (None, None) => match dialect::of_unnamed(text)?.delimiter {
            b'\t' => Some(Format::Tsv),
            _ => Some(Format::Csv),
        },
    }
}
