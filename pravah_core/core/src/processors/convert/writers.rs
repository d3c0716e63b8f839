//! Writes batches in a format. Bytes depend on the batches alone: no times, no version of a library's own.

use std::{collections::HashSet, mem, sync::Arc};

use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_ipc::writer::FileWriter;
use arrow_json::writer::make_encoder;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::{arrow::ArrowWriter, basic::Compression, errors::ParquetError, file::properties::WriterProperties};

use super::{
    csv_reader::Dialect,
    text_form::{Texts, json_options, row_field, texts},
};
use crate::{Error, Result};

/// Writes one table.
pub trait TableWriter: Send {
    /// Take the next batch.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Take the end of the table.
    fn end(&mut self) -> Result<()>;

    /// Give what has been written since the last time.
    fn take(&mut self) -> Vec<u8>;
}

/// A row group is written once it has this many bytes, encoded; a file of narrow rows has it by their number.
pub const ROW_GROUP_BYTES: usize = 64 << 20;

/// What a Parquet file says of its writer: fixed, as a release that changes nothing shall change no byte.
const CREATED_BY: &str = "pravah version 1 (build 0)";

/// Writes delimited text.
pub struct CsvWriter {
    dialect: Dialect,
    schema: SchemaRef,
    output: Vec<u8>,
}

impl CsvWriter {
    /// Begin with the header.
    pub fn new(dialect: Dialect, schema: SchemaRef) -> Self {
        let mut output = Vec::new();
        if dialect.has_header {
            let names = schema.fields().iter().map(|field| Some(field.name().as_bytes()));
            write_row(&mut output, dialect.delimiter, names);
        }
        Self { dialect, schema, output }
    }
}

impl TableWriter for CsvWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = self.schema.fields().iter().zip(batch.columns());
        let columns: Vec<Texts> = columns.map(|(field, column)| texts(field, column)).collect::<Result<_>>()?;
        for row in 0..batch.num_rows() {
            write_row(&mut self.output, self.dialect.delimiter, columns.iter().map(|texts| texts.get(row)));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.output)
    }
}

fn write_row<'c>(output: &mut Vec<u8>, delimiter: u8, cells: impl Iterator<Item = Option<&'c [u8]>>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            output.push(delimiter);
        }
        match cell {
            None => {}
            Some(cell) if needs_quotes(cell, delimiter) => {
                output.push(b'"');
                for (at, part) in cell.split(|&byte| byte == b'"').enumerate() {
                    output.extend_from_slice(if at > 0 { b"\"\"" } else { b"" });
                    output.extend_from_slice(part);
                }
                output.push(b'"');
            }
            Some(cell) => output.extend_from_slice(cell),
        }
    }
    output.push(b'\n');
}

/// Empty text would be a null, and a mark at the beginning of the file no text.
fn needs_quotes(cell: &[u8], delimiter: u8) -> bool {
    let is_special = |&byte: &u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    cell.is_empty() || cell.iter().any(is_special) || cell.starts_with("\u{feff}".as_bytes())
}

/// Writes one JSON object a line.
pub struct NdjsonWriter {
    schema: SchemaRef,
    output: Vec<u8>,
}

impl NdjsonWriter {
    /// Begin; objects can't have a name twice.
    pub fn new(schema: SchemaRef) -> Result<Self> {
        let mut names = HashSet::new();
        if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
            let message = format!("two columns are called `{}`, which a JSON object can't have", twice.name());
            return Err(Error::UnsupportedInput(message));
        }
        Ok(Self { schema, output: Vec::new() })
    }
}

impl TableWriter for NdjsonWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let fields = self.schema.fields();
        let rows: ArrayRef = Arc::new(StructArray::from(batch.clone()));
        let (field, options) = (row_field(fields), json_options());
        let mut encoder = make_encoder(&field, &rows, &options).map_err(unwritable_table)?;
        for row in 0..rows.len() {
            encoder.encode(row, &mut self.output);
            self.output.push(b'\n');
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.output)
    }
}

/// Writes the file format of Arrow IPC, uncompressed.
pub struct ArrowFileWriter(FileWriter<Vec<u8>>);

impl ArrowFileWriter {
    /// Begin with the schema.
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        FileWriter::try_new(Vec::new(), schema).map(Self).map_err(unwritable_table)
    }
}

impl TableWriter for ArrowFileWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(unwritable_table)
    }

    fn end(&mut self) -> Result<()> {
        self.0.finish().map_err(unwritable_table)
    }

    fn take(&mut self) -> Vec<u8> {
        mem::take(self.0.get_mut())
    }
}

/// Writes Parquet.
pub struct ParquetWriter {
    /// None once it has ended.
    writer: Option<ArrowWriter<Vec<u8>>>,
    output: Vec<u8>,
}

impl ParquetWriter {
    /// Begin with the schema; row groups have so many rows at most.
    pub fn new(schema: &SchemaRef, compression: Compression, row_group_rows: usize) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(row_group_rows))
            .set_created_by(CREATED_BY.to_owned())
            .build();
        let writer =
            ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties)).map_err(unwritable_parquet)?;
        Ok(Self { writer: Some(writer), output: Vec::new() })
    }

    fn writer(&mut self) -> Result<&mut ArrowWriter<Vec<u8>>> {
        self.writer.as_mut().ok_or_else(|| Error::InvalidPlan("a batch came behind the end".to_owned()))
    }
}

impl TableWriter for ParquetWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let writer = self.writer()?;
        writer.write(batch).map_err(unwritable_parquet)?;
        if writer.in_progress_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(unwritable_parquet)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        self.output = writer.into_inner().map_err(unwritable_parquet)?;
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        match &mut self.writer {
            // The writer counts what it has written by itself.
            Some(writer) => mem::take(writer.inner_mut()),
            None => mem::take(&mut self.output),
        }
    }
}

fn unwritable_table(error: ArrowError) -> Error {
    Error::UnsupportedInput(format!("the table can't be written in this format: {error}"))
}

fn unwritable_parquet(error: ParquetError) -> Error {
    Error::UnsupportedInput(format!("the table can't be written as Parquet: {error}"))
}
