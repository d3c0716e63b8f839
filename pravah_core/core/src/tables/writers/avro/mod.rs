//! Writes Avro's object container files: rows are encoded and packed by any thread, and put into the file in order.
//!
//! - `schema`: columns as Avro has them; `values`: rows of them

mod schema;
mod values;

use std::{collections::VecDeque, mem};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use self::{schema::stored_schema, values::Rows};
use super::{TableWriter, slice_bytes};
use crate::{
    Error, Result,
    processors::{Block as Work, Event},
    tables::{
        BATCH_ROWS, Compression, WriteOptions,
        avro::{Codec, MAGIC, MOST_BLOCK_BYTES, SYNC_BYTES, write_long},
    },
};

/// A block ends with the row that reaches this size: large enough to be packed well, small enough to be read anywhere.
const BLOCK_BYTES: usize = 1 << 20;

/// Writes one file.
pub struct AvroWriter {
    schema: SchemaRef,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
    /// What the file begins with, until it is given.
    header: Vec<u8>,
    /// Rows of the next blocks.
    batches: Vec<RecordBatch>,
    rows: usize,
    size_bytes: usize,
}

impl AvroWriter {
    /// Begin with the schema.
    pub fn new(schema: &SchemaRef, options: &WriteOptions) -> Result<Self> {
        let codec = codec(options.compression)?;
        let text = stored_schema(schema)?.to_string();
        let mut header = MAGIC.to_vec();
        write_long(2, &mut header);
        for part in ["avro.schema", &text, "avro.codec", codec.name()] {
            write_long(part.len() as i64, &mut header);
            header.extend_from_slice(part.as_bytes());
        }
        write_long(0, &mut header);
        // The marker has to be unlikely within blocks, and the same whenever this file is written again.
        let hash = blake3::hash(&header);
        let mut sync = [0; SYNC_BYTES];
        sync.copy_from_slice(&hash.as_bytes()[..SYNC_BYTES]);
        header.extend_from_slice(&sync);
        let schema = SchemaRef::clone(schema);
        Ok(Self { schema, codec, sync, header, batches: Vec::new(), rows: 0, size_bytes: 0 })
    }

    /// Have the rows so far encoded.
    fn blocks(&mut self) -> Event {
        let (schema, codec, sync) = (SchemaRef::clone(&self.schema), self.codec, self.sync);
        let batches = mem::take(&mut self.batches);
        (self.rows, self.size_bytes) = (0, 0);
        Event::Block(Work::new(move || {
            let mut blocks = Blocks { codec, sync, content: Vec::new(), rows: 0, out: Vec::new() };
            for batch in &batches {
                let rows = Rows::new(&schema, batch)?;
                (0..batch.num_rows()).try_for_each(|row| blocks.add(&rows, row))?;
            }
            blocks.close()?;
            Ok(blocks.out.into())
        }))
    }
}

impl TableWriter for AvroWriter {
    fn write(&mut self, mut batch: RecordBatch, output: &mut VecDeque<Event>) -> Result<()> {
        while batch.num_rows() > 0 {
            let taken = batch.num_rows().min(BATCH_ROWS - self.rows);
            let slice = batch.slice(0, taken);
            batch = batch.slice(taken, batch.num_rows() - taken);
            self.rows += taken;
            self.size_bytes += slice_bytes(&slice);
            self.batches.push(slice);
            if self.rows == BATCH_ROWS || self.size_bytes >= BLOCK_BYTES {
                self.give_header(output);
                output.push_back(self.blocks());
            }
        }
        Ok(())
    }

    fn end(&mut self, output: &mut VecDeque<Event>) -> Result<()> {
        self.give_header(output);
        if self.rows > 0 {
            output.push_back(self.blocks());
        }
        Ok(())
    }
}

impl AvroWriter {
    fn give_header(&mut self, output: &mut VecDeque<Event>) {
        if !self.header.is_empty() {
            output.push_back(Event::Bytes(mem::take(&mut self.header).into()));
        }
    }
}

/// Deflate if nothing is said: beside no compression at all it is the one that every reader has.
fn codec(compression: Option<Compression>) -> Result<Codec> {
    Ok(match compression {
        None | Some(Compression::Deflate) => Codec::Deflate,
        Some(Compression::None) => Codec::Null,
        Some(Compression::Snappy) => Codec::Snappy,
        Some(Compression::Zstd) => Codec::Zstandard,
        Some(other) => return Err(Error::InvalidPlan(format!("Avro is not written with {other:?}"))),
    })
}

/// Blocks of a file that are being made.
struct Blocks {
    codec: Codec,
    sync: [u8; SYNC_BYTES],
    content: Vec<u8>,
    rows: i64,
    out: Vec<u8>,
}

impl Blocks {
    fn add(&mut self, rows: &Rows<'_>, row: usize) -> Result<()> {
        let start = self.content.len();
        rows.write(row, &mut self.content)?;
        let row_bytes = self.content.len() - start;
        if row_bytes > MOST_BLOCK_BYTES - BLOCK_BYTES {
            return Err(Error::UnsupportedInput(format!(
                "a row takes {row_bytes} bytes in Avro, at most {} are written",
                MOST_BLOCK_BYTES - BLOCK_BYTES
            )));
        }
        self.rows += 1;
        if self.content.len() >= BLOCK_BYTES { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let packed = self.codec.pack(mem::take(&mut self.content))?;
        write_long(mem::take(&mut self.rows), &mut self.out);
        write_long(packed.len() as i64, &mut self.out);
        self.out.extend_from_slice(&packed);
        self.out.extend_from_slice(&self.sync);
        Ok(())
    }
}
