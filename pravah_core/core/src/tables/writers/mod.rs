//! Writes batches in a format. Bytes depend on the batches alone: no times, no version of a library's own.
//!
//! - `delimited`, `json`, `arrow`, `avro`, `parquet`: the formats
//! - `encoding`: how columns of Parquet are encoded; `sorted`: the order that it tells of; `text_form`, `instants`: values as text

mod arrow;
mod avro;
mod delimited;
mod encoding;
mod instants;
mod json;
mod parquet;
mod sorted;
mod text_form;

use std::collections::VecDeque;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};

use self::{
    arrow::ArrowFileWriter, avro::AvroWriter, delimited::DelimitedWriter, json::JsonWriter, parquet::ParquetWriter,
};
use super::{Format, WriteOptions};
use crate::{
    Error, Result,
    processors::{Event, Made},
};

pub use parquet::ROW_GROUP_BYTES;
pub(crate) use text_form::texts;

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
        Format::Avro => Box::new(AvroWriter::new(schema, options)?),
        Format::Xlsx => {
            let told = "xlsx is only read; a `convert` says in which format rows are written";
            return Err(Error::UnsupportedInput(told.to_owned()));
        }
        Format::Parquet => Box::new(ParquetWriter::new(schema, options)?),
    })
}

/// Writes one table outside of a pipeline: what there are blocks is done at once.
pub struct Encoder(Box<dyn TableWriter>);

impl Encoder {
    /// Begin a table with these columns, written as by `convert` without parameters.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self> {
        open(format, &WriteOptions::default(), schema).map(Self)
    }

    /// Take the next batch; gives the bytes that it has completed.
    pub fn write(&mut self, batch: RecordBatch) -> Result<Vec<u8>> {
        let mut output = VecDeque::new();
        self.0.write(batch, &mut output)?;
        made(output)
    }

    /// Take the end of the table; gives the rest of its bytes.
    pub fn end(&mut self) -> Result<Vec<u8>> {
        let mut output = VecDeque::new();
        self.0.end(&mut output)?;
        made(output)
    }
}

fn made(output: VecDeque<Event>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for event in output {
        match event {
            Event::Bytes(piece) => bytes.extend_from_slice(&piece),
            Event::Block(block) => match block.run()? {
                Made::Bytes(piece) => bytes.extend_from_slice(&piece),
                Made::Turn(turn) => bytes.extend(made(turn()?.into())?),
            },
            _ => {}
        }
    }
    Ok(bytes)
}

/// Bytes that the rows of a batch take, as far as they are its own.
pub(crate) fn slice_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

fn unwritable(error: ArrowError) -> Error {
    Error::UnsupportedInput(format!("the table can't be written in this format: {error}"))
}
