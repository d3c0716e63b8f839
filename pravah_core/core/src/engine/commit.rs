//! A window's way: durable, recorded, published, durable under its names, acknowledged with the next record.
//!
//! Protocol, rule 5. Everything here happens in order on one thread, while the crew fills the next window.

use std::{collections::HashSet, sync::Arc};

use super::{
    account::{Account, Counts},
    control::Verdict,
    crew::Window,
    stage::{Bench, failed, not_ours},
};
use crate::{
    Error, Result,
    fingerprint::{Memory, encode_memories},
    outcome::{Outcome, Publish, Row, encode_rows},
    pipeline::Failure,
    plan::Overwrite,
    stores::{Output, Sink, SinkDirectory, Standing},
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
}

/// A published window that no transaction has acknowledged yet.
#[derive(Default)]
pub struct Published {
    /// The rows that count.
    pub rows: Vec<Row>,
    /// The rows that differ from what was recorded.
    pub amendments: Vec<Row>,
}

/// Commits one window after the other.
pub struct Committer<'c, 't> {
    pub bench: &'c Bench<'t>,
    pub sink: Option<&'c dyn Sink>,
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
        if let Some(sink) = self.sink
            && let Err(error) = sink.make_durable(&window.outputs)
        {
            self.stage_anew(&mut window, error);
        }
        if window.rows.is_empty() {
            return Ok(Next::Go);
        }
        let blob = encode_rows(&window.rows)?;
        match self.record(Some(blob))? {
            Verdict::Fenced => {
                discard(&mut window.outputs);
                return Ok(Next::Fenced);
            }
            Verdict::Drain => self.bench.control.drain(),
            Verdict::Committed => {}
        }
        self.pending = Some(self.publish(window)?);
        Ok(Next::Go)
    }

    /// Acknowledge what is published, and say whether anything of the task remains.
    pub fn finish(&mut self) -> Result<Verdict> {
        self.record(None)
    }

    /// Entries of the task that are not acknowledged yet.
    pub fn remaining(&self) -> u64 {
        (self.bench.manifest.len() as u64).saturating_sub(self.account.counts.entries())
    }

    fn record(&mut self, window: Option<Vec<u8>>) -> Result<Verdict> {
        let pending = self.pending.take();
        let acknowledge = pending.is_some();
        let Published { rows, amendments } = pending.unwrap_or_default();
        for row in &rows {
            self.account.add(row, || self.bench.shown_path(row.index));
        }
        let fingerprints = self.memories(&rows)?;
        let finished = window.is_none() && self.remaining() == 0;
        (self.on_window)(WindowRecord {
            window,
            acknowledge,
            amendments: if amendments.is_empty() { None } else { Some(encode_rows(&amendments)?) },
            fingerprints,
            counts: self.account.counts,
            summary: self.account.summary(),
            finished,
        })
    }

    /// A failed flush marks pages clean that never reached the disk: what was written is thrown away (rule 8).
    fn stage_anew(&mut self, window: &mut Window, error: Error) {
        discard(&mut window.outputs);
        window.outputs.clear();
        let positions: HashSet<usize> = window.output_rows.drain(..).collect();
        let failure = Failure::from(error);
        let mut position = 0;
        window.rows.retain_mut(|row| {
            position += 1;
            if !positions.contains(&(position - 1)) {
                return true;
            }
            if row.attempts < self.bench.plan.max_attempts {
                self.redo.push((row.index, row.attempts));
                return false;
            }
            *row = Row { attempts: row.attempts, ..failed(row.index, &failure) };
            true
        });
    }

    fn publish(&self, mut window: Window) -> Result<Published> {
        let mut amendments = Vec::new();
        let mut directories: Vec<Arc<dyn SinkDirectory>> = Vec::new();
        let mut seen = HashSet::new();
        for (output, &position) in window.outputs.iter_mut().zip(&window.output_rows) {
            let row = &mut window.rows[position];
            match self.publish_one(output) {
                Ok(None) => {
                    if seen.insert(output.directory.id()) {
                        directories.push(Arc::clone(&output.directory));
                    }
                    continue;
                }
                Ok(Some(skipped)) => *row = Row { attempts: row.attempts, ..Row::skipped(row.index, skipped) },
                Err(error) => *row = Row { attempts: row.attempts, ..failed(row.index, &Failure::from(error)) },
            }
            output.discard();
            amendments.push(row.clone());
        }
        if let Some(sink) = self.sink {
            sink.make_published_durable(&directories)?;
        }
        Ok(Published { rows: window.rows, amendments })
    }

    /// Give the output its name. Where something came to have it since it was decided, `overwrite` decides again.
    fn publish_one(&self, output: &mut Output) -> Result<Option<&'static str>> {
        match output.publish(output.staged.publish) {
            Err(error) if error.kind() == "output_exists" && output.staged.publish == Publish::Create => {}
            answer => return answer.map(|()| None),
        }
        if output.directory.look(&output.name)? == Standing::Directory {
            return Err(Error::OutputExists("a directory has the output's name".into()));
        }
        match self.bench.plan.sink.as_ref().map_or(Overwrite::Error, |sink| sink.overwrite) {
            Overwrite::Never | Overwrite::Newer => Ok(Some("exists")),
            Overwrite::Error | Overwrite::Changed => Err(not_ours()),
            Overwrite::Always => output.publish(Publish::Replace).map(|()| None),
        }
    }

    /// What later jobs must know of the outputs that these rows published.
    fn memories(&self, rows: &[Row]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut directories: Vec<(Vec<u8>, Vec<NamedMemory>)> = Vec::new();
        for row in rows.iter().filter(|row| row.outcome == Outcome::Done) {
            let (Some(source), Some(staged)) = (row.source, row.staged) else { continue };
            let (directory, name) = self.bench.output_name(row.index);
            let memory = Memory {
                pipeline_hash: self.bench.plan.pipeline_hash.clone(),
                source,
                racy: row.racy,
                output: staged.identity,
            };
            match directories.last_mut().filter(|(last, _)| *last == directory) {
                Some((_, memories)) => memories.push((name, memory)),
                None => directories.push((directory, vec![(name, memory)])),
            }
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

/// The name of an output, and what is remembered of it.
type NamedMemory = (Vec<u8>, Memory);

/// Remove outputs that will not be published.
fn discard(outputs: &mut [Output]) {
    outputs.iter_mut().for_each(Output::discard);
}
