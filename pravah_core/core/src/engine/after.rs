//! What becomes of a source once its output is acknowledged: it is removed, or moved away.
//!
//! Only where the output still is the file that was published, and the source the file that was read. Every step may
//! be done again: a source that is gone has been dealt with. What can't be done leaves source and output as they are.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Account, parts::LOOKED_AT_ONCE};
use crate::{
    Error, Result,
    entry::join,
    manifest::Manifest,
    naming::Named,
    outcome::{Outcome, Reason, Recorded, Row, SourceFingerprint, StagedPart},
    pipeline::Pipeline,
    plan::{After, Plan},
    stores::{
        Keeper, Moved, PREFIX, Sink, SinkDirectory, Source, SourceDirectory, Temporaries, open_keeper, open_sink,
        open_source,
    },
};

/// Deal with the sources of a task's acknowledged entries.
///
/// Gives an account of its own: `done` are sources that are gone from their place, `skipped` those that stay because
/// they have changed since they were read, `failed` those that could not be removed or moved.
pub fn finish_sources(plan: &Plan, task: i64, manifest: &[u8], windows: &[Recorded]) -> Result<Account> {
    let mut account = Account::default();
    let Some(sink) = plan.sink.as_ref().filter(|_| plan.in_place || plan.after != After::Keep) else {
        return Ok(account);
    };
    let (manifest, pipeline) = (Manifest::decode(manifest)?, plan.pipeline()?);
    let (source, sink) = (open_source(plan)?, open_sink(sink, Temporaries::Named)?);
    let keeper = match &plan.after {
        After::Move(uri) => Some(open_keeper(uri)?),
        After::Keep | After::Delete => None,
    };
    let job = Job { plan, pipeline: &pipeline, manifest: &manifest, source: &*source, sink: &*sink };
    let mut finisher = Finisher::new(job, keeper.as_deref(), task);
    for window in windows.iter().filter(|window| window.acknowledged) {
        for rows in window.rows()?.chunks(TOGETHER) {
            finisher.look_ahead(rows);
            rows.iter().for_each(|row| finisher.finish(row, &mut account));
        }
    }
    finisher.settle(&mut account);
    if source.removes_weakly() {
        account.was_weakly_fenced();
    }
    Ok(account)
}

/// Sources that are looked at, and removed or moved, together: as many as one request of S3 removes.
const TOGETHER: usize = 1_000;

/// Directories of sources that are kept open until they are settled, each with a descriptor.
const MOST_OPEN: usize = 256;

/// What entries belong to.
#[derive(Clone, Copy)]
pub(super) struct Job<'j> {
    pub plan: &'j Plan,
    pub pipeline: &'j Pipeline,
    pub manifest: &'j Manifest,
    pub source: &'j dyn Source,
    pub sink: &'j dyn Sink,
}

/// Deals with one source after the other; those of one directory follow each other.
pub(super) struct Finisher<'j> {
    job: Job<'j>,
    keeper: Option<&'j dyn Keeper>,
    task: i64,
    place: Option<Place>,
    /// Outputs that were looked at last, where several files share several.
    own: Option<Arc<[StagedPart]>>,
    /// Files of which one name was removed here: that changes the inode's time, and nothing of its content.
    unlinked: HashSet<u64>,
    /// Sources that are about to go.
    going: Vec<(u32, Arc<dyn SourceDirectory>)>,
    touched: HashMap<(u64, u64), (u32, Arc<dyn SourceDirectory>)>,
}

struct Place {
    key: (u16, usize),
    /// Where its outputs are.
    directory: Vec<u8>,
    source: Option<Arc<dyn SourceDirectory>>,
    sink: Option<Arc<dyn SinkDirectory>>,
}

/// A directory of outputs; none: it is gone.
type OutputDirectory = Option<Arc<dyn SinkDirectory>>;

/// How it went with one source.
enum Ended {
    /// It is gone from its place.
    Gone,
    /// It goes with the next ones.
    Going,
    /// The output has taken its place.
    Replaced,
    /// It is not the file that was read: it stays.
    Changed,
}

impl<'j> Finisher<'j> {
    /// Begin; without a keeper sources are removed.
    pub fn new(job: Job<'j>, keeper: Option<&'j dyn Keeper>, task: i64) -> Self {
        Self {
            job,
            keeper,
            task,
            place: None,
            own: None,
            unlinked: HashSet::new(),
            going: Vec::new(),
            touched: HashMap::new(),
        }
    }

