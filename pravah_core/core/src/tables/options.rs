//! How tables are read and written: what steps say of it, checked.

use std::{collections::BTreeMap, sync::Arc};

use parquet::basic::{BrotliLevel, Compression as ParquetCompression, GzipLevel, ZstdLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Format, xlsx::SheetChoice};
use crate::processors::ColumnType;

/// The types that the user has declared, by column.
pub type Declared = BTreeMap<String, ColumnType>;

/// How a file becomes rows.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// None: the extension of each file's name tells.
    pub format: Option<Format>,
    /// What delimited text looks like.
    pub delimited: Delimited,
    /// The encoding of text; none: UTF-8, or what a mark at its beginning says.
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// Types that shall not be inferred.
    pub types: Declared,
    /// What lists and objects in JSON become.
    pub nested: Nested,
    /// What becomes of rows that can't be read.
    pub bad_rows: BadRows,
    /// Which sheet of a workbook is read; none: the first one.
    pub sheet: Option<SheetChoice>,
}

impl ReadOptions {
    /// Whether anything is said that its defaults don't say.
    pub fn is_given(&self) -> bool {
        self.format.is_some()
            || self.encoding.is_some()
            || !self.types.is_empty()
            || self.nested != Nested::Text
            || self.bad_rows != BadRows::Fail
            || self.sheet.is_some()
            || self.delimited.is_read_only_given()
    }
}

/// What delimited text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimited {
    /// Between two fields; none: the first rows tell, of TSV a tab.
    pub delimiter: Option<u8>,
    /// Around a field; none: fields are never quoted.
    pub quote: Option<u8>,
    /// Within quotes, takes the next byte as it is; none: a quote is doubled.
    pub escape: Option<u8>,
    /// What begins a line that is no row.
    pub comment: Option<u8>,
    /// Lines before the header, or before the first row.
    pub skip_lines: u64,
    /// The first row has the names of the columns.
    pub has_header: bool,
}

impl Delimited {
    /// Whether anything is said that is not for writing, too.
    fn is_read_only_given(&self) -> bool {
        let Self { delimiter, has_header, .. } = *self;
        *self != Self { delimiter, has_header, ..Self::default() }
    }
}

impl Default for Delimited {
    fn default() -> Self {
        Self { delimiter: None, quote: Some(b'"'), escape: None, comment: None, skip_lines: 0, has_header: true }
    }
}

/// What lists and objects become that are read from JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nested {
    /// Text, which is their JSON
    #[default]
    Text,
    /// Lists and structs, whose parts have types as columns have them
    Structs,
}

/// What becomes of a row that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BadRows {
    /// The file fails at the first one
    #[default]
    Fail,
    /// They are left out, counted, and the first 100 of a file are told in the results
    Drop,
    /// They are left out, and each is kept in the results with its line, its reason and its text
    Quarantine,
}

/// How rows become a file.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// None: the format that was read.
    pub format: Option<Format>,
    /// Between two fields of CSV.
    pub delimiter: u8,
    /// Whether delimited text begins with the names of the columns.
    pub has_header: bool,
    /// How Parquet pages and blocks of Avro are compressed; none: as their writers do where nothing is said.
    pub compression: Option<Compression>,
    /// Rows of a row group of Parquet, at most.
    pub row_group_rows: usize,
    /// What Parquet tells of the values in its parts.
    pub statistics: Statistics,
    /// Columns that the rows are sorted by, as Parquet tells then.
    pub sorted_by: Arc<[String]>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: b',',
            has_header: true,
            compression: None,
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
            statistics: Statistics::Page,
            sorted_by: Arc::default(),
        }
    }
}

/// Rows of a row group: some MiB of common tables, so that several are encoded at once in bounded memory. DuckDB's
/// default is 122,880.
pub const DEFAULT_ROW_GROUP_ROWS: usize = 131_072;

/// What a Parquet file tells of the values in its parts, so that readers skip those that they don't want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistics {
    /// Nothing
    None,
    /// The least and the greatest value, and the number of nulls, of each column of a row group
    Chunk,
    /// The same, and of each page
    Page,
}

/// How Parquet pages and blocks of Avro are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all
    None,
    /// Snappy, which every reader has
    Snappy,
    /// Zstandard at level 3
    Zstd,
    /// DEFLATE at level 6, for Avro only
    Deflate,
    /// LZ4 blocks, for Parquet only
    Lz4,
    /// gzip at level 6, for Parquet only
    Gzip,
    /// Brotli at level 5, for Parquet only
    Brotli,
}

impl Compression {
    /// Whether files of a format can have it.
    pub fn is_of(self, format: Format) -> bool {
        match format {
            Format::Parquet => self != Self::Deflate,
            Format::Avro => matches!(self, Self::None | Self::Snappy | Self::Zstd | Self::Deflate),
            _ => false,
        }
    }
}

impl From<Compression> for ParquetCompression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::UNCOMPRESSED,
            Compression::Snappy => Self::SNAPPY,
            Compression::Zstd => Self::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()),
            Compression::Lz4 => Self::LZ4_RAW,
            Compression::Gzip | Compression::Deflate => Self::GZIP(GzipLevel::try_new(6).unwrap_or_default()),
            Compression::Brotli => Self::BROTLI(BrotliLevel::try_new(5).unwrap_or_default()),
        }
    }
}
