//! Takes back what a job has published: outputs that it created and that still are as acknowledged.
//!
//! What replaced another file can't be taken back, as nobody has the other one any more. May be done again after a
//! kill: an output that is gone has been dealt with.

use std::{collections::HashMap, sync::Arc};

use rustix::{fs::stat, io::Errno};

use super::{Account, outputs::Outputs};
use crate::{
    Error, Result,
    manifest::Manifest,
    outcome::{Outcome, Publish, Reason, Recorded, Row, Staged},
    plan::{Plan, file_path},
    stores::{Sink, SinkDirectory, Standing, Temporaries, open_sink, s3::is_object_uri},
};

/// What to do with outputs that can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Only count them.
    Look,
    /// Remove them.
    Remove,
}

/// What there is to take back of a task, or was.
#[derive(Debug, Default)]
pub struct Undone {
    /// `done` are outputs that are removed, or would be; `skipped` those that have changed since, and stay; `vanished`
    /// those that are gone already; `failed` those that can't be removed.
    pub account: Account,
    /// Outputs that took the place of other files.
    pub replaced: u64,
}

/// Take back the outputs of a task's acknowledged entries.
pub fn undo(plan: &Plan, manifest: &[u8], windows: &[Recorded], how: Undo) -> Result<Undone> {
    let mut undone = Undone::default();
    let Some(sink) = plan.sink.as_ref().filter(|sink| !plan.in_place && sink.keeps_outputs()) else {
        return Ok(undone);
    };
    if !is_object_uri(&sink.uri) && stat(file_path(&sink.uri)?).err() == Some(Errno::NOENT) {
        return Ok(undone); // to open it would make it
    }
    let (manifest, pipeline) = (Manifest::decode(manifest)?, plan.pipeline()?);
    let sink = open_sink(sink, Temporaries::Named)?;
    let mut opened = Opened { sink: &*sink, directories: HashMap::new(), touched: HashMap::new() };
    let outputs = Outputs::of(plan, &pipeline, &manifest);
    for window in windows.iter().filter(|window| window.acknowledged) {
        for row in window.rows()? {
            if row.outcome != Outcome::Done || outputs.lead(row.index) != row.index {
                continue;
            }
            let named = manifest.named(row.index as usize).read(row.hash);
            for (part, staged) in row.outputs() {
                if staged.publish == Publish::Replace {
                    undone.replaced += 1;
                    continue;
                }
                let (directory, name) = plan.output_name(&pipeline, &named.part(part))?;
                let path = || String::from_utf8_lossy(&crate::entry::join(&directory, &name)).into_owned();
                let ended = match opened.find(&directory)? {
                    None => Ok(gone(row.index)),
                    Some(open) => take_back(&*open, (row.index, staged), &name, how).inspect(|ended| {
                        if ended.outcome == Outcome::Done && how == Undo::Remove {
                            opened.touched.insert(open.id(), Arc::clone(&open));
                        }
                    }),
                };
                undone.account.add(&ended.unwrap_or_else(|error| failed(row.index, &error)), path);
            }
        }
    }
    opened.settle()?;
    Ok(undone)
}

/// Directories of outputs that are open, and those of which outputs were removed.
struct Opened<'s> {
    sink: &'s dyn Sink,
    directories: HashMap<Vec<u8>, Option<Arc<dyn SinkDirectory>>>,
    touched: HashMap<(u64, u64), Arc<dyn SinkDirectory>>,
}

/// Directories that are kept open at once, each with a descriptor.
const OPEN_DIRECTORIES: usize = 256;

impl Opened<'_> {
    /// The directory of that path, where it is there.
    fn find(&mut self, directory: &[u8]) -> Result<Option<Arc<dyn SinkDirectory>>> {
        if let Some(open) = self.directories.get(directory) {
            return Ok(open.clone());
        }
        if self.directories.len() >= OPEN_DIRECTORIES {
            self.settle()?;
        }
        let open = self.sink.find_directory(directory)?;
        self.directories.insert(directory.to_vec(), open.clone());
        Ok(open)
    }

    /// Wait until what was removed is so on disk, too, and close all.
    fn settle(&mut self) -> Result<()> {
        self.directories.clear();
        let touched: Vec<_> = self.touched.drain().map(|(_, directory)| directory).collect();
        if touched.is_empty() { Ok(()) } else { self.sink.make_published_durable(&touched) }
    }
}

fn take_back(directory: &dyn SinkDirectory, (index, staged): (u32, &Staged), name: &[u8], how: Undo) -> Result<Row> {
    if directory.look(name)? == Standing::Free {
        return Ok(gone(index));
    }
    if !directory.adopt(name, staged)? {
        return Ok(Row::skipped(index, "output_changed"));
    }
    if how == Undo::Remove && !directory.begin_removing(name, staged)?()? {
        return Ok(Row::skipped(index, "output_changed"));
    }
    Ok(Row::done(index))
}

fn gone(index: u32) -> Row {
    Row::unread(index, Outcome::Vanished, Reason { kind: "gone".into(), step: None, message: String::new() })
}

fn failed(index: u32, error: &Error) -> Row {
    let reason = Reason { kind: error.kind().to_owned(), step: None, message: error.to_string() };
    Row::unread(index, Outcome::Failed, reason)
}
