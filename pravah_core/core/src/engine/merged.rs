//! Several entries through the pipeline, up to one output that waits for its name (protocol, rule 12).
//!
//! All or nothing: where one of them can't be read the output is not made, and the others fail with it. What is
//! recorded is a row for each of them, all with the same output, in one window.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Instant};

use super::{
    SMALL_BYTES,
    decide::Decision,
    stage::{Bench, Item, MOST_READINGS, Staged, failed, unchanged},
    target::Target,
};
use crate::{
    Error, Result,
    effort::Activity,
    entry::join,
    fingerprint::entry_key,
    memo::Memo,
    outcome::{Outcome, Reason, Row, SourceFingerprint},
    pipeline::{Failure, Flow, Workers},
    processors::{Event, RowCounts},
    stores::{Attributes, Output, SourceDirectory},
};

/// Most files that the pool reads for one output: a request to give up is seen between two outputs.
const POOLED_FILES: usize = 64;

/// Why an output was not made.
enum Spoiled {
    /// One of its files is the reason, with this row.
    By(Box<Row>),
    /// One of its files failed at this try.
    At(u32, Failure),
    /// None of them is.
    Itself(Failure),
}

impl From<Failure> for Spoiled {
    fn from(failure: Failure) -> Self {
        Self::Itself(failure)
    }
}

impl From<Error> for Spoiled {
    fn from(error: Error) -> Self {
        Self::Itself(error.into())
    }
}

/// What earlier readings of the files of an output have found, and how many there were of each.
#[derive(Default)]
struct Memos {
    of_files: HashMap<u32, (Memo, u32)>,
    /// What was found of all together.
    of_all: Option<(Memo, u32)>,
}

/// What outputs are made from: its identity, and the newest time of modification in it.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub fingerprint: SourceFingerprint,
    pub modified_ns: i64,
}

