//! What readers of text have in common: rows in batches of cells, whose types others find out.

use std::{collections::VecDeque, string::FromUtf8Error};

use super::cells::{Cells, Column, MOST_ROW_BYTES};
use crate::{Error, Result};

/// Reads rows of one file of text.
pub trait Rows: Send {
    /// Take the next bytes; batches that are complete go behind the others.
    fn push(&mut self, piece: &[u8], batches: &mut VecDeque<Cells>) -> Result<()>;

    /// Take the end of the file.
    fn end(&mut self, batches: &mut VecDeque<Cells>) -> Result<()>;

    /// The columns so far, in order.
    fn names(&self) -> &[String];

    /// The error of a cell that its column can't hold.
    fn bad_value(&self, message: String) -> Error;
}

/// Give what a column with a single cell says.
pub fn column_of_text(column: Column) -> Result<String, FromUtf8Error> {
    String::from_utf8(column.into_parts().0)
}

/// The error of a row that would take too much memory.
pub fn too_large(line: u64, why: &str) -> Error {
    let most = MOST_ROW_BYTES >> 20;
    Error::UnsupportedInput(format!("the row at line {line} has more than {most} MiB{why}"))
}

/// A mark that begins some files of text (UTF-8's byte order mark), and belongs to no row.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Takes the mark off the beginning, wherever it is cut.
#[derive(Debug, Default)]
pub struct Unmarked {
    /// Bytes of the mark that were held back; none once it is known whether it is there.
    held: usize,
    is_past: bool,
}

impl Unmarked {
    /// Give what is to be read now: bytes that were held back, and the rest of this piece.
    pub fn pass<'p>(&mut self, piece: &'p [u8]) -> (&'static [u8], &'p [u8]) {
        if self.is_past {
            return (b"", piece);
        }
        let wanted = &MARK[self.held..];
        let same = piece.iter().zip(wanted).take_while(|(byte, wanted)| byte == wanted).count();
        if same == wanted.len() {
            self.is_past = true;
            return (b"", &piece[same..]);
        }
        if same == piece.len() {
            self.held += same;
            return (b"", b"");
        }
        self.is_past = true;
        (&MARK[..self.held], piece)
    }

    /// Give what was held back, at the end of the file.
    pub fn rest(&self) -> &'static [u8] {
        if self.is_past { b"" } else { &MARK[..self.held] }
    }
}
