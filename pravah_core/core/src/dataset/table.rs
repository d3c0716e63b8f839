//! The merged records as a table: Arrow batches, Parquet, CSV.
//!
//! Batches are cut by rows and bytes of records alone.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::FileExt,
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::{
    Written,
    arrays::Members,
    kind::{Fields, Names},
};
use crate::{
    Error, Result,
    tables::{Encoder, Format},
};

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 8_192;

/// A batch is full from so many bytes of records on.
const BATCH_BYTES: usize = 8 << 20;

/// Whether a table may have nested values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// They are JSON text.
    Flat,
    /// They are lists and structs where they are regular.
    Nested,
}

/// Records in order, with the columns that all of them have together.
#[derive(Debug)]
pub struct Table {
    pub(super) file: File,
    pub(super) fields: Fields,
    pub(super) written: Written,
}

impl Table {
    /// The number of records.
    pub fn records(&self) -> u64 {
        self.written.records
    }

    /// Read all records, from the first one on.
    pub fn batches(&self) -> Result<Batches> {
        let file = self.file.try_clone().map_err(Error::io("read a scratch file"))?;
        Ok(Batches::new(BufReader::with_capacity(1 << 20, At { file, offset: 0 }), &self.fields.columns))
    }

    pub(super) fn write_parquet(&self, output: impl Write) -> Result<()> {
        let batches = self.batches()?;
        let writer = Encoder::new(Format::Parquet, &batches.schema)?;
        drive(batches, writer, output)
    }

    pub(super) fn write_csv(&self, output: impl Write) -> Result<()> {
        let batches = self.batches()?;
        let writer = Encoder::new(Format::Csv, &batches.schema)?;
        drive(batches, writer, output)
    }
}

/// The batches of a table.
pub struct Batches {
    input: BufReader<At>,
    schema: SchemaRef,
    members: Members,
    line: String,
}

impl Batches {
    fn new(input: BufReader<At>, columns: &Names) -> Self {
        let schema = Arc::new(Schema::new(columns.fields()));
        Self { input, schema, members: Members::new(columns), line: String::new() }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            self.line.clear();
            let read = self.input.read_line(&mut self.line).map_err(Error::io("read a scratch file"))?;
            if read == 0 {
                break;
            }
            self.members.append(Some(&self.line))?;
            rows += 1;
            bytes += read;
        }
        if rows == 0 {
            return Ok(None);
        }
        let batch = RecordBatch::try_new(self.schema(), self.members.finish());
        batch.map(Some).map_err(|error| Error::UnsupportedInput(format!("the records are no table: {error}")))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Reads a file from a position of its own, whoever else reads it.
struct At {
    file: File,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

fn drive(batches: Batches, mut writer: Encoder, mut output: impl Write) -> Result<()> {
    let mut write = |bytes: Vec<u8>| output.write_all(&bytes).map_err(Error::io("write the dataset"));
    for batch in batches {
        write(writer.write(batch?)?)?;
    }
    write(writer.end()?)
}