impl Bench<'_> {
    /// Whether the output that begins with this entry takes the fast path.
    pub fn is_small_output(&self, lead: u32) -> bool {
        self.outputs.members(lead).len() <= POOLED_FILES && self.size_bytes(lead) <= SMALL_BYTES
    }

    /// Bytes of all files of an output.
    pub fn size_bytes(&self, lead: u32) -> u64 {
        self.outputs.members(lead).map(|index| self.manifest.size_bytes(index as usize)).sum()
    }

    /// The size of the largest file of an output.
    pub fn largest_bytes(&self, lead: u32) -> u64 {
        let sizes = self.outputs.members(lead).map(|index| self.manifest.size_bytes(index as usize));
        sizes.max().unwrap_or(0)
    }

    /// Take all files of an output through the pipeline. Errors become their rows.
    pub fn stage_merged(&self, item: Item, workers: Workers<'_>) -> Staged {
        let _working = self.effort.work(Activity::Reading);
        let attempts = item.attempts + 1;
        let members = self.outputs.members(item.index);
        let (culprit, failure) = match self.attempt_with_memos(&item, workers) {
            Ok((rows, outputs)) => return merged(rows, outputs, attempts),
            Err(Spoiled::By(row)) => return merged(self.spoiled_by(*row), Vec::new(), attempts),
            Err(Spoiled::At(index, failure)) => (Some(index), failure),
            Err(Spoiled::Itself(failure)) => (None, failure),
        };
        if matches!(failure.error, Error::Cancelled) {
            return Staged::GivenUp;
        }
        if matches!(failure.error, Error::WindowTooLarge) {
            return Staged::Again(item);
        }
        if let Some(errno) = failure.error.sink_full() {
            self.control.sink_is_full(errno);
            return Staged::GivenUp;
        }
        if attempts < self.tries(&failure.error) {
            return Staged::Again(Item { attempts, starved: failure.error.is_starved(), ..item });
        }
        let rows = match culprit {
            Some(index) => self.spoiled_by(failed(index, &failure)),
            None => members.map(|index| failed(index, &failure)).collect(),
        };
        merged(rows, Vec::new(), attempts)
    }

    /// The rows of an output that was not made because of one of its files, which has this row.
    pub fn spoiled_by(&self, culprit: Row) -> Vec<Row> {
        let kind = culprit.reason.as_ref().map_or("failed", |reason| reason.kind.as_str());
        let path = self.shown_path(culprit.index);
        let error = Error::GroupIncomplete(format!("its output was not made, as `{path}` failed: {kind}"));
        let reason = Reason { kind: error.kind().to_owned(), step: None, message: error.to_string() };
        let members = self.outputs.members(self.outputs.lead(culprit.index));
        let row = |index| {
            if index == culprit.index { culprit.clone() } else { Row::unread(index, Outcome::Failed, reason.clone()) }
        };
        members.map(row).collect()
    }

    /// Make the output, from the beginning where a file has to be read again with what was found.
    fn attempt_with_memos(&self, item: &Item, workers: Workers<'_>) -> Result<(Vec<Row>, Vec<Output>), Spoiled> {
        let mut memos = Memos::default();
        loop {
            match self.attempt_merged(item, workers, &memos) {
                Err(Spoiled::At(index, Failure { error: Error::ReadAgain(memo), step })) => {
                    let readings = memos.of_files.get(&index).map_or(1, |(_, readings)| readings + 1);
                    if readings >= MOST_READINGS {
                        return Err(Spoiled::At(index, Failure { error: Error::ReadAgain(memo), step }));
                    }
                    memos.of_files.insert(index, (memo, readings));
                }
                Err(Spoiled::Itself(Failure { error: Error::ReadAgain(memo), step })) => {
                    let readings = memos.of_all.as_ref().map_or(1, |(_, readings)| readings + 1);
                    if readings >= MOST_READINGS {
                        return Err(Spoiled::Itself(Failure { error: Error::ReadAgain(memo), step }));
                    }
                    memos.of_all = Some((memo, readings));
                }
                attempted => return attempted,
            }
        }
    }

    fn attempt_merged(
        &self,
        item: &Item,
        workers: Workers<'_>,
        memos: &Memos,
    ) -> Result<(Vec<Row>, Vec<Output>), Spoiled> {
        let members = self.outputs.members(item.index);
        if let Some(row) = members.clone().find_map(|index| self.verdict(index)) {
            return Err(Spoiled::By(Box::new(row)));
        }
        let (_, output_name) = self.output_name(item.index, None)?;
        let name = self.manifest.name(item.index as usize);
        let publishing = match self.decide(item, name, &output_name)? {
            Decision::Publish(publishing) => publishing,
            Decision::Skip(row) => return Ok((self.skip_all(*row, members)?, Vec::new())),
        };
        let mut target = Target::new(self, item, publishing).keeping(self.kept_by_each(members.clone()));
        if self.sink.is_some() {
            target.begin(&output_name, None)?; // an empty output is an output
        }
        let (mut rows, newest) = if self.is_small_output(item.index) {
            self.pour_all(members.clone(), (workers, memos), &mut |event| target.take(event))?
        } else {
            self.write_apart(&mut target, |output| self.pour_all(members.clone(), (workers, memos), output))?
        };
        rows[0].bytes_out = target.bytes_out;
        if let Some(counts) = target.rows {
            *rows[0].rows.get_or_insert_default() += counts; // what came out when all files had come
        }
        let newest = newest.as_ref().filter(|_| self.keeps_attributes());
        let (mut outputs, parts) = target.finish(newest)?;
        if self.plan.expands() {
            let (lead, outputs) = self.settle_parts(item, rows[0].clone(), (parts, outputs))?;
            if lead.outcome != Outcome::Done {
                return Ok((self.skip_all(lead, members)?, outputs));
            }
            rows.iter_mut().for_each(|row| row.parts.clone_from(&lead.parts));
            return Ok((rows, outputs));
        }
        let Some(output) = outputs.first_mut() else { return Ok((rows, outputs)) };
        output.name = output_name;
        if publishing.if_equal && !output.directory.has_equal(output)? {
            output.discard();
            return Ok((self.skip_all(self.refuse_unequal(item, output)?, members)?, Vec::new()));
        }
        rows.iter_mut().for_each(|row| row.staged = Some(output.staged));
        Ok((rows, outputs))
    }

    /// Read one file after the other through the steps. Gives the attributes of the newest one, too.
    fn pour_all(
        &self,
        members: Range<u32>,
        (workers, memos): (Workers<'_>, &Memos),
        output: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<(Vec<Row>, Option<Attributes>), Spoiled> {
        let mut flow = self.pipeline.open(workers)?;
        if let Some((memo, _)) = &memos.of_all {
            flow.remember(memo);
        }
        let mut rows = Vec::with_capacity(members.len());
        let (mut opened, mut newest) = (OpenedLast::default(), None::<Attributes>);
        for index in members.clone() {
            if index > members.start {
                flow.begin_another()?;
            }
            if let Some((memo, _)) = memos.of_files.get(&index) {
                flow.remember(memo);
            }
            if self.control.giving_up() {
                return Err(Error::Cancelled.into());
            }
            let start = Instant::now();
            let note = self.notes.take(self.task.id, index);
            let row = self.pour_one(&mut flow, index, &mut opened, output);
            drop(note);
            self.control.count_file();
            let (mut row, looked) = row.map_err(|failure| Spoiled::At(index, failure))?;
            newest = newest.filter(|newest| newest.modified_ns >= looked.modified_ns).or(Some(looked));
            row.duration_us = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
            rows.push(row);
        }
        flow.finish(output)?;
        Ok((rows, newest))
    }

    fn pour_one(
        &self,
        flow: &mut Flow<'_>,
        index: u32,
        opened: &mut OpenedLast,
        output: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<(Row, Attributes), Failure> {
        let directory = self.source_directory(index, opened)?;
        let at = index as usize;
        let mut reading = directory.open_listed(self.manifest.name(at), self.manifest.size_bytes(at))?;
        let (before, looked) = reading.look()?;
        let racy = super::stage::is_racy(before.modified_ns.max(before.changed_ns));
        if before.size_bytes > SMALL_BYTES {
            reading.read_through();
        }
        let (path, mut records, mut counts) = (self.source_path(index), None, None::<RowCounts>);
        let read = self.pour(flow, &mut *reading, (index, before.size_bytes), &mut |event| match event {
            Event::Record(record) => {
                crate::wire::push_record(records.get_or_insert_default(), &path, record);
                Ok(())
            }
            Event::Rows(more) => {
                *counts.get_or_insert_default() += more;
                Ok(())
            }
            event => output(event),
        })?;
        let (after, _) = reading.look()?;
        unchanged(before, after)?;
        let several_names = looked.names > 1;
        let row = Row { bytes_in: read.bytes, source: Some(before), racy, several_names, ..Row::done(index) };
        let row = Row { records, rows: counts, ..row };
        Ok((row, looked))
    }

    /// What each of several outputs keeps: that of the newest file, which is looked for ahead, as outputs end before
    /// the last file has been read. What is gone meanwhile is told by whoever reads it.
    fn kept_by_each(&self, members: Range<u32>) -> Option<Attributes> {
        if !self.plan.expands() || !self.keeps_attributes() {
            return None;
        }
        let mut opened = OpenedLast::default();
        let times = members.filter_map(|index| {
            let directory = self.source_directory(index, &mut opened).ok()?;
            let found = directory.fingerprint(self.manifest.name(index as usize)).ok()?;
            Some((found.modified_ns, index))
        });
        let (_, newest) = times.max()?;
        let directory = self.source_directory(newest, &mut OpenedLast::default()).ok()?;
        let (_, looked) = directory.open(self.manifest.name(newest as usize)).ok()?.look().ok()?;
        Some(looked)
    }

    fn source_directory(&self, index: u32, opened: &mut OpenedLast) -> Result<Arc<dyn SourceDirectory>> {
        let at = index as usize;
        let key = (self.manifest.root(at), self.manifest.directory_id(at));
        if let Some((last, directory)) = &opened.0
            && *last == key
        {
            return Ok(Arc::clone(directory));
        }
        let directory = self.source.open_directory(key.0, self.manifest.directory(at))?;
        opened.0 = Some((key, Arc::clone(&directory)));
        Ok(directory)
    }

    /// What an output would be made from now. Looks at each of its files.
    pub fn origin(&self, item: &Item, name: &[u8]) -> Result<Origin> {
        if !self.outputs.are_merged() {
            let fingerprint = item.place.source.fingerprint(name)?;
            return Ok(Origin { fingerprint, modified_ns: fingerprint.modified_ns });
        }
        let members = self.outputs.members(item.index);
        let found = self.fingerprints(members)?;
        Ok(self.origin_of(item.index, found.iter().copied()))
    }

    /// Identify what an output is made from by its files: their paths and what identifies each, in their order.
    pub fn origin_of(&self, lead: u32, fingerprints: impl Iterator<Item = SourceFingerprint>) -> Origin {
        let (mut hasher, mut size_bytes, mut newest_ns) = (blake3::Hasher::new(), 0_u64, i64::MIN);
        for (index, found) in (lead..).zip(fingerprints) {
            let path = self.source_path(index);
            hasher.update(&(path.len() as u64).to_le_bytes()).update(&path);
            hasher.update(&found.size_bytes.to_le_bytes()).update(&found.inode.to_le_bytes());
            hasher.update(&found.modified_ns.to_le_bytes()).update(&found.changed_ns.to_le_bytes());
            size_bytes = size_bytes.saturating_add(found.size_bytes);
            newest_ns = newest_ns.max(found.modified_ns);
        }
        let mut digest = [[0; 8]; 3];
        hasher.finalize_xof().fill(digest.as_flattened_mut());
        let [modified, changed, inode] = digest;
        let fingerprint = SourceFingerprint {
            size_bytes,
            modified_ns: i64::from_le_bytes(modified),
            changed_ns: i64::from_le_bytes(changed),
            inode: u64::from_le_bytes(inode),
        };
        Origin { fingerprint, modified_ns: newest_ns }
    }

    /// Tell an output's origin from that of another one which has had its name: a source's path, or, where outputs
    /// are made of several, whose files may come and go, the output itself.
    ///
    /// Of outputs that are several of one entry it tells the names, too: what another pipeline made of it, under names
    /// of another form, is no part of them.
    pub fn origin_key(&self, index: u32) -> Result<u64> {
        let (are_merged, are_several) = (self.outputs.are_merged(), self.plan.expands());
        let origin = if are_merged { b"merged".to_vec() } else { self.source_path(index) };
        if !are_merged && !are_several {
            return Ok(entry_key(&origin));
        }
        let (directory, name) = self.output_name(index, None)?;
        Ok(entry_key(&[origin.as_slice(), b"\0", &join(&directory, &name)].concat()))
    }

    fn fingerprints(&self, members: Range<u32>) -> Result<Vec<SourceFingerprint>> {
        let mut opened = OpenedLast::default();
        let look = |index: u32| {
            let directory = self.source_directory(index, &mut opened)?;
            directory.fingerprint(self.manifest.name(index as usize))
        };
        members.map(look).collect()
    }

    /// The rows of files whose output stays as it is.
    fn skip_all(&self, row: Row, members: Range<u32>) -> Result<Vec<Row>> {
        let sources = match row.source {
            Some(_) => self.fingerprints(members.clone())?.into_iter().map(Some).collect(),
            None => vec![None; members.len()],
        };
        Ok(members.zip(sources).map(|(index, source)| Row { index, source, ..row.clone() }).collect())
    }
}

fn merged(mut rows: Vec<Row>, outputs: Vec<Output>, attempts: u32) -> Staged {
    rows.iter_mut().for_each(|row| row.attempts = attempts);
    Staged::Merged(rows, outputs)
}

/// The source directory that was opened last: files of one directory mostly follow each other.
#[derive(Default)]
struct OpenedLast(Option<((u16, usize), Arc<dyn SourceDirectory>)>);
