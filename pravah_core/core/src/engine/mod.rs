//! The engine: runs scan units and tasks, one call each, over threads and a memory budget that all calls share.
//!
//! - [`scan_task`]: lists the roots of a job and cuts tasks
//! - [`task`]: one task, from take-over to its last acknowledgement
//! - `place`, `stage`: where an entry is read and written; one entry through the pipeline
//! - `outputs`, `merged`: which entries have one output; several entries through the pipeline
//! - `stream`: the bytes of one file, from its source through the steps into its `target`
//! - `parts`: several outputs of one entry
//! - `crew`: who stages what, and when a window is full
//! - `intents`: keys of uploads that the manifest does not tell, recorded before these begin
//! - `batches`: small files that are fetched while others are worked on
//! - `commit`: a window's way: durable, recorded, published, acknowledged
//! - `notes`: what is in flight, for whoever finds this process dead
//! - `takeover`: what an earlier, killed attempt left behind
//! - `decide`: what happens to a file that has an output's name
//! - `after`: what becomes of a source once its output is acknowledged
//! - `undo`: takes back what a job has published
//! - `rates`: how fast a job may read and write
//! - `shared`: files with several names
//! - `account`: counters and the summary of what is acknowledged
//!
//! It knows no database: what is to be recorded goes to a callback, and the answer decides.

mod account;
pub mod after;
mod batches;
mod budget;
mod commit;
pub mod control;
mod crew;
mod decide;
mod intents;
mod merged;
mod notes;
pub(crate) mod outputs;
mod parts;
mod place;
mod rates;
pub mod scan_task;
mod server_copy;
pub mod shared;
mod stage;
mod stream;
pub mod takeover;
mod target;
pub mod task;
pub mod undo;

use std::sync::Arc;

pub use account::{Account, Counts, failure_pattern};
use budget::Budget;
pub use control::{Control, Ending, Progress, Verdict};
pub use notes::Notes;
use rates::RatesByJob;
pub(crate) use target::fill;
pub use task::{Care, Task, WindowRecord};

use crate::{Error, Result};

/// Files up to this size take the fast path: read in one piece on the pool.
pub const SMALL_BYTES: u64 = 1 << 20;

/// Threads and memory that all calls of a process share.
pub struct Engine {
    pool: rayon::ThreadPool,
    /// What large files take, each as much as it needs.
    budget: Arc<Budget>,
    /// What small files take that are fetched from a server, or wait in memory for one.
    held: Arc<Budget>,
    progress: Arc<Progress>,
    notes: Notes,
    rates: RatesByJob,
}

impl Engine {
    /// Start an engine with as many threads as the CPU quota allows, unless told otherwise.
    ///
    /// `memory_bytes` bounds the buffers and codec states of large files, and what small files hold in memory while
    /// they come from a server or wait for one; each thread of the pool takes some 10 MiB at most beside.
    pub fn new(threads: Option<usize>, memory_bytes: u64) -> Result<Self> {
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        raise_open_file_limit();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("pravah-pool-{number}"))
            .build()
            .map_err(|error| Error::InvalidPlan(format!("no thread pool: {error}")))?;
        let (progress, notes, rates) = (Arc::default(), Notes::default(), RatesByJob::default());
        let held_bytes = held_bytes(memory_bytes);
        let (budget, held) = (Budget::new(memory_bytes - held_bytes), Budget::new(held_bytes));
        Ok(Self { pool, budget, held, progress, notes, rates })
    }

    /// Have it note what its threads work on.
    #[must_use]
    pub fn with_notes(self, notes: Notes) -> Self {
        Self { notes, ..self }
    }

    /// Change how many bytes a second a job that is worked on may read and write; none: as many as there are.
    pub fn set_rates(&self, job: &str, read: Option<u64>, write: Option<u64>) {
        self.rates.change(job, read, write);
    }

    /// Bytes of outputs that one window of a task may keep in memory until they are published.
    ///
    /// As with descriptors: two large tasks at once with two windows each take a quarter, the small ones less than half.
    fn window_held_bytes(&self, entries: usize) -> u64 {
        let part = if entries <= SMALL_TASK_ENTRIES { 64 } else { 16 };
        ((self.budget.total() + self.held.total()) / part).max(HELD_BYTES)
    }

    /// What all calls have seen and done so far.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

/// The part of the memory that is for small files: an eighth, in which a server has time for a hundred of the largest,
/// and where there is little memory, enough for two batches and a window.
fn held_bytes(memory_bytes: u64) -> u64 {
    (memory_bytes / 8).max((3 * HELD_BYTES).min(memory_bytes / 2))
}

/// Take all the descriptors that we may: a window keeps one open for each output that has no name yet.
fn raise_open_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, windows are smaller.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Entries of a small task, of which up to 14 run at once, as the supervisor counts them.
const SMALL_TASK_ENTRIES: usize = 256;

/// Bytes of outputs that a window holds at least: one that is put whole, and some small ones.
const HELD_BYTES: u64 = 8 << 20;

/// Descriptors that one window of a task may keep open.
///
/// Each task fills one window while another is committed: two tasks at once take a quarter of the limit together, and
/// the small ones less than another half. The rest is for sources and everybody else.
fn window_open_files(entries: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    let part = if entries <= SMALL_TASK_ENTRIES { 64 } else { 16 };
    usize::try_from(limit / part).unwrap_or(usize::MAX).max(16)
}
