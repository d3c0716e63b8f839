//! `convert`: reads a table in one format and writes it in another; values are kept, or the file fails.
//!
//! Text is read row by row, Parquet and Arrow files lie in memory whole. Batches are cut by rows and their bytes
//! alone, so the same file gives the same output in whatever pieces it arrives.
//!
//! - `format`: the formats and their names; `step`: one file on its way
//! - `csv_reader`, `ndjson_reader`: text into `cells`; `rows`: what they have in common
//! - `typed`: which types columns have; `columns`: cells into Arrow
//! - `whole`: Parquet and Arrow files; `writers` and `text_form`: every format, written

mod cells;
mod columns;
mod csv_reader;
mod format;
mod ndjson_reader;
mod rows;
mod step;
mod text_form;
mod typed;
mod whole;
mod writers;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::basic::{BrotliLevel, Compression as ParquetCompression, GzipLevel, ZstdLevel};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::{
    cells::MOST_ROW_BYTES,
    csv_reader::Dialect,
    format::{Format, renamed},
    step::ConvertStep,
    typed::{Declared, SAMPLE_WEIGHT},
    whole::MOST_FILE_BYTES,
    writers::{CsvWriter, ParquetWriter, ROW_GROUP_BYTES},
};
pub use self::{ndjson_reader::JsonObject, writers::TableWriter};
use super::{
    Descriptor, Example, Expected, Native, Processor, Sample, Shape, Step,
    parameters::{self, invalid, parse},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "convert", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The format that is written.
    format: Format,
    /// The format that is read; if not given, the extension of each file's name tells.
    #[serde(default)]
    from: Option<Format>,
    /// How Parquet pages are compressed, zstd if not given; for Parquet only.
    #[serde(default)]
    compression: Option<Compression>,
    /// Rows of a Parquet row group, at most, 1,048,576 if not given; it ends sooner at 64 MiB. For Parquet only.
    #[serde(default)]
    #[schemars(range(min = 1))]
    row_group_rows: Option<u64>,
    /// What is between the fields of CSV, read and written: one ASCII character.
    #[serde(default)]
    #[schemars(extend("default" = ","))]
    delimiter: Option<String>,
    /// Whether CSV and TSV begin with the names of the columns, read and written.
    #[serde(default = "default_header")]
    header: bool,
    /// Types of columns of CSV, TSV and NDJSON by name, where they shall not be inferred.
    #[serde(default)]
    types: Declared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Compression {
    /// Not at all
    None,
    /// Snappy, which every reader has
    Snappy,
    /// Zstandard at level 3
    Zstd,
    /// LZ4 blocks
    Lz4,
    /// gzip at level 6
    Gzip,
    /// Brotli at level 5
    Brotli,
}

/// As the Parquet library and Arrow's other writers have it.
const DEFAULT_ROW_GROUP_ROWS: u64 = 1 << 20;

fn default_header() -> bool {
    true
}

/// Write CSV as `convert:csv` does.
pub fn csv_writer(schema: &SchemaRef) -> impl TableWriter + use<> {
    CsvWriter::new(Dialect { delimiter: b',', has_header: true }, Arc::clone(schema))
}

/// Write Parquet as `convert:parquet` does.
pub fn parquet_writer(schema: &SchemaRef) -> Result<impl TableWriter + use<>> {
    let compression = parquet_compression(Compression::Zstd);
    ParquetWriter::new(schema, compression, DEFAULT_ROW_GROUP_ROWS as usize)
}

/// Reads one table. After an error it is only dropped.
trait TableReader: Send {
    /// Take the next bytes of the file.
    fn push(&mut self, piece: Bytes) -> Result<()>;

    /// Take the end of the file.
    fn end(&mut self) -> Result<()>;

    /// The columns, once they are known: before the first batch, and at the end of the file.
    fn schema(&self) -> Option<SchemaRef>;

    /// Give the next batch; none: more of the file is wanted, or all has been given.
    fn pull(&mut self) -> Result<Option<RecordBatch>>;
}

/// The parameters, checked.
#[derive(Debug)]
struct Options {
    format: Format,
    from: Option<Format>,
    compression: ParquetCompression,
    row_group_rows: usize,
    delimiter: u8,
    has_header: bool,
    types: Declared,
}

impl Options {
    /// How a delimited format looks.
    fn dialect(&self, format: Format) -> Dialect {
        let delimiter = if format == Format::Tsv { b'\t' } else { self.delimiter };
        Dialect { delimiter, has_header: self.has_header }
    }
}

struct Convert(Arc<Options>);

fn describe() -> Descriptor {
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "convert tables between CSV, TSV, NDJSON, Parquet and Arrow",
        shape: Shape::Map,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: Some("format"),
        parameters: parameters::schema::<Parameters>(),
        examples: examples(),
    }
}

