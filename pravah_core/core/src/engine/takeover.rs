//! What an earlier attempt left behind: a recorded window, and litter.
//!
//! Protocol, rule 6. First the directories of outputs are searched for temporaries of earlier attempts, so that a late
//! rename finds nothing. Then the recorded window: outputs that stand under their names and are own are acknowledged,
//! the others are done again.

use std::{collections::HashSet, sync::Arc};

use super::{
    commit::{OPEN_DIRECTORIES, Published},
    intents::{declared, is_intent},
    parts::LOOKED_AT_ONCE,
    stage::{Bench, failed},
};
use crate::{
    Error, Result,
    entry::join,
    manifest::Manifest,
    naming::Named,
    outcome::{Outcome, Recorded, Row},
    pipeline::{Failure, Pipeline},
    plan::Plan,
    stores::{Sink, SinkDirectory, Source, Temporaries, Temporary, open_sink},
};

/// Remove the temporaries of earlier attempts from all directories that the manifest's outputs go to, and their uploads.
///
/// Uploads that nobody may look for, or give up, stay, and closing tells of them: none is completed any more unless its
/// condition holds.
pub fn sweep(bench: &Bench<'_>) -> Result<usize> {
    let Some(sink) = bench.sink else { return Ok(0) };
    let (task, counter) = &bench.temporaries;
    let Bench { plan, pipeline, manifest, .. } = bench;
    let removed = sweep_below(plan, pipeline, manifest, sink, (task, *counter))?;
    match abandon((plan, pipeline), (manifest, &bench.task.windows), sink) {
        Err(error) if !error.is_transient() => Ok(removed),
        given_up => Ok(removed + given_up?),
    }
}

/// Remove whatever a job that nobody works on any more has left where a task's outputs go.
///
/// The task's next holder has looked already; a holder whose lease had expired may have staged more since, and died.
/// Tasks that the ledger has forgotten may have staged there, too.
pub fn sweep_job(plan: &Plan, manifest: &[u8], windows: &[Recorded]) -> Result<usize> {
    let Some(sink) = &plan.sink else { return Ok(0) };
    let (manifest, pipeline) = (Manifest::decode(manifest)?, plan.pipeline()?);
    let (sink, prefix) = (open_sink(sink, Temporaries::Named)?, Temporary::job_prefix(&plan.job));
    let removed = sweep_below(plan, &pipeline, &manifest, &*sink, (&prefix, u64::MAX))?;
    Ok(removed + abandon((plan, &pipeline), (&manifest, windows), &*sink)?)
}

fn sweep_below(
    plan: &Plan,
    pipeline: &Pipeline,
    manifest: &Manifest,
    sink: &dyn Sink,
    (task, counter): (&Arc<str>, u64),
) -> Result<usize> {
    let earlier = Temporary { task: Arc::clone(task), counter, number: 0 };
    let mut removed = 0;
    let mut seen = HashSet::new();
    for index in 0..manifest.len() {
        // What has no name was never staged.
        let Ok(directory) = plan.staging_directory(pipeline, &manifest.named(index)) else { continue };
        if seen.contains(&directory) {
            continue;
        }
        if let Some(directory) = sink.find_directory(&directory)? {
            removed += directory.sweep(&earlier)?;
        }
        seen.insert(directory);
    }
    Ok(removed)
}

/// Give up what dead attempts have begun of a task's outputs, where that is found by their names only.
fn abandon(
    (plan, pipeline): (&Plan, &Pipeline),
    (manifest, windows): (&Manifest, &[Recorded]),
    sink: &dyn Sink,
) -> Result<usize> {
    if !sink.names_first() {
        return Ok(0);
    }
    let mut names = Vec::new();
    if plan.names_at_run_time() || plan.expands() {
        for row in declared(windows)? {
            let named = manifest.named(row.index as usize).read(row.hash);
            let of_parts = row.outputs().filter_map(|(part, _)| plan.output_name(pipeline, &named.part(part)).ok());
            names.extend(of_parts);
        }
    } else {
        names.extend((0..manifest.len()).filter_map(|at| plan.output_name(pipeline, &manifest.named(at)).ok()));
    }
    let paths: Vec<_> = names.iter().map(|(directory, name)| join(directory, name)).collect();
    sink.abandon(&paths, begun_ns(&plan.job))
}

/// When a job was created, in nanoseconds since 1970, and a little earlier, as clocks differ; its id begins with it.
///
/// So the manifest stands for a record of each upload where it names all keys ahead: no upload of the job is older.
fn begun_ns(job: &str) -> i64 {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    const CLOCKS_DIFFER_MS: i64 = 15 * 60 * 1_000; // what Amazon tolerates
    let digit = |letter: u8| ALPHABET.iter().position(|known| *known == letter).and_then(|at| i64::try_from(at).ok());
    let begun_ms = job.bytes().take(10).try_fold(0_i64, |time, letter| Some(time << 5 | digit(letter)?));
    let begun_ms = begun_ms.filter(|_| job.len() == 26);
    begun_ms.map_or(i64::MIN, |time| time.saturating_sub(CLOCKS_DIFFER_MS).saturating_mul(1_000_000))
}

