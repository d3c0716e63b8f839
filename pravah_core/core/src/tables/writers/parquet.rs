//! Writes Parquet: row groups are encoded by any thread, and put into the file in order.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves},
    },
    basic::Compression,
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::SerializedFileWriter,
    },
    schema::types::ColumnPath,
};

use super::{TableWriter, encoding, sorted::SortedBy};
use crate::{
    Error, Result,
    processors::{Block, Event, Turn},
    tables::{Compression as Given, Statistics, WriteOptions},
};

/// A row group ends with the batch that reaches this size in memory.
pub const ROW_GROUP_BYTES: usize = 32 << 20;

/// What a Parquet file says of its writer: fixed, as a release that changes nothing shall change no byte.
const CREATED_BY: &str = "pravah version 1 (build 0)";

/// Writes one file.
pub struct ParquetWriter {
    schema: SchemaRef,
    row_group_rows: usize,
    /// Rows of the next row group.
    batches: Vec<RecordBatch>,
    rows: usize,
    size_bytes: usize,
    groups: usize,
    /// Rows of the row groups before.
    rows_before: u64,
    /// The last row of them.
    last_row: Option<RecordBatch>,
    sorted_by: SortedBy,
    compression: Compression,
    statistics: EnabledStatistics,
    /// None until the rows of the first row group have told how columns are best encoded.
    target: Option<Target>,
}

/// The file, and who makes encoders for its columns.
#[derive(Clone)]
struct Target {
    factory: Arc<ArrowRowGroupWriterFactory>,
    file: Arc<Mutex<Option<SerializedFileWriter<Vec<u8>>>>>,
}

impl ParquetWriter {
    /// Begin with the schema.
    pub fn new(schema: &SchemaRef, options: &WriteOptions) -> Result<Self> {
        Ok(Self {
            schema: Arc::clone(schema),
            row_group_rows: options.row_group_rows,
            batches: Vec::new(),
            rows: 0,
            size_bytes: 0,
            groups: 0,
            rows_before: 0,
            last_row: None,
            sorted_by: SortedBy::new(schema, &options.sorted_by)?,
            compression: options.compression.unwrap_or(Given::Zstd).into(),
            statistics: match options.statistics {
                Statistics::None => EnabledStatistics::None,
                Statistics::Chunk => EnabledStatistics::Chunk,
                Statistics::Page => EnabledStatistics::Page,
            },
            target: None,
        })
    }

    /// Open the file, by the rows that are there.
    fn target(&mut self) -> Result<Target> {
        if let Some(target) = &self.target {
            return Ok(target.clone());
        }
        let mut properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_statistics_enabled(self.statistics)
            .set_sorting_columns(self.sorted_by.told())
            .set_created_by(CREATED_BY.to_owned());
        for (field, encoding) in encoding::plain_columns(&self.schema, &self.batches) {
            let path = ColumnPath::from(vec![field.clone()]);
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
            if let Some(encoding) = encoding {
                properties = properties.set_column_encoding(path, encoding);
            }
        }
        let properties = Some(properties.build());
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&self.schema), properties).map_err(unwritable)?;
        let (file, factory) = writer.into_serialized_writer().map_err(unwritable)?;
        let target = Target { factory: Arc::new(factory), file: Arc::new(Mutex::new(Some(file))) };
        Ok(self.target.insert(target).clone())
    }

    /// Have the rows so far encoded as a row group.
    fn row_group(&mut self) -> Result<Event> {
        let Target { factory, file } = self.target()?;
        let batches = mem::take(&mut self.batches);
        let (first_row, sorted_by) = (self.rows_before + 1, self.sorted_by.clone());
        let last_row = batches.last().map(|batch| batch.slice(batch.num_rows() - 1, 1));
        let before = mem::replace(&mut self.last_row, last_row);
        self.rows_before += self.rows as u64;
        (self.rows, self.size_bytes) = (0, 0);
        let (schema, group) = (Arc::clone(&self.schema), self.groups);
        self.groups += 1;
        Ok(Event::Block(Block::in_parts(move || {
            sorted_by.check(before.as_ref(), &batches, first_row)?;
            let chunks = encode(&factory, group, &schema, &batches).map_err(unwritable)?;
            drop(batches);
            Ok(Box::new(move || append(&file, chunks).map(|bytes| vec![Event::Bytes(bytes)])) as Turn)
        })))
    }
}

impl TableWriter for ParquetWriter {
    fn write(&mut self, mut batch: RecordBatch, output: &mut VecDeque<Event>) -> Result<()> {
        while batch.num_rows() > 0 {
            let taken = batch.num_rows().min(self.row_group_rows - self.rows);
            let slice = batch.slice(0, taken);
            batch = batch.slice(taken, batch.num_rows() - taken);
            self.rows += taken;
            self.size_bytes += super::slice_bytes(&slice);
            self.batches.push(slice);
            if self.rows == self.row_group_rows || self.size_bytes >= ROW_GROUP_BYTES {
                output.push_back(self.row_group()?);
            }
        }
        Ok(())
    }

    fn end(&mut self, output: &mut VecDeque<Event>) -> Result<()> {
        if self.rows > 0 {
            output.push_back(self.row_group()?);
        }
        let Target { file, .. } = self.target()?;
        output.push_back(Event::Block(Block::in_turn(move || {
            let writer = file.lock().unwrap_or_else(PoisonError::into_inner).take();
            writer.map_or(Ok(Bytes::new()), |writer| writer.into_inner().map(Bytes::from).map_err(unwritable))
        })));
        Ok(())
    }
}

fn encode(
    factory: &ArrowRowGroupWriterFactory,
    group: usize,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let mut writers = factory.create_column_writers(group)?;
    for batch in batches {
        let mut next = writers.iter_mut();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                let writer = next.next().ok_or_else(|| ParquetError::General("a column has no writer".to_owned()))?;
                writer.write(&leaf)?;
            }
        }
    }
    writers.into_iter().map(|writer| writer.close()).collect()
}

/// Put a row group behind the others; gives the bytes of the file so far that nobody has.
fn append(file: &Mutex<Option<SerializedFileWriter<Vec<u8>>>>, chunks: Vec<ArrowColumnChunk>) -> Result<Bytes> {
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(writer) = file.as_mut() else {
        return Err(Error::InvalidPlan("a row group came behind the end".to_owned()));
    };
    let mut group = writer.next_row_group().map_err(unwritable)?;
    for chunk in chunks {
        chunk.append_to_row_group(&mut group).map_err(unwritable)?;
    }
    group.close().map_err(unwritable)?;
    writer.flush().map_err(|error| unwritable(error.into()))?;
    Ok(mem::take(writer.inner_mut()).into())
}

fn unwritable(error: ParquetError) -> Error {
    Error::UnsupportedInput(format!("the table can't be written as Parquet: {error}"))
}
