//! One entry through the pipeline, up to an output that waits for its name.
//!
//! The same code serves small and large files: only who calls it differs, and how much it reads at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};

use super::{Notes, SMALL_BYTES, Task, control::Control, place::Place};
use crate::{
    Error, Result,
    manifest::Manifest,
    outcome::{Outcome, Publish, RACY_NS, Reason, Row, SourceFingerprint},
    pipeline::{Failure, Pipeline},
    plan::{Overwrite, Plan},
    processors::Event,
    stores::{Output, Reading, SinkDirectory, Staging, Standing, Temporary},
};

/// Bytes read at once from a large file: large enough that a system call does not count, small enough for the cache.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes read at once from a file that says it is empty: those of procfs do, and are not.
const UNSIZED_BYTES: usize = 4 << 10;

/// What a task's staging threads share.
pub struct Bench<'t> {
    pub plan: &'t Plan,
    pub pipeline: &'t Pipeline,
    pub manifest: &'t Manifest,
    pub control: &'t Control,
    pub task: &'t Task,
    pub notes: &'t Notes,
    /// The beginning of the names of this task's temporaries, and the counter of its token.
    pub temporaries: (Arc<str>, u64),
    pub next_temporary: AtomicU32,
    /// Whether the bytes that come out are counted (they are not where nothing is published).
    pub has_sink: bool,
}

/// An entry whose turn it is.
pub struct Item {
    pub index: u32,
    pub place: Arc<Place>,
    /// Tries before this one.
    pub attempts: u32,
}

/// What came of one try.
#[expect(
    clippy::large_enum_variant,
    reason = "a row is what nearly every try gives: a box would be one more allocation a file"
)]
pub enum Staged {
    /// The entry's row, and the output to publish.
    Ready(Row, Option<Output>),
    /// A transient failure: to be tried again.
    Again(Item),
    /// Given up on request; it remains.
    GivenUp,
}

