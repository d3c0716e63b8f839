//! What a step has given and the next one has not got yet: blocks in work, and whatever comes behind them.
//!
//! Blocks are done by a pool whose threads never wait; only the thread that drives the file waits, here. However
//! they are done, what comes out is in the order of the step.

use std::{
    collections::VecDeque,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
};

use rayon::ThreadPool;

use super::panicked;
use crate::{
    Error, Result,
    processors::{Block, Event, Made},
};

/// Who does the blocks of one file, and how many of them at once.
#[derive(Clone, Copy)]
pub struct Workers<'w> {
    pool: Option<&'w ThreadPool>,
    blocks: usize,
}

impl<'w> Workers<'w> {
    /// The thread that drives the file does each block itself, when its turn has come.
    pub const NONE: Self = Self { pool: None, blocks: 1 };

    /// A pool does up to `blocks` of each step at once; with one, the driving thread does it itself.
    pub fn new(pool: &'w ThreadPool, blocks: usize) -> Self {
        Self { pool: Some(pool).filter(|_| blocks > 1), blocks }
    }

    /// Whether other threads do blocks.
    pub fn are_many(self) -> bool {
        self.pool.is_some()
    }
}

/// The way from one step to the next.
pub struct Lane<'w> {
    workers: Workers<'w>,
    waiting: VecDeque<Waiting>,
    /// Nobody wants the blocks any more that have not been begun.
    abandoned: Arc<AtomicBool>,
}

enum Waiting {
    Event(Event),
    InWork(Receiver<Result<Made>>),
}

/// How long to wait for the next event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until fewer blocks are in work than may be.
    WhileFull,
    /// Until the lane is empty.
    UntilEmpty,
}

impl<'w> Lane<'w> {
    /// An empty lane.
    pub fn new(workers: Workers<'w>) -> Self {
        Self { workers, waiting: VecDeque::new(), abandoned: Arc::default() }
    }

    /// Take what the step has given; gives it back where nothing has to wait.
    pub fn take(&mut self, event: Event) -> Option<Event> {
        let waiting = match (event, self.workers.pool) {
            (Event::Block(block), Some(pool)) if !block.is_in_turn() => Waiting::InWork(self.begin(block, pool)),
            (event, _) if self.waiting.is_empty() => return Some(event),
            (event, _) => Waiting::Event(event),
        };
        self.waiting.push_back(waiting);
        None
    }

    /// Give the next event whose turn it is; none: there is none, or its block is in work and need not be waited for.
    pub fn next(&mut self, patience: Patience) -> Option<Result<Event>> {
        let is_full = self.waiting.len() >= self.workers.blocks || patience == Patience::UntilEmpty;
        let done = match self.waiting.front()? {
            Waiting::Event(_) => None,
            // Without an answer the pool has dropped the work, which nobody asked it to.
            Waiting::InWork(answer) if is_full => Some(answer.recv().unwrap_or(Err(Error::Cancelled))),
            Waiting::InWork(answer) => Some(answer.try_recv().ok()?),
        };
        match (self.waiting.pop_front()?, done) {
            (Waiting::Event(event), _) => Some(Ok(event)),
            (Waiting::InWork(_), done) => done.map(|done| done.map(|made| Event::Block(Block::made(made)))),
        }
    }

    fn begin(&self, block: Block, pool: &ThreadPool) -> Receiver<Result<Made>> {
        let (answer, receiver) = mpsc::sync_channel(1);
        let abandoned = Arc::clone(&self.abandoned);
        pool.spawn(move || {
            if abandoned.load(Ordering::Relaxed) {
                return;
            }
            let done = panic::catch_unwind(AssertUnwindSafe(|| block.run()));
            // Whoever waited for it may have given the file up.
            let _ = answer.send(done.unwrap_or_else(|payload| Err(panicked(payload.as_ref()))));
        });
        receiver
    }
}

impl Drop for Lane<'_> {
    /// Wait for what is in work: its memory was taken from the budget for as long as the file is driven.
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        for waiting in self.waiting.drain(..) {
            if let Waiting::InWork(answer) = waiting {
                let _ = answer.recv();
            }
        }
    }
}
