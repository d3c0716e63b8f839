//! A window's way: durable, recorded, published, durable under its names, acknowledged with the next record.
//!
//! Protocol, rule 5. Everything here happens in order on one thread, while the crew fills the next window.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Instant,
};

use super::{
    account::{Account, Counts},
    after::{Finisher, Job},
    control::Verdict,
    crew::Window,
    decide::SAME_CONTENT,
    stage::{Bench, failed, left},
};
use crate::{
    Error, Result,
    effort::{self, Activity},
    fingerprint::{Memory, encode_memories},
    outcome::{Outcome, Publish, Row, SourceFingerprint, encode_rows},
    pipeline::Failure,
    plan::{SinkPlan, Verify},
    stores::{Output, Sink, SinkDirectory, Source},
};

/// What one transaction of the ledger holds: window *n* is recorded, window *n* − 1 acknowledged.
#[derive(Debug)]
pub struct WindowRecord {
    /// The rows of the window to record; none in a task's last record.
    pub window: Option<Vec<u8>>,
    /// Whether the window recorded before is acknowledged.
    pub acknowledge: bool,
    /// Rows of that window which publishing changed.
    pub amendments: Option<Vec<u8>>,
    /// What is to be remembered of published outputs: (directory, blob).
    pub fingerprints: Vec<(Vec<u8>, Vec<u8>)>,
    /// Acknowledged entries of the whole task, once this is committed.
    pub counts: Counts,
    /// Their summary, as JSON.
    pub summary: String,
    /// Whether nothing of the task remains.
    pub finished: bool,
    /// Whether it only tells of what may begin: nothing is recorded as done, and nothing acknowledged.
    pub intent: bool,
}

/// What is recorded.
enum Recording {
    /// A window.
    Window(Vec<u8>),
    /// What may begin.
    Intent(Vec<u8>),
    /// Nothing: only the window before is acknowledged.
    None,
}

/// A published window that no transaction has acknowledged yet.
#[derive(Default)]
pub struct Published {
    /// The rows that count.
    pub rows: Vec<Row>,
    /// The rows that differ from what was recorded.
    pub amendments: Vec<Row>,
}

/// Outputs whose publishing has begun and is waited for: as many as a window has entries.
const BEGUN_AT_ONCE: usize = 4_096;

/// Commits one window after the other.
pub struct Committer<'c, 't> {
    pub bench: &'c Bench<'t>,
    pub source: &'c dyn Source,
    pub on_window: &'c mut dyn FnMut(WindowRecord) -> Result<Verdict>,
    pub account: Account,
    pub pending: Option<Published>,
    /// Entries that are to be staged anew, with their tries so far.
    pub redo: Vec<(u32, u32)>,
}

/// Whether the next window may come.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It may.
    Go,
    /// The lease is lost.
    Fenced,
}

impl Committer<'_, '_> {
    /// Make a window durable, have it recorded, and publish it.
    pub fn commit(&mut self, mut window: Window) -> Result<Next> {
        let working = self.bench.effort.work(Activity::Syncing);
        if let Some(sink) = self.bench.sink
            && let Err(error) = sink.make_durable(&window.outputs)
        {
            self.stage_anew(&mut window, error);
        }
        effort::now(Activity::Verifying);
        self.read_back(&mut window);
        if window.rows.is_empty() {
            return Ok(Next::Go);
        }
        let blob = encode_rows(&window.rows)?;
        match self.record(Recording::Window(blob))? {
            Verdict::Fenced => {
                discard(&mut window.outputs);
                return Ok(Next::Fenced);
            }
            Verdict::Drain => self.bench.control.drain(),
            Verdict::Committed => {}
        }
        effort::now(Activity::Publishing);
        self.pending = self.publish(window)?;
        drop(working);
        Ok(if self.pending.is_some() { Next::Go } else { Next::Fenced })
    }

