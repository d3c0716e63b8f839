//! The formats of tables, told by the extension of a name; where that tells none, those that are no text by their first
//! bytes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::avro::MAGIC;
use crate::naming::extensions;

/// Bytes that [`Format::of_magic`] goes by.
pub const MAGIC_BYTES: usize = 8;

/// A format that tables are read from and written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values (RFC 4180)
    Csv,
    /// The same with tabs
    Tsv,
    /// One JSON object a line
    Ndjson,
    /// An array of JSON objects
    Json,
    /// Apache Parquet
    Parquet,
    /// The file format of Arrow IPC, which Feather 2 is too
    Arrow,
    /// Apache Avro's object container files
    Avro,
    /// One sheet of a workbook of Excel; only read
    Xlsx,
}

impl Format {
    /// What the names of its files end with.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => ".csv",
            Self::Tsv => ".tsv",
            Self::Ndjson => ".ndjson",
            Self::Json => ".json",
            Self::Parquet => ".parquet",
            Self::Arrow => ".arrow",
            Self::Avro => ".avro",
            Self::Xlsx => ".xlsx",
        }
    }

    /// Tell the format by a name; extensions of codecs behind that of the format are passed over.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let (_, all) = extensions::split(name);
        let first = all.get(1..)?.split(|&byte| byte == b'.').next()?;
        match first.to_ascii_lowercase().as_slice() {
            b"csv" => Some(Self::Csv),
            b"tsv" | b"tab" => Some(Self::Tsv),
            b"ndjson" | b"jsonl" => Some(Self::Ndjson),
            b"json" => Some(Self::Json),
            b"parquet" | b"pq" => Some(Self::Parquet),
            b"arrow" | b"feather" | b"ipc" => Some(Self::Arrow),
            b"avro" => Some(Self::Avro),
            b"xlsx" | b"xlsm" => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// Tell a format that is no text by a file's first bytes.
    pub fn of_magic(start: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Self); 3] = [(b"PAR1", Self::Parquet), (b"ARROW1\0\0", Self::Arrow), (&MAGIC, Self::Avro)];
        magics.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, format)| format)
    }

    /// Whether it is text, which is read row by row; the others have types of their own.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Ndjson | Self::Json)
    }

    /// Whether the types of its columns are found in their values.
    pub fn has_inferred_types(self) -> bool {
        self.is_text() || self == Self::Xlsx
    }

    /// Whether its rows are lines of fields.
    pub fn is_delimited(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv)
    }
}

/// Name what becomes of a file: its stem with the extension of the format.
pub fn renamed(name: &[u8], format: Format) -> Vec<u8> {
    let (stem, _) = extensions::split(name);
    [stem, format.extension().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_format_is_told_by_the_extension_before_that_of_a_codec() {
        for (name, format) in [
            ("a.csv", Some(Format::Csv)),
            ("a.b.CSV.gz", Some(Format::Csv)),
            ("a.tsv", Some(Format::Tsv)),
            ("a.jsonl.zst", Some(Format::Ndjson)),
            ("a.pq", Some(Format::Parquet)),
            ("a.json", Some(Format::Json)),
            ("a.feather", Some(Format::Arrow)),
            ("a.avro", Some(Format::Avro)),
            ("a.xlsm", Some(Format::Xlsx)),
            ("a.csv.bak", None),
            ("a.gz", None),
            ("csv", None),
            (".csv", None),
        ] {
            assert_eq!(Format::of_name(name.as_bytes()), format, "{name}");
        }
    }

    #[test]
    fn test_names_get_the_extension_of_the_format() {
        for (name, output) in [
            ("a.csv", "a.parquet"),
            ("a.b.csv", "a.b.parquet"),
            ("a.csv.gz", "a.parquet"),
            ("table", "table.parquet"),
            ("v1.2", "v1.2.parquet"),
        ] {
            assert_eq!(renamed(name.as_bytes(), Format::Parquet), output.as_bytes(), "{name}");
        }
    }
}
