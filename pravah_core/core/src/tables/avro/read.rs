//! Reads an Avro file block by block, as it comes: its header is at its beginning.
//!
//! Blocks are small, so several of them are one piece of work for any thread.

use std::{collections::VecDeque, sync::Arc};

use arrow_array::RecordBatch;
use bytes::{Bytes, BytesMut};

use super::{BlockHeader, Codec, Cursor, Header, MOST_BLOCK_BYTES, SYNC_BYTES, Stop, columns::Columns, schema::Types};
use crate::{
    Error, Result,
    processors::{Block, Event, RowCounts, Turn},
    tables::{BATCH_ROWS, read::TableReader},
};

/// A parcel of blocks ends with the one that reaches this size, packed.
pub const PARCEL_BYTES: usize = 256 << 10;

/// Rows of a parcel, at most, and of one block whose rows have no bytes.
const PARCEL_ROWS: u64 = 65_536;

/// Bytes that the rows of a parcel take in memory, at most: many times what common files have.
const MOST_PARCEL_BYTES: usize = 512 << 20;

/// Bytes of a header, at most.
const MOST_HEADER_BYTES: usize = 1 << 20;

/// Reads one file.
#[derive(Default)]
pub struct AvroReader {
    /// What has come and was not taken, from this offset of the file on.
    input: BytesMut,
    offset: u64,
    /// Bytes of input before which nothing can be taken.
    wanted: usize,
    /// None until the header has come.
    file: Option<Arc<File>>,
    parcel: Parcel,
    rows: u64,
    waiting: VecDeque<Event>,
}

/// What all blocks of a file share.
struct File {
    columns: Columns,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
}

/// Blocks that are read together.
#[derive(Default)]
struct Parcel {
    blocks: Vec<Packed>,
    size_bytes: usize,
    rows: u64,
}

/// A block as it is in the file.
struct Packed {
    offset: u64,
    rows: u64,
    content: Bytes,
}

impl AvroReader {
    /// Take all that has come whole; true: a part of the file remains that has not.
    fn advance(&mut self) -> Result<bool> {
        while self.input.len() >= self.wanted.max(1) {
            let Some(file) = self.file.clone() else {
                if !self.header()? {
                    return Ok(true);
                }
                continue;
            };
            let mut rest = Cursor::new(&self.input);
            let header = match BlockHeader::read(&mut rest) {
                Ok(header) => header,
                Err(Stop::Ended) => break,
                Err(stop) => return Err(block_error(self.offset, stop)),
            };
            if header.packed_bytes > MOST_BLOCK_BYTES {
                let told = format!("it has {} bytes, at most {MOST_BLOCK_BYTES} are read", header.packed_bytes);
                return Err(block_error(self.offset, Stop::Beyond(told)));
            }
            let begin = rest.offset();
            self.wanted = begin + header.packed_bytes + SYNC_BYTES;
            if self.input.len() < self.wanted {
                break;
            }
            let block = self.input.split_to(self.wanted).freeze();
            let (content, sync) = (block.slice(begin..self.wanted - SYNC_BYTES), &block[self.wanted - SYNC_BYTES..]);
            if sync != file.sync {
                return Err(block_error(self.offset, Stop::bad("it does not end as the header does")));
            }
            if header.rows > PARCEL_ROWS && file.columns.may_be_empty {
                let told = format!("it tells of {} rows without a byte, at most {PARCEL_ROWS} are read", header.rows);
                return Err(block_error(self.offset, Stop::Beyond(told)));
            }
            self.take(&file, Packed { offset: self.offset, rows: header.rows, content });
            self.offset += self.wanted as u64;
            self.wanted = 0;
        }
        Ok(!self.input.is_empty())
    }

    /// Take the header; false: more of it is to come.
    fn header(&mut self) -> Result<bool> {
        let header = match Header::read(&self.input) {
            Ok(header) => header,
            Err(Stop::Ended) if self.input.len() > MOST_HEADER_BYTES => {
                let told = format!("the header has more than {MOST_HEADER_BYTES} bytes");
                return Err(error("the Avro file", Stop::Beyond(told)));
            }
            Err(Stop::Ended) => return Ok(false),
            Err(stop) => return Err(error("no Avro file", stop)),
        };
        let codec = Codec::of_name(header.codec.as_deref())?;
        let columns = Types::read(&header.schema).and_then(Columns::new);
        let columns = columns.map_err(|stop| error("no Avro file", stop))?;
        if columns.schema.fields().is_empty() {
            return Err(Error::NoColumns("the file has no columns".to_owned()));
        }
        self.waiting.push_back(Event::Table(RecordBatch::new_empty(Arc::clone(&columns.schema))));
        self.file = Some(Arc::new(File { columns, codec, sync: header.sync }));
        let _ = self.input.split_to(header.size_bytes);
        self.offset = header.size_bytes as u64;
        Ok(true)
    }

