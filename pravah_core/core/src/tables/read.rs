//! The step that reads: bytes of a file, out of their compression, become rows.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{
    Format, ReadOptions,
    avro::{AvroReader, PARCEL_BYTES},
    format::MAGIC_BYTES,
    text::{MOST_ROW_BYTES, PIECE_BYTES, SAMPLE_BYTES, TextReader},
    whole::{MOST_FILE_BYTES, WholeReader},
    xlsx::{XlsxReader, most_text_bytes},
};
use crate::{
    Error, Result,
    memo::Memo,
    processors::{Event, Processor, Step, Unpacker},
};

/// Reads one table. After an error it is only dropped.
pub trait TableReader: Send {
    /// Take the next bytes of the file.
    fn push(&mut self, bytes: Bytes) -> Result<()>;

    /// Take the end of the file.
    fn end(&mut self) -> Result<()>;

    /// Give the next event: a batch, or a block of some; none: more of the file is wanted, or all has been given.
    fn pull(&mut self) -> Result<Option<Event>>;
}

/// Turns files into rows.
#[derive(Clone)]
pub struct ReadTable(pub Arc<ReadOptions>);

/// What a decoder takes for a source that is compressed: the largest of them, and what it gives at once.
const UNPACKING_BYTES: u64 = 32 << 20;

/// Bytes that a column of types takes for a byte of text, at most: a delimiter is a field, which may be a null of eight
/// bytes, and buffers that grow have twice the room.
const TYPED_BYTES: u64 = 20;

/// Pages that are open, and 8,192 rows of them: what common files take. No header tells more before it is read.
const DECODED_BYTES: u64 = 64 << 20;

/// Buffers that any table takes.
const FIXED_BYTES: u64 = 1 << 20;

impl Processor for ReadTable {
    fn need(&self, size_bytes: u64, blocks: u64) -> u64 {
        self.need_of(b"", size_bytes, blocks)
    }

    fn need_of(&self, name: &[u8], size_bytes: u64, blocks: u64) -> u64 {
        let reading = match self.0.format.or_else(|| Format::of_name(name)) {
            Some(format) if format.is_text() => text_bytes(size_bytes, blocks),
            Some(Format::Avro) => avro_bytes(size_bytes, blocks),
            Some(Format::Xlsx) => xlsx_bytes(size_bytes, blocks),
            Some(_) => whole_bytes(size_bytes),
            // Its first bytes may tell any of these.
            None => whole_bytes(size_bytes).max(avro_bytes(size_bytes, blocks)),
        };
        reading + UNPACKING_BYTES
    }

    /// What steps behind it take for rows: not a bound, since a few bytes of Parquet may hold any number of them.
    fn output_bound(&self, size_bytes: u64) -> u64 {
        size_bytes.saturating_mul(TYPED_BYTES)
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(ReadStep {
            options: Arc::clone(&self.0),
            memo: None,
            begin: None,
            name: Bytes::new(),
            size_bytes: None,
            unpacker: Unpacker::default(),
            head: BytesMut::new(),
            reader: None,
            phase: Phase::Reading,
        }))
    }
}

/// Pieces that are read at once with their columns, the sample, and a row that is cut off.
fn text_bytes(size_bytes: u64, blocks: u64) -> u64 {
    let piece = size_bytes.min(PIECE_BYTES as u64);
    let sample = size_bytes.min((SAMPLE_BYTES + PIECE_BYTES) as u64);
    let row = size_bytes.min(MOST_ROW_BYTES as u64);
    (blocks + 1) * (1 + TYPED_BYTES) * piece + sample + 2 * row + FIXED_BYTES
}

/// Parcels of blocks that are unpacked at once, four times as large as they were in common files, with their columns;
/// and a block that is put together.
fn avro_bytes(size_bytes: u64, blocks: u64) -> u64 {
    let parcel = size_bytes.min(PARCEL_BYTES as u64);
    (blocks + 1) * (1 + TYPED_BYTES) * 4 * parcel + 2 * size_bytes.min(4 << 20) + FIXED_BYTES
}

/// The file, grown by doubling where its size is not known, and pages and columns of a batch.
fn whole_bytes(size_bytes: u64) -> u64 {
    2 * size_bytes.min(MOST_FILE_BYTES) + DECODED_BYTES
}

