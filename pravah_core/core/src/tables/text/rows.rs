//! Who takes the rows of a piece of text: one to find out types, one to make columns.

use std::ops::Range;

use super::fault::BadRow;
use crate::processors::Tag;

/// Takes rows, cell by cell.
pub trait RowSink {
    /// Find the column with this name, which is `expected` to be at that position; none: nobody wants it.
    fn column(&mut self, expected: usize, name: &str) -> Option<usize>;

    /// Take a cell of the row under way; false: its column has one already.
    fn cell(&mut self, column: usize, tag: Tag, cell: &[u8]) -> bool;

    /// End the row under way, which begins on this line of the piece.
    fn end_row(&mut self, line: u32, extent: Range<usize>);

    /// Forget the row under way; it is bad.
    fn reject(&mut self, bad: BadRow);

    /// Forget the row under way; the piece ends within it.
    fn forget(&mut self);

    /// Whether further rows are wanted.
    fn wants_more(&self) -> bool;
}

/// What was read of a piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of whole rows.
    pub bytes: usize,
    /// Ends of lines in them.
    pub lines: u32,
}
