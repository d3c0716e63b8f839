//! One entry through the pipeline, up to an output that waits for its name.
//!
//! The same code serves small and large files: only who calls it differs, and who does the blocks of the steps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    Notes, SMALL_BYTES, Task,
    control::Control,
    decide::{Decision, Publishing},
    intents::Intents,
    outputs::Outputs,
    parts::Families,
    place::{Place, open_outputs},
    rates::Rates,
    stream::{PIECES, QUEUED_BYTES, Read},
    target::{HELD_BYTES, Target},
};
use crate::{
    Error, Result,
    effort::{self, Activity},
    entry::{Kind, join},
    manifest::Manifest,
    naming::ContentHash,
    outcome::{Outcome, RACY_NS, Reason, Row, SourceFingerprint},
    pipeline::{Failure, Pipeline, Workers},
    plan::{Plan, Preserve, SinkPlan},
    processors::SourcePath,
    stores::{Output, Reading, Sink, Source, Temporary, s3::ObjectOptions},
};

/// Tries of a file for which there was no descriptor, which others hold until their window is published.
pub const STARVED_ATTEMPTS: u32 = 12;

/// Times that one try reads a file, at most: a step asks for another one where what it has found changes what is
/// written, and each time finds less that is new.
pub const MOST_READINGS: u32 = 8;

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
    /// What its time goes to.
    pub effort: effort::Call,
    /// How fast it may read and write.
    pub rates: Arc<Rates>,
    /// Where entries are read.
    pub source: &'t dyn Source,
    /// Which entries have one output.
    pub outputs: Outputs,
    /// What is known of earlier outputs of entries that have several.
    pub families: Families,
    /// Who has the ledger know of uploads before they begin.
    pub intents: Intents,
    /// From how many bytes on the sink's store copies entries by itself; none: all pass by here.
    pub copied_there: Option<u64>,
    /// Where outputs go; none where nothing is published.
    pub sink: Option<&'t dyn Sink>,
    /// Whether nobody else can hold this task's lease while this process lives.
    pub kernel_leases: bool,
}

/// An entry whose turn it is.
pub struct Item {
    pub index: u32,
    pub place: Arc<Place>,
    /// Tries before this one.
    pub attempts: u32,
    /// There was no descriptor for the last one.
    pub starved: bool,
}

/// What came of one try.
#[expect(
    clippy::large_enum_variant,
    reason = "a row is what nearly every try gives: a box would be one more allocation a file"
)]
pub enum Staged {
    /// The entry's row, and the outputs to publish.
    Ready(Row, Vec<Output>),
    /// The rows of all entries of an output, and the output, or those that are made of it.
    Merged(Vec<Row>, Vec<Output>),
    /// A transient failure: to be tried again.
    Again(Item),
    /// Given up on request; it remains.
    GivenUp,
}