    /// Begin to look at the sources of entries, and at their outputs, where that means to wait for a server.
    fn look_ahead(&mut self, rows: &[Row]) {
        for row in rows.iter().filter(|row| row.source.is_some() && concerns(row)) {
            // What goes wrong here is told of when it is the entry's turn.
            let _ = self.begin_looking(row);
        }
    }

    fn begin_looking(&mut self, row: &Row) -> Result<()> {
        let named = self.job.manifest.named(row.index as usize).read(row.hash);
        let (directory, output_name) = self.job.plan.output_name(self.job.pipeline, &named)?;
        let source = self.open(row.index, directory)?;
        if let Some(source) = source.filter(|source| source.is_remote()) {
            source.look_ahead(self.job.manifest.name(row.index as usize));
        }
        if row.parts.is_none()
            && self.job.sink.holds_outputs()
            && let Some(sink) = self.place.as_ref().and_then(|place| place.sink.as_ref())
        {
            sink.ask_ahead(&output_name);
        }
        Ok(())
    }

    /// Deal with the source of an acknowledged entry.
    pub fn finish(&mut self, row: &Row, account: &mut Account) {
        let Some(read) = row.source.filter(|_| concerns(row)) else { return };
        let ended = match self.try_to(row, read) {
            Ok(Ended::Gone) => Row::done(row.index),
            Ok(Ended::Replaced) => return,
            Ok(Ended::Going) if self.waits() => return,
            Ok(Ended::Going) => return self.let_go(account),
            Ok(Ended::Changed) => Row::skipped(row.index, "source_changed"),
            Err(error) => failed(row.index, &error),
        };
        account.add(&ended, || self.shown_path(row.index));
    }

    /// Whether what is about to go waits for more of its like: objects do, as they go only if they are what was read.
    fn waits(&self) -> bool {
        self.going.len() < TOGETHER && self.going.last().is_some_and(|(_, source)| source.is_remote())
    }

    /// Remove or move what is about to go: files at once, as nothing holds that they still are what was looked at.
    fn let_go(&mut self, account: &mut Account) {
        let going = std::mem::take(&mut self.going);
        let name = |index: u32| self.job.manifest.name(index as usize);
        let ended = match self.keeper {
            None => {
                let files: Vec<_> = going.iter().map(|(index, source)| (Arc::clone(source), name(*index))).collect();
                self.job.source.remove_all(&files)
            }
            Some(keeper) => {
                let moved = |(index, source): &(u32, Arc<dyn SourceDirectory>)| Moved {
                    from: Arc::clone(source),
                    name: name(*index),
                    to: self.kept_directory(*index),
                    temporary: self.temporary(*index),
                };
                keeper.take_all(&going.iter().map(moved).collect::<Vec<_>>())
            }
        };
        for ((index, source), ended) in going.into_iter().zip(ended) {
            let touched = ended.and_then(|()| source.id());
            let row = match touched {
                Ok(id) => {
                    self.touched.entry(id).or_insert((index, source));
                    Row::done(index)
                }
                Err(Error::ChangedWhileRead(_)) => Row::skipped(index, "source_changed"),
                Err(error) => failed(index, &error),
            };
            account.add(&row, || self.shown_path(index));
        }
        if self.touched.len() >= MOST_OPEN {
            self.flush(account);
        }
    }

    /// Let go what is about to, and wait until that is so on disk, too.
    pub fn settle(&mut self, account: &mut Account) {
        self.let_go(account);
        self.flush(account);
    }

    fn flush(&mut self, account: &mut Account) {
        for (_, (index, directory)) in self.touched.drain() {
            // The new names first: a power cut may leave both, and never none.
            let kept = self.keeper.map_or(Ok(()), |keeper| keeper.settle());
            if let Err(error) = kept.and_then(|()| directory.settle()) {
                let path = self.job.source_path(index);
                account.add(&failed(index, &error), || String::from_utf8_lossy(&path).into_owned());
            }
        }
    }

