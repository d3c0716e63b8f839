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
    outcome::{Outcome, Publish, Reason, Recorded, Row},
    plan::{Plan, file_path},
    stores::{SinkDirectory, Standing, Temporaries, open_sink, s3::is_object_uri},
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
    let mut directories: HashMap<Vec<u8>, Option<Arc<dyn SinkDirectory>>> = HashMap::new();
    let mut touched: HashMap<(u64, u64), Arc<dyn SinkDirectory>> = HashMap::new();
    let outputs = Outputs::of(plan, &pipeline, &manifest);
    for window in windows.iter().filter(|window| window.acknowledged) {
        for row in window.rows()? {
            let is_output = row.outcome == Outcome::Done && outputs.lead(row.index) == row.index;
            let Some(staged) = row.staged.filter(|_| is_output) else { continue };
            if staged.publish == Publish::Replace {
                undone.replaced += 1;
                continue;
            }
            let named = manifest.named(row.index as usize).read(row.hash);
            let (directory, name) = plan.output_name(&pipeline, &named)?;
            let path = || String::from_utf8_lossy(&crate::entry::join(&directory, &name)).into_owned();
            let open = match directories.get(&directory) {
                Some(open) => open.clone(),
                None => {
                    let open = sink.find_directory(&directory)?;
                    directories.insert(directory.clone(), open.clone());
                    open
                }
            };
            let ended = match open {
                None => Ok(gone(row.index)),
                Some(open) => take_back(&*open, &row, &name, how).inspect(|ended| {
                    if ended.outcome == Outcome::Done {
                        touched.insert(open.id(), Arc::clone(&open));
                    }
                }),
            };
            undone.account.add(&ended.unwrap_or_else(|error| failed(row.index, &error)), path);
        }
    }
    if how == Undo::Remove {
        sink.make_published_durable(&touched.into_values().collect::<Vec<_>>())?;
    }
    Ok(undone)
}

fn take_back(directory: &dyn SinkDirectory, row: &Row, name: &[u8], how: Undo) -> Result<Row> {
    let Some(staged) = &row.staged else { return Ok(gone(row.index)) };
    if directory.look(name)? == Standing::Free {
        return Ok(gone(row.index));
    }
    if !directory.adopt(name, staged)? {
        return Ok(Row::skipped(row.index, "output_changed"));
    }
    if how == Undo::Remove {
        directory.remove(name)?;
    }
    Ok(Row::done(row.index))
}

fn gone(index: u32) -> Row {
    Row::unread(index, Outcome::Vanished, Reason { kind: "gone".into(), step: None, message: String::new() })
}

fn failed(index: u32, error: &Error) -> Row {
    let reason = Reason { kind: error.kind().to_owned(), step: None, message: error.to_string() };
    Row::unread(index, Outcome::Failed, reason)
}
