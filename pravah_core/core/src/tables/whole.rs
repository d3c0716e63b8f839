//! Reads Parquet and Arrow files, whose directory is at their end: they lie in memory whole before the first row.
//!
//! Dictionaries and runs become plain columns: a table has no values that are stored elsewhere.

use std::{
    any::Any,
    collections::VecDeque,
    io::Cursor,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_cast::cast;
use arrow_ipc::reader::FileReader;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use bytes::{Bytes, BytesMut};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};

use super::{BATCH_ROWS, Format, blocks::check_blocks, int96, read::TableReader};
use crate::{
    Error, Result,
    processors::{Block, Event, RowCounts, Turn},
};

/// Bytes of a file, at most.
pub const MOST_FILE_BYTES: u64 = i32::MAX as u64;

/// Row groups that are decoded at once, by any thread, are of this size at most; larger ones come batch by batch.
const PARALLEL_BYTES: i64 = 16 << 20;
/// Of such a group this much is decoded before its turn comes: a few bytes may stand for any number of rows.
const AHEAD_BYTES: usize = 64 << 20;

/// Reads a file that lies in memory.
pub struct WholeReader {
    format: Format,
    file: BytesMut,
    waiting: VecDeque<Event>,
    /// What is read batch by batch.
    batches: Option<Batches>,
    /// What was read and has not been given: a few bytes may stand for any number of rows.
    rest: RecordBatch,
    schema: SchemaRef,
    rows: u64,
    is_open: bool,
}

type Batches = Box<dyn RecordBatchReader + Send>;

impl WholeReader {
    /// Take a file of this format, whose size is known or not.
    pub fn new(format: Format, size_bytes: Option<u64>) -> Result<Self> {
        let size_bytes = size_bytes.unwrap_or_default();
        check_size(size_bytes)?;
        let file = BytesMut::with_capacity(size_bytes as usize);
        let (waiting, schema) = (VecDeque::new(), Arc::new(Schema::empty()));
        let rest = RecordBatch::new_empty(Arc::clone(&schema));
        Ok(Self { format, file, waiting, batches: None, rest, schema, rows: 0, is_open: false })
    }

    /// Begin with the columns: without dictionaries, as the batches will be.
    fn begin(&mut self, whole: &Schema) -> Result<()> {
        if whole.fields().is_empty() {
            return Err(Error::NoColumns("the file has no columns".to_owned()));
        }
        let fields: Vec<_> = whole.fields().iter().map(plain_field).collect();
        self.schema = Arc::new(Schema::new_with_metadata(fields, whole.metadata().clone()));
        self.waiting.push_back(Event::Table(RecordBatch::new_empty(Arc::clone(&self.schema))));
        self.is_open = true;
        Ok(())
    }

    fn open_arrow(&mut self, file: Bytes) -> Result<()> {
        check_blocks(&file)?;
        let reader = contained(|| FileReader::try_new(Cursor::new(file), None).map_err(unreadable))?;
        self.begin(&reader.schema())?;
        self.batches = Some(Box::new(reader));
        Ok(())
    }

    /// Open a Parquet file; row groups that are small are blocks of their own.
    fn open_parquet(&mut self, file: Bytes) -> Result<()> {
        let options = ArrowReaderOptions::new();
        let metadata = contained(|| ArrowReaderMetadata::load(&file, options).map_err(unreadable_parquet))?;
        self.begin(metadata.schema())?;
        let groups = metadata.metadata().row_groups();
        let told = metadata.metadata().file_metadata().num_rows();
        let counted: i64 = groups.iter().map(|group| group.num_rows()).sum();
        if told != counted {
            // Its reader would believe the smaller one, in silence.
            return Err(Error::CorruptInput(format!(
                "the file is damaged: its footer tells of {told} rows, its row groups of {counted}"
            )));
        }
        if let Some(column) = contained(|| int96::beyond(&file, &metadata).map_err(unreadable_parquet))? {
            return Err(Error::UnsupportedInput(format!(
                "the column `{column}` has times of 96 bits beyond the years 1678 to 2261, which 64 bits of \
                 nanoseconds can't hold"
            )));
        }
        if groups.len() < 2 || groups.iter().any(|group| group.total_byte_size() > PARALLEL_BYTES) {
            let all = (0..groups.len()).collect();
            self.batches = Some(contained(|| parquet_batches(file, metadata, all))?);
            return Ok(());
        }
        for (group, told) in groups.iter().enumerate() {
            self.rows += u64::try_from(told.num_rows()).unwrap_or_default();
            let (file, metadata, schema) = (file.clone(), metadata.clone(), Arc::clone(&self.schema));
            self.waiting.push_back(Event::Block(Block::in_parts(move || {
                let batches = contained(|| parquet_batches(file, metadata, vec![group]))?;
                let first = contained(|| read_ahead(batches, schema))?;
                Ok(Box::new(move || Ok(first)) as Turn)
            })));
        }
        Ok(())
    }
}

impl TableReader for WholeReader {
    fn push(&mut self, bytes: Bytes) -> Result<()> {
        check_size((self.file.len() + bytes.len()) as u64)?;
        self.file.extend_from_slice(&bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let file = std::mem::take(&mut self.file).freeze();
        match self.format {
            Format::Parquet => self.open_parquet(file),
            _ => self.open_arrow(file),
        }
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if let Some(event) = self.waiting.pop_front() {
            return Ok(Some(event));
        }
        while self.rest.num_rows() == 0 {
            let Some(batches) = &mut self.batches else { break };
            match contained(|| batches.next().transpose().map_err(unreadable))? {
                Some(batch) => self.rest = batch,
                None => self.batches = None,
            }
        }
        if self.rest.num_rows() > 0 {
            let batch = first_rows(&mut self.rest);
            self.rows += batch.num_rows() as u64;
            return Ok(Some(Event::Table(contained(|| plain(&batch, &self.schema))?)));
        }
        if !std::mem::take(&mut self.is_open) {
            return Ok(None);
        }
        Ok(Some(Event::Rows(RowCounts { input: self.rows, ..RowCounts::default() })))
    }
}

/// Read some row groups.
fn parquet_batches(file: Bytes, metadata: ArrowReaderMetadata, groups: Vec<usize>) -> Result<Batches> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let builder = builder.with_batch_size(BATCH_ROWS).with_row_groups(groups);
    Ok(Box::new(builder.build().map_err(unreadable_parquet)?))
}