/// The file, grown by doubling, the texts that its sheets share, and pieces of rows, which are as those of text.
fn xlsx_bytes(size_bytes: u64, blocks: u64) -> u64 {
    let texts = most_text_bytes(size_bytes);
    2 * size_bytes.min(MOST_FILE_BYTES) + 2 * texts + text_bytes(texts, blocks)
}

/// The work on one file.
struct ReadStep {
    options: Arc<ReadOptions>,
    memo: Option<Memo>,
    begin: Option<Event>,
    name: Bytes,
    size_bytes: Option<u64>,
    unpacker: Unpacker,
    /// The first bytes of a file whose name does not tell its format.
    head: BytesMut,
    /// None until the format is known.
    reader: Option<Box<dyn TableReader>>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    /// The reader has the whole file.
    Draining,
    Ended,
}

impl ReadStep {
    fn begin(&mut self, name: &Bytes, (size_bytes, source_bytes): (Option<u64>, Option<u64>)) -> Result<()> {
        self.unpacker = Unpacker::new(name, size_bytes).of_source(source_bytes);
        self.size_bytes = size_bytes;
        match self.options.format.or_else(|| Format::of_name(name)) {
            Some(format) => self.open(format),
            None => {
                self.name = name.clone();
                Ok(())
            }
        }
    }

    fn open(&mut self, format: Format) -> Result<()> {
        if !format.has_inferred_types() && !self.options.types.is_empty() {
            let message = "`types` is for formats of text and xlsx; this one has types of its own";
            return Err(Error::UnsupportedInput(message.to_owned()));
        }
        self.reader = Some(match format {
            Format::Avro => Box::new(AvroReader::default()),
            Format::Xlsx => Box::new(XlsxReader::new(&self.options, self.size_bytes, self.memo.take())?),
            _ if format.is_text() => Box::new(TextReader::new(format, &self.options, self.memo.take())),
            _ => Box::new(WholeReader::new(format, self.size_bytes)?),
        });
        Ok(())
    }

    /// Tell the format by the first bytes; false: too few of them have come.
    fn tell(&mut self) -> Result<bool> {
        while self.head.len() < MAGIC_BYTES
            && let Some(bytes) = self.unpacker.pull()?
        {
            self.head.extend_from_slice(&bytes);
        }
        if self.head.len() < MAGIC_BYTES && !self.unpacker.has_ended() {
            return Ok(false);
        }
        let format = Format::of_magic(&self.head).ok_or_else(|| {
            let shown = String::from_utf8_lossy(&self.name);
            Error::UnsupportedInput(format!(
                "the name `{shown}` has no extension of a table that can be read; `from` tells the format"
            ))
        })?;
        self.open(format)?;
        Ok(true)
    }

    /// Give the reader the next bytes of the content; false: more of the file is wanted.
    fn feed(&mut self) -> Result<bool> {
        if self.reader.is_none() && !self.tell()? {
            return Ok(false);
        }
        let Some(reader) = &mut self.reader else { return Ok(false) };
        if !self.head.is_empty() {
            reader.push(self.head.split().freeze())?;
        } else if let Some(bytes) = self.unpacker.pull()? {
            reader.push(bytes)?;
        } else if self.unpacker.has_ended() {
            reader.end()?;
            self.phase = Phase::Draining;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

impl Step for ReadStep {
    fn remember(&mut self, memo: &Memo) {
        self.memo = Some(memo.clone());
    }

    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, size_bytes, source_bytes, path } => {
                self.begin(&name, (size_bytes, source_bytes))?;
                self.begin = Some(Event::Begin { name, size_bytes: None, source_bytes, path });
            }
            Event::Bytes(bytes) => self.unpacker.push(bytes),
            Event::End => self.unpacker.end(),
            // No pipeline pushes these.
            Event::Table(_) | Event::Record(_) | Event::Rows(_) | Event::Part(_) | Event::Block(_) => {}
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if let Some(begin) = self.begin.take() {
            return Ok(Some(begin));
        }
        loop {
            if let Some(reader) = &mut self.reader
                && let Some(event) = reader.pull()?
            {
                return Ok(Some(event));
            }
            match self.phase {
                Phase::Reading => {
                    if !self.feed()? {
                        return Ok(None);
                    }
                }
                Phase::Draining => {
                    self.phase = Phase::Ended;
                    return Ok(Some(Event::End));
                }
                Phase::Ended => return Ok(None),
            }
        }
    }
}
