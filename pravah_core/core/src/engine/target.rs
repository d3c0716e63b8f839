//! Where the bytes of the last step go: an output that is staged, and what inspect steps found.

use std::{collections::HashMap, sync::Arc};

use super::{
    decide::Publishing,
    stage::{Bench, Item},
};
use crate::{
    Error, Result,
    effort::{self, Activity},
    naming::{ContentHash, MOST_PARTS, Part, part::FIRST_PART},
    processors::{Event, RowCounts},
    stores::{Attributes, Beginning, Output, Reading, SinkDirectory, Staging, Temporary},
};

/// Bytes that are copied at once, where the system does not: enough that a call does not count.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of several outputs that wait in memory to be published, at most, where their store has them there; the rest
/// goes up one by one, which takes two requests more each.
pub const HELD_BYTES: u64 = 64 << 20;
/// The same of a small file, whose need nobody asks for.
const SMALL_HELD_BYTES: u64 = 8 << 20;

/// Where the bytes of the last step go.
pub struct Target<'b, 't> {
    bench: &'b Bench<'t>,
    item: &'b Item,
    publishing: Publishing,
    /// The hash of its content, where that was read for its name.
    hash: Option<ContentHash>,
    current: Option<Current>,
    /// Outputs that are whole; they have names where their store needs them.
    outputs: Vec<Output>,
    /// Bytes of these that are in memory.
    held_bytes: u64,
    /// How many outputs of each directory the ledger knows to go up, perhaps.
    declared: HashMap<Vec<u8>, u32>,
    /// The directory of the last output that began under its name.
    directory: Option<(Vec<u8>, Arc<dyn SinkDirectory>)>,
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

/// Where an output is published, and its name there.
type Name = (Arc<dyn SinkDirectory>, Vec<u8>);

/// The output that is written.
struct Current {
    staging: Box<dyn Staging>,
    temporary: Temporary,
    directory: Arc<dyn SinkDirectory>,
    /// Its name, where it has to begin under it.
    name: Vec<u8>,
}

impl<'b, 't> Target<'b, 't> {
    /// Begin with an entry.
    pub fn new(bench: &'b Bench<'t>, item: &'b Item, publishing: Publishing) -> Self {
        Self {
            bench,
            item,
            publishing,
            hash: None,
            current: None,
            outputs: Vec::new(),
            held_bytes: 0,
            declared: HashMap::new(),
            directory: None,
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

    /// Know the hash of its content, which names tell.
    #[must_use]
    pub fn knowing(self, hash: Option<ContentHash>) -> Self {
        Self { hash, ..self }
    }

    /// Stage its output, unless it has several: each of these is told of. Its name and what it keeps of its source
    /// as far as they are known.
    pub fn begin(&mut self, name: &[u8], attributes: Option<&Attributes>) -> Result<()> {
        if self.bench.plan.expands() {
            return Ok(());
        }
        match self.name_of(&FIRST_PART)? {
            Some((directory, name)) => self.stage(&directory, name, attributes),
            None => self.stage_in_place(name, attributes),
        }
    }

    fn stage_in_place(&mut self, name: &[u8], attributes: Option<&Attributes>) -> Result<()> {
        let Some(sink) = &self.item.place.sink else { return Ok(()) };
        self.stage(&Arc::clone(sink), name.to_vec(), attributes)
    }

    fn stage(
        &mut self,
        directory: &Arc<dyn SinkDirectory>,
        name: Vec<u8>,
        attributes: Option<&Attributes>,
    ) -> Result<()> {
        effort::now(Activity::Writing);
        let (temporary, publish) = (self.bench.temporary(), self.publishing.how);
        let staging = directory.stage(&Beginning { temporary: &temporary, publish, name: &name, attributes })?;
        self.current = Some(Current { staging, temporary, directory: Arc::clone(directory), name });
        Ok(())
    }

    /// Where an output goes, where its store needs to know that when it begins; none: its place and its entry tell, or
    /// nothing does before the entry has been read.
    fn name_of(&mut self, part: &Part) -> Result<Option<Name>> {
        let Bench { plan, pipeline, manifest, .. } = *self.bench;
        let is_told = if plan.names_at_run_time() { self.hash.is_some() } else { plan.expands() };
        let Some(sink) = self.bench.sink.filter(|sink| sink.names_first() && is_told) else { return Ok(None) };
        let named = manifest.named(self.item.index as usize).read(self.hash).part(part);
        let (path, name) = plan.output_name(pipeline, &named)?;
        let last = self.directory.take().filter(|(last, _)| *last == path);
        let directory = last.map_or_else(|| sink.open_directory(&path), |(_, directory)| Ok(directory))?;
        self.directory = Some((path, Arc::clone(&directory)));
        Ok(Some((directory, name)))
    }

    /// Take what comes out of the last step.
    pub fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Bytes(bytes) => {
                if self.current.is_some() {
                    effort::now(Activity::Writing);
                    self.write(&bytes)?;
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

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes_out += bytes.len() as u64;
        if self.current.as_ref().is_some_and(|current| current.staging.leaves_memory(bytes.len())) {
            self.declare()?;
        }
        self.current.as_mut().map_or(Ok(()), |current| current.staging.write(bytes))
    }

    /// Have the ledger know under which name the current output is about to go up, unless the manifest tells it. That
    /// of as many outputs more as there were: so it is asked a few times, however many there are.
    fn declare(&mut self) -> Result<()> {
        let plan = self.bench.plan;
        if plan.names_at_run_time() && self.hash.is_none() {
            return Err(Error::NameNeeded);
        }
        if !plan.names_at_run_time() && !plan.expands() {
            return Ok(());
        }
        let Part { directory, number } = self.parts.last().unwrap_or(&FIRST_PART).clone();
        let known = self.declared.entry(directory.clone()).or_default();
        if number < *known {
            return Ok(());
        }
        let end = if plan.expands() { plan.most_parts().min(2 * (number + 1)) } else { 1 };
        *known = end;
        let parts = (number..end).map(|number| Part { directory: directory.clone(), number });
        self.bench.intents.declare(self.item.index, self.hash, parts)
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
        let attributes = self.attributes.clone();
        let named = self.name_of(&part)?;
        self.parts.push(part);
        match named {
            Some((directory, name)) => self.stage(&directory, name, attributes.as_ref()),
            None => self.stage_in_place(b"", attributes.as_ref()),
        }
    }

    fn end_output(&mut self, attributes: Option<&Attributes>) -> Result<()> {
        let Some(Current { staging, temporary, directory, name }) = self.current.take() else { return Ok(()) };
        effort::now(Activity::Writing);
        let (staged, held) = staging.finish(attributes.or(self.attributes.as_ref()))?;
        let replaces = self.publishing.replaces;
        let mut output = Output { directory, into: None, name, temporary, staged, replaces, held };
        let in_memory = output.directory.memory_bytes(&output);
        self.held_bytes += in_memory;
        if self.bench.plan.expands() && in_memory > 0 && self.held_bytes > self.most_held_bytes() {
            self.declare()?;
            Arc::clone(&output.directory).leave_memory(&mut output)?;
            self.held_bytes -= in_memory;
            self.bench.control.get_on();
        }
        self.outputs.push(output);
        Ok(())
    }

    fn most_held_bytes(&self) -> u64 {
        if self.bench.is_small(self.item.index) { SMALL_HELD_BYTES } else { HELD_BYTES }
    }

    /// Leave a hole up to an offset.
    pub fn skip_to(&mut self, offset_bytes: u64) -> Result<()> {
        self.bytes_out = offset_bytes;
        self.current.as_mut().map_or(Ok(()), |current| current.staging.skip_to(offset_bytes))
    }

    /// Copy the next bytes of the source; 0 is its end.
    ///
    /// That the system copies nothing does not mean that nothing is there: on some file systems it does so without an
    /// error (copy_file_range(2), "BUGS"), and then they are read.
    pub fn copy(&mut self, reading: &mut dyn Reading, length_bytes: u64) -> Result<u64> {
        effort::now(Activity::Writing);
        if let Some(current) = self.current.as_mut().filter(|_| self.buffer.is_empty())
            && let Some(copied) = current.staging.copy_from(reading, length_bytes)?
            && copied > 0
        {
            self.bytes_out += copied;
            return Ok(copied);
        }
        self.buffer.resize(CHUNK_BYTES, 0);
        let wanted = usize::try_from(length_bytes).map_or(CHUNK_BYTES, |length| length.min(CHUNK_BYTES));
        let read = fill(reading, &mut self.buffer[..wanted])?;
        if let Some(current) = &mut self.current {
            current.staging.write(&self.buffer[..read])?;
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
