//! One scan task: lists what its unit holds and cuts what it finds into tasks.
//!
//! - `unit`, `tree`: what a scan task has to list, as the ledger keeps it
//! - `frontier`: which of it emitted tasks do not cover yet; `ranged`: where that is a range of a directory's names
//! - `gather`: on the scanner's threads, one whole directory at a time: order, verdicts, what is known already
//! - `collisions`: names that would become one output
//! - `named`: paths that a list names
//! - `known`: entries of directories that an earlier, killed attempt has handed over in part
//! - `cutter`: manifests of the right size
//! - `emitter`: when these are handed over, and with what
//! - `single`: a sink that is one file
//! - `synthetic`: entries without files
//!
//! Everything listed that is no directory becomes an entry, and so does a directory that can't be read: failures
//! are found in manifests, never in silence. Memory is bounded: a few directories wait between the scanner's threads
//! and the cutter, only the one at hand is kept whole (of prefixes with many pages: a page), and of those that are
//! still to be listed so many names as one emission may store; more become units of their own, for any worker.
//! Nothing is read of the files but their sizes and times.

mod collisions;
mod cutter;
mod emitter;
mod frontier;
mod gather;
mod known;
pub mod named;
mod ranged;
mod roots;
mod single;
mod synthetic;
#[cfg(test)]
mod tests;
mod tree;
pub mod unit;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread,
};

use collisions::Collisions;
use cutter::Cutter;
use emitter::{Emitter, Pace};
use frontier::Frontier;
use gather::{Gatherer, Room, Rules};
use known::Known;
use roots::Roots;
use single::Single;
use unit::{Begins, Unit};

use super::{Control, Ending, Verdict};
use crate::{
    Error, Result,
    effort::{self, CallKind, Effort},
    plan::{Plan, Preserve, Root},
    scan::{Detail, Filter, Filtered, Lister, Scanner},
    stores::s3::{ObjectLister, is_object_uri},
};

/// A task that the scan has cut.
#[derive(Debug)]
pub struct NewTask {
    /// Its manifest.
    pub manifest: Vec<u8>,
    /// Number of its entries.
    pub entries: u64,
    /// Sum of their sizes, in bytes.
    pub size_bytes: u64,
}

/// What the ledger is to record of a scan in one transaction.
#[derive(Debug)]
pub struct Emission {
    /// New tasks.
    pub tasks: Vec<NewTask>,
    /// New units of the same job.
    pub units: Vec<Vec<u8>>,
    /// What is left of this unit: what it has not covered by tasks, or given away. None: nothing.
    pub frontier: Option<Vec<u8>>,
    /// What the unit has left out so far, of the directories that are covered; absolute.
    pub filtered: Filtered,
    /// What this attempt took; absolute.
    pub effort: Effort,
    /// Nothing more will come.
    pub finished: bool,
}

/// List what a unit holds; hand over tasks as they come, the first at once and then every fifth of a second.
///
/// Each emission says what the unit holds from then on: a later attempt of it that is given the last one which was
/// stored goes on from there. `known` are manifests with the entries of directories that were emitted in part (see
/// [`Unit::look_back`]): these are left out, so that each path is in one task only. The last emission of a scan that
/// was not stopped is `finished`.
///
/// Fails where a root is missing, or is not what the plan takes it for.
pub fn run_scan(
    plan: &Plan,
    unit: &Unit,
    known: &[&[u8]],
    control: &Control,
    on_tasks: &mut dyn FnMut(Emission) -> Verdict,
) -> Result<Ending> {
    Scan { plan, unit, pace: Pace::default(), lister: None }.run(known, control, on_tasks)
}

struct Scan<'s> {
    plan: &'s Plan,
    unit: &'s Unit,
    pace: Pace,
    /// Who lists what is in an object store; none: the one that the plan names.
    lister: Option<Arc<dyn Lister>>,
}

impl Scan<'_> {
    fn run(&self, known: &[&[u8]], control: &Control, on_tasks: &mut dyn FnMut(Emission) -> Verdict) -> Result<Ending> {
        let Self { plan, unit, pace, lister } = self;
        let pipeline = plan.pipeline()?;
        // In place, outputs of an earlier round stand among the sources.
        let outputs_of = plan.in_place.then_some(&pipeline);
        let known = Known::read(known, outputs_of)?;
        let filter = Filter::new(&plan.filter)?;
        let mut beginning = unit.begin(plan, &filter)?;
        let single = Single::of(plan, beginning.first_file.take());
        let rules = &Rules {
            filter,
            collisions: Collisions::new(plan, &pipeline),
            control,
            known: &known,
            room: Room::new(&beginning, if single.is_none() { pace.waiting_bytes } else { usize::MAX }),
            marks: beginning.marks(),
            gathered: Mutex::default(),
            lists_empty: plan.sink.as_ref().is_some_and(|sink| sink.preserves(Preserve::EmptyDirs)),
        };
        let roots = Roots::look(plan, &beginning)?;
        let effort = effort::begin(CallKind::Scan, Vec::new(), plan.disks(), Effort::default());
        if let Unit::Named(named) = unit {
            let Some(emission) = named::emission(plan, &named.paths, &roots.skip, rules)? else {
                return Ok(Ending::Drained);
            };
            return Ok(match on_tasks(Emission { effort: effort.so_far(), ..emission }) {
                Verdict::Fenced => Ending::Fenced,
                Verdict::Committed | Verdict::Drain => Ending::Finished,
            });
        }
        let cutter = Cutter::new(single, **unit == Unit::Roots, pace.entries);
        let mut emitter = Emitter::new(pace, effort, control, on_tasks, cutter, Frontier::new(&beginning, pace));
        for found in roots.files(plan, &pipeline, rules)? {
            emitter.take(found)?;
        }
        let scanner = Scanner::new([])
            .detail(Detail::Sizes)
            .filter(rules.filter.clone())
            .globs(plan.roots.iter().map(Root::glob).collect::<Result<_>>()?)
            .links(plan.links())
            .skip(roots.skip);
        let scanner = match (lister, plan.roots.iter().any(|root| is_object_uri(&root.uri))) {
            (Some(lister), _) => scanner.lister(lister.clone()),
            (None, true) => scanner.lister(Arc::new(ObjectLister::of(plan)?)),
            (None, false) => scanner,
        };
        walk(plan, scanner, beginning.split(plan), rules, emitter)
    }
}

/// Walk on threads of their own, and hand over what they find, until everything is listed or it is to be stopped.
fn walk(plan: &Plan, scanner: Scanner, begins: Begins, rules: &Rules<'_>, mut emitter: Emitter<'_>) -> Result<Ending> {
    let stop = Arc::new(AtomicBool::new(false));
    let scanner = scanner.stop(stop.clone());
    thread::scope(|scope| {
        let (sender, found) = sync_channel(WAITING_DIRECTORIES);
        let gatherers = (0..scanner.thread_count()).map(|_| Gatherer::new(rules, sender.clone())).collect();
        let scan = scope.spawn(move || {
            begins.synthetic.into_iter().for_each(|origin| synthetic::send(plan, rules, origin, &sender));
            drop(sender);
            scanner.walk_from(begins.trees, gatherers).map(drop)
        });
        let ended = emitter.run(found);
        stop.store(true, Ordering::Relaxed);
        let scanned = scan.join().unwrap_or_else(|_| Err(Error::Panicked("the scan panicked".to_owned())));
        match ended? {
            Some(ending) => Ok(ending),
            None => scanned.and_then(|()| emitter.finish()),
        }
    })
}

/// Directories between the scanner's threads and the cutter.
const WAITING_DIRECTORIES: usize = 64;
