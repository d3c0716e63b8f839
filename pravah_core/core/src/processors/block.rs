//! A block: work on one part of a file, which needs nothing but that part and may be done by any thread.

use std::fmt;

use bytes::Bytes;

use crate::Result;

/// Bytes of a file that are yet to be made.
///
/// A step gives blocks in the order of its output. They are done at once, in whatever order, or one after the other;
/// their bytes pass on in that order, so the output does not depend on it.
pub struct Block {
    work: Box<dyn FnOnce() -> Result<Bytes> + Send>,
    in_turn: bool,
}

impl Block {
    /// A block that needs nothing of those before it.
    pub fn new(work: impl FnOnce() -> Result<Bytes> + Send + 'static) -> Self {
        Self { work: Box::new(work), in_turn: false }
    }

    /// A block that is done once all blocks before it are; it shall take no time.
    pub fn in_turn(work: impl FnOnce() -> Result<Bytes> + Send + 'static) -> Self {
        Self { work: Box::new(work), in_turn: true }
    }

    /// Whether it waits for the blocks before it.
    pub fn is_in_turn(&self) -> bool {
        self.in_turn
    }

    /// Do the work. What comes out is bounded by what went in, and may be more than [`super::PULL_BYTES`].
    pub fn run(self) -> Result<Bytes> {
        (self.work)()
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Block").field("in_turn", &self.in_turn).finish_non_exhaustive()
    }
}
