//! A new round for entries that did not come about: moves them out of a task into a manifest of their own.
//!
//! The old task keeps its manifest and windows; one more window marks what has moved, so that each entry is in
//! exactly one task's books.

use std::collections::HashMap;

use crate::{
    Result,
    engine::{Account, Counts, failure_pattern},
    entry::Kind,
    manifest::{Manifest, ManifestBuilder},
    outcome::{Outcome, Reason, Recorded, Row, encode_rows},
    plan::Plan,
};

/// A failure group: entries that failed alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The error's kind.
    pub kind: String,
    /// The step that failed.
    pub step: Option<String>,
    /// The message without what differs from file to file.
    pub pattern: String,
}

/// What a retry takes out of a task.
#[derive(Debug)]
pub struct Moved {
    /// The entries that are done again; none where only directories are listed again.
    pub manifest: Option<Vec<u8>>,
    /// Their number.
    pub entries: u64,
    /// Their sizes together.
    pub size_bytes: u64,
    /// Entries that leave the old task, directories included.
    pub gone: u64,
    /// What the old task still counts.
    pub counts: Counts,
    /// The summary of that, as JSON.
    pub summary: String,
    /// Marks what has moved; becomes the old task's last, acknowledged window.
    pub window: Vec<u8>,
    /// Whether a directory that could not be read is among them: the scan has to look again.
    pub scan_again: bool,
}

/// Move what did not come about, or only one group of failures; none if there is nothing to move.
pub fn move_out(plan: &Plan, manifest: &[u8], windows: &[Recorded], group: Option<&Group>) -> Result<Option<Moved>> {
    let manifest = Manifest::decode(manifest)?;
    let mut rows: HashMap<u32, Row> = HashMap::new();
    for window in windows.iter().filter(|window| window.acknowledged) {
        rows.extend(window.rows()?.into_iter().map(|row| (row.index, row)));
    }
    let mut builder = ManifestBuilder::default();
    let mut account = Account::default();
    let mut marks = Vec::new();
    let mut scan_again = false;
    for index in 0..manifest.len() {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let row = rows.get(&number);
        if row.is_some_and(|row| row.outcome == Outcome::Moved) {
            continue;
        }
        if !moves(row, group) {
            if let Some(row) = row {
                let path = || plan.source_path(manifest.root(index), manifest.directory(index), manifest.name(index));
                account.add(row, || String::from_utf8_lossy(&path()).into_owned());
            }
            continue;
        }
        let entry = manifest.entry(index)?;
        if entry.kind == Kind::Directory {
            scan_again = true;
        } else {
            builder.push(&entry)?;
        }
        let reason = Reason { kind: "retried".into(), step: None, message: String::new() };
        marks.push(Row::unread(number, Outcome::Moved, reason));
    }
    if marks.is_empty() {
        return Ok(None);
    }
    let (entries, size_bytes) = (builder.len() as u64, builder.size_bytes());
    Ok(Some(Moved {
        manifest: if builder.is_empty() { None } else { Some(builder.finish()?) },
        entries,
        size_bytes,
        gone: marks.len() as u64,
        counts: account.counts,
        summary: account.summary(),
        window: encode_rows(&marks)?,
        scan_again,
    }))
}

/// The manifest without what has moved out of it: what a scan that looks again must not emit again.
pub fn still_here(manifest: &[u8], windows: &[Recorded]) -> Result<Vec<u8>> {
    let decoded = Manifest::decode(manifest)?;
    let mut moved = std::collections::HashSet::new();
    for window in windows.iter().filter(|window| window.acknowledged) {
        moved.extend(window.rows()?.iter().filter(|row| row.outcome == Outcome::Moved).map(|row| row.index as usize));
    }
    if moved.is_empty() {
        return Ok(manifest.to_vec());
    }
    let mut builder = ManifestBuilder::default();
    for index in (0..decoded.len()).filter(|index| !moved.contains(index)) {
        builder.push(&decoded.entry(index)?)?;
    }
    builder.finish()
}

fn moves(row: Option<&Row>, group: Option<&Group>) -> bool {
    let Some(row) = row else { return group.is_none() };
    match group {
        None => matches!(row.outcome, Outcome::Failed | Outcome::Poisoned | Outcome::Vanished),
        Some(group) => row.reason.as_ref().is_some_and(|reason| {
            matches!(row.outcome, Outcome::Failed | Outcome::Poisoned)
                && reason.kind == group.kind
                && reason.step == group.step
                && failure_pattern(&reason.message) == group.pattern
        }),
    }
}