    /// Have an intent recorded, as a window of its own.
    pub fn intend(&mut self, row: Row) -> Result<Next> {
        match self.record(Recording::Intent(encode_rows(&[row])?))? {
            Verdict::Fenced => return Ok(Next::Fenced),
            Verdict::Drain => self.bench.control.drain(),
            Verdict::Committed => {}
        }
        self.pending = Some(Published::default());
        Ok(Next::Go)
    }

    /// Acknowledge what is published, and say whether anything of the task remains.
    pub fn finish(&mut self) -> Result<Verdict> {
        self.record(Recording::None)
    }

    /// Entries of the task that are not acknowledged yet.
    pub fn remaining(&self) -> u64 {
        (self.bench.manifest.len() as u64).saturating_sub(self.account.counts.entries())
    }

    fn record(&mut self, recording: Recording) -> Result<Verdict> {
        let pending = self.pending.take();
        let acknowledge = pending.is_some();
        let Published { rows, amendments } = pending.unwrap_or_default();
        for row in &rows {
            self.account.add(row, || self.bench.shown_path(row.index));
        }
        let fingerprints = self.memories(&rows)?;
        let finished = matches!(recording, Recording::None) && self.remaining() == 0;
        let intent = match recording {
            Recording::Window(_) => false,
            Recording::Intent(_) => rows.is_empty(),
            Recording::None => rows.is_empty() && acknowledge,
        };
        let window = if let Recording::Window(blob) | Recording::Intent(blob) = recording { Some(blob) } else { None };
        self.account.effort = self.bench.effort.so_far();
        self.account.hedged = self.source.hedged();
        if self.bench.sink.is_some_and(Sink::has_left_uploads) {
            self.account.has_left_uploads();
        }
        let waiting = self.bench.effort.work(Activity::Ledger);
        let verdict = (self.on_window)(WindowRecord {
            window,
            acknowledge,
            amendments: if amendments.is_empty() { None } else { Some(encode_rows(&amendments)?) },
            fingerprints,
            counts: self.account.counts,
            summary: self.account.summary(),
            finished,
            intent,
        })?;
        drop(waiting);
        if verdict != Verdict::Fenced {
            self.make_room(&rows);
        }
        Ok(verdict)
    }

    /// Remove sources that their acknowledged outputs replace under other names, so that a job in place never needs
    /// the room of all of them twice. Closing looks at each again, and tells what could not be removed. A store has
    /// room, and is asked for many at once then.
    fn make_room(&self, rows: &[Row]) {
        let makes_room = self.bench.plan.in_place && !self.source.is_remote();
        let Some(sink) = self.bench.sink.filter(|_| makes_room) else { return };
        let Bench { plan, pipeline, manifest, .. } = *self.bench;
        let mut finisher = Finisher::new(Job { plan, pipeline, manifest, source: self.source, sink }, None, 0);
        let mut account = Account::default();
        rows.iter().for_each(|row| finisher.finish(row, &mut account));
    }

    /// Read outputs back from the disk, where that was asked for; what differs fails, and is never published.
    fn read_back(&self, window: &mut Window) {
        let content = self.bench.plan.sink.as_ref().is_some_and(|sink| sink.verify == Verify::Content);
        let Some(sink) = self.bench.sink.filter(|_| content) else { return };
        let mut outputs = std::mem::take(&mut window.outputs);
        let positions = std::mem::take(&mut window.output_rows);
        for alike in positions.chunk_by(|one, other| one == other) {
            let mut together: Vec<Output> = outputs.drain(..alike.len()).collect();
            match together.iter().try_for_each(|output| sink.verify(output)) {
                Ok(()) => {
                    window.outputs.extend(together);
                    window.output_rows.extend_from_slice(alike);
                }
                Err(error) => {
                    discard(&mut together);
                    let failure = Failure::from(error);
                    for row in &mut window.rows[alike[0].clone()] {
                        *row = Row { attempts: row.attempts, ..failed(row.index, &failure) };
                    }
                }
            }
        }
    }

