//! Cuts entries into manifests of the size that a task should have.

use std::mem::take;

use super::{NewTask, gather::Found, single::Single};
use crate::{Result, entry::Entry, manifest::ManifestBuilder};

/// Fills one manifest after the other.
pub struct Cutter {
    builder: ManifestBuilder,
    single: Option<Single>,
    tasks: Vec<NewTask>,
    /// Manifests cut so far.
    count: usize,
    /// The first manifests of a job are small.
    begins: bool,
    full: Limit,
    /// Bytes of the paths of the directories in the manifest at hand.
    path_bytes: usize,
}

/// The most that a task holds.
#[derive(Clone, Copy)]
struct Limit {
    entries: usize,
    size_bytes: u64,
}

impl Cutter {
    /// Cut for a sink that is a directory, or for one that is a single file.
    pub fn new(single: Option<Single>, begins: bool, entries: usize) -> Self {
        let full = Limit { entries, size_bytes: 1 << 30 };
        Self { builder: ManifestBuilder::default(), single, tasks: Vec::new(), count: 0, begins, full, path_bytes: 0 }
    }

    /// Take the entries of a directory; where they fit one task but not the one at hand, they begin the next.
    pub fn take(&mut self, found: Found) -> Result<()> {
        let limit = self.limit().entries;
        let at_hand = self.builder.len();
        let fits_the_next = at_hand >= limit / 2 && at_hand + found.len() > limit && found.len() <= limit;
        if fits_the_next || self.path_bytes > PATH_BYTES {
            self.cut()?;
        }
        self.path_bytes += found.path_bytes();
        found.for_each(|entry| match &mut self.single {
            None => self.push(entry),
            Some(single) => single.judge(entry).iter().try_for_each(|entry| self.push(entry)),
        })
    }

    /// End the manifest at hand, if there is anything in it.
    pub fn cut(&mut self) -> Result<()> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let (entries, size_bytes) = (self.builder.len() as u64, self.builder.size_bytes());
        self.tasks.push(NewTask { manifest: self.builder.finish()?, entries, size_bytes });
        self.count += 1;
        self.path_bytes = 0;
        Ok(())
    }

    /// End the last manifest.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(held) = self.single.as_mut().and_then(Single::release) {
            self.push(&held)?;
        }
        self.cut()
    }

    /// Whether entries wait for the manifest at hand to be cut.
    pub fn is_filling(&self) -> bool {
        !self.builder.is_empty()
    }

    /// The number of manifests cut so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What is decided of a sink that is one file.
    pub fn single(&self) -> Option<&Single> {
        self.single.as_ref()
    }

    /// Whether there are tasks that were not taken yet.
    pub fn has_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Take the tasks cut since the last time.
    pub fn take_tasks(&mut self) -> Vec<NewTask> {
        take(&mut self.tasks)
    }

    fn push(&mut self, entry: &Entry) -> Result<()> {
        let limit = self.limit();
        let size_bytes = self.builder.size_bytes().saturating_add(entry.size_bytes);
        if self.builder.len() >= limit.entries || size_bytes > limit.size_bytes {
            self.cut()?;
        }
        self.builder.push(entry)?;
        if self.builder.len() >= self.limit().entries {
            self.cut()?;
        }
        Ok(())
    }

    /// The first tasks are small, so that workers have something to do, and users to see, within a second.
    fn limit(&self) -> Limit {
        match self.count {
            _ if !self.begins => self.full,
            0 => Limit { entries: self.full.entries.min(256), size_bytes: 32 << 20 },
            1 => Limit { entries: self.full.entries.min(1024), size_bytes: 128 << 20 },
            _ => self.full,
        }
    }
}

/// Bytes of paths in one manifest from which on no other directory begins in it: those of nested directories may be
/// as long as they are deep.
const PATH_BYTES: usize = 16 << 20;