/// Read batches until they have taken enough memory, and leave those behind them to a block.
fn read_ahead(mut batches: Batches, schema: SchemaRef) -> Result<Vec<Event>> {
    let (mut events, mut ahead_bytes) = (Vec::new(), 0);
    while ahead_bytes < AHEAD_BYTES {
        let Some(batch) = batches.next() else { return Ok(events) };
        let batch = plain(&batch.map_err(unreadable)?, &schema)?;
        ahead_bytes += batch.get_array_memory_size() + batch.num_rows(); // rows of nulls take no memory, tables do
        events.push(Event::Table(batch));
    }
    events.push(Event::Block(Block::events_in_turn(move || contained(|| read_ahead(batches, schema)))));
    Ok(events)
}

/// Take the first rows of a batch, of which as many are left as there are behind them.
fn first_rows(rest: &mut RecordBatch) -> RecordBatch {
    let rows = BATCH_ROWS.min(rest.num_rows());
    let first = rest.slice(0, rows);
    *rest = rest.slice(rows, rest.num_rows() - rows);
    first
}

/// Refuse a file that is too large to lie in memory.
pub fn check_size(size_bytes: u64) -> Result<()> {
    if size_bytes > MOST_FILE_BYTES {
        return Err(Error::UnsupportedInput(format!(
            "the file has {size_bytes} bytes or more, and lies in memory while it is converted: at most \
             {MOST_FILE_BYTES} can"
        )));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, NullArray};
    use arrow_ipc::writer::FileWriter;
    use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

    use super::*;
    use crate::processors::Made;

    fn reader_of(batches: &[RecordBatch]) -> WholeReader {
        let mut file = Vec::new();
        let mut writer = FileWriter::try_new(&mut file, &batches[0].schema()).expect("a writer");
        batches.iter().for_each(|batch| writer.write(batch).expect("a batch"));
        writer.finish().expect("a file");
        drop(writer);
        let mut reader = WholeReader::new(Format::Arrow, None).expect("a reader");
        reader.push(file.into()).expect("it has room");
        reader.end().expect("an Arrow file");
        reader
    }

    fn rows_of(event: Option<Event>) -> usize {
        let Some(Event::Table(batch)) = event else { panic!("no table, but {event:?}") };
        batch.num_rows()
    }

    #[test]
    fn test_batch_of_a_trillion_rows_is_given_in_pieces() {
        let nothing: Arc<NullArray> = Arc::new(NullArray::new(1 << 40));
        let mut reader = reader_of(&[RecordBatch::try_from_iter([("nothing", nothing as _)]).expect("a batch")]);
        let rows: Vec<_> = (0..3).map(|_| rows_of(reader.pull().expect("a table"))).collect();
        assert_eq!(rows, [0, BATCH_ROWS, BATCH_ROWS]);
    }

    #[test]
    fn test_rows_behind_a_batch_without_any_are_counted() {
        let numbers = |values: Vec<i64>| {
            RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(values)) as _)]).expect("a batch")
        };
        let mut reader = reader_of(&[numbers(vec![]), numbers(vec![1, 2]), numbers(vec![]), numbers(vec![3])]);
        let rows: Vec<_> = (0..3).map(|_| rows_of(reader.pull().expect("a table"))).collect();
        assert_eq!(rows, [0, 2, 1]);
        let Ok(Some(Event::Rows(counts))) = reader.pull() else { panic!("no rows are told") };
        assert_eq!(counts.input, 3);
        assert!(reader.pull().expect("an end").is_none());
    }

    #[test]
    fn test_row_group_of_few_bytes_and_many_rows_is_decoded_in_pieces() {
        let rows = 10_000_000;
        let numbers = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![7; rows])) as _)]);
        let (mut file, numbers) = (Vec::new(), numbers.expect("a batch"));
        let options = WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build();
        let mut writer = ArrowWriter::try_new(&mut file, numbers.schema(), Some(options)).expect("a writer");
        for _ in 0..2 {
            writer.write(&numbers).expect("rows");
            writer.flush().expect("a group");
        }
        writer.close().expect("a file");
        let mut reader = WholeReader::new(Format::Parquet, None).expect("a reader");
        reader.push(file.into()).expect("it has room");
        reader.end().expect("a Parquet file");
        rows_of(reader.pull().expect("the columns"));
        let (mut read_rows, mut pieces) = (0, 0);
        let mut next = reader.pull().expect("a block");
        while let Some(Event::Block(block)) = next.take() {
            let Made::Turn(turn) = block.run().expect("it is sound") else { panic!("no turn") };
            let piece_rows = read_rows;
            for event in turn().expect("it is sound") {
                match event {
                    Event::Table(batch) => read_rows += batch.num_rows(),
                    block => next = Some(block),
                }
            }
            assert!((read_rows - piece_rows) * size_of::<i64>() <= AHEAD_BYTES + (1 << 20));
            pieces += 1;
        }
        assert_eq!((read_rows, pieces), (rows, 2));
    }
}