    fn take(&mut self, file: &Arc<File>, block: Packed) {
        self.rows = self.rows.saturating_add(block.rows);
        self.parcel.rows = self.parcel.rows.saturating_add(block.rows);
        self.parcel.size_bytes += block.content.len();
        self.parcel.blocks.push(block);
        if self.parcel.size_bytes >= PARCEL_BYTES || self.parcel.rows >= PARCEL_ROWS {
            self.send(file);
        }
    }

    fn send(&mut self, file: &Arc<File>) {
        let (file, parcel) = (Arc::clone(file), std::mem::take(&mut self.parcel));
        self.waiting.push_back(Event::Block(Block::in_parts(move || {
            let batches = file.read(parcel)?;
            Ok(Box::new(move || Ok(batches)) as Turn)
        })));
    }
}

impl TableReader for AvroReader {
    fn push(&mut self, bytes: Bytes) -> Result<()> {
        self.input.extend_from_slice(&bytes);
        self.advance().map(drop)
    }

    fn end(&mut self) -> Result<()> {
        let remains = self.advance()?;
        let Some(file) = self.file.clone().filter(|_| !remains) else {
            let what = if self.file.is_some() { "a block" } else { "its header" };
            return Err(Error::TruncatedInput(format!("the Avro file is cut off: {what} goes on behind its end")));
        };
        if !self.parcel.blocks.is_empty() {
            self.send(&file);
        }
        self.waiting.push_back(Event::Rows(RowCounts { input: self.rows, ..RowCounts::default() }));
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.waiting.pop_front())
    }
}

impl File {
    /// Read the rows of some blocks.
    fn read(&self, parcel: Parcel) -> Result<Vec<Event>> {
        let (mut batches, mut size_bytes) = (Vec::new(), 0);
        let mut batch = self.columns.batch();
        for Packed { offset, rows, content } in parcel.blocks {
            let unpacked = self.codec.unpack(&content)?;
            let mut cursor = Cursor::new(&unpacked);
            for row in 0..rows {
                batch.read(&mut cursor).map_err(|(column, stop)| self.row_error(offset, row, column, stop))?;
                if size_bytes + batch.size_bytes > MOST_PARCEL_BYTES {
                    let told = format!("its rows take more than {} MiB of memory", MOST_PARCEL_BYTES >> 20);
                    return Err(block_error(offset, Stop::Beyond(told)));
                }
                if batch.rows == BATCH_ROWS {
                    size_bytes += batch.size_bytes;
                    batches.push(Event::Table(std::mem::replace(&mut batch, self.columns.batch()).finish()?));
                }
            }
            if !cursor.is_at_end() {
                let (read, all) = (cursor.offset(), unpacked.len());
                return Err(block_error(offset, Stop::bad(format!("its {rows} rows have {read} bytes of its {all}"))));
            }
        }
        if batch.rows > 0 {
            batches.push(Event::Table(batch.finish()?));
        }
        Ok(batches)
    }

    fn row_error(&self, offset: u64, row: u64, column: usize, stop: Stop) -> Error {
        let name = self.columns.schema.field(column).name();
        let what = format!("the block at byte {offset} of the Avro file, row {}, column `{name}`", row + 1);
        // The block itself was whole.
        let stop = if stop == Stop::Ended { Stop::bad("the block ends within it") } else { stop };
        error(&what, stop)
    }
}

fn block_error(offset: u64, stop: Stop) -> Error {
    error(&format!("the block at byte {offset} of the Avro file"), stop)
}

fn error(what: &str, stop: Stop) -> Error {
    match stop {
        Stop::Ended => Error::TruncatedInput(format!("{what}: it is cut off")),
        Stop::Bad(why) => Error::CorruptInput(format!("{what}: {why}")),
        Stop::Beyond(why) => Error::UnsupportedInput(format!("{what}: {why}")),
    }
}