    /// A failed flush marks pages clean that never reached the disk: what was written is thrown away (rule 8).
    fn stage_anew(&mut self, window: &mut Window, error: Error) {
        discard(&mut window.outputs);
        window.outputs.clear();
        let full = error.sink_full();
        full.into_iter().for_each(|errno| self.bench.control.sink_is_full(errno));
        window.output_rows.dedup();
        let positions: HashSet<usize> = window.output_rows.drain(..).flatten().collect();
        let failure = Failure::from(error);
        let mut position = 0;
        window.rows.retain_mut(|row| {
            position += 1;
            if !positions.contains(&(position - 1)) {
                return true;
            }
            if full.is_some() {
                return false; // it remains
            }
            if row.attempts < self.bench.plan.max_attempts {
                self.redo.push((row.index, row.attempts));
                return false;
            }
            *row = Row { attempts: row.attempts, ..failed(row.index, &failure) };
            true
        });
    }

    /// Give outputs their names; none where somebody who has the lease now took them away.
    fn publish(&mut self, mut window: Window) -> Result<Option<Published>> {
        let mut amendments = Vec::new();
        let mut touched = Touched::default();
        let (mut outputs, recorded) = (window.outputs.as_mut_slice(), Instant::now());
        // Outputs, from the next one on, that have begun.
        let mut begun = 0;
        for alike in window.output_rows.chunk_by(|one, other| one == other) {
            self.bench.control.get_on();
            if let Some(sink) = self.bench.sink.filter(|_| begun == 0) {
                begun = if self.shares_families() { alike.len() } else { outputs.len() }.min(BEGUN_AT_ONCE);
                sink.begin_publish(&mut outputs[..begun], recorded);
            }
            let (together, rest) = std::mem::take(&mut outputs).split_at_mut(alike.len());
            (outputs, begun) = (rest, begun.saturating_sub(alike.len()));
            let rows = &mut window.rows[alike[0].clone()];
            match self.publish_all((together, recorded), rows, &mut touched) {
                Ok(None) => continue,
                Ok(Some(skipped)) => {
                    rows.iter_mut()
                        .for_each(|row| *row = Row { attempts: row.attempts, ..Row::skipped(row.index, skipped) });
                }
                // Leases that expire: the next holder has begun by removing what was recorded (rule 7).
                Err(Error::TemporaryGone) if !self.bench.kernel_leases => return Ok(None),
                Err(error) => {
                    let failure = Failure::from(error);
                    rows.iter_mut().for_each(|row| self.give_back(row, &failure));
                }
            }
            discard(together);
            amendments.extend_from_slice(rows);
        }
        if let Some(sink) = self.bench.sink {
            self.remove_all_stale(&window.rows, &mut touched)?;
            touched.settle(sink)?;
        }
        Ok(Some(Published { rows: window.rows, amendments }))
    }

    /// Whether several entries may come to the same several names: one entry after the other has to try, or each would
    /// get some of them.
    fn shares_families(&self) -> bool {
        self.bench.plan.names_at_run_time() && self.bench.plan.expands()
    }

