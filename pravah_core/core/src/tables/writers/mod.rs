//! Writes batches in a format. Bytes depend on the batches alone: no times, no version of a library's own.
//!
//! - `delimited`, `json`, `arrow`, `parquet`: the formats
//! - `text_form`: values as text

mod arrow;
mod delimited;
mod json;
mod parquet;
mod text_form;

use std::collections::VecDeque;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};

use self::{arrow::ArrowFileWriter, delimited::DelimitedWriter, json::JsonWriter, parquet::ParquetWriter};
use super::{Format, WriteOptions};
use crate::{Error, Result, processors::Event};

pub use parquet::ROW_GROUP_BYTES;

/// Writes one table; what it writes are bytes, and blocks of bytes.
pub trait TableWriter: Send {
    /// Take the next batch, which may be empty.
    fn write(&mut self, batch: RecordBatch, output: &mut VecDeque<Event>) -> Result<()>;

    /// Take the end of the table.
    fn end(&mut self, output: &mut VecDeque<Event>) -> Result<()>;
}

/// Begin a table with these columns.
pub fn open(format: Format, options: &WriteOptions, schema: &SchemaRef) -> Result<Box<dyn TableWriter>> {
    Ok(match format {
        Format::Csv => Box::new(DelimitedWriter::new(options.delimiter, options.has_header, schema)),
        Format::Tsv => Box::new(DelimitedWriter::new(b'\t', options.has_header, schema)),
        Format::Ndjson => Box::new(JsonWriter::lines(schema)?),
        Format::Json => Box::new(JsonWriter::array(schema)?),
        Format::Arrow => Box::new(ArrowFileWriter::new(schema)?),
        Format::Parquet => Box::new(ParquetWriter::new(schema, options)?),
    })
}

/// Bytes that the rows of a batch take, as far as they are its own.
fn slice_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

fn unwritable(error: ArrowError) -> Error {
    Error::UnsupportedInput(format!("the table can't be written in this format: {error}"))
}
