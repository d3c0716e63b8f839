//! A block: work on one part of a file, which needs nothing but that part and may be done by any thread.

use std::fmt;

use bytes::Bytes;

use super::Event;
use crate::{Error, Result};

/// A part of a file that is yet to be made.
///
/// A step gives blocks in the order of its output. They are done at once, in whatever order, or one after the other;
/// what they make passes on in that order, so the output does not depend on it.
pub struct Block {
    work: Box<dyn FnOnce() -> Result<Made> + Send>,
    in_turn: bool,
}

/// What a block has made.
pub enum Made {
    /// The next bytes of the file; they may be more than [`super::PULL_BYTES`].
    Bytes(Bytes),
    /// What remains to be done when its turn has come: what it gives passes on.
    Turn(Turn),
}

/// Work that waits for the blocks before it. It may give blocks again; those are done in turn.
pub type Turn = Box<dyn FnOnce() -> Result<Vec<Event>> + Send>;

impl Block {
    /// A block of bytes that needs nothing of those before it.
    pub fn new(work: impl FnOnce() -> Result<Bytes> + Send + 'static) -> Self {
        Self { work: Box::new(move || work().map(Made::Bytes)), in_turn: false }
    }

    /// A block with two parts: one that needs nothing of those before it, and one that waits for them.
    pub fn in_parts(work: impl FnOnce() -> Result<Turn> + Send + 'static) -> Self {
        Self { work: Box::new(move || work().map(Made::Turn)), in_turn: false }
    }

    /// A block that is done once all blocks before it are; it shall take no time.
    pub fn in_turn(work: impl FnOnce() -> Result<Bytes> + Send + 'static) -> Self {
        Self { in_turn: true, ..Self::new(work) }
    }

    /// A block whose events are made once all blocks before it are done.
    pub fn events_in_turn(work: impl FnOnce() -> Result<Vec<Event>> + Send + 'static) -> Self {
        Self { work: Box::new(move || Ok(Made::Turn(Box::new(work)))), in_turn: true }
    }

    /// A block whose first part is done.
    pub fn made(made: Made) -> Self {
        Self { work: Box::new(move || Ok(made)), in_turn: true }
    }

    /// Whether it waits for the blocks before it.
    pub fn is_in_turn(&self) -> bool {
        self.in_turn
    }

    /// Do the work that needs nothing of the blocks before it.
    pub fn run(self) -> Result<Made> {
        (self.work)()
    }

    /// Do all the work of a block that makes bytes.
    pub fn run_bytes(self) -> Result<Bytes> {
        match self.run()? {
            Made::Bytes(bytes) => Ok(bytes),
            Made::Turn(_) => Err(Error::InvalidPlan("a block of rows stands where bytes are wanted".to_owned())),
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Block").field("in_turn", &self.in_turn).finish_non_exhaustive()
    }
}