    /// Give all outputs of some rows their names, or none: what got one is taken back where another one can't; also what
    /// may have got one by a request whose answer was lost.
    fn publish_all(
        &self,
        (outputs, recorded): (&mut [Output], Instant),
        rows: &[Row],
        touched: &mut Touched,
    ) -> Result<Option<&'static str>> {
        let newest = rows.iter().filter_map(|row| row.source).max_by_key(|source| source.modified_ns);
        let (first, mut refused) = (&rows[0], None);
        let (mut tried, mut published, mut there) = (0, 0, None);
        for at in 0..outputs.len() {
            if at > 0 && at % BEGUN_AT_ONCE == 0 {
                let next = outputs.len().min(at + BEGUN_AT_ONCE);
                if let Some(sink) = self.bench.sink.filter(|_| refused.is_none()) {
                    sink.begin_publish(&mut outputs[at..next], recorded);
                }
            }
            let output = &mut outputs[at];
            self.bench.control.get_on();
            if refused.is_some() && !output.directory.is_begun(output) {
                continue;
            }
            tried = at + 1;
            let (waits_in, into) = (Arc::clone(&output.directory), output.into.clone());
            let answer = match refused {
                None => self.enter(output).and_then(|()| self.publish_one(output, newest)),
                // It has begun: only whether it got its name is of interest.
                Some(_) => output.publish(output.staged.publish).map(|()| None),
            };
            match answer {
                Ok(None) => {
                    published += 1;
                    touched.add(self.bench.sink, &output.directory)?;
                }
                // Nobody knows of one that it is there for all: it may be left of what was taken back.
                Ok(Some(reason)) if reason == SAME_CONTENT && refused.is_none() => {
                    there = Some(reason);
                    output.discard();
                }
                // The next holder has the lease, and takes back what got a name.
                Err(Error::TemporaryGone) if !self.bench.kernel_leases => return Err(Error::TemporaryGone),
                answer => {
                    refused.get_or_insert(answer);
                }
            }
            if first.parts.is_some() {
                (output.directory, output.into) = (waits_in, into); // one of many, each of which may have one of its own
            }
        }
        if let Some(refused) = refused {
            let tried_parts = first.parts.as_ref().map(|parts| parts[..tried].into());
            self.bench.take_back(&Row { parts: tried_parts, ..first.clone() })?;
            return refused;
        }
        if published == 0 && there.is_some() {
            return Ok(there);
        }
        for directory in self.bench.remove_stale(first)? {
            touched.add(self.bench.sink, &directory)?;
        }
        Ok(None)
    }

    /// Entries that have no output any more, of which there were several.
    fn remove_all_stale(&self, rows: &[Row], touched: &mut Touched) -> Result<()> {
        let is_lead = |row: &&Row| self.bench.outputs.lead(row.index) == row.index;
        let expands = self.bench.plan.expands();
        for row in rows.iter().filter(|row| expands && row.outcome == Outcome::Done && !row.has_outputs()) {
            for directory in Some(row).filter(is_lead).map_or(Ok(Vec::new()), |row| self.bench.remove_stale(row))? {
                touched.add(self.bench.sink, &directory)?;
            }
        }
        Ok(())
    }

    /// An output could not be published: its entry is done again where that may help, or fails.
    fn give_back(&mut self, row: &mut Row, failure: &Failure) {
        let error = &failure.error;
        if let Some(errno) = error.sink_full() {
            self.bench.control.sink_is_full(errno);
            row.outcome = Outcome::Redo;
        } else if error.is_transient() && row.attempts < self.bench.plan.max_attempts {
            self.redo.push((row.index, row.attempts));
            row.outcome = Outcome::Redo;
        } else {
            *row = Row { attempts: row.attempts, ..left(row.index, failure) };
        }
    }

    /// Go to the directory that only the content tells: it is made now, as the ledger knows of it (rule 5).
    fn enter(&self, output: &mut Output) -> Result<()> {
        if let (Some(directory), Some(sink)) = (output.into.take(), self.bench.sink) {
            output.directory = sink.open_directory(&directory)?;
        }
        Ok(())
    }

    /// Give the output its name. Where something came to have it since it was decided, `overwrite` decides again.
    fn publish_one(&self, output: &mut Output, source: Option<SourceFingerprint>) -> Result<Option<&'static str>> {
        if self.bench.plan.names_at_run_time() {
            return self.bench.publish_if_free(output);
        }
        if !output.directory.is_still(output)?
            && let Some(reason) = self.bench.decide_again(output, source)?
        {
            return Ok(Some(reason));
        }
        match output.publish(output.staged.publish) {
            // It is for the next try to see what is there.
            Err(error) if error.kind() == "output_exists" && self.bench.plan.in_place => {
                return Err(Error::ChangedWhileRead("another one has its name".into()));
            }
            Err(error) if error.kind() == "output_exists" && output.staged.publish == Publish::Create => {}
            answer => return answer.map(|()| None),
        }
        match self.bench.decide_again(output, source)? {
            Some(reason) => Ok(Some(reason)),
            None => output.publish(Publish::Replace).map(|()| None),
        }
    }

    /// What later jobs must know of the outputs that these rows published.
    fn memories(&self, rows: &[Row]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if !self.bench.plan.sink.as_ref().is_some_and(SinkPlan::keeps_outputs) {
            return Ok(Vec::new()); // there is nothing that could stand there again
        }
        let mut directories: Vec<(Vec<u8>, Vec<NamedMemory>)> = Vec::new();
        if self.bench.plan.names_at_run_time() {
            return Ok(Vec::new()); // what has such a name is compared itself
        }
        let pipeline_hash: Arc<str> = self.bench.plan.pipeline_hash.as_str().into();
        for members in
            rows.chunk_by(|one, other| self.bench.outputs.lead(one.index) == self.bench.outputs.lead(other.index))
        {
            let row = &members[0];
            let (Outcome::Done, Some(source)) = (row.outcome, row.source) else { continue };
            let source = match self.bench.outputs.are_merged() {
                true => self.bench.origin_of(row.index, members.iter().filter_map(|row| row.source)).fingerprint,
                false => source,
            };
            let (entry, racy) = (Some(self.bench.origin_key(row.index)?), members.iter().any(|row| row.racy));
            let parts = row.parts.as_ref().and_then(|parts| u32::try_from(parts.len()).ok());
            for (part, staged) in row.outputs() {
                let named = self.bench.manifest.named(row.index as usize).part(part);
                let (directory, name) = match parts {
                    Some(_) => self.bench.plan.remembered_name(self.bench.pipeline, &named)?,
                    None => self.bench.plan.output_name(self.bench.pipeline, &named)?,
                };
                let pipeline_hash = Arc::clone(&pipeline_hash);
                let memory = Memory { entry, pipeline_hash, source, racy, output: staged.identity, parts };
                match directories.last_mut().filter(|(last, _)| *last == directory) {
                    Some((_, memories)) => memories.push((name, memory)),
                    None => directories.push((directory, vec![(name, memory)])),
                }
            }
        }
        if self.bench.plan.template().is_some() {
            directories = joined(directories); // entries of one directory may take turns
        }
        directories
            .into_iter()
            .map(|(directory, memories)| {
                let blob = encode_memories(memories.iter().map(|(name, memory)| (name.as_slice(), memory)))?;
                Ok((directory, blob))
            })
            .collect()
    }
}

