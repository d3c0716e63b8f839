//! Rows of delimited text (RFC 4180), read off a piece that begins with a row.
//!
//! A row ends with LF, CRLF or CR; a field that begins with a quote ends with the next one that is not doubled or
//! escaped. Nothing is repaired: rows of another length and text behind a closing quote are bad rows.

use std::{collections::HashMap, ops::Range};

use memchr::{memchr, memchr2, memchr2_iter, memchr3};

use super::{
    fault::{BadRow, Fault, MOST_ROW_BYTES},
    rows::{Extent, RowSink},
};
use crate::{Error, Result, processors::Tag, tables::Delimited};

/// Columns of a table, at most: each takes memory of its own in readers and writers.
pub const MOST_COLUMNS: usize = 65_536;

/// Delimiters that are looked for where none is given, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Rows that are looked at to tell the delimiter.
const SNIFFED_ROWS: usize = 100;

/// Delimited text whose columns are known.
#[derive(Debug)]
pub struct Csv {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    /// The names of the columns.
    pub names: Vec<String>,
}

impl Csv {
    /// Begin with the first piece of a file: find the delimiter and the header. Gives where the rows begin.
    pub fn begin(delimited: &Delimited, piece: &[u8], is_whole: bool) -> Result<(Self, Extent)> {
        let mut start = Extent::default();
        for _ in 0..delimited.skip_lines {
            start.bytes = past_line(piece, start.bytes).unwrap_or(piece.len());
            start.lines += 1;
        }
        let Delimited { quote, escape, comment, .. } = *delimited;
        let delimiter = delimited.delimiter.unwrap_or(b',');
        let mut csv = Self { delimiter, quote, escape, comment, names: Vec::new() };
        if delimited.delimiter.is_none() {
            csv.delimiter = csv.sniff(&piece[start.bytes..], is_whole);
        }
        let mut first = FirstRow::default();
        let header = csv.read_as(usize::MAX, &piece[start.bytes..], is_whole, &mut first);
        if let Some(fault) = first.fault {
            return Err(fault.error(crate::tables::Format::Csv, u64::from(start.lines + fault_line(&first.line))));
        }
        if first.cells.len() > MOST_COLUMNS {
            return Err(Error::UnsupportedInput(format!("the first row has more than {MOST_COLUMNS} fields")));
        }
        if !delimited.has_header {
            csv.names = (1..=first.cells.len()).map(|number| format!("column_{number}")).collect();
            return Ok((csv, start));
        }
        csv.names = names(first.cells)?;
        start.bytes += header.bytes;
        start.lines += header.lines;
        Ok((csv, start))
    }

    /// Read the rows of a piece.
    pub fn read<S: RowSink>(&self, piece: &[u8], is_last: bool, sink: &mut S) -> Extent {
        self.read_as(self.names.len(), piece, is_last, sink)
    }

    /// Tell the delimiter by the one that gives most of the first rows as many fields as the first of them: a comma
    /// where none does that for more than half.
    fn sniff(&self, rows: &[u8], is_whole: bool) -> u8 {
        let agreement = |&delimiter: &u8| {
            let csv = Self { delimiter, names: Vec::new(), ..*self };
            let mut widths = Widths::default();
            csv.read_as(usize::MAX, rows, is_whole, &mut widths);
            let first = widths.0.first().copied().filter(|&width| width > 1)?;
            let alike = widths.0.iter().filter(|&&width| width == first).count();
            (2 * alike > widths.0.len()).then_some((alike, delimiter))
        };
        // Of equal ones the first, which is the likeliest.
        let best =
            DELIMITERS.iter().filter_map(agreement).reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or(b',', |(_, delimiter)| delimiter)
    }

    fn read_as<S: RowSink>(&self, width: usize, piece: &[u8], is_last: bool, sink: &mut S) -> Extent {
        let mut row = Row { csv: self, width, piece, is_last, at: 0, line: 0, column: 0, scratch: Vec::new() };
        let mut read = Extent::default();
        while row.at < piece.len() && sink.wants_more() {
            if !row.next(sink) {
                sink.forget();
                break;
            }
            read = Extent { bytes: row.at, lines: row.line };
        }
        read
    }
}

fn fault_line(line: &Option<u32>) -> u32 {
    line.unwrap_or_default() + 1
}

/// The offset behind the end of the line that `at` is in.
fn past_line(piece: &[u8], at: usize) -> Option<usize> {
    let end = at + memchr2(b'\n', b'\r', &piece[at..])?;
    Some(past_line_end(piece, end))
}

