//! Where the entries of one directory are read and written, opened once for all of them.

use std::{collections::HashMap, sync::Arc};

use rustix::io::Errno;

use crate::{
    Error, Result,
    fingerprint::{Memory, decode_memories},
    manifest::Manifest,
    outcome::{Outcome, Reason, Row},
    pipeline::Pipeline,
    plan::Plan,
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

/// Opens places one after the other; entries of one directory follow each other in a manifest.
pub struct Places<'t> {
    plan: &'t Plan,
    pipeline: &'t Pipeline,
    manifest: &'t Manifest,
    source: &'t dyn Source,
    sink: Option<&'t dyn Sink>,
    fingerprints: HashMap<&'t [u8], Vec<&'t [u8]>>,
    current: Option<(u16, usize, Result<Arc<Place>, Closed>)>,
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
        match &self.current {
            Some((root, directory, place)) if (*root, *directory) == key => place.clone(),
            _ => {
                let place = self.open(index).map(Arc::new).map_err(|error| Closed::new(&error));
                // What passes is not remembered: another try may open it.
                self.current = match &place {
                    Err(closed) if closed.is_starved => None,
                    _ => Some((key.0, key.1, place.clone())),
                };
                place
            }
        }
    }

    fn open(&self, index: usize) -> Result<Place, Error> {
        let (root, directory) = (self.manifest.root(index), self.manifest.directory(index));
        let source = self.source.open_directory(root, directory)?;
        let Some(sink) = self.sink else {
            return Ok(Place { source, sink: None, same_directory: false, memories: HashMap::new() });
        };
        let (directory, _) = self.plan.output_name(self.pipeline, root, directory, self.manifest.name(index));
        let blobs = self.fingerprints.get(directory.as_slice()).map(Vec::as_slice).unwrap_or_default();
        let memories = decode_memories(blobs.iter().copied())?;
        let sink = if self.plan.in_place {
            // Nothing is made here: a directory that is gone took its entries with it.
            sink.find_directory(&directory)?.ok_or_else(|| Error::system("open the source")(Errno::NOENT))?
        } else {
            sink.open_directory(&directory)?
        };
        let same_directory = source.id()? == sink.id();
        if self.plan.in_place && !same_directory {
            return Err(Error::ChangedWhileRead("another directory has taken the place of its own".into()));
        }
        Ok(Place { source, sink: Some(sink), same_directory, memories })
    }
}
