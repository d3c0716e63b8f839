//! Directories that wait to be read: a stack per thread, from whose oldest end idle threads steal.
//!
//! A thread goes on with what it found last, so that what waits grows with the depth of a tree, not its size.
//! Subdirectories of one directory wait as names back to back; a thief takes half of them at once.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    vec::IntoIter,
};

use super::{
    descriptors::Hold,
    directory::{Directory, lock},
    names::Names,
};

/// Subdirectories of one directory.
pub(super) struct Brood {
    parent: Arc<Hold>,
    names: Names,
}

/// Where a walk begins.
pub(super) enum Start {
    /// A directory by itself.
    Directory(Arc<Directory>),
    /// Subdirectories of a directory that is not read itself.
    Below(Brood),
}

/// The next thing to read.
pub(super) enum Work {
    /// Something that the walk begins with.
    Start(Start),
    /// A subdirectory of another directory.
    Below(Arc<Hold>, Box<[u8]>),
}

/// All that waits, and who sleeps until there is more.
pub(super) struct Queues {
    stacks: Vec<Mutex<Vec<Brood>>>,
    starts: Mutex<IntoIter<Start>>,
    /// Directories that wait or are being read. Zero: the scan has ended.
    unfinished: AtomicUsize,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    woken: Condvar,
}

impl Brood {
    /// Subdirectories to be read; none where there are no names.
    pub fn new(parent: impl FnOnce() -> Arc<Hold>, names: Names) -> Option<Self> {
        (!names.is_empty()).then(|| Self { parent: parent(), names })
    }

    fn pop(&mut self) -> Option<Work> {
        Some(Work::Below(self.parent.clone(), self.names.pop()?))
    }

    fn split(&mut self) -> Self {
        Self { parent: self.parent.clone(), names: self.names.split() }
    }
}

impl Queues {
    pub fn new(threads: usize, starts: Vec<Start>) -> Self {
        Self {
            stacks: (0..threads).map(|_| Mutex::default()).collect(),
            unfinished: AtomicUsize::new(starts.len()),
            starts: Mutex::new(starts.into_iter()),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::default(),
            woken: Condvar::new(),
        }
    }

    /// Add subdirectories on top of a thread's own stack.
    pub fn push(&self, thread: usize, brood: Brood) {
        self.unfinished.fetch_add(brood.names.len(), Ordering::SeqCst);
        let mut stack = lock(&self.stacks[thread]);
        let worth_waking = brood.names.len() > 1 || !stack.is_empty(); // the thread itself takes one
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
        lock(&self.starts).next().map(Work::Start)
    }

    /// Move half of the oldest brood of another thread to one's own stack.
    fn steal(&self, thread: usize, victim: usize) -> bool {
        let mut stack = lock(&self.stacks[victim]);
        let Some(oldest) = stack.first_mut() else { return false };
        let brood = oldest.split();
        let emptied = oldest.names.is_empty().then(|| stack.remove(0));
        drop(stack);
        drop(emptied); // may close a directory: not under the victim's lock
        let more_to_steal = brood.names.len() > 1;
        lock(&self.stacks[thread]).push(brood);
        if more_to_steal {
            self.wake_one();
        }
        true
    }

    fn any_waits(&self) -> bool {
        lock(&self.starts).len() > 0 || self.stacks.iter().any(|stack| !lock(stack).is_empty())
    }
}

fn pop(stack: &mut Vec<Brood>) -> Option<Work> {
    let brood = stack.last_mut()?;
    let work = brood.pop();
    if brood.names.is_empty() {
        stack.pop();
    }
    work
}
