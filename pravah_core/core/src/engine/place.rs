//! Where the entries of one directory are read and written, opened once for all of them.

use std::{collections::HashMap, sync::Arc};

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
    /// Outputs go where the entries are read: no output may have its source's name.
    pub in_place: bool,
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
}

impl Closed {
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
                let place = self.open(index).map(Arc::new).map_err(|error| Closed {
                    outcome: if error.is_vanished() { Outcome::Vanished } else { Outcome::Failed },
                    reason: Reason { kind: error.kind().to_owned(), step: None, message: error.to_string() },
                });
                self.current = Some((key.0, key.1, place.clone()));
                place
            }
        }
    }

    fn open(&self, index: usize) -> Result<Place, Error> {
        let (root, directory) = (self.manifest.root(index), self.manifest.directory(index));
        let source = self.source.open_directory(root, directory)?;
        let Some(sink) = self.sink else {
            return Ok(Place { source, sink: None, in_place: false, memories: HashMap::new() });
        };
        let (directory, _) = self.plan.output_name(self.pipeline, root, directory, self.manifest.name(index));
        let blobs = self.fingerprints.get(directory.as_slice()).map(Vec::as_slice).unwrap_or_default();
        let memories = decode_memories(blobs.iter().copied())?;
        let sink = sink.open_directory(&directory)?;
        let in_place = source.id()? == sink.id();
        Ok(Place { source, sink: Some(sink), in_place, memories })
    }
}
