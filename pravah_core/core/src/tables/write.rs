//! The step that writes: rows become the bytes of a file.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Format, WriteOptions,
    format::renamed,
    text::MOST_ROW_BYTES,
    writers::{self, TableWriter},
};
use crate::{
    Error, Result,
    naming::extensions,
    processors::{Event, Processor, RowCounts, Step},
};

/// Turns rows into files.
#[derive(Clone)]
pub struct WriteTable {
    /// What the steps say.
    pub options: WriteOptions,
    /// The format that all files were read in; none: their names tell.
    pub source: Option<Format>,
}

impl WriteTable {
    /// The format of a file that was read under this name; none: no table was.
    fn format(&self, name: &[u8]) -> Option<Format> {
        self.options.format.or(self.source).or_else(|| Format::of_name(name))
    }

    fn renamed(&self, name: &[u8]) -> Vec<u8> {
        if self.source.is_none() && Format::of_name(name).is_none() {
            // It will fail: its name must not collide with that of a table beside it.
            let format = self.options.format.map_or("", Format::extension);
            return [name, format.as_bytes()].concat();
        }
        match self.format(name) {
            // `.jsonl` stays, as nobody has asked for another one.
            Some(format) if self.options.format.is_none() && Format::of_name(name) == Some(format) => {
                extensions::without_codecs(name).to_vec()
            }
            Some(format) => renamed(name, format),
            None => name.to_vec(),
        }
    }
}

/// Batches that wait to be written, and what is made of them.
const BATCHES_BYTES: u64 = 24 << 20;

impl Processor for WriteTable {
    /// `size_bytes` is what rows take in memory.
    fn need(&self, size_bytes: u64, blocks: u64) -> u64 {
        let row = size_bytes.min(2 * MOST_ROW_BYTES as u64);
        let each = match self.options.format {
            Some(Format::Parquet) | None => writers::ROW_GROUP_BYTES as u64,
            Some(_) => BATCHES_BYTES,
        };
        (blocks + 1) * 2 * size_bytes.min(each) + 2 * row + FIXED_BYTES
    }

    fn output_bound(&self, _size_bytes: u64) -> u64 {
        u64::MAX
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(WriteStep {
            table: self.clone(),
            name: Bytes::new(),
            writer: None,
            output: VecDeque::new(),
            rows: 0,
        }))
    }

    fn output_name(&self, name: &[u8]) -> Vec<u8> {
        self.renamed(name)
    }

    fn names_can_collide(&self) -> bool {
        true
    }
}

/// Buffers that any table takes.
const FIXED_BYTES: u64 = 1 << 20;

/// The work on one file.
struct WriteStep {
    table: WriteTable,
    name: Bytes,
    /// None before the columns are known.
    writer: Option<Box<dyn TableWriter>>,
    output: VecDeque<Event>,
    rows: u64,
}

impl Step for WriteStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, source_bytes, path, .. } => {
                let renamed = self.table.renamed(&name).into();
                self.name = name;
                self.output.push_back(Event::Begin { name: renamed, size_bytes: None, source_bytes, path });
            }
            Event::Table(batch) => {
                let writer = match &mut self.writer {
                    Some(writer) => writer,
                    None => {
                        let format = self.table.format(&self.name).ok_or_else(|| {
                            Error::UnsupportedInput(
                                "the name tells no format in which rows could be written".to_owned(),
                            )
                        })?;
                        self.writer.insert(writers::open(format, &self.table.options, &batch.schema())?)
                    }
                };
                self.rows += batch.num_rows() as u64;
                writer.write(batch, &mut self.output)?;
            }
            Event::End => {
                if let Some(writer) = &mut self.writer {
                    writer.end(&mut self.output)?;
                }
                self.output.push_back(Event::Rows(RowCounts { output: self.rows, ..RowCounts::default() }));
                self.output.push_back(Event::End);
            }
            // No pipeline pushes these.
            Event::Bytes(_) | Event::Record(_) | Event::Rows(_) | Event::Part(_) | Event::Block(_) => {}
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.output.pop_front())
    }
}
