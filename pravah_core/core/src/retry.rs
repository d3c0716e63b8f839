//! Moves entries out of a task into manifests of their own: for a new round those that did not come about, for a split
//! those that nobody has worked on yet.
//!
//! The old task keeps its manifest and windows; one more window marks what has moved, so that each entry is in
//! exactly one task's books. Entries that make one output together move together, and stay in one task.

use std::collections::{HashMap, HashSet};

use crate::{
    Result,
    engine::{Account, Counts, failure_pattern, outputs::Outputs, scan_task::unit::Unit},
    entry::{Entry, Kind},
    manifest::{Manifest, ManifestBuilder},
    outcome::{Outcome, Reason, Recorded, Row, encode_rows},
    plan::Plan,
};

/// What opening and publishing a file costs, as bytes read: some 50 µs at 1 GB/s.
const ENTRY_BYTES: u64 = 50_000;

/// The verdict of a scan that stays: others are looked at again, but two names of one output are as equal as before.
const COLLISION: &str = "output_collision";

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

/// Which entries move.
#[derive(Debug)]
enum Selection<'s> {
    /// What did not come about, and what has no outcome.
    NotDone,
    /// One group of failures.
    Group(&'s Group),
    /// What has no outcome.
    Remaining,
}

/// Entries that become a task of their own.
#[derive(Debug)]
pub struct Part {
    /// The entries.
    pub manifest: Vec<u8>,
    /// Their number.
    pub entries: u64,
    /// Their sizes together.
    pub size_bytes: u64,
}

/// What is taken out of a task.
#[derive(Debug)]
pub struct Moved {
    /// The entries that are done elsewhere; none where only directories are listed again.
    pub parts: Vec<Part>,
    /// Entries that leave the old task, directories included.
    pub gone: u64,
    /// What the old task still counts.
    pub counts: Counts,
    /// The summary of that, as JSON.
    pub summary: String,
    /// Marks what has moved; becomes the old task's last, acknowledged window.
    pub window: Vec<u8>,
    /// The scan unit of the directories among them: they are listed again.
    pub unit: Option<Vec<u8>>,
}

/// Move what did not come about, or only one group of failures; none if there is nothing to move.
pub fn move_out(plan: &Plan, manifest: &[u8], windows: &[Recorded], group: Option<&Group>) -> Result<Option<Moved>> {
    take(plan, manifest, windows, &group.map_or(Selection::NotDone, Selection::Group), 1)
}

/// Move what nobody has worked on yet into so many tasks of about the same work; none if there are fewer entries.
///
/// Every window must be acknowledged.
pub fn split(plan: &Plan, manifest: &[u8], windows: &[Recorded], parts: usize) -> Result<Option<Moved>> {
    let moved = take(plan, manifest, windows, &Selection::Remaining, parts)?;
    Ok(moved.filter(|moved| moved.parts.len() == parts))
}

