//! Which format a file has: by its first bytes where they are unmistakable, then by its name, then by what it looks like.

use super::{super::file_type, avro, columnar, dialect, json, text::Text, xlsx};

/// A format whose headers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Tsv,
    Ndjson,
    Json,
    Parquet,
    Arrow,
    Avro,
    Xlsx,
    Email,
    Mbox,
    Html,
    Markdown,
    /// Of this type.
    Image(&'static str),
}

impl Format {
    /// Every format's name; that of an image is its type's.
    pub const NAMES: [&str; 13] = [
        "csv", "tsv", "ndjson", "json", "parquet", "arrow", "avro", "xlsx", "email", "mbox", "html", "markdown",
        "image",
    ];

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Avro => "avro",
            Self::Xlsx => "xlsx",
            Self::Email => "email",
            Self::Mbox => "mbox",
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Image(name) => name,
        }
    }

    /// What an extension says.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let dot = name.iter().rposition(|&byte| byte == b'.')?;
        match name[dot + 1..].to_ascii_lowercase().as_slice() {
            b"csv" => Some(Self::Csv),
            b"tsv" | b"tab" => Some(Self::Tsv),
            b"ndjson" | b"jsonl" => Some(Self::Ndjson),
            b"json" => Some(Self::Json),
            b"parquet" => Some(Self::Parquet),
            b"arrow" | b"feather" | b"ipc" => Some(Self::Arrow),
            b"avro" => Some(Self::Avro),
            b"xlsx" | b"xlsm" => Some(Self::Xlsx),
            b"eml" => Some(Self::Email),
            b"mbox" => Some(Self::Mbox),
            b"html" | b"htm" | b"xhtml" => Some(Self::Html),
            b"md" | b"markdown" => Some(Self::Markdown),
            _ => None,
        }
    }
}

/// First bytes that [`of_magic`] goes by.
pub const MAGIC_BYTES: u64 = 4 << 10;

/// Tell the format of a file whose bytes, not its text, are looked at.
pub fn of_magic(start: &[u8]) -> Option<Format> {
    let magics = [
        (&columnar::PARQUET_MAGIC[..], Format::Parquet),
        (&columnar::ARROW_MAGIC, Format::Arrow),
        (&avro::MAGIC, Format::Avro),
        (&xlsx::ZIP_MAGIC, Format::Xlsx),
    ];
    let found = magics.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, format)| format);
    found.or_else(|| {
        let found = file_type::of_magic(start).filter(|found| found.media_type.starts_with("image/"))?;
        (!["djvu", "fits"].contains(&found.name)).then_some(Format::Image(found.name))
    })
}

/// Tell the format of a file from its name, without extensions of compression, and its text.
pub fn detect(name: &[u8], text: &Text<'_>) -> Option<Format> {
    if let Some(format) = of_magic(&text.bytes) {
        return Some(format);
    }
    let named = Format::of_name(name);
    if matches!(named, Some(Format::Parquet | Format::Arrow | Format::Avro | Format::Xlsx)) {
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
        (None, None) => match file_type::of(name, text).name {
            "email" => Some(Format::Email),
            "mbox" => Some(Format::Mbox),
            "html" => Some(Format::Html),
            _ => match dialect::of_unnamed(text)?.delimiter {
                b'\t' => Some(Format::Tsv),
                _ => Some(Format::Csv),
            },
        },
    }
}
