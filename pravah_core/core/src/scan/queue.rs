//! Directories that wait to be read: a stack per thread, from whose oldest end idle threads steal.
//!
//! A thread goes on with what it found last, so that what waits grows with the depth of a tree, not its size.
//! Subdirectories of one directory wait as names back to back; a thief takes half of them at once.

use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::{descriptors::Hold, directory::lock, listing::Listing};
use crate::entry::Kind;

/// Subdirectories of one directory.
pub(super) struct Brood {
    parent: Arc<Hold>,
    names: Vec<u8>,
    ends: Vec<usize>,
}

/// The next thing to read.
pub(super) enum Work {
    /// The root with this index.
    Root(usize),
    /// A subdirectory of an open directory.
    Below(Arc<Hold>, Box<[u8]>),
}

/// All that waits, and who sleeps until there is more.
pub(super) struct Queues {
    stacks: Vec<Mutex<Vec<Brood>>>,
    roots: usize,
    next_root: AtomicUsize,
    /// Directories that wait or are being read. Zero: the scan has ended.
    unfinished: AtomicUsize,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    woken: Condvar,
}

impl Brood {
    /// The directories of a listing; none where it has none.
    pub fn of(listing: &Listing, parent: impl FnOnce() -> Arc<Hold>) -> Option<Self> {
        let mut names = Vec::new();
        let mut ends = Vec::new();
        let kinds = listing.kinds().iter().enumerate();
        for (index, _) in kinds.filter(|(_, kind)| **kind == Kind::Directory) {
            names.extend_from_slice(listing.get(index).name);
            ends.push(names.len());
        }
        (!ends.is_empty()).then(|| Self { parent: parent(), names, ends })
    }

    fn pop(&mut self) -> Option<Work> {
        self.ends.pop()?;
        let start = self.ends.last().copied().unwrap_or(0);
        let name = self.names.split_off(start).into_boxed_slice();
        Some(Work::Below(self.parent.clone(), name))
    }

    /// Give the first half away; all of it where there is only one.
    fn split(&mut self) -> Self {
        let count = self.ends.len().div_ceil(2);
        let cut = self.ends[count - 1];
        let names = self.names.drain(..cut).collect();
        let ends = self.ends.drain(..count).collect();
        self.ends.iter_mut().for_each(|end| *end -= cut);
        Self { parent: self.parent.clone(), names, ends }
    }
}

impl Queues {
    pub fn new(threads: usize, roots: usize) -> Self {
        Self {
            stacks: (0..threads).map(|_| Mutex::default()).collect(),
            roots,
            next_root: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(roots),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::default(),
            woken: Condvar::new(),
        }
    }

    /// Add subdirectories on top of a thread's own stack.
    pub fn push(&self, thread: usize, brood: Brood) {
        self.unfinished.fetch_add(brood.ends.len(), Ordering::SeqCst);
        let mut stack = lock(&self.stacks[thread]);
        let worth_waking = brood.ends.len() > 1 || !stack.is_empty(); // the thread itself takes one
        stack.push(brood);
        drop(stack);
        if worth_waking {
            self.wake_one();
        }
    }

    fn wake_one(&self) {
        // A thread that falls asleep counts itself before it looks at the stacks for the last time, and both
        // counters are sequentially consistent: either it sees this brood, or it is seen here.
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            let _awake = lock(&self.bed);
            self.woken.notify_one();
        }
    }

    /// Say that one directory has been read, after its subdirectories have been pushed.
    pub fn finish(&self) {
        if self.unfinished.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.wake_all();
        }
    }

    /// Wake every sleeping thread, so that it sees that the scan has ended or was stopped.
    pub fn wake_all(&self) {
        let _awake = lock(&self.bed);
        self.woken.notify_all();
    }

    /// The next directory for a thread; waits for one. None: the scan has ended or was stopped.
    pub fn next(&self, thread: usize, stop: &AtomicBool) -> Option<Work> {
        while !stop.load(Ordering::Relaxed) {
            if let Some(work) = self.take(thread) {
                return Some(work);
            }
            let bed = lock(&self.bed);
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            let ended = self.unfinished.load(Ordering::SeqCst) == 0;
            if !ended && !self.any_waits() && !stop.load(Ordering::Relaxed) {
                drop(self.woken.wait(bed));
            }
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
            if ended {
                return None;
            }
        }
        None
    }

    fn take(&self, thread: usize) -> Option<Work> {
        if let Some(work) = pop(&mut lock(&self.stacks[thread])) {
            return Some(work);
        }
        let count = self.stacks.len();
        if (1..count).any(|distance| self.steal(thread, (thread + distance) % count)) {
            return pop(&mut lock(&self.stacks[thread]));
        }
        let root = self.next_root.fetch_add(1, Ordering::SeqCst);
        (root < self.roots).then_some(Work::Root(root))
    }

    /// Move half of the oldest brood of another thread to one's own stack.
    fn steal(&self, thread: usize, victim: usize) -> bool {
        let mut stack = lock(&self.stacks[victim]);
        let Some(oldest) = stack.first_mut() else { return false };
        let brood = oldest.split();
        let emptied = oldest.ends.is_empty().then(|| stack.remove(0));
        drop(stack);
        drop(emptied); // may close a directory: not under the victim's lock
        let more_to_steal = brood.ends.len() > 1;
        lock(&self.stacks[thread]).push(brood);
        if more_to_steal {
            self.wake_one();
        }
        true
    }

    fn any_waits(&self) -> bool {
        self.next_root.load(Ordering::SeqCst) < self.roots || self.stacks.iter().any(|stack| !lock(stack).is_empty())
    }
}

fn pop(stack: &mut Vec<Brood>) -> Option<Work> {
    let brood = stack.last_mut()?;
    let work = brood.pop();
    if brood.ends.is_empty() {
        stack.pop();
    }
    work
}
