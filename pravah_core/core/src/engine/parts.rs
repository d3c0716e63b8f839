//! Several outputs of one entry: named when it has been read, decided about and published together (protocol, rule 11).
//!
//! All or none of them get their names. What is remembered of them says how many there were, so that those of an
//! earlier, longer result are found: they are removed behind the publishing, as far as they are as they were published.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    decide::{Decision, directory_there, not_ours, publish, refused, skip},
    stage::{Bench, Item},
};
use crate::{
    Error, Result,
    entry::join,
    fingerprint::{Memory, decode_memories},
    naming::{ContentHash, Part},
    outcome::{Identity, Publish, Row, Staged, StagedPart},
    plan::{After, Overwrite},
    stores::{Output, Removal, Sink, SinkDirectory, Standing},
};

/// Outputs of an entry that are looked at together, where each answer takes a while: enough that a request counts
/// little, few enough for a batch of entries.
pub const LOOKED_AT_ONCE: usize = 64;

/// What is known of outputs that were made before, of entries that have several.
#[derive(Default)]
pub struct Families {
    /// By the directory that they wait in: the names below it and what is remembered, by entry.
    remembered: Mutex<HashMap<Vec<u8>, Arc<ByEntry>>>,
    /// Outputs that took the place of others before the rest of their entry was published, by position.
    halves: Mutex<HashMap<u32, Vec<StagedPart>>>,
}

/// What is remembered of the outputs of an entry, by their names below the directory that they wait in.
type Family = Vec<(Vec<u8>, Memory)>;

type ByEntry = HashMap<u64, Family>;

/// A directory of outputs, by its path; none: it is not there.
type Opened = (Vec<u8>, Option<Arc<dyn SinkDirectory>>);

impl Families {
    fn of(&self, directory: &[u8], fingerprints: &[(Vec<u8>, Vec<u8>)]) -> Result<Arc<ByEntry>> {
        let mut remembered = lock(&self.remembered);
        if let Some(known) = remembered.get(directory) {
            return Ok(Arc::clone(known));
        }
        let blobs = fingerprints.iter().filter(|(of, _)| of == directory).map(|(_, blob)| blob.as_slice());
        let mut by_entry = ByEntry::new();
        for (name, memory) in decode_memories(blobs)? {
            if let Some(entry) = memory.entry {
                by_entry.entry(entry).or_default().push((name, memory));
            }
        }
        let by_entry = Arc::new(by_entry);
        remembered.insert(directory.to_vec(), Arc::clone(&by_entry));
        Ok(by_entry)
    }

    /// Know outputs that stand in the place of others, though their entry is not done.
    pub fn keep_halves<'p>(&self, index: u32, outputs: impl Iterator<Item = (&'p Part, &'p Staged)>) {
        let replacing = outputs.filter(|(_, staged)| staged.publish == Publish::Replace);
        let replacing = replacing.map(|(part, staged)| StagedPart { part: part.clone(), staged: *staged });
        lock(&self.halves).entry(index).or_default().extend(replacing);
    }

    fn halves(&self, index: u32) -> Vec<StagedPart> {
        lock(&self.halves).get(&index).cloned().unwrap_or_default()
    }
}