/// Deal with the window that was recorded last, where it is not acknowledged: gives what of it counts.
pub fn adopt(bench: &Bench<'_>, source: &dyn Source, windows: &[Recorded]) -> Result<Option<Published>> {
    if bench.plan.expands() {
        know_halves(bench, windows)?;
    }
    let Some(recorded) = windows.last().filter(|window| !window.acknowledged) else { return Ok(None) };
    let mut published = Published::default();
    let mut directories: Vec<Arc<dyn SinkDirectory>> = Vec::new();
    // Looked at once for all entries of an output: they are acknowledged together, or none is.
    let mut last: Option<(u32, Adopted)> = None;
    let rows = crate::outcome::decode_rows(&recorded.blob)?;
    look_ahead(bench, &rows);
    for row in rows {
        if is_intent(&row) {
            continue;
        }
        let lead = bench.outputs.lead(row.index);
        let adopted = match last.take().filter(|(other, _)| *other == lead) {
            Some((_, adopted)) => adopted,
            None => adopt_row(bench, &row)?,
        };
        match last.insert((lead, adopted)).1.clone() {
            Adopted::Nothing if lost_in_place(bench, source, &row) => {
                let error = Error::ChangedWhileRead("its output was replaced before it was acknowledged".into());
                let row = Row { attempts: row.attempts, ..failed(row.index, &Failure::from(error)) };
                published.amendments.push(row.clone());
                published.rows.push(row);
            }
            Adopted::Nothing => published.amendments.push(Row { outcome: Outcome::Redo, ..row }),
            Adopted::Unpublished => published.rows.push(row),
            Adopted::Own(own) => {
                for directory in own {
                    if directories.iter().all(|known| known.id() != directory.id()) {
                        directories.push(directory);
                    }
                }
                published.rows.push(row);
            }
        }
    }
    if let Some(sink) = bench.sink {
        sink.make_published_durable(&directories)?; // the earlier attempt may not have come to it
    }
    Ok(Some(published))
}

/// Ask for what stands at the names of a recorded window, where each answer takes a while.
fn look_ahead(bench: &Bench<'_>, rows: &[Row]) {
    let Some(sink) = bench.sink.filter(|sink| sink.holds_outputs()) else { return };
    for row in rows.iter().filter(|row| row.staged.is_some() && bench.outputs.lead(row.index) == row.index) {
        look_ahead_at(bench, sink, &bench.manifest.named(row.index as usize).read(row.hash));
    }
}

fn look_ahead_at(bench: &Bench<'_>, sink: &dyn Sink, named: &Named<'_>) {
    let Ok((directory, name)) = bench.plan.output_name(bench.pipeline, named) else { return };
    if let Ok(Some(directory)) = sink.find_directory(&directory) {
        directory.ask_ahead(&name);
    }
}

#[derive(Clone)]
enum Adopted {
    /// The output is not there, or not ours: the entry is done again.
    Nothing,
    /// The entry has no output: what was recorded holds.
    Unpublished,
    /// All outputs stand under their names, in these directories.
    Own(Vec<Arc<dyn SinkDirectory>>),
}

fn adopt_row(bench: &Bench<'_>, row: &Row) -> Result<Adopted> {
    let Some(sink) = bench.sink.filter(|_| row.has_outputs()) else {
        if row.outcome == Outcome::Done {
            bench.remove_stale(row)?; // it had several outputs, and has none any more
        }
        return Ok(Adopted::Unpublished);
    };
    let named = bench.manifest.named(row.index as usize).read(row.hash);
    let mut directories: Vec<(Vec<u8>, Arc<dyn SinkDirectory>)> = Vec::new();
    let outputs: Vec<_> = row.outputs().collect();
    for (at, (part, staged)) in outputs.iter().enumerate() {
        bench.control.get_on();
        if at % LOOKED_AT_ONCE == 0 && row.parts.is_some() && sink.names_first() {
            let next = outputs[at..].iter().take(LOOKED_AT_ONCE);
            next.for_each(|(part, _)| look_ahead_at(bench, sink, &named.part(part)));
        }
        let (path, name) = bench.plan.output_name(bench.pipeline, &named.part(part))?;
        let directory = match directories.last().filter(|(known, _)| *known == path) {
            Some((_, directory)) => Some(Arc::clone(directory)),
            None => sink.find_directory(&path)?,
        };
        match directory {
            Some(directory) if directory.adopt(&name, staged)? => {
                if directories.last().is_none_or(|(known, _)| *known != path) {
                    directories.push((path, directory));
                }
            }
            _ => {
                bench.take_back(row)?;
                return Ok(Adopted::Nothing);
            }
        }
        if directories.len() >= OPEN_DIRECTORIES {
            let open: Vec<_> = directories.drain(..).map(|(_, directory)| directory).collect();
            sink.make_published_durable(&open)?;
        }
    }
    let own = directories.into_iter().map(|(_, directory)| directory);
    Ok(Adopted::Own(own.chain(bench.remove_stale(row)?).collect()))
}

/// Know outputs that earlier attempts put in the place of others, of entries that they did not come to the end of.
fn know_halves(bench: &Bench<'_>, windows: &[Recorded]) -> Result<()> {
    for window in windows {
        let mut done: HashSet<u32> = HashSet::new();
        if window.acknowledged {
            done.extend(window.rows()?.iter().map(|row| row.index));
        }
        let rows = crate::outcome::decode_rows(&window.blob)?;
        let undone = rows.iter().filter(|row| row.parts.is_some() && !done.contains(&row.index));
        undone.for_each(|row| bench.families.keep_halves(row.index, row.outputs()));
    }
    Ok(())
}

/// Whether what stands where a source was is neither that source nor its output: perhaps made from the output, which
/// must not be processed again.
fn lost_in_place(bench: &Bench<'_>, source: &dyn Source, row: &Row) -> bool {
    let at = row.index as usize;
    let name = bench.manifest.name(at);
    if !bench.plan.in_place || bench.output_name(row.index, None).is_ok_and(|(_, output_name)| output_name != name) {
        return false;
    }
    let found = source
        .open_directory(bench.manifest.root(at), bench.manifest.directory(at))
        .and_then(|directory| directory.fingerprint(name));
    found.is_ok_and(|found| Some(found) != row.source)
}