fn examples() -> Vec<Example> {
    let file = |name, text| Expected::File { name, content: Sample::Text(text), records: Vec::new() };
    vec![
        Example {
            step: "convert:ndjson",
            params: Map::from_iter([("format".to_owned(), json!("ndjson"))]),
            explains: "writes each row as a JSON object, `a.csv` to `a.ndjson`; numbers are numbers, `007` stays text",
            name: "a.csv",
            input: Sample::Text("id,code,price\n1,007,2.5\n2,,\n"),
            expected: file(
                "a.ndjson",
                "{\"id\":1,\"code\":\"007\",\"price\":2.5}\n{\"id\":2,\"code\":null,\"price\":null}\n",
            ),
        },
        Example {
            step: "convert:format=csv,from=ndjson",
            params: Map::from_iter([("format".to_owned(), json!("csv")), ("from".to_owned(), json!("ndjson"))]),
            explains: "reads files of any name as NDJSON; columns are the fields of all lines",
            name: "events.log",
            input: Sample::Text("{\"id\":1}\n{\"id\":2,\"tags\":[\"a\"]}\n"),
            expected: file("events.csv", "id,tags\n1,\n2,\"[\"\"a\"\"]\"\n"),
        },
        Example {
            step: "convert:parquet",
            params: Map::from_iter([("format".to_owned(), json!("parquet"))]),
            explains: "writes Parquet; a row with too few fields fails, as `csv_ragged_row`",
            name: "a.csv",
            input: Sample::Text("id,name\n1\n"),
            expected: Expected::Error("csv_ragged_row"),
        },
    ]
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { format, from, compression, row_group_rows, delimiter, header, types } =
        parse(NATIVE.name, params)?;
    let refuse = |message: String| Err(invalid(NATIVE.name, message));
    for (name, is_given) in [("compression", compression.is_some()), ("row_group_rows", row_group_rows.is_some())] {
        if is_given && format != Format::Parquet {
            return refuse(format!("{name} is for `format: parquet` only"));
        }
    }
    let row_group_rows = row_group_rows.unwrap_or(DEFAULT_ROW_GROUP_ROWS);
    if row_group_rows == 0 {
        return refuse("row_group_rows is 0, 1 or more is expected".to_owned());
    }
    let delimiter = delimiter.unwrap_or_else(|| ",".to_owned());
    let &[byte @ (b'\t' | b' '..=b'~')] = delimiter.as_bytes() else {
        return refuse(format!("delimiter is {delimiter:?}, one ASCII character is expected"));
    };
    if byte == b'"' {
        return refuse("delimiter is `\"`, which is the quote".to_owned());
    }
    Ok(Box::new(Convert(Arc::new(Options {
        format,
        from,
        compression: parquet_compression(compression.unwrap_or(Compression::Zstd)),
        row_group_rows: usize::try_from(row_group_rows).unwrap_or(usize::MAX),
        delimiter: byte,
        has_header: header,
        types,
    }))))
}

fn parquet_compression(compression: Compression) -> ParquetCompression {
    match compression {
        Compression::None => ParquetCompression::UNCOMPRESSED,
        Compression::Snappy => ParquetCompression::SNAPPY,
        Compression::Zstd => ParquetCompression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()),
        Compression::Lz4 => ParquetCompression::LZ4_RAW,
        Compression::Gzip => ParquetCompression::GZIP(GzipLevel::try_new(6).unwrap_or_default()),
        Compression::Brotli => ParquetCompression::BROTLI(BrotliLevel::try_new(5).unwrap_or_default()),
    }
}

impl Processor for Convert {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        let reading = match self.0.from {
            Some(format) if format.is_text() => text_bytes(size_bytes),
            Some(_) => whole_bytes(size_bytes),
            // The name, which tells the format, is not known here. What is too large to lie in memory is text.
            None if size_bytes > MOST_FILE_BYTES && size_bytes != u64::MAX => text_bytes(size_bytes),
            None => text_bytes(size_bytes).max(whole_bytes(size_bytes)),
        };
        reading + writing_bytes(self.0.format, size_bytes) + UNPACKING_BYTES
    }

    /// A few bytes of Parquet may hold any number of rows.
    fn output_bound(&self, _size_bytes: u64) -> u64 {
        u64::MAX
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(ConvertStep::new(Arc::clone(&self.0))))
    }

    fn output_name(&self, name: &[u8]) -> Vec<u8> {
        if self.0.from.is_none() && Format::of_name(name).is_none() {
            // It will fail: its name must not collide with that of a table beside it.
            return [name, self.0.format.extension().as_bytes()].concat();
        }
        renamed(name, self.0.format)
    }

    fn names_can_collide(&self) -> bool {
        true
    }
}

/// What a decoder takes for a source that is compressed: the largest of them, and what it gives at once.
const UNPACKING_BYTES: u64 = 32 << 20;

/// Cells of the sample and of a batch, with the room that growing buffers leave, and columns made of them.
fn text_bytes(size_bytes: u64) -> u64 {
    // Five bytes more for each byte that is a delimiter, twice, and again as numbers of eight bytes.
    let cells = size_bytes.saturating_mul(24).min(3 * SAMPLE_WEIGHT as u64);
    cells + 2 * size_bytes.min(MOST_ROW_BYTES as u64) + FIXED_BYTES
}

/// The file, grown by doubling where its size is not known, and pages and columns of a batch.
fn whole_bytes(size_bytes: u64) -> u64 {
    2 * size_bytes.min(MOST_FILE_BYTES) + DECODED_BYTES
}

/// Pages that are open, and 8,192 rows of them: what common files take. No header tells more before it is read.
const DECODED_BYTES: u64 = 64 << 20;

/// Buffers that any table takes.
const FIXED_BYTES: u64 = 1 << 20;

fn writing_bytes(format: Format, size_bytes: u64) -> u64 {
    let batch = size_bytes.saturating_mul(8).min(2 * cells::BATCH_WEIGHT as u64 + 2 * MOST_ROW_BYTES as u64);
    match format {
        // A row group, and the pages and dictionaries of its columns.
        Format::Parquet => size_bytes.saturating_mul(16).min(2 * ROW_GROUP_BYTES as u64) + batch + FIXED_BYTES,
        _ => 2 * batch + FIXED_BYTES,
    }
}

#[cfg(test)]
mod tests;