impl Bench<'_> {
    /// Name outputs that are staged, and decide about them: the row of their entry with them, or without.
    pub fn settle_parts(
        &self,
        item: &Item,
        row: Row,
        (parts, mut outputs): (Vec<Part>, Vec<Output>),
    ) -> Result<(Row, Vec<Output>)> {
        let settled = self.name_parts(item.index, row.hash, &parts, &mut outputs);
        let name = self.manifest.name(item.index as usize);
        match settled.and_then(|()| self.decide_parts(item, name, &parts, &mut outputs)) {
            Ok(None) => {}
            left_alone => {
                outputs.iter_mut().for_each(Output::discard);
                return left_alone.map(|reason| (Row::skipped(item.index, reason.unwrap_or_default()), Vec::new()));
            }
        }
        let staged = parts.into_iter().zip(&outputs).map(|(part, output)| StagedPart { part, staged: output.staged });
        let parts: Arc<[StagedPart]> = staged.collect();
        Ok((Row { parts: Some(parts).filter(|parts| !parts.is_empty()), ..row }, outputs))
    }

    /// Name the outputs of an entry, now that it has been read.
    fn name_parts(&self, index: u32, hash: Option<ContentHash>, parts: &[Part], outputs: &mut [Output]) -> Result<()> {
        let named = self.manifest.named(index as usize).read(hash);
        let waits_in = self.plan.staging_directory(self.pipeline, &named)?;
        for (part, output) in parts.iter().zip(outputs) {
            let (directory, name) = self.plan.output_name(self.pipeline, &named.part(part))?;
            if let Some(limit_bytes) = output.directory.longest_name().filter(|limit| name.len() > *limit) {
                return Err(Error::NameTooLong { length_bytes: name.len(), limit_bytes });
            }
            self.lead_to(output, (directory, name), &waits_in)?;
        }
        Ok(())
    }

    /// Tell an output where it goes, and that it goes elsewhere where it does not wait there.
    pub fn lead_to(&self, output: &mut Output, (directory, name): (Vec<u8>, Vec<u8>), waits_in: &[u8]) -> Result<()> {
        match self.sink.filter(|sink| sink.names_first()) {
            Some(_) if !output.name.is_empty() => {} // it has begun there
            Some(sink) => output.directory = sink.open_directory(&directory)?,
            None => output.into = (directory != waits_in).then_some(directory),
        }
        output.name = name;
        Ok(())
    }

    /// Decide about an entry before it is read, as far as that can be said of outputs that nobody has counted.
    pub fn decide_ahead(&self, item: &Item, name: &[u8]) -> Result<Decision> {
        let go = Ok(publish(Publish::Create, None));
        let (Some(sink), false) = (self.sink, self.plan.names_at_run_time() || self.plan.adopt) else { return go };
        let overwrite = self.overwrite();
        match overwrite {
            Overwrite::Always => return go,
            Overwrite::Changed => {
                return Ok(match self.current_parts(item, name)? {
                    Some(parts) => Decision::Skip(Box::new(self.unchanged_parts(item, name, parts)?)),
                    None => publish(Publish::Create, None),
                });
            }
            _ if self.plan.partitions() => return go, // no name is known yet
            _ => {}
        }
        let (directory, first) = self.output_name(item.index, None)?;
        let Some(directory) = sink.find_directory(&directory)? else { return go };
        let found = match directory.look(&first)? {
            Standing::Free => return go,
            Standing::Directory => return Err(directory_there()),
            Standing::File(found) => found,
        };
        if self.is_half(item.index, &*directory, &first, None)? {
            return go;
        }
        match overwrite {
            Overwrite::Never => Ok(skip(item, "exists")),
            Overwrite::Newer if self.origin(item, name)?.modified_ns <= found.modified_ns => {
                Ok(skip(item, "not_newer"))
            }
            Overwrite::Error => Err(refused()),
            _ => go,
        }
    }

    /// Decide about outputs that are staged, by what has their names; some: why all of them are left alone.
    fn decide_parts(
        &self,
        item: &Item,
        name: &[u8],
        parts: &[Part],
        outputs: &mut [Output],
    ) -> Result<Option<&'static str>> {
        if self.plan.names_at_run_time() {
            return Ok(None); // what has such a name is compared itself
        }
        let family = self.family(item.index)?;
        let family: HashMap<&[u8], &Memory> = family.iter().map(|(name, memory)| (name.as_slice(), memory)).collect();
        let mut last = LastDirectory::default();
        for (parts, outputs) in parts.chunks(LOOKED_AT_ONCE).zip(outputs.chunks_mut(LOOKED_AT_ONCE)) {
            let known_places = outputs.iter().filter(|output| output.into.is_none());
            known_places.for_each(|output| output.directory.look_ahead(&output.name));
            for (part, output) in parts.iter().zip(outputs) {
                self.control.get_on();
                let Some(directory) = last.of(self, output)? else { continue };
                let found = match directory.look(&output.name)? {
                    Standing::Free => continue,
                    Standing::Directory => return Err(directory_there()),
                    Standing::File(found) => found,
                };
                match self.decide_part(item, name, (part, &*directory, output, found), &family) {
                    Ok(None) => {}
                    refused if self.plan.adopt && directory.has_equal(output)? => drop(refused),
                    refused => return refused,
                }
                output.staged.publish = Publish::Replace;
                output.replaces = (self.overwrite() != Overwrite::Always).then_some(found);
            }
        }
        Ok(None)
    }

    /// Decide about one of them; none: it takes the place of what is there.
    fn decide_part(
        &self,
        item: &Item,
        name: &[u8],
        (part, directory, output, found): (&Part, &dyn SinkDirectory, &Output, Identity),
        family: &HashMap<&[u8], &Memory>,
    ) -> Result<Option<&'static str>> {
        if self.is_half(item.index, directory, &output.name, Some(part))? {
            return Ok(None);
        }
        match self.overwrite() {
            Overwrite::Always => Ok(None),
            Overwrite::Never => Ok(Some("exists")),
            Overwrite::Error => Err(refused()),
            Overwrite::Newer => {
                let is_newer = self.origin(item, name)?.modified_ns > found.modified_ns;
                Ok(if is_newer { None } else { Some("not_newer") })
            }
            Overwrite::Changed => {
                let named = self.manifest.named(item.index as usize).part(part);
                let (_, remembered) = self.plan.remembered_name(self.pipeline, &named)?;
                let memory = family.get(remembered.as_slice()).filter(|memory| directory.same(&found, &memory.output));
                let Some(memory) = memory else { return Err(not_ours()) };
                // Where inode numbers mean nothing, only its content tells that nobody else's file is replaced.
                let staged = Staged { temporary: None, publish: Publish::Create, identity: memory.output };
                if directory.adopt(&output.name, &staged)? { Ok(None) } else { Err(not_ours()) }
            }
        }
    }

    /// Remove what an earlier result of an entry has more than this one. Gives the directories that it touched.
    pub fn remove_stale(&self, row: &Row) -> Result<Vec<Arc<dyn SinkDirectory>>> {
        let Some(sink) = self.sink.filter(|_| self.plan.expands() && !self.plan.names_at_run_time()) else {
            return Ok(Vec::new());
        };
        let parts = row.parts.as_deref().unwrap_or_default();
        let named = self.manifest.named(row.index as usize);
        let path = |part: &Part| -> Result<Vec<u8>> {
            let (directory, name) = self.plan.remembered_name(self.pipeline, &named.part(part))?;
            Ok(join(&directory, &name))
        };
        let now: HashSet<Vec<u8>> = parts.iter().map(|output| path(&output.part)).collect::<Result<_>>()?;
        let waits_in = self.plan.staging_directory(self.pipeline, &named)?;
        let remembered = self.family(row.index)?.into_iter();
        let remembered = remembered.map(|(name, memory)| Ok((join(&waits_in, &name), memory.output)));
        let halves = self.families.halves(row.index).into_iter();
        let halves = halves.map(|half| Ok((path(&half.part)?, half.staged.identity)));
        let (mut touched, mut removals) = (Vec::new(), Vec::new());
        for stale in remembered.chain(halves) {
            let (path, identity) = stale?;
            let (directory, name) = split_path(&path);
            if now.contains(&path) {
                continue;
            }
            let Some(directory) = sink.find_directory(directory)? else { continue };
            let staged = Staged { temporary: None, publish: Publish::Create, identity };
            let removal = directory.begin_removing(name, &staged)?;
            removals.push((directory, removal));
            if removals.len() >= LOOKED_AT_ONCE {
                self.finish_removing(&mut removals, &mut touched)?;
            }
        }
        self.finish_removing(&mut removals, &mut touched)?;
        Ok(touched)
    }

    /// Take outputs back that got names, where the rest of their entry did not; those that took the place of others
    /// stay, and are known.
    pub fn take_back(&self, row: &Row) -> Result<()> {
        let (Some(sink), Some(parts)) = (self.sink, &row.parts) else { return Ok(()) };
        let named = self.manifest.named(row.index as usize).read(row.hash);
        let (mut touched, mut removals) = (Vec::new(), Vec::new());
        for StagedPart { part, staged } in parts.iter().filter(|output| output.staged.publish == Publish::Create) {
            let (directory, name) = self.plan.output_name(self.pipeline, &named.part(part))?;
            if let Some(directory) = sink.find_directory(&directory)? {
                let removal = directory.begin_removing(&name, staged)?;
                removals.push((directory, removal));
            }
            if removals.len() >= LOOKED_AT_ONCE {
                self.finish_removing(&mut removals, &mut touched)?;
                touched.clear(); // publishing waits for these itself, and take-over does it all again
            }
        }
        self.finish_removing(&mut removals, &mut touched)?;
        self.families.keep_halves(row.index, row.outputs());
        Ok(())
    }

    /// Wait for removals that were begun; adds the directories of which something was removed.
    fn finish_removing(
        &self,
        removals: &mut Vec<(Arc<dyn SinkDirectory>, Removal)>,
        touched: &mut Vec<Arc<dyn SinkDirectory>>,
    ) -> Result<()> {
        for (directory, removal) in removals.drain(..) {
            self.control.get_on();
            if removal()? && touched.iter().all(|known| known.id() != directory.id()) {
                touched.push(directory);
            }
        }
        Ok(())
    }

    /// What is remembered of an entry's outputs, by their names below the directory that they wait in.
    fn family(&self, index: u32) -> Result<Family> {
        let directory = self.plan.staging_directory(self.pipeline, &self.manifest.named(index as usize))?;
        let by_entry = self.families.of(&directory, &self.task.fingerprints)?;
        Ok(by_entry.get(&self.origin_key(index)?).cloned().unwrap_or_default())
    }

    /// The outputs of an entry, where all are there, as they were published, and made of what would be read now.
    fn current_parts(&self, item: &Item, name: &[u8]) -> Result<Option<Family>> {
        let (Some(sink), family) = (self.sink, self.family(item.index)?) else { return Ok(None) };
        if family.is_empty() {
            return Ok(None);
        }
        let waits_in = self.plan.staging_directory(self.pipeline, &self.manifest.named(item.index as usize))?;
        let source = self.origin(item, name)?.fingerprint;
        let (mut current, mut last) = (Vec::new(), None::<Opened>);
        for (at, (below, memory)) in family.iter().enumerate() {
            // The first ones of small entries were asked for with their batch.
            self.control.get_on();
            if at % LOOKED_AT_ONCE == 0 && (at > 0 || !self.is_small(item.index)) {
                self.ask_ahead(&waits_in, &family[at..])?;
            }
            let path = join(&waits_in, below);
            let (directory, output_name) = split_path(&path);
            if last.as_ref().is_none_or(|(known, _)| known != directory) {
                last = Some((directory.to_vec(), sink.find_directory(directory)?));
            }
            let Some((_, Some(opened))) = &last else { continue };
            let Standing::File(found) = opened.look(output_name)? else { continue };
            if !opened.same(&found, &memory.output) {
                continue;
            }
            let is_current = !memory.racy && *memory.pipeline_hash == *self.plan.pipeline_hash;
            if !is_current || memory.source != source {
                return Ok(None); // of an earlier result, and still there
            }
            current.push((below.clone(), memory.clone()));
        }
        let wanted = current.first().and_then(|(_, memory)| memory.parts);
        Ok((wanted == u32::try_from(current.len()).ok()).then_some(current))
    }

    /// Begin to look at what is remembered of an entry's outputs, where each answer takes a while.
    pub fn look_ahead_at_parts(&self, index: u32) -> Result<()> {
        let names_first = self.sink.is_some_and(Sink::names_first);
        if !names_first || self.overwrite() != Overwrite::Changed || self.plan.names_at_run_time() {
            return Ok(());
        }
        let waits_in = self.plan.staging_directory(self.pipeline, &self.manifest.named(index as usize))?;
        self.ask_ahead(&waits_in, &self.family(index)?)
    }

    /// Begin to look at the first ones of what is remembered.
    fn ask_ahead(&self, waits_in: &[u8], family: &[(Vec<u8>, Memory)]) -> Result<()> {
        let Some(sink) = self.sink.filter(|sink| sink.names_first()) else { return Ok(()) };
        for (below, _) in family.iter().take(LOOKED_AT_ONCE) {
            let path = join(waits_in, below);
            let (directory, name) = split_path(&path);
            if let Some(directory) = sink.find_directory(directory)? {
                directory.ask_ahead(name);
            }
        }
        Ok(())
    }

    /// The row of an entry whose outputs are current; what becomes of its source afterwards needs to know them.
    fn unchanged_parts(&self, item: &Item, name: &[u8], current: Family) -> Result<Row> {
        let row = Row::skipped(item.index, "unchanged");
        if self.plan.after == After::Keep {
            return Ok(row);
        }
        let mut numbers: HashMap<Vec<u8>, u32> = HashMap::new();
        for (below, _) in &current {
            let directory = if self.plan.partitions() { split_path(below).0 } else { b"" };
            *numbers.entry(directory.to_vec()).or_default() += 1;
        }
        let mut by_name: HashMap<Vec<u8>, Part> = HashMap::new();
        for (directory, count) in numbers {
            for number in 0..count {
                let part = Part { directory: directory.clone(), number };
                let named = self.manifest.named(item.index as usize).part(&part);
                by_name.insert(self.plan.remembered_name(self.pipeline, &named)?.1, part);
            }
        }
        let parts = current.into_iter().filter_map(|(below, memory)| {
            let staged = Staged { temporary: None, publish: Publish::Create, identity: memory.output };
            by_name.remove(&below).map(|part| StagedPart { part, staged })
        });
        Ok(Row { source: Some(self.origin(item, name)?.fingerprint), parts: Some(parts.collect()), ..row })
    }

    /// Whether a file is an output that was published before the rest of its entry.
    fn is_half(&self, index: u32, directory: &dyn SinkDirectory, name: &[u8], part: Option<&Part>) -> Result<bool> {
        for half in self.families.halves(index) {
            if part.is_none_or(|part| *part == half.part) && directory.adopt(name, &half.staged)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The directory that was looked into last.
#[derive(Default)]
struct LastDirectory(Option<Opened>);

impl LastDirectory {
    /// The directory that an output will be published in; none: it is not there yet.
    fn of(&mut self, bench: &Bench<'_>, output: &Output) -> Result<Option<Arc<dyn SinkDirectory>>> {
        let (Some(sink), Some(into)) = (bench.sink, &output.into) else {
            return Ok(Some(Arc::clone(&output.directory)));
        };
        if self.0.as_ref().is_none_or(|(known, _)| known != into) {
            self.0 = Some((into.clone(), sink.find_directory(into)?));
        }
        Ok(self.0.as_ref().and_then(|(_, directory)| directory.clone()))
    }
}

/// Split a path into directory and name.
fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