impl Bench<'_> {
    /// The name of the entry's output.
    pub fn output_name(&self, index: u32) -> (Vec<u8>, Vec<u8>) {
        let at = index as usize;
        self.plan.output_name(
            self.pipeline,
            self.manifest.root(at),
            self.manifest.directory(at),
            self.manifest.name(at),
        )
    }

    /// The row of an entry that has killed its process too often to be tried again.
    pub fn poisoned(&self, index: u32) -> Option<Row> {
        let (_, kind, message) = self.task.care.poisoned.iter().find(|(at, ..)| *at == index)?;
        let reason = Reason { kind: kind.clone(), step: None, message: message.clone() };
        Some(Row::unread(index, Outcome::Poisoned, reason))
    }

    /// The path of the entry's source as people see it.
    pub fn shown_path(&self, index: u32) -> String {
        String::from_utf8_lossy(&self.source_path(index)).into_owned()
    }

    fn source_path(&self, index: u32) -> Vec<u8> {
        let at = index as usize;
        self.plan.source_path(self.manifest.root(at), self.manifest.directory(at), self.manifest.name(at))
    }

    /// Whether the entry takes the fast path.
    pub fn is_small(&self, index: u32) -> bool {
        self.manifest.size_bytes(index as usize) <= SMALL_BYTES
    }

    /// Bytes that staging the entry takes at its peak.
    pub fn need(&self, index: u32) -> u64 {
        self.pipeline.need(self.manifest.size_bytes(index as usize)) + 2 * CHUNK_BYTES as u64
    }

    /// Take the entry through the pipeline. Errors become its row.
    pub fn stage(&self, item: Item) -> Staged {
        let start = Instant::now();
        let note = self.notes.take(self.task.id, item.index);
        let answer = self.attempt(&item);
        drop(note);
        self.control.count_file();
        let attempts = item.attempts + 1;
        let (mut row, output) = match answer {
            Ok(answer) => answer,
            Err(Failure { error: Error::Cancelled, .. }) => return Staged::GivenUp,
            Err(failure) if failure.error.is_transient() && attempts < self.plan.max_attempts => {
                return Staged::Again(Item { attempts, ..item });
            }
            Err(failure) => (failed(item.index, &failure), None),
        };
        row.attempts = attempts;
        row.duration_us = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
        Staged::Ready(row, output)
    }

    fn attempt(&self, item: &Item) -> Result<(Row, Option<Output>), Failure> {
        let name = self.manifest.name(item.index as usize);
        let (_, output_name) = self.output_name(item.index);
        let publish = match &item.place.sink {
            None => Publish::Create,
            Some(sink) => match self.decide(item, &**sink, name, &output_name)? {
                Decision::Publish(publish) => publish,
                Decision::Skip(reason) => return Ok((Row::skipped(item.index, reason), None)),
            },
        };
        let mut reading = item.place.source.open(name)?;
        let before = reading.fingerprint()?;
        let read_ns = now_ns();
        let mut target = Target { bench: self, item, publish, staging: None, bytes_out: 0, records: None };
        if self.has_sink {
            target.begin()?; // an empty output is an output
        }
        let bytes_in = self.run(&mut *reading, name, before.size_bytes, &mut target)?;
        unchanged(before, reading.fingerprint()?)?;
        let (bytes_out, records) = (target.bytes_out, target.records.take());
        let output = target.finish(output_name)?;
        let row = Row {
            index: item.index,
            outcome: Outcome::Done,
            reason: None,
            bytes_in,
            bytes_out,
            duration_us: 0,
            attempts: 0,
            source: Some(before),
            racy: before.modified_ns.max(before.changed_ns) > read_ns.saturating_sub(RACY_NS),
            staged: output.as_ref().map(|output| output.staged),
            records,
        };
        Ok((row, output))
    }

    /// Read the file through the steps into the target; gives the bytes read.
    fn run(
        &self,
        reading: &mut dyn Reading,
        name: &[u8],
        size_bytes: u64,
        target: &mut Target<'_, '_>,
    ) -> Result<u64, Failure> {
        let mut flow = self.pipeline.open()?;
        let begin = Event::Begin { name: Bytes::copy_from_slice(name), size_bytes: Some(size_bytes) };
        flow.feed(begin, &mut |event| target.take(event))?;
        let mut total = 0;
        let mut buffer = BytesMut::new();
        loop {
            let wanted = match size_bytes.saturating_sub(total) {
                0 if size_bytes > 0 => break,
                0 => UNSIZED_BYTES,
                rest => usize::try_from(rest).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES)),
            };
            buffer.resize(wanted, 0);
            let filled = fill(reading, &mut buffer)?;
            if filled == 0 {
                break; // shorter than it was: the second look tells
            }
            buffer.truncate(filled);
            total += filled as u64;
            self.control.count_bytes(filled as u64);
            let chunk = std::mem::take(&mut buffer).freeze();
            flow.feed(Event::Bytes(chunk.clone()), &mut |event| target.take(event))?;
            // Where no step holds on to the chunk, its memory serves for the next one.
            buffer = chunk.try_into_mut().unwrap_or_default();
            if size_bytes > SMALL_BYTES && self.control.draining() {
                return Err(Error::Cancelled.into());
            }
        }
        flow.feed(Event::End, &mut |event| target.take(event))?;
        Ok(total)
    }

    /// Decide what happens to what has the output's name, before anything is read.
    fn decide(&self, item: &Item, sink: &dyn SinkDirectory, name: &[u8], output_name: &[u8]) -> Result<Decision> {
        /// NAME_MAX of every file system of Linux that counts names in bytes.
        const NAME_BYTES: usize = 255;
        if output_name.len() > NAME_BYTES {
            return Err(Error::NameTooLong { length_bytes: output_name.len(), limit_bytes: NAME_BYTES });
        }
        if item.place.in_place && output_name == name {
            return Err(Error::SourceIsSink);
        }
        let found = match sink.look(output_name)? {
            Standing::Free => return Ok(Decision::Publish(Publish::Create)),
            Standing::Directory => return Err(Error::OutputExists("a directory has the output's name".into())),
            Standing::File(found) => found,
        };
        match self.plan.sink.as_ref().map_or(Overwrite::Error, |sink| sink.overwrite) {
            Overwrite::Always => Ok(Decision::Publish(Publish::Replace)),
            Overwrite::Never => Ok(Decision::Skip("exists")),
            Overwrite::Error => {
                Err(Error::OutputExists("a file has the output's name, and `overwrite` is `error`".into()))
            }
            Overwrite::Newer => {
                let newer = item.place.source.fingerprint(name)?.modified_ns > found.modified_ns;
                Ok(if newer { Decision::Publish(Publish::Replace) } else { Decision::Skip("not_newer") })
            }
            Overwrite::Changed => {
                let own = item.place.memories.get(output_name).filter(|memory| sink.same(&found, &memory.output));
                let Some(memory) = own else { return Err(not_ours()) };
                let current = !memory.racy
                    && memory.pipeline_hash == self.plan.pipeline_hash
                    && memory.source == item.place.source.fingerprint(name)?;
                Ok(if current { Decision::Skip("unchanged") } else { Decision::Publish(Publish::Replace) })
            }
        }
    }
}

