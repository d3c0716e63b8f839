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
}

/// The most that a task holds.
struct Limit {
    entries: usize,
    size_bytes: u64,
}

impl Cutter {
    /// Cut for a sink that is a directory, or for one that is a single file.
    pub fn new(single: Option<Single>) -> Self {
        Self { builder: ManifestBuilder::default(), single, tasks: Vec::new(), count: 0 }
    }

    /// Take the entries of a directory; where they fit one task but not the one at hand, they begin the next.
    pub fn take(&mut self, found: Found) -> Result<()> {
        let limit = self.limit().entries;
        let at_hand = self.builder.len();
        if at_hand >= limit / 2 && at_hand + found.len() > limit && found.len() <= limit {
            self.cut()?;
        }
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
        Ok(())
    }

    /// End the last manifest.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(held) = self.single.as_mut().and_then(Single::release) {
            self.push(&held)?;
        }
        self.cut()
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
            0 => Limit { entries: 256, size_bytes: 32 << 20 },
            1 => Limit { entries: 1024, size_bytes: 128 << 20 },
            _ => Limit { entries: 8192, size_bytes: 1 << 30 },
        }
    }
}
