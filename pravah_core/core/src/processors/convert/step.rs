//! One file on its way: out of its compression, into batches, and into the other format.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Options, TableReader,
    csv_reader::CsvReader,
    format::{Format, renamed},
    ndjson_reader::NdjsonReader,
    typed::TypedReader,
    whole::WholeReader,
    writers::{ArrowFileWriter, CsvWriter, NdjsonWriter, ParquetWriter, TableWriter},
};
use crate::{
    Error, Result,
    processors::{Event, PULL_BYTES, Step, unpack::Unpacker},
};

/// The work on one file.
pub struct ConvertStep {
    options: Arc<Options>,
    begin: Option<Event>,
    unpacker: Unpacker,
    /// None before the file has begun.
    reader: Option<Box<dyn TableReader>>,
    /// None before the columns are known.
    writer: Option<Box<dyn TableWriter>>,
    /// What was written, to be pulled.
    output: Bytes,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    /// The reader has the whole file.
    Draining,
    /// The writer has the whole table.
    Flushing,
    Ended,
}

impl ConvertStep {
    /// Wait for the file to begin.
    pub fn new(options: Arc<Options>) -> Self {
        Self {
            options,
            begin: None,
            unpacker: Unpacker::default(),
            reader: None,
            writer: None,
            output: Bytes::new(),
            phase: Phase::Reading,
        }
    }

    fn begin(&mut self, name: &[u8], size_bytes: Option<u64>) -> Result<()> {
        let format = self.options.from.or_else(|| Format::of_name(name)).ok_or_else(|| {
            let shown = String::from_utf8_lossy(name);
            Error::UnsupportedInput(format!(
                "the name `{shown}` has no extension of a table that can be read; `from` tells the format"
            ))
        })?;
        let types = self.options.types.clone();
        if !format.is_text() && !types.is_empty() {
            let message = "`types` is for formats of text; this one has types of its own";
            return Err(Error::UnsupportedInput(message.to_owned()));
        }
        self.reader = Some(match format {
            Format::Csv | Format::Tsv => {
                let rows = CsvReader::new(self.options.dialect(format));
                Box::new(TypedReader::new(Box::new(rows), types))
            }
            Format::Ndjson => Box::new(TypedReader::new(Box::<NdjsonReader>::default(), types)),
            Format::Parquet | Format::Arrow => Box::new(WholeReader::new(format, size_bytes)?),
        });
        self.unpacker = Unpacker::new(name, size_bytes);
        Ok(())
    }

    /// Do the next piece of work; false: more input is wanted.
    fn advance(&mut self) -> Result<bool> {
        let Some(reader) = &mut self.reader else { return Ok(false) };
        let batch = reader.pull()?;
        if self.writer.is_none()
            && let Some(schema) = reader.schema()
        {
            self.writer = Some(writer(&self.options, schema)?);
        }
        if let (Some(batch), Some(writer)) = (batch, &mut self.writer) {
            writer.write(&batch)?;
            self.output = writer.take().into();
            return Ok(true);
        }
        if self.phase == Phase::Draining {
            if let Some(writer) = &mut self.writer {
                writer.end()?;
                self.output = writer.take().into();
            }
            self.phase = Phase::Flushing;
            return Ok(true);
        }
        if let Some(piece) = self.unpacker.pull()? {
            reader.push(piece)?;
            return Ok(true);
        }
        if !self.unpacker.has_ended() {
            return Ok(false);
        }
        reader.end()?;
        self.phase = Phase::Draining;
        Ok(true)
    }
}

impl Step for ConvertStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, size_bytes, path } => {
                self.begin(&name, size_bytes)?;
                let name = renamed(&name, self.options.format).into();
                self.begin = Some(Event::Begin { name, size_bytes: None, path });
            }
            Event::Bytes(bytes) => self.unpacker.push(bytes),
            Event::End => self.unpacker.end(),
            // A pipeline pushes neither.
            Event::Record(_) | Event::Block(_) => {}
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if let Some(begin) = self.begin.take() {
            return Ok(Some(begin));
        }
        loop {
            if !self.output.is_empty() {
                let piece = self.output.split_to(self.output.len().min(PULL_BYTES));
                return Ok(Some(Event::Bytes(piece)));
            }
            match self.phase {
                Phase::Flushing => {
                    self.phase = Phase::Ended;
                    return Ok(Some(Event::End));
                }
                Phase::Ended => return Ok(None),
                Phase::Reading | Phase::Draining => {
                    if !self.advance()? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

fn writer(options: &Options, schema: arrow_schema::SchemaRef) -> Result<Box<dyn TableWriter>> {
    Ok(match options.format {
        format @ (Format::Csv | Format::Tsv) => Box::new(CsvWriter::new(options.dialect(format), schema)),
        Format::Ndjson => Box::new(NdjsonWriter::new(schema)?),
        Format::Arrow => Box::new(ArrowFileWriter::new(&schema)?),
        Format::Parquet => Box::new(ParquetWriter::new(&schema, options.compression, options.row_group_rows)?),
    })
}
