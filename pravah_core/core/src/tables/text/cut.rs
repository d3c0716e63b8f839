//! Cuts text into pieces of whole rows, about [`PIECE_BYTES`] each, at places that the content alone decides.
//!
//! Where a row ends in delimited text depends on all quotes before it. Counting quotes tells in all but odd files, so
//! pieces can be read at once; whoever puts them together again sees whether a piece did end with a row, and has the
//! rest of it read with the next one.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter, memchr2, memchr2_iter};

use super::fault::MOST_ROW_BYTES;

/// A piece ends with the row that reaches this size: large enough that a block's own cost does not show, small enough
/// that several of them with their columns are little memory.
pub const PIECE_BYTES: usize = 1 << 20;

/// How far behind [`PIECE_BYTES`] an end of a row is looked for that the quotes allow; then any end of a line is taken.
const PATIENCE_BYTES: usize = 1 << 20;

/// What ends a row.
#[derive(Debug, Clone, Copy)]
pub enum RowEnd {
    /// Any end of a line.
    Line,
    /// An end of a line outside of this quote.
    Unquoted(u8),
    /// A comma behind an element of a JSON array.
    Element,
}

/// Cuts one file.
pub struct Cutter {
    row_end: RowEnd,
    content: BytesMut,
    /// Bytes of the content that have been looked at.
    looked: usize,
    /// Behind what has been looked at, a quote is open.
    is_open: bool,
    /// In JSON: what is open.
    nesting: Nesting,
}

/// What is open in a JSON document.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nesting {
    in_string: bool,
    is_escaped: bool,
    /// Arrays and objects.
    depth: usize,
}

impl Nesting {
    /// Within an array, which is all that is open.
    pub const ARRAY: Self = Self { in_string: false, is_escaped: false, depth: 1 };

    /// See the next byte; true: it ends an element of the outermost array, as a comma or as the end of the array.
    pub fn ends_element(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_string => self.is_escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            b',' => return self.depth <= 1,
            _ => {}
        }
        false
    }
}

impl Cutter {
    /// Begin.
    pub fn new(row_end: RowEnd) -> Self {
        Self { row_end, content: BytesMut::new(), looked: 0, is_open: false, nesting: Nesting::default() }
    }

    /// Take the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.content.extend_from_slice(bytes);
    }

    /// Give the next piece, once it is complete; no piece is longer than the longest row and [`PIECE_BYTES`].
    pub fn piece(&mut self) -> Option<Bytes> {
        let end = match self.row_end {
            RowEnd::Line => self.line_end(None),
            RowEnd::Unquoted(quote) => self.line_end(Some(quote)),
            RowEnd::Element => self.element_end(),
        };
        let end = end.or_else(|| {
            let most = PIECE_BYTES + MOST_ROW_BYTES + 1;
            (self.content.len() > most).then_some(most)
        })?;
        (self.looked, self.is_open) = (0, false);
        Some(self.content.split_to(end).freeze())
    }

    /// Give what remains, at the end of the file.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.content).freeze()
    }

    fn line_end(&mut self, quote: Option<u8>) -> Option<usize> {
        let content = &self.content[..];
        if content.len() < PIECE_BYTES {
            return None;
        }
        if self.looked < PIECE_BYTES {
            self.is_open = quote.is_some_and(|quote| memchr_iter(quote, &content[..PIECE_BYTES]).count() % 2 == 1);
            self.looked = PIECE_BYTES;
        }
        let behind = &content[self.looked..];
        let Some(quote) = quote else {
            let found = memchr(b'\n', behind).map(|at| self.looked + at + 1);
            return found.or_else(|| self.any_line_end());
        };
        for at in memchr2_iter(quote, b'\n', behind) {
            match behind[at] {
                b'\n' if !self.is_open => return Some(self.looked + at + 1),
                b'\n' => {}
                _ => self.is_open = !self.is_open,
            }
        }
        self.looked = content.len();
        self.any_line_end()
    }

    /// Take the first end of a line, far behind the place where the piece should end.
    fn any_line_end(&self) -> Option<usize> {
        if self.content.len() < PIECE_BYTES + PATIENCE_BYTES {
            return None;
        }
        let mut at = PIECE_BYTES;
        while let Some(found) = memchr2(b'\n', b'\r', &self.content[at..]) {
            at += found + 1;
            let next = self.content.get(at);
            if self.content[at - 1] == b'\n' || next.is_some_and(|&byte| byte != b'\n') {
                return Some(at);
            }
        }
        None
    }

    fn element_end(&mut self) -> Option<usize> {
        while let Some(&byte) = self.content.get(self.looked) {
            self.looked += 1;
            if self.nesting.ends_element(byte) && byte == b',' && self.looked >= PIECE_BYTES {
                return Some(self.looked);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut content that arrives in parts of this size.
    fn pieces(row_end: RowEnd, content: &[u8], part_bytes: usize) -> Vec<Bytes> {
        let mut cutter = Cutter::new(row_end);
        let mut pieces = Vec::new();
        for part in content.chunks(part_bytes) {
            cutter.push(part);
            pieces.extend(std::iter::from_fn(|| cutter.piece()));
        }
        pieces.push(cutter.rest());
        pieces
    }

    fn check(row_end: RowEnd, content: &[u8]) -> Vec<Bytes> {
        let whole = pieces(row_end, content, usize::MAX);
        for part_bytes in [4_093, 65_536, PIECE_BYTES + 1] {
            assert_eq!(pieces(row_end, content, part_bytes), whole, "{row_end:?}, {part_bytes}");
        }
        assert_eq!(whole.concat(), content);
        whole
    }

    #[test]
    fn test_cut_is_at_ends_of_rows_wherever_the_content_is_parted() {
        let rows = b"1,\"a\nb\"\"\n\",2\r\n".repeat(300_000);
        for piece in check(RowEnd::Unquoted(b'"'), &rows) {
            assert!(piece.ends_with(b"2\r\n") && piece.len() < PIECE_BYTES + 20);
        }
        let lines = b"{\"a\":\"b\"}\n".repeat(300_000);
        assert!(check(RowEnd::Line, &lines).iter().all(|piece| piece.ends_with(b"}\n")));
        let array = [b"[".to_vec(), b"{\"a\":[1,\"],\\\"\"]},\n".repeat(200_000), b"{}]".to_vec()].concat();
        let pieces = check(RowEnd::Element, &array);
        assert!(pieces[..pieces.len() - 1].iter().all(|piece| piece.ends_with(b"]},")));
    }

    #[test]
    fn test_quote_that_is_never_closed_ends_a_piece_all_the_same() {
        let odd = [b"5\" pipe\n".to_vec(), b"row\n".repeat(2 << 20)].concat();
        let pieces = check(RowEnd::Unquoted(b'"'), &odd);
        assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 2 * PATIENCE_BYTES));
        let old = b"row\r".repeat(1 << 20);
        assert!(check(RowEnd::Unquoted(b'"'), &old).iter().all(|piece| piece.ends_with(b"row\r")));
        let endless = vec![b'x'; 40 << 20];
        assert!(check(RowEnd::Line, &endless).iter().all(|piece| piece.len() <= PIECE_BYTES + MOST_ROW_BYTES + 1));
    }
}
