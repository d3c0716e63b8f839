//! One scan task: lists the roots of a job and cuts what it finds into tasks.
//!
//! - `gather`: on the scanner's threads, one whole directory at a time: order, verdicts, what is known already
//! - `collisions`: names that would become one output
//! - `known`: what an earlier, killed attempt has handed over
//! - `cutter`: manifests of the right size
//! - `single`: a sink that is one file
//! - `synthetic`: entries without files
//!
//! Everything listed that is no directory becomes an entry, and so does a directory that can't be read: failures
//! are found in manifests, never in silence. Memory is bounded: a few directories wait between the scanner's threads
//! and the cutter, and only the one at hand is kept whole. Nothing is read of the files but their sizes and times.

mod collisions;
mod cutter;
mod gather;
mod known;
mod roots;
mod single;
mod synthetic;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use collisions::Collisions;
use cutter::Cutter;
use gather::{Found, Gatherer, Rules};
use known::Known;
use roots::Roots;

use super::{Control, Ending, Verdict};
use crate::{
    Error, Result,
    effort::{self, CallKind, Effort},
    plan::{Plan, Preserve},
    scan::{Detail, Filter, Filtered, Scanner},
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
    /// What this attempt has left out so far; absolute.
    pub filtered: Filtered,
    /// What this attempt took; absolute.
    pub effort: Effort,
    /// Nothing more will come.
    pub finished: bool,
}

/// List the roots of a job; hand over tasks as they come, the first at once and then every fifth of a second.
///
/// `known` are the manifests that an earlier attempt, which was killed, has handed over: their entries are left out,
/// so that each path is in one task only. The last emission of a scan that was not stopped is `finished`.
///
/// Fails where a root is missing, or is not what the plan takes it for.
pub fn run_scan(
    plan: &Plan,
    known: &[&[u8]],
    control: &Control,
    on_tasks: &mut dyn FnMut(Emission) -> Verdict,
) -> Result<Ending> {
    let pipeline = plan.pipeline()?;
    // In place, outputs of an earlier round stand among the sources.
    let outputs_of = plan.in_place.then_some(&pipeline);
    let known = Known::read(known, outputs_of)?;
    let rules = &Rules {
        filter: Filter::new(&plan.filter)?,
        collisions: Collisions::new(plan, &pipeline),
        control,
        known: &known,
        lists_empty: plan.sink.as_ref().is_some_and(|sink| sink.preserves(Preserve::EmptyDirs)),
    };
    let roots = Roots::look(plan)?;
    let cutter = Cutter::new(single::Single::of(plan, &known));
    let effort = effort::begin(CallKind::Scan, Vec::new(), plan.disks(), Effort::default());
    let mut emitter = Emitter { effort, control, on_tasks, cutter, filtered: Filtered::default(), emitted: None };
    for found in roots.files(plan, &pipeline, rules)? {
        emitter.take(found)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let scanner = Scanner::new(roots.trees.iter().map(|tree| tree.path.clone()))
        .detail(Detail::Sizes)
        .filter(rules.filter.clone())
        .globs(roots.globs(plan)?)
        .links(plan.links())
        .skip(roots.skip)
        .stop(stop.clone());
    let trees: Vec<u16> = roots.trees.iter().map(|tree| tree.root).collect();
    thread::scope(|scope| {
        let (sender, found) = sync_channel(WAITING_DIRECTORIES);
        let synthetic = (roots.synthetic, sender.clone());
        let gatherers = (0..scanner.thread_count()).map(|_| Gatherer::new(rules, &trees, sender.clone())).collect();
        drop(sender);
        let scan = scope.spawn(move || {
            let (synthetic, sender) = synthetic;
            synthetic.into_iter().for_each(|(root, entries)| synthetic::send(rules, root, entries, &sender));
            drop(sender);
            scanner.walk(gatherers).map(drop)
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

/// Hands tasks over, and decides when.
struct Emitter<'e> {
    effort: effort::Call,
    control: &'e Control,
    on_tasks: &'e mut dyn FnMut(Emission) -> Verdict,
    cutter: Cutter,
    filtered: Filtered,
    /// When tasks were handed over last; none: not yet.
    emitted: Option<Instant>,
}

impl Emitter<'_> {
    /// Take what is found until the scan ends (none) or is to be stopped. Whoever sends more then sees that nobody listens.
    fn run(&mut self, found: Receiver<Found>) -> Result<Option<Ending>> {
        let begun = Instant::now();
        loop {
            if self.control.draining() {
                return Ok(Some(Ending::Drained));
            }
            match found.recv_timeout(TICK) {
                Ok(found) => self.take(found)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
            if self.is_starving(begun) {
                self.cutter.cut()?;
            }
            if self.is_due()
                && let Some(ending) = self.emit(Finished::NotYet)
            {
                return Ok(Some(ending));
            }
        }
    }

    fn take(&mut self, found: Found) -> Result<()> {
        self.filtered += found.filtered;
        self.cutter.take(found)
    }

    /// Whether tasks that are ready should be recorded now.
    fn is_due(&self) -> bool {
        self.cutter.has_tasks() && self.emitted.is_none_or(|emitted| emitted.elapsed() >= EMISSION_INTERVAL)
    }

    /// Whether so little comes in that workers should have what there is, instead of waiting for a full task.
    fn is_starving(&self, begun: Instant) -> bool {
        match self.emitted {
            None => !self.cutter.has_tasks() && begun.elapsed() >= EMISSION_INTERVAL,
            Some(emitted) => !self.cutter.has_tasks() && emitted.elapsed() >= SLOW_INTERVAL,
        }
    }

    fn emit(&mut self, finished: Finished) -> Option<Ending> {
        let finished = finished == Finished::Now;
        let tasks = self.cutter.take_tasks();
        let verdict =
            (self.on_tasks)(Emission { tasks, filtered: self.filtered, effort: self.effort.so_far(), finished });
        self.emitted = Some(Instant::now());
        match verdict {
            Verdict::Fenced => Some(Ending::Fenced),
            _ if finished => Some(Ending::Finished),
            Verdict::Drain => Some(Ending::Drained),
            Verdict::Committed => None,
        }
    }

    /// Hand over the rest.
    fn finish(&mut self) -> Result<Ending> {
        self.cutter.finish()?;
        Ok(self.emit(Finished::Now).unwrap_or(Ending::Finished))
    }
}

/// Whether an emission is the last one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finished {
    NotYet,
    Now,
}

/// Directories between the scanner's threads and the cutter.
const WAITING_DIRECTORIES: usize = 64;

/// Time between transactions: often enough for workers, rarely enough for a disk that syncs in 10 ms.
const EMISSION_INTERVAL: Duration = Duration::from_millis(200);

/// Time after which a slow scan hands over what it has, however little.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Longest time until a request to drain is seen.
const TICK: Duration = Duration::from_millis(50);