impl Bench<'_> {
    /// The directory and the name of the entry's output; `hash` is that of its content, where the name tells it.
    pub fn output_name(&self, index: u32, hash: Option<ContentHash>) -> Result<(Vec<u8>, Vec<u8>)> {
        self.plan.output_name(self.pipeline, &self.manifest.named(index as usize).read(hash))
    }

    /// The name of the entry's output in its place; empty where only the content tells it.
    fn name_in_place(&self, index: u32) -> Result<Vec<u8>> {
        if self.plan.names_at_run_time() {
            return Ok(Vec::new());
        }
        self.output_name(index, None).map(|(_, name)| name)
    }

    /// The row of an entry that has killed its process too often to be tried again.
    pub fn poisoned(&self, index: u32) -> Option<Row> {
        let (_, kind, message) = self.task.care.poisoned.iter().find(|(at, ..)| *at == index)?;
        let reason = Reason { kind: kind.clone(), step: None, message: message.clone() };
        Some(Row::unread(index, Outcome::Poisoned, reason))
    }

    /// The row of an entry that is not to be read.
    pub fn verdict(&self, index: u32) -> Option<Row> {
        if let Some(row) = self.poisoned(index) {
            return Some(row);
        }
        if let Some(problem) = self.manifest.problem(index as usize) {
            let reason = Reason { kind: problem.kind, step: None, message: problem.message };
            return Some(Row::unread(index, Outcome::Failed, reason));
        }
        match self.manifest.kind(index as usize).ok()? {
            Kind::File => None,
            Kind::Symlink if self.preserves(Preserve::Links) => None,
            Kind::Directory if self.preserves(Preserve::EmptyDirs) => None,
            kind => Some(Row::skipped(index, kind.skip_reason().unwrap_or("directory"))),
        }
    }

    fn preserves(&self, what: Preserve) -> bool {
        self.plan.sink.as_ref().is_some_and(|sink| sink.preserves(what))
    }

    /// The path of the entry's source as people see it.
    pub fn shown_path(&self, index: u32) -> String {
        String::from_utf8_lossy(&self.source_path(index)).into_owned()
    }

    /// Where the entry was listed.
    pub fn listed_path(&self, index: u32) -> SourcePath {
        let root = self.plan.source_path(self.manifest.root(index as usize), b"", b"");
        SourcePath::new(self.source_path(index), root.len())
    }

    pub fn source_path(&self, index: u32) -> Vec<u8> {
        let at = index as usize;
        self.plan.source_path(self.manifest.root(at), self.manifest.directory(at), self.manifest.name(at))
    }

    /// Whether the entry takes the fast path.
    pub fn is_small(&self, index: u32) -> bool {
        if self.outputs.are_merged() {
            return self.is_small_output(index);
        }
        self.manifest.size_bytes(index as usize) <= SMALL_BYTES || self.is_copied_there(index)
    }

    /// Bytes that staging the entry takes at its peak, with so many blocks of each step in work at once.
    pub fn need(&self, index: u32, blocks: usize) -> u64 {
        let (name, size_bytes) = (self.manifest.name(index as usize), self.largest_bytes(index));
        let steps = self.pipeline.need(name, size_bytes, blocks as u64);
        let held_bytes = if self.plan.expands() && self.sink.is_some_and(Sink::holds_outputs) { HELD_BYTES } else { 0 };
        let stores = self.source.reading_bytes() + self.sink.map_or(0, Sink::staging_bytes) + held_bytes;
        steps.saturating_add(PIECES * self.pipeline.piece_bytes() as u64 + QUEUED_BYTES + stores)
    }

    /// Take the entry through the pipeline. Errors become its row.
    pub fn stage(&self, item: Item, workers: Workers<'_>) -> Staged {
        if self.outputs.are_merged() {
            return self.stage_merged(item, workers);
        }
        let start = Instant::now();
        let working = self.effort.work(Activity::Reading);
        let note = self.notes.take(self.task.id, item.index);
        let answer = self.attempt(&item, workers);
        drop((note, working));
        self.control.count_file();
        let attempts = item.attempts + 1;
        let (mut row, outputs) = match answer {
            Ok(answer) => answer,
            Err(Failure { error: Error::Cancelled, .. }) => return Staged::GivenUp,
            Err(Failure { error, .. }) if let Some(errno) = error.sink_full() => {
                self.control.sink_is_full(errno);
                return Staged::GivenUp;
            }
            // No try of its own: it waits for the memory that it turned out to need.
            Err(Failure { error: Error::WindowTooLarge, .. }) => return Staged::Again(item),
            Err(failure) if attempts < self.tries(&failure.error) => {
                let starved = failure.error.is_starved();
                return Staged::Again(Item { attempts, starved, ..item });
            }
            Err(failure) => (left(item.index, &failure), Vec::new()),
        };
        row.attempts = attempts;
        row.duration_us = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
        Staged::Ready(row, outputs)
    }

    /// How often a file that meets this error is tried.
    pub fn tries(&self, error: &Error) -> u32 {
        match error {
            error if error.is_starved() => STARVED_ATTEMPTS,
            error if error.is_transient() => self.plan.max_attempts,
            _ => 0,
        }
    }

    fn attempt(&self, item: &Item, workers: Workers<'_>) -> Result<(Row, Vec<Output>), Failure> {
        let kind = self.manifest.kind(item.index as usize)?;
        if kind == Kind::Directory {
            return Ok((self.make_directory(item)?, Vec::new()));
        }
        let name = self.manifest.name(item.index as usize);
        let output_name = self.name_in_place(item.index)?;
        let publishing = match self.decide(item, name, &output_name)? {
            Decision::Publish(publishing) => publishing,
            Decision::Skip(row) => return Ok((*row, Vec::new())),
        };
        if self.is_copied_there(item.index)
            && let Some((row, output)) = self.attempt_copy(item, publishing, &output_name)?
        {
            return Ok((row, vec![output]));
        }
        let (row, mut outputs) = match kind {
            Kind::Symlink => self.attempt_link(item, publishing, output_name)?,
            _ => self.attempt_file(item, (publishing, output_name), workers)?,
        };
        match outputs.first_mut() {
            Some(output) if publishing.if_equal && !output.directory.has_equal(output)? => {
                output.discard();
                Ok((self.refuse_unequal(item, output)?, Vec::new()))
            }
            _ => Ok((row, outputs)),
        }
    }

    fn attempt_file(
        &self,
        item: &Item,
        (publishing, output_name): (Publishing, Vec<u8>),
        workers: Workers<'_>,
    ) -> Result<(Row, Vec<Output>), Failure> {
        let name = self.manifest.name(item.index as usize);
        let listed_bytes = self.manifest.size_bytes(item.index as usize);
        let mut reading = item.place.source.open_listed(name, listed_bytes)?;
        let (before, looked) = reading.look()?;
        self.refuse_another((&*reading, publishing), item, &output_name)?;
        self.refuse_too_large(before.size_bytes)?;
        let racy = is_racy(before.modified_ns.max(before.changed_ns));
        let shared = self.shared_name(item, &before, &looked)?;
        if let Some(shared) = &shared
            && let Some(output) = self.stage_shared(item, publishing, shared, &output_name)?
        {
            let (size, staged) = (before.size_bytes, Some(output.staged));
            let several_names = true;
            let row =
                Row { bytes_out: size, source: Some(before), racy, several_names, staged, ..Row::done(item.index) };
            return Ok((row, vec![output]));
        }
        let kept = Some(&looked).filter(|_| self.keeps_attributes()).cloned();
        let (mut memo, mut readings, mut known) = (None, 1, None);
        let (mut target, Read { bytes: bytes_in, hash }) = loop {
            let mut target = Target::new(self, item, publishing).keeping(kept.clone()).knowing(known);
            if self.sink.is_some() {
                target.begin(&output_name, kept.as_ref())?; // an empty output is an output
            }
            let entry = (item.index, before.size_bytes);
            match self.run(&mut *reading, entry, &mut target, (workers, memo.as_ref())) {
                Ok(read) => break (target, read),
                Err(Failure { error: Error::ReadAgain(found), .. }) if readings < MOST_READINGS => {
                    (memo, readings) = (Some(found), readings + 1);
                    reading = item.place.source.open_listed(name, listed_bytes)?;
                    unchanged(before, reading.look()?.0)?;
                }
                Err(Failure { error: Error::NameNeeded, .. }) if known.is_none() => {
                    let mut whole = item.place.source.open_listed(name, listed_bytes)?;
                    unchanged(before, whole.look()?.0)?;
                    known = Some(self.hash(&mut *whole)?);
                    reading = item.place.source.open_listed(name, listed_bytes)?;
                    unchanged(before, reading.look()?.0)?;
                }
                Err(failure) => return Err(failure),
            }
        };
        let (after, attributes) = reading.look()?;
        unchanged(before, after)?;
        if known.is_some() && known != hash {
            return Err(Error::ChangedWhileRead("its content, and not its times".to_owned()).into());
        }
        let (bytes_out, records, rows) = (target.bytes_out, target.records.take(), target.rows);
        let (mut outputs, parts) = target.finish(Some(&attributes).filter(|_| self.keeps_attributes()))?;
        let several_names = looked.names > 1;
        let row = Row { bytes_in, bytes_out, racy, several_names, records, rows, hash, ..Row::done(item.index) };
        let row = Row { source: Some(before), ..row };
        if self.plan.expands() {
            return Ok(self.settle_parts(item, row, (parts, outputs))?);
        }
        if let Some(output) = outputs.pop() {
            let output = self.named(item.index, (hash, output_name), output)?;
            outputs.push(match &shared {
                Some(shared) => self.share(item, publishing, shared, output)?,
                None => output,
            });
        }
        Ok((Row { staged: outputs.first().map(|output| output.staged), ..row }, outputs))
    }

    /// Refuse a file that is not the one which its output shall replace: another one has come between the two looks.
    fn refuse_another(
        &self,
        (reading, publishing): (&dyn Reading, Publishing),
        item: &Item,
        output_name: &[u8],
    ) -> Result<()> {
        let replaces_itself = self.plan.in_place && output_name == self.manifest.name(item.index as usize);
        let (Some(found), Some(expected)) = (reading.standing(), publishing.replaces) else { return Ok(()) };
        match item.place.sink.as_ref().filter(|_| replaces_itself) {
            Some(sink) if !sink.same(&found, &expected) => {
                Err(Error::ChangedWhileRead("another one has its name".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Refuse what the sink can't hold, where the output is as large as its source.
    fn refuse_too_large(&self, size_bytes: u64) -> Result<()> {
        let is_copied = self.plan.steps.iter().all(|step| step.name == "copy");
        match self.sink.and_then(Sink::largest_bytes).filter(|limit| is_copied && size_bytes > *limit) {
            Some(limit_bytes) => Err(Error::OutputTooLarge { size_bytes, limit_bytes }),
            None => Ok(()),
        }
    }

    /// Tell an output where it goes: into its place under its name, or where the content's hash tells.
    fn named(&self, index: u32, (hash, in_place): (Option<ContentHash>, Vec<u8>), output: Output) -> Result<Output> {
        if hash.is_none() {
            return Ok(Output { name: in_place, ..output });
        }
        let mut output = output;
        let waits_in = self.plan.staging_directory(self.pipeline, &self.manifest.named(index as usize))?;
        self.lead_to(&mut output, self.output_name(index, hash)?, &waits_in)?;
        Ok(output)
    }

    /// A link that stays a link: nothing is read, and nothing followed.
    fn attempt_link(&self, item: &Item, publishing: Publishing, output_name: Vec<u8>) -> Result<(Row, Vec<Output>)> {
        let name = self.manifest.name(item.index as usize);
        let Some(sink) = &item.place.sink else { return Ok((Row::skipped(item.index, "symlink"), Vec::new())) };
        let before = item.place.source.fingerprint(name)?;
        let target = item.place.source.read_link(name)?;
        let temporary = self.temporary();
        let (staged, held) = sink.stage_link(&temporary, publishing.how, &target)?;
        let replaces = publishing.replaces;
        let directory = Arc::clone(sink);
        let output = Output { directory, into: None, name: output_name, temporary, staged, replaces, held };
        let racy = is_racy(before.changed_ns);
        Ok((Row { source: Some(before), racy, staged: Some(staged), ..Row::done(item.index) }, vec![output]))
    }

    /// A directory without entries, made where `preserve` asks for it.
    fn make_directory(&self, item: &Item) -> Result<Row> {
        let at = item.index as usize;
        let path = join(self.manifest.directory(at), self.manifest.name(at));
        let directory = join(&self.plan.prefix(self.manifest.root(at)), &path);
        if let Some(sink) = self.sink {
            let from = (self.manifest.root(at), path.as_slice());
            let made = open_outputs(self.plan, (self.source, sink), &directory, from)?;
            sink.make_published_durable(&[made, item.place.sink.clone().unwrap_or(sink.open_directory(b"")?)])?;
        }
        Ok(Row::done(item.index))
    }

    pub fn keeps_attributes(&self) -> bool {
        const KEPT: [Preserve; 5] =
            [Preserve::Mtime, Preserve::Mode, Preserve::Owner, Preserve::Metadata, Preserve::Tags];
        let keeps_type = |sink: &SinkPlan| sink.s3.as_ref().is_some_and(ObjectOptions::keeps_type);
        KEPT.into_iter().any(|what| self.preserves(what)) || self.plan.sink.as_ref().is_some_and(keeps_type)
    }

    /// The next name for a temporary.
    pub fn temporary(&self) -> Temporary {
        let (task, counter) = &self.temporaries;
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        Temporary { task: Arc::clone(task), counter: *counter, number }
    }
}

/// The row of an entry that can't be worked on: it failed, or it has to be fetched from an archive first.
pub fn left(index: u32, failure: &Failure) -> Row {
    match failure.error.kind() {
        "object_archived" => Row::skipped(index, "archived"),
        _ => failed(index, failure),
    }
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

/// Whether a file that changed then is so young that its times prove nothing.
pub fn is_racy(changed_ns: i64) -> bool {
    changed_ns > now_ns().saturating_sub(RACY_NS)
}

/// Refuse a file that is not what it was before it was read.
pub fn unchanged(before: SourceFingerprint, after: SourceFingerprint) -> Result<()> {
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
