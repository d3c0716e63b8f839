//! Where the entries of one directory are read and written, opened once for all of them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use rustix::io::Errno;

use crate::{
    Error, Result,
    fingerprint::{Memory, decode_memories},
    manifest::Manifest,
    outcome::{Outcome, Reason, Row},
    pipeline::Pipeline,
    plan::{Plan, Preserve},
    stores::{Sink, SinkDirectory, Source, SourceDirectory},
};

/// The open directories of a source directory and of its outputs, and what is remembered of these.
pub struct Place {
    /// Where the entries are read.
    pub source: Arc<dyn SourceDirectory>,
    /// Where their outputs go; none for a pipeline without outputs.
    pub sink: Option<Arc<dyn SinkDirectory>>,
    /// Outputs go where the entries are read: only a job that is `in_place` gives one its source's name.
    pub same_directory: bool,
    /// What an earlier job published here, by name of the output.
    pub memories: HashMap<Vec<u8>, Memory>,
}

/// Places of one source directory that are kept open: two descriptors each.
const OPEN_PLACES: usize = 16;

/// Places, or why they can't be opened, by the directories of their outputs.
type ByOutputs = HashMap<Vec<u8>, Result<Arc<Place>, Closed>>;

/// Opens places one after the other; entries of one directory follow each other in a manifest.
pub struct Places<'t> {
    plan: &'t Plan,
    pipeline: &'t Pipeline,
    manifest: &'t Manifest,
    source: &'t dyn Source,
    sink: Option<&'t dyn Sink>,
    fingerprints: HashMap<&'t [u8], Vec<&'t [u8]>>,
    /// The source directory at hand, and the places of its entries by the directories of their outputs.
    current: Option<((u16, usize), ByOutputs)>,
}

/// Why a place can't be opened, for each of its entries.
#[derive(Clone)]
pub struct Closed {
    outcome: Outcome,
    reason: Reason,
    /// What a full sink answered.
    pub sink_full: Option<Errno>,
    /// No descriptor was left.
    pub is_starved: bool,
}

impl Closed {
    fn new(error: &Error) -> Self {
        Self {
            outcome: if error.is_vanished() { Outcome::Vanished } else { Outcome::Failed },
            reason: Reason { kind: error.kind().to_owned(), step: None, message: error.to_string() },
            sink_full: error.sink_full(),
            is_starved: error.is_starved(),
        }
    }

    /// The row of an entry of this place.
    pub fn row(&self, index: u32) -> Row {
        Row::unread(index, self.outcome, self.reason.clone())
    }
}

impl<'t> Places<'t> {
    /// Places for the entries of a manifest.
    pub fn new(
        plan: &'t Plan,
        pipeline: &'t Pipeline,
        manifest: &'t Manifest,
        stores: (&'t dyn Source, Option<&'t dyn Sink>),
        fingerprints: &'t [(Vec<u8>, Vec<u8>)],
    ) -> Self {
        let mut by_directory: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for (directory, blob) in fingerprints {
            by_directory.entry(directory).or_default().push(blob);
        }
        let (source, sink) = stores;
        Self { plan, pipeline, manifest, source, sink, fingerprints: by_directory, current: None }
    }

    /// The place of the entry at `index`.
    pub fn of(&mut self, index: usize) -> Result<Arc<Place>, Closed> {
        let key = (self.manifest.root(index), self.manifest.directory_id(index));
        if self.current.as_ref().is_none_or(|(current, _)| *current != key) {
            self.current = Some((key, HashMap::new()));
        }
        // Without a template all entries of a source directory have one place.
        let directory = match (self.sink, self.plan.template()) {
            (None, _) | (_, None) => Vec::new(),
            _ => self.directory(index).map_err(|error| Closed::new(&error))?,
        };
        let known = self.current.as_ref().and_then(|(_, places)| places.get(&directory)).cloned();
        known.unwrap_or_else(|| self.open_anew(index, directory))
    }

    fn open_anew(&mut self, index: usize, directory: Vec<u8>) -> Result<Arc<Place>, Closed> {
        let place = self.open(index).map(Arc::new).map_err(|error| Closed::new(&error));
        let Some((_, places)) = &mut self.current else { return place };
        if places.len() >= OPEN_PLACES {
            places.clear();
        }
        // What passes is not remembered: another try may open it.
        if !matches!(&place, Err(closed) if closed.is_starved) {
            places.insert(directory, place.clone());
        }
        place
    }

    /// Where the output of an entry is staged.
    fn directory(&self, index: usize) -> Result<Vec<u8>, Error> {
        self.plan.staging_directory(self.pipeline, &self.manifest.named(index))
    }

    fn open(&self, index: usize) -> Result<Place, Error> {
        let (root, directory) = (self.manifest.root(index), self.manifest.directory(index));
        let source = self.source.open_directory(root, directory)?;
        let Some(sink) = self.sink else {
            return Ok(Place { source, sink: None, same_directory: false, memories: HashMap::new() });
        };
        let directory = self.directory(index)?;
        let blobs = self.fingerprints.get(directory.as_slice()).map(Vec::as_slice).unwrap_or_default();
        let memories = decode_memories(blobs.iter().copied())?;
        let sink = if self.plan.in_place {
            // Nothing is made here: a directory that is gone took its entries with it.
            sink.find_directory(&directory)?.ok_or_else(|| Error::system("open the source")(Errno::NOENT))?
        } else {
            open_outputs(self.plan, (self.source, sink), &directory, (root, self.manifest.directory(index)))?
        };
        let same_directory = source.id()? == sink.id();
        if self.plan.in_place && !same_directory {
            return Err(Error::ChangedWhileRead("another directory has taken the place of its own".into()));
        }
        Ok(Place { source, sink: Some(sink), same_directory, memories })
    }
}

/// Open a directory of outputs. What is missing of it is made as open to others as the source's directories are, where
/// modes are kept and outputs lie as their sources do: else the files of a private directory were anybody's.
pub fn open_outputs(
    plan: &Plan,
    (source, sink): (&dyn Source, &dyn Sink),
    directory: &[u8],
    (root, from): (u16, &[u8]),
) -> Result<Arc<dyn SinkDirectory>, Error> {
    let keeps_modes = plan.sink.as_ref().is_some_and(|sink| sink.preserves(Preserve::Mode));
    if !keeps_modes || plan.template().is_some() || sink.find_directory(directory)?.is_some() {
        return sink.open_directory(directory);
    }
    let ends = std::iter::once(0).chain(memchr::memchr_iter(b'/', from)).chain(Some(from.len()));
    let paths: BTreeSet<&[u8]> = ends.map(|end| &from[..end]).collect();
    let modes = paths.into_iter().map(|path| source.open_directory(root, path)?.mode());
    let modes = modes.collect::<Result<Option<Vec<u32>>, Error>>()?.unwrap_or_default();
    let names = directory.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).count();
    sink.open_directory_like(directory, &modes[modes.len().saturating_sub(names)..])
}
