//! Lays outputs of several files into tasks: one output never spans two.

use std::{fs::File, io::Write, os::unix::fs::FileExt, path::Path};

use crate::{Error, Result, entry::Entry, manifest::ManifestBuilder, sorted::scratch_file};

/// What a task holds, unless one output has more.
const TASK_ENTRIES: usize = 8_192;
const TASK_BYTES: u64 = 1 << 30;

/// The tasks of a job that reduces, each with whole outputs.
pub struct Groups {
    file: File,
    /// Where each manifest is; its entries and their bytes.
    tasks: Vec<(u64, usize, u64, u64)>,
    /// Outputs that are made, as far as nothing fails.
    pub outputs: u64,
}

impl Groups {
    /// Tasks.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is none: nothing was listed.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The manifest of the task at a place, its entries and their bytes.
    pub fn get(&self, place: usize) -> Result<(Vec<u8>, u64, u64)> {
        let (offset, length, entries, size_bytes) = self.tasks[place];
        let mut blob = vec![0; length];
        self.file.read_exact_at(&mut blob, offset).map_err(Error::io("read a scratch file"))?;
        Ok((blob, entries, size_bytes))
    }
}

/// Lays outputs into tasks.
pub(super) struct Tasks {
    groups: Groups,
    builder: ManifestBuilder,
    /// The output at hand; none: entries that are in none.
    number: Option<u64>,
    output: Vec<Entry>,
}

impl Tasks {
    /// Begin; `scratch` is a directory for the manifests.
    pub fn new(scratch: &Path) -> Result<Self> {
        let groups = Groups { file: scratch_file(scratch)?, tasks: Vec::new(), outputs: 0 };
        Ok(Self { groups, builder: ManifestBuilder::default(), number: None, output: Vec::new() })
    }

    /// Add an entry of an output, or one that is in none.
    pub fn push(&mut self, number: Option<u64>, entry: Entry) -> Result<()> {
        if number != self.number || number.is_none() {
            self.end_output()?;
            if number.is_some() != self.number.is_some() {
                self.end_task()?; // what is in no output has tasks of its own
            }
            self.number = number;
        }
        self.output.push(entry);
        Ok(())
    }

    fn end_output(&mut self) -> Result<()> {
        let size_bytes = self.output.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size_bytes));
        let is_full = self.builder.len() + self.output.len() > TASK_ENTRIES
            || self.builder.size_bytes().saturating_add(size_bytes) > TASK_BYTES;
        if is_full {
            self.end_task()?;
        }
        self.output.drain(..).try_for_each(|entry| self.builder.push(&entry))
    }

    fn end_task(&mut self) -> Result<()> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let (entries, size_bytes) = (self.builder.len() as u64, self.builder.size_bytes());
        let blob = self.builder.finish()?;
        let offset = self.groups.tasks.last().map_or(0, |(offset, length, ..)| offset + *length as u64);
        (&self.groups.file).write_all(&blob).map_err(Error::io("write a scratch file"))?;
        self.groups.tasks.push((offset, blob.len(), entries, size_bytes));
        Ok(())
    }

    /// Give all tasks, which have so many outputs.
    pub fn finish(mut self, outputs: u64) -> Result<Groups> {
        self.end_output()?;
        self.end_task()?;
        Ok(Groups { outputs, ..self.groups })
    }
}