/// Directories that got or lost names, until these are on disk.
#[derive(Default)]
struct Touched {
    directories: Vec<Arc<dyn SinkDirectory>>,
    seen: HashSet<(u64, u64)>,
}

/// Directories that are kept open at once, each with a descriptor.
pub const OPEN_DIRECTORIES: usize = 1_024;

impl Touched {
    fn add(&mut self, sink: Option<&dyn Sink>, directory: &Arc<dyn SinkDirectory>) -> Result<()> {
        if self.seen.insert(directory.id()) {
            self.directories.push(Arc::clone(directory));
        }
        match sink.filter(|_| self.directories.len() >= OPEN_DIRECTORIES) {
            Some(sink) => std::mem::take(self).settle(sink),
            None => Ok(()),
        }
    }

    /// Wait until the names in them are on disk.
    fn settle(self, sink: &dyn Sink) -> Result<()> {
        effort::now(Activity::Syncing);
        sink.make_published_durable(&self.directories)?;
        effort::now(Activity::Publishing);
        Ok(())
    }
}

/// Put what belongs to one directory together.
fn joined(directories: Vec<(Vec<u8>, Vec<NamedMemory>)>) -> Vec<(Vec<u8>, Vec<NamedMemory>)> {
    let mut joined: BTreeMap<Vec<u8>, Vec<NamedMemory>> = BTreeMap::new();
    for (directory, memories) in directories {
        joined.entry(directory).or_default().extend(memories);
    }
    joined.into_iter().collect()
}

/// The name of an output, and what is remembered of it.
type NamedMemory = (Vec<u8>, Memory);

/// Remove outputs that will not be published.
fn discard(outputs: &mut [Output]) {
    outputs.iter_mut().for_each(Output::discard);
}
