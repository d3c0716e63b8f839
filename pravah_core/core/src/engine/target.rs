//! Where the bytes of the last step go: an output that is staged, and what inspect steps found.

use std::sync::Arc;

use super::{
    decide::Publishing,
    stage::{Bench, Item},
};
use crate::{
    Error, Result,
    effort::{self, Activity},
    naming::{MOST_PARTS, Part},
    processors::{Event, RowCounts},
    stores::{Attributes, Beginning, Output, Reading, Staging, Temporary},
};

/// Bytes that are copied at once, where the system does not: enough that a call does not count.
const CHUNK_BYTES: usize = 1 << 20;

/// Where the bytes of the last step go.
pub struct Target<'b, 't> {
    bench: &'b Bench<'t>,
    item: &'b Item,
    publishing: Publishing,
    staging: Option<(Temporary, Box<dyn Staging>)>,
    /// Outputs that are whole; they have no names yet.
    outputs: Vec<Output>,
    /// Which ones these are, and the one that is written, where a step makes several.
    parts: Vec<Part>,
    /// What each of several keeps of its source; the only one is told at its end.
    attributes: Option<Attributes>,
    /// Bytes that came out so far.
    pub bytes_out: u64,
    /// What inspect steps found.
    pub records: Option<String>,
    /// What has become of the rows of tables.
    pub rows: Option<RowCounts>,
    /// For copies that the system does not make.
    buffer: Vec<u8>,
}

impl<'b, 't> Target<'b, 't> {
    /// Begin with an entry.
    pub fn new(bench: &'b Bench<'t>, item: &'b Item, publishing: Publishing) -> Self {
        Self {
            bench,
            item,
            publishing,
            staging: None,
            outputs: Vec::new(),
            parts: Vec::new(),
            attributes: None,
            bytes_out: 0,
            records: None,
            rows: None,
            buffer: Vec::new(),
        }
    }

    /// Have each of several outputs keep this of the source.
    #[must_use]
    pub fn keeping(self, attributes: Option<Attributes>) -> Self {
        Self { attributes, ..self }
    }

    /// Stage its output, unless it has several: each of these is told of. Its name and what it keeps of its source
    /// as far as they are known.
    pub fn begin(&mut self, name: &[u8], attributes: Option<&Attributes>) -> Result<()> {
        if self.bench.plan.expands() { Ok(()) } else { self.stage(name, attributes) }
    }

    fn stage(&mut self, name: &[u8], attributes: Option<&Attributes>) -> Result<()> {
        let Some(sink) = &self.item.place.sink else { return Ok(()) };
        effort::now(Activity::Writing);
        let temporary = self.bench.temporary();
        let publish = self.publishing.how;
        let staging = sink.stage(&Beginning { temporary: &temporary, publish, name, attributes })?;
        self.staging = Some((temporary, staging));
        Ok(())
    }

    /// Take what comes out of the last step.
    pub fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Bytes(bytes) => {
                if let Some((_, staging)) = &mut self.staging {
                    effort::now(Activity::Writing);
                    self.bytes_out += bytes.len() as u64;
                    staging.write(&bytes)?;
                    self.bench.rates.write.pass(bytes.len() as u64, self.bench.control)?;
                }
            }
            Event::Record(record) => {
                let path = self.bench.source_path(self.item.index);
                crate::wire::push_record(self.records.get_or_insert_default(), &path, record);
            }
            Event::Part(part) => self.begin_part(part)?,
            Event::Rows(counts) => *self.rows.get_or_insert_default() += counts,
            // A pipeline has blocks made, and ends in bytes.
            Event::Begin { .. } | Event::End | Event::Block(_) | Event::Table(_) => {}
        }
        Ok(())
    }

    /// End the output that is written, and go on with another one.
    fn begin_part(&mut self, part: Part) -> Result<()> {
        self.end_output(None)?;
        let most = self.bench.plan.most_parts();
        if part.number >= most {
            return Err(Error::TooManyParts(format!(
                "it makes more than {most} outputs, which names can't tell apart"
            )));
        }
        if self.parts.len() >= MOST_PARTS as usize {
            return Err(Error::TooManyParts(format!(
                "it makes more than {MOST_PARTS} outputs, and at most so many are"
            )));
        }
        self.parts.push(part);
        self.stage(b"", None) // what has no name yet only local stores take
    }

    fn end_output(&mut self, attributes: Option<&Attributes>) -> Result<()> {
        let (Some((temporary, staging)), Some(sink)) = (self.staging.take(), &self.item.place.sink) else {
            return Ok(());
        };
        effort::now(Activity::Writing);
        let (staged, held) = staging.finish(attributes.or(self.attributes.as_ref()))?;
        let (directory, replaces) = (Arc::clone(sink), self.publishing.replaces);
        self.outputs.push(Output { directory, into: None, name: Vec::new(), temporary, staged, replaces, held });
        Ok(())
    }

    /// Leave a hole up to an offset.
    pub fn skip_to(&mut self, offset_bytes: u64) -> Result<()> {
        self.bytes_out = offset_bytes;
        self.staging.as_mut().map_or(Ok(()), |(_, staging)| staging.skip_to(offset_bytes))
    }

    /// Copy the next bytes of the source; 0 is its end.
    ///
    /// That the system copies nothing does not mean that nothing is there: on some file systems it does so without an
    /// error (copy_file_range(2), "BUGS"), and then they are read.
    pub fn copy(&mut self, reading: &mut dyn Reading, length_bytes: u64) -> Result<u64> {
        effort::now(Activity::Writing);
        if let Some((_, staging)) = self.staging.as_mut().filter(|_| self.buffer.is_empty())
            && let Some(copied) = staging.copy_from(reading, length_bytes)?
            && copied > 0
        {
            self.bytes_out += copied;
            return Ok(copied);
        }
        self.buffer.resize(CHUNK_BYTES, 0);
        let wanted = usize::try_from(length_bytes).map_or(CHUNK_BYTES, |length| length.min(CHUNK_BYTES));
        let read = fill(reading, &mut self.buffer[..wanted])?;
        if let Some((_, staging)) = &mut self.staging {
            staging.write(&self.buffer[..read])?;
        }
        self.bytes_out += read as u64;
        Ok(read as u64)
    }

    /// All has come: what was staged, to be named, and which ones of several these are.
    pub fn finish(mut self, attributes: Option<&Attributes>) -> Result<(Vec<Output>, Vec<Part>)> {
        self.end_output(attributes)?;
        Ok((self.outputs, self.parts))
    }
}

/// Read until the buffer is full or the file ends.
pub fn fill(reading: &mut dyn Reading, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reading.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Read at an offset until the buffer is full or the file ends.
pub fn fill_at(reading: &dyn Reading, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reading.read_at(offset_bytes + filled as u64, &mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