/// The offset behind the end of a line that begins here.
fn past_line_end(piece: &[u8], at: usize) -> usize {
    if piece[at] == b'\r' && piece.get(at + 1) == Some(&b'\n') { at + 2 } else { at + 1 }
}

/// The names of the columns: text, each of them once.
fn names(cells: Vec<Vec<u8>>) -> Result<Vec<String>> {
    let names: Vec<_> = cells
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            let unreadable = |_| Error::InvalidUtf8(format!("the name of column {} is not UTF-8", at + 1));
            String::from_utf8(name).map_err(unreadable)
        })
        .collect::<Result<_>>()?;
    let mut seen = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if let Some(before) = seen.insert(name, at) {
            return Err(Error::CsvBadHeader(format!(
                "columns {} and {} are both called `{name}`; `header: false` takes the first row for values",
                before + 1,
                at + 1
            )));
        }
    }
    Ok(names)
}

/// A row that is being read.
struct Row<'p> {
    csv: &'p Csv,
    width: usize,
    piece: &'p [u8],
    is_last: bool,
    at: usize,
    /// Ends of lines before `at`.
    line: u32,
    column: usize,
    /// A field with quotes in it, without those that are not content.
    scratch: Vec<u8>,
}

/// How a field ended.
enum End {
    Delimiter,
    Row,
    /// The piece has no more of it.
    Piece,
    Bad(Fault),
}

impl Row<'_> {
    /// Read the next row; false: the piece ends within it.
    fn next(&mut self, sink: &mut impl RowSink) -> bool {
        let (start, line) = (self.at, self.line);
        match self.piece[start] {
            b'\n' | b'\r' => {
                self.end_line();
                // A line without any byte: a null in a table of one column, and nothing elsewhere.
                if self.width == 1 {
                    sink.cell(0, Tag::Null, b"");
                    sink.end_row(line, start..self.at);
                }
                return true;
            }
            byte if Some(byte) == self.csv.comment => return self.skip_line(),
            _ => {}
        }
        self.column = 0;
        let fault = loop {
            match self.field(sink) {
                End::Delimiter => self.column += 1,
                End::Row => {
                    let found = self.column + 1;
                    break (found != self.width).then_some(Fault::Ragged { found, expected: self.width });
                }
                End::Piece => return false,
                End::Bad(fault) => break Some(fault),
            }
        };
        let extent = start..self.at;
        let fault = fault.or_else(|| (extent.len() > MOST_ROW_BYTES).then_some(Fault::TooLarge));
        match fault {
            Some(fault) => sink.reject(BadRow { line, extent, fault }),
            None => sink.end_row(line, extent),
        }
        true
    }

    /// Read a field and what is behind it.
    #[inline]
    fn field(&mut self, sink: &mut impl RowSink) -> End {
        let rest = &self.piece[self.at..];
        if !rest.is_empty() && rest.first().copied() == self.csv.quote {
            return self.quoted(sink);
        }
        match memchr3(self.csv.delimiter, b'\n', b'\r', rest) {
            Some(length) => {
                self.give(sink, Tag::Null, self.at..self.at + length);
                self.at += length;
                self.behind_field()
            }
            None if self.is_last => {
                self.give(sink, Tag::Null, self.at..self.piece.len());
                self.at = self.piece.len();
                End::Row
            }
            None => End::Piece,
        }
    }

    fn quoted(&mut self, sink: &mut impl RowSink) -> End {
        let (open, piece) = (self.at + 1, self.piece);
        let Some((close, is_plain)) = self.closing_quote(open) else {
            if !self.is_last {
                return End::Piece;
            }
            self.at = piece.len();
            return End::Bad(Fault::NeverClosed);
        };
        if close + 1 == piece.len() && !self.is_last {
            return End::Piece; // the next piece may double the quote
        }
        let content = &piece[open..close];
        self.line += line_ends(content);
        if is_plain {
            self.give(sink, Tag::Empty, open..close);
        } else {
            self.unescape(open..close);
            let cell = std::mem::take(&mut self.scratch);
            if self.column < self.width {
                sink.cell(self.column, Tag::Bare, &cell);
            }
            self.scratch = cell;
        }
        self.at = close + 1;
        if self.at == piece.len() { End::Row } else { self.behind_field() }
    }

    /// Find the quote that closes the field, and whether all bytes up to it are content.
    fn closing_quote(&self, open: usize) -> Option<(usize, bool)> {
        let quote = self.csv.quote?;
        let escape = self.csv.escape.unwrap_or(quote);
        let (mut from, mut is_plain) = (open, true);
        loop {
            let at = from + memchr2(quote, escape, self.piece.get(from..)?)?;
            let next = self.piece.get(at + 1);
            if self.piece[at] == quote && (escape != quote || next != Some(&quote)) {
                return Some((at, is_plain));
            }
            (from, is_plain) = (at + 2, false);
        }
    }

    /// Put the content of a field into the scratch: of a doubled quote, and of an escape, the second byte.
    fn unescape(&mut self, content: Range<usize>) {
        let quote = self.csv.quote.unwrap_or_default();
        let escape = self.csv.escape.unwrap_or(quote);
        self.scratch.clear();
        let mut rest = &self.piece[content];
        while let Some(at) = memchr(escape, rest) {
            self.scratch.extend_from_slice(&rest[..at]);
            self.scratch.extend(rest.get(at + 1));
            rest = rest.get(at + 2..).unwrap_or_default();
        }
        self.scratch.extend_from_slice(rest);
    }

    /// Give a cell that is a part of the piece; where it is empty, `empty` is what it is.
    #[inline]
    fn give(&self, sink: &mut impl RowSink, empty: Tag, cell: Range<usize>) {
        if self.column < self.width {
            let tag = if cell.is_empty() { empty } else { Tag::Bare };
            sink.cell(self.column, tag, &self.piece[cell]);
        }
    }

    /// Go past what ends a field.
    #[inline]
    fn behind_field(&mut self) -> End {
        match self.piece[self.at] {
            byte if byte == self.csv.delimiter => {
                self.at += 1;
                End::Delimiter
            }
            b'\n' | b'\r' => {
                self.end_line();
                End::Row
            }
            _ => {
                let bad = End::Bad(Fault::BehindQuote { column: self.column });
                if self.skip_line() { bad } else { End::Piece }
            }
        }
    }

    fn end_line(&mut self) {
        self.at = past_line_end(self.piece, self.at);
        self.line += 1;
    }

    /// Go behind the end of this line; false: the piece ends before.
    fn skip_line(&mut self) -> bool {
        match past_line(self.piece, self.at) {
            Some(next) => {
                self.at = next;
                self.line += 1;
                true
            }
            None if self.is_last => {
                self.at = self.piece.len();
                true
            }
            None => false,
        }
    }
}

