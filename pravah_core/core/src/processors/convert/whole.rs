//! Reads Parquet and Arrow files, whose directory is at their end: they lie in memory whole before the first row.
//!
//! Dictionaries and runs become plain columns: a table has no values that are stored elsewhere.

use std::{
    any::Any,
    io::Cursor,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_cast::cast;
use arrow_ipc::reader::FileReader;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use bytes::{Bytes, BytesMut};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, errors::ParquetError};

use super::{TableReader, cells::BATCH_ROWS, format::Format};
use crate::{Error, Result};

/// Bytes of a file, at most.
pub const MOST_FILE_BYTES: u64 = i32::MAX as u64;

/// Reads a file that lies in memory.
pub struct WholeReader {
    format: Format,
    file: BytesMut,
    table: Option<Table>,
}

type Batches = Box<dyn RecordBatchReader + Send>;

/// A file that was opened.
struct Table {
    batches: Batches,
    /// Its columns without dictionaries.
    schema: SchemaRef,
    /// What remains of the last batch.
    rest: Option<RecordBatch>,
}

impl WholeReader {
    /// Take a file of this format, whose size is known or not.
    pub fn new(format: Format, size_bytes: Option<u64>) -> Result<Self> {
        let size_bytes = size_bytes.unwrap_or_default();
        check_size(size_bytes)?;
        Ok(Self { format, file: BytesMut::with_capacity(size_bytes as usize), table: None })
    }
}

impl TableReader for WholeReader {
    fn push(&mut self, piece: Bytes) -> Result<()> {
        check_size((self.file.len() + piece.len()) as u64)?;
        self.file.extend_from_slice(&piece);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let file = std::mem::take(&mut self.file).freeze();
        let format = self.format;
        let batches = contained(|| open(format, file))?;
        let whole = batches.schema();
        if whole.fields().is_empty() {
            return Err(Error::NoColumns("the file has no columns".to_owned()));
        }
        let fields: Vec<_> = whole.fields().iter().map(plain_field).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, whole.metadata().clone()));
        self.table = Some(Table { batches, schema, rest: None });
        Ok(())
    }

    fn schema(&self) -> Option<SchemaRef> {
        self.table.as_ref().map(|table| Arc::clone(&table.schema))
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        self.table.as_mut().map_or(Ok(None), Table::next)
    }
}

impl Table {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let next = match self.rest.take() {
            Some(rest) => Some(rest),
            None => contained(|| self.batches.next().transpose().map_err(unreadable))?,
        };
        let Some(batch) = next else { return Ok(None) };
        let rows = batch.num_rows().min(BATCH_ROWS);
        if rows < batch.num_rows() {
            self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        contained(|| plain(&batch.slice(0, rows), &self.schema)).map(Some)
    }
}

fn check_size(size_bytes: u64) -> Result<()> {
    if size_bytes > MOST_FILE_BYTES {
        return Err(Error::UnsupportedInput(format!(
            "the file has {size_bytes} bytes or more, and lies in memory while it is converted: at most \
             {MOST_FILE_BYTES} can"
        )));
    }
    Ok(())
}

fn open(format: Format, file: Bytes) -> Result<Batches> {
    if format == Format::Arrow {
        return Ok(Box::new(FileReader::try_new(Cursor::new(file), None).map_err(unreadable)?));
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable_parquet)?;
    Ok(Box::new(builder.with_batch_size(BATCH_ROWS).build().map_err(unreadable_parquet)?))
}

fn unreadable_parquet(error: ParquetError) -> Error {
    match error {
        ParquetError::NYI(told) => Error::UnsupportedInput(format!("the file is not readable yet: {told}")),
        ParquetError::EOF(told) => Error::TruncatedInput(format!("the file is cut off: {told}")),
        error => Error::CorruptInput(format!("the file is damaged: {error}")),
    }
}

fn unreadable(error: ArrowError) -> Error {
    match error {
        // The libraries have no error of its own for columns that 32-bit offsets can't hold.
        error if error.to_string().contains("index overflow decoding") => Error::UnsupportedInput(format!(
            "{BATCH_ROWS} rows of the file have more than 2 GiB in one column: {error}"
        )),
        ArrowError::NotYetImplemented(told) => Error::UnsupportedInput(format!("the file is not readable yet: {told}")),
        error => Error::CorruptInput(format!("the file is damaged: {error}")),
    }
}

/// Call a library that panics on some damaged files; that is then what the file's error says.
fn contained<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // After an error the reader is only dropped.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let told = message(payload.as_ref());
        Err(Error::CorruptInput(format!("the file is damaged: its reader gave up with `{told}`")))
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Give the batch without dictionaries and runs.
fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast(column, field.data_type()).map_err(unreadable)
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_>>()?).map_err(unreadable)
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let data_type = plain_type(field.data_type());
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    let plain = Field::new(field.name(), data_type, field.is_nullable());
    Arc::new(plain.with_metadata(field.metadata().clone()))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(field) => DataType::List(plain_field(field)),
        DataType::LargeList(field) => DataType::LargeList(plain_field(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(plain_field(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(field, sorted) => DataType::Map(plain_field(field), *sorted),
        other => other.clone(),
    }
}