/// The failure of an output whose name a stranger's file has.
pub fn not_ours() -> Error {
    Error::OutputExists("a file that Pravah did not make has the output's name".into())
}

/// The row of an entry that failed, or is gone.
pub fn failed(index: u32, failure: &Failure) -> Row {
    let outcome = if failure.error.is_vanished() { Outcome::Vanished } else { Outcome::Failed };
    let reason = Reason {
        kind: failure.error.kind().to_owned(),
        step: failure.step.clone(),
        message: failure.error.to_string(),
    };
    Row::unread(index, outcome, reason)
}

/// How long to wait before try number `attempts` + 1: 50 ms, doubled each time, half of it by chance.
pub fn backoff(attempts: u32) -> Duration {
    let full = Duration::from_millis(50) * 2u32.saturating_pow(attempts.saturating_sub(1).min(6));
    let chance = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos()) % 1_000;
    full / 2 + full / 2 * chance / 1_000
}

enum Decision {
    Publish(Publish),
    Skip(&'static str),
}

/// Where the bytes of the last step go.
struct Target<'b, 't> {
    bench: &'b Bench<'t>,
    item: &'b Item,
    publish: Publish,
    staging: Option<(Temporary, Box<dyn Staging>)>,
    bytes_out: u64,
    records: Option<String>,
}

impl Target<'_, '_> {
    fn begin(&mut self) -> Result<()> {
        let Some(sink) = &self.item.place.sink else { return Ok(()) };
        let (task, counter) = &self.bench.temporaries;
        let number = self.bench.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = Temporary { task: Arc::clone(task), counter: *counter, number };
        let staging = sink.stage(&temporary, self.publish)?;
        self.staging = Some((temporary, staging));
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Bytes(bytes) => {
                if let Some((_, staging)) = &mut self.staging {
                    self.bytes_out += bytes.len() as u64;
                    staging.write(&bytes)?;
                }
            }
            Event::Record(record) => {
                let path = self.bench.source_path(self.item.index);
                crate::wire::push_record(self.records.get_or_insert_default(), &path, record);
            }
            Event::Begin { .. } | Event::End => {}
        }
        Ok(())
    }

    fn finish(self, name: Vec<u8>) -> Result<Option<Output>> {
        let (Some((temporary, staging)), Some(sink)) = (self.staging, &self.item.place.sink) else { return Ok(None) };
        let (staged, held) = staging.finish()?;
        Ok(Some(Output { directory: Arc::clone(sink), name, temporary, staged, held }))
    }
}

/// Read until the buffer is full or the file ends.
fn fill(reading: &mut dyn Reading, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reading.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn unchanged(before: SourceFingerprint, after: SourceFingerprint) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let what = if before.size_bytes == after.size_bytes {
        "its times or its inode".to_owned()
    } else {
        format!("{} bytes, then {}", before.size_bytes, after.size_bytes)
    };
    Err(Error::ChangedWhileRead(what))
}

fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}