/// Count ends of lines: LF, CRLF and CR.
pub fn line_ends(text: &[u8]) -> u32 {
    let ends = memchr2_iter(b'\n', b'\r', text).filter(|&at| text[at] == b'\r' || at == 0 || text[at - 1] != b'\r');
    ends.count() as u32
}

/// Takes the first row.
#[derive(Default)]
struct FirstRow {
    cells: Vec<Vec<u8>>,
    line: Option<u32>,
    fault: Option<Fault>,
}

impl RowSink for FirstRow {
    fn column(&mut self, expected: usize, _name: &str) -> Option<usize> {
        Some(expected)
    }

    fn cell(&mut self, _column: usize, _tag: Tag, cell: &[u8]) -> bool {
        if self.cells.len() <= MOST_COLUMNS {
            self.cells.push(cell.to_vec());
        }
        true
    }

    fn end_row(&mut self, line: u32, _extent: Range<usize>) {
        self.line = Some(line);
    }

    fn reject(&mut self, bad: BadRow) {
        self.line = Some(bad.line);
        // Any number of fields is right.
        self.fault = Some(bad.fault).filter(|fault| !matches!(fault, Fault::Ragged { .. }));
    }

    fn forget(&mut self) {}

    fn wants_more(&self) -> bool {
        self.line.is_none()
    }
}

/// Counts the fields of rows.
#[derive(Default)]
struct Widths(Vec<usize>);

impl RowSink for Widths {
    fn column(&mut self, expected: usize, _name: &str) -> Option<usize> {
        Some(expected)
    }

    fn cell(&mut self, _column: usize, _tag: Tag, _cell: &[u8]) -> bool {
        true
    }

    fn end_row(&mut self, _line: u32, _extent: Range<usize>) {}

    fn reject(&mut self, bad: BadRow) {
        if let Fault::Ragged { found, .. } = bad.fault {
            self.0.push(found);
        }
    }

    fn forget(&mut self) {}

    fn wants_more(&self) -> bool {
        self.0.len() < SNIFFED_ROWS
    }
}
