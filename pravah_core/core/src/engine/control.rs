//! What a caller and an engine call say to each other while the call runs.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use rustix::io::Errno;

/// What has been seen and worked on since the engine began. Counts work, not what is acknowledged.
#[derive(Debug, Default)]
pub struct Progress {
    /// Entries listed.
    pub scanned: AtomicU64,
    /// Their sizes together.
    pub scanned_bytes: AtomicU64,
    /// Entries worked on.
    pub files: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
}

/// A caller's hold on one running call.
#[derive(Debug, Default)]
pub struct Control {
    draining: AtomicBool,
    giving_up: AtomicBool,
    /// Grows while the call gets on.
    moved: AtomicU64,
    sink_full: OnceLock<Errno>,
    /// Shared by all calls of an engine.
    pub progress: Arc<Progress>,
}

impl Control {
    /// A control whose call adds to `progress`.
    pub fn new(progress: Arc<Progress>) -> Self {
        Self { progress, ..Self::default() }
    }

    /// Ask the call to begin nothing new, give up large files in flight and end through its last windows.
    pub fn drain(&self) {
        self.giving_up.store(true, Ordering::Relaxed);
        self.finish_begun();
    }

    /// Ask the call to begin nothing new, finish what it has begun and end through its last windows.
    pub fn finish_begun(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Show that the call gets on, or waits for another one that has to.
    pub fn get_on(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// Count an entry that was worked on.
    pub fn count_file(&self) {
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        self.get_on();
    }

    /// Count bytes that were read.
    pub fn count_bytes(&self, bytes: u64) {
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.get_on();
    }

    /// Count entries that were listed.
    pub fn count_listed(&self, entries: u64, bytes: u64) {
        self.progress.scanned.fetch_add(entries, Ordering::Relaxed);
        self.progress.scanned_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.get_on();
    }

    /// A number that stands still only while the call does.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// The sink has no room left: begin nothing new, and end with that as the reason.
    pub fn sink_is_full(&self, errno: Errno) {
        let _ = self.sink_full.set(errno); // the first answer is as good as the others
        self.drain();
    }

    /// What the sink said when it was full.
    pub fn sink_full(&self) -> Option<Errno> {
        self.sink_full.get().copied()
    }

    /// Whether nothing new is begun.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether large files in flight are given up: [`Control::drain`] was called.
    pub fn giving_up(&self) -> bool {
        self.giving_up.load(Ordering::Relaxed)
    }
}

/// What the ledger said to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is committed.
    Committed,
    /// The lease is lost: stop, touch nothing.
    Fenced,
    /// It is committed; begin nothing new.
    Drain,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing remains.
    Finished,
    /// The lease was lost.
    Fenced,
    /// Stopped on request; what was recorded is acknowledged.
    Drained,
}