fn take(
    plan: &Plan,
    manifest: &[u8],
    windows: &[Recorded],
    selection: &Selection<'_>,
    parts: usize,
) -> Result<Option<Moved>> {
    let manifest = Manifest::decode(manifest)?;
    let outputs = Outputs::of(plan, &plan.pipeline()?, &manifest);
    let mut rows: HashMap<u32, Row> = HashMap::new();
    for window in windows.iter().filter(|window| window.acknowledged) {
        rows.extend(window.rows()?.into_iter().map(|row| (row.index, row)));
    }
    let chosen = match selection {
        Selection::Group(_) if outputs.are_merged() => Some(leads_of(&manifest, &rows, selection, &outputs)),
        _ => None,
    };
    let mut moving = Vec::new();
    let mut account = Account::default();
    let mut marks = Vec::new();
    let mut directories = Vec::new();
    for index in 0..manifest.len() {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let row = rows.get(&number);
        if row.is_some_and(|row| row.outcome == Outcome::Moved) {
            continue;
        }
        let does_move = match &chosen {
            Some(leads) => leads.contains(&outputs.lead(number)) && moves(row, &Selection::NotDone),
            None => moves(row, selection),
        };
        if !does_move {
            if let Some(row) = row {
                let path = || plan.source_path(manifest.root(index), manifest.directory(index), manifest.name(index));
                account.add(row, || String::from_utf8_lossy(&path()).into_owned());
            }
            continue;
        }
        let mut entry = manifest.entry(index)?;
        if !matches!(selection, Selection::Remaining) {
            entry.problem = entry.problem.filter(|problem| problem.kind == COLLISION);
        }
        // A split stays in its round: there a directory is an entry like any other, with the verdict that it has.
        if entry.kind == Kind::Directory && !matches!(selection, Selection::Remaining) {
            directories.push(entry);
        } else {
            moving.push((outputs.lead(number), entry));
        }
        let reason = Reason { kind: "retried".into(), step: None, message: String::new() };
        marks.push(Row::unread(number, Outcome::Moved, reason));
    }
    if marks.is_empty() {
        return Ok(None);
    }
    Ok(Some(Moved {
        parts: cut(&moving, parts)?,
        gone: marks.len() as u64,
        counts: account.counts,
        summary: account.summary(),
        window: encode_rows(&marks)?,
        unit: (!directories.is_empty()).then(|| Unit::again(&directories).encode()).transpose()?,
    }))
}

/// The outputs, by their first entries, that a failure group concerns: each that has a file of it. What was put into
/// no output, as nobody knew all that belongs to one, is put together anew, so all of it. What was never begun goes along.
fn leads_of(
    manifest: &Manifest,
    rows: &HashMap<u32, Row>,
    selection: &Selection<'_>,
    outputs: &Outputs,
) -> HashSet<u32> {
    let is_loose = (0..manifest.len()).all(|index| manifest.named(index).naming.ordinal.is_none());
    let concerned = rows.values().filter(|row| is_loose || moves(Some(row), selection));
    let unbegun = (0..manifest.len() as u32).filter(|index| !rows.contains_key(index));
    concerned.map(|row| row.index).chain(unbegun).map(|index| outputs.lead(index)).collect()
}

/// Cut entries, each behind the first one of its output, in their order, into parts of about the same work.
fn cut(entries: &[(u32, Entry)], parts: usize) -> Result<Vec<Part>> {
    let work = |entry: &Entry| entry.size_bytes + ENTRY_BYTES;
    let total: u64 = entries.iter().map(|(_, entry)| work(entry)).sum();
    let mut cut = Vec::new();
    let (mut builder, mut passed) = (ManifestBuilder::default(), 0);
    for (index, (lead, entry)) in entries.iter().enumerate() {
        builder.push(entry)?;
        passed += work(entry);
        let is_full = passed * parts as u64 >= total * (cut.len() as u64 + 1);
        let next = entries.get(index + 1);
        if next.is_none_or(|(next, _)| is_full && next != lead) {
            let (entries, size_bytes) = (builder.len() as u64, builder.size_bytes());
            cut.push(Part { manifest: std::mem::take(&mut builder).finish()?, entries, size_bytes });
        }
    }
    Ok(cut)
}

fn moves(row: Option<&Row>, selection: &Selection<'_>) -> bool {
    // What was never begun is reopened whatever is retried: else nobody would work on it.
    let Some(row) = row else { return true };
    match selection {
        Selection::Remaining => false,
        Selection::NotDone => matches!(row.outcome, Outcome::Failed | Outcome::Poisoned | Outcome::Vanished),
        Selection::Group(group) => row.reason.as_ref().is_some_and(|reason| {
            matches!(row.outcome, Outcome::Failed | Outcome::Poisoned)
                && reason.kind == group.kind
                && reason.step == group.step
                && failure_pattern(&reason.message) == group.pattern
        }),
    }
}