    fn try_to(&mut self, row: &Row, read: SourceFingerprint) -> Result<Ended> {
        let name = self.job.manifest.name(row.index as usize);
        let named = self.job.manifest.named(row.index as usize).read(row.hash);
        let (directory, output_name) = self.job.plan.output_name(self.job.pipeline, &named)?;
        if self.job.plan.in_place && output_name == name {
            return Ok(Ended::Replaced);
        }
        let source = self.open(row.index, directory)?;
        let Some(source) = source else { return Ok(Ended::Gone) };
        let found = match source.look_to_remove(name) {
            Err(error) if error.is_vanished() => return Ok(Ended::Gone),
            found => found?,
        };
        if !self.is_the_one(found, read, row.several_names) {
            return Ok(Ended::Changed);
        }
        let is_known = row.parts.as_ref().zip(self.own.as_ref()).is_some_and(|(one, other)| Arc::ptr_eq(one, other));
        let outputs: Vec<_> = row.outputs().filter(|_| !is_known).collect();
        for together in outputs.chunks(LOOKED_AT_ONCE) {
            for (part, _) in together.iter().filter(|_| row.parts.is_some() && self.job.sink.holds_outputs()) {
                let (sink, output_name) = self.output(row.index, &named.part(part))?;
                sink.iter().for_each(|sink| sink.ask_ahead(&output_name));
            }
            for (part, staged) in together {
                let (sink, output_name) = self.output(row.index, &named.part(part))?;
                if !sink.map_or(Ok(false), |sink| sink.adopt(&output_name, staged))? {
                    return Err(Error::OutputChanged);
                }
            }
        }
        self.own.clone_from(&row.parts);
        self.unlinked.insert(read.inode);
        self.going.push((row.index, source));
        Ok(Ended::Going)
    }

    /// Where an output is, and what it is called there.
    fn output(&mut self, index: u32, named: &Named<'_>) -> Result<(OutputDirectory, Vec<u8>)> {
        let (directory, output_name) = self.job.plan.output_name(self.job.pipeline, named)?;
        self.open(index, directory)?;
        Ok((self.place.as_ref().and_then(|place| place.sink.clone()), output_name))
    }

    fn is_the_one(&self, found: SourceFingerprint, read: SourceFingerprint, several_names: bool) -> bool {
        let unlinked = several_names || self.unlinked.contains(&read.inode);
        found == read || (unlinked && SourceFingerprint { changed_ns: read.changed_ns, ..found } == read)
    }

    /// Open the directories of a source and of an output of it, each of which may be gone.
    fn open(&mut self, index: u32, directory: Vec<u8>) -> Result<Option<Arc<dyn SourceDirectory>>> {
        let at = index as usize;
        let key = (self.job.manifest.root(at), self.job.manifest.directory_id(at));
        if self.place.as_ref().is_none_or(|place| place.key != key || place.directory != directory) {
            let source = match self.job.source.open_directory(key.0, self.job.manifest.directory(at)) {
                Err(error) if error.is_vanished() => None,
                opened => Some(opened?),
            };
            let sink = self.job.sink.find_directory(&directory)?;
            self.place = Some(Place { key, directory, source, sink });
        }
        Ok(self.place.as_ref().and_then(|place| place.source.clone()))
    }

    /// Where a source is moved to, below the keeper: its path below its root, and that root's name among several.
    fn kept_directory(&self, index: u32) -> Vec<u8> {
        let (at, manifest) = (index as usize, self.job.manifest);
        join(&self.job.plan.root_prefix(manifest.root(at)), manifest.directory(at))
    }

    fn temporary(&self, index: u32) -> String {
        format!("{PREFIX}{}-{}-moved-{index}", self.job.plan.job, self.task)
    }

    fn shown_path(&self, index: u32) -> String {
        String::from_utf8_lossy(&self.job.source_path(index)).into_owned()
    }
}

impl Job<'_> {
    fn source_path(&self, index: u32) -> Vec<u8> {
        let at = index as usize;
        self.plan.source_path(self.manifest.root(at), self.manifest.directory(at), self.manifest.name(at))
    }
}

/// Whether an acknowledged entry has an output that stands for its source.
fn concerns(row: &Row) -> bool {
    let unchanged = row.reason.as_ref().is_some_and(|reason| reason.kind == "unchanged");
    row.has_outputs() && (row.outcome == Outcome::Done || (row.outcome == Outcome::Skipped && unchanged))
}

fn failed(index: u32, error: &Error) -> Row {
    let reason = Reason { kind: error.kind().to_owned(), step: None, message: error.to_string() };
    Row::unread(index, Outcome::Failed, reason)
}
