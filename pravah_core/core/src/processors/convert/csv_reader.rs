//! Splits delimited text (RFC 4180) into rows, wherever its pieces are cut.
//!
//! A row ends with LF, CRLF or CR; a field that begins with `"` ends with the next `"` that is not doubled. It never
//! repairs: rows of other lengths and text behind a closing quote are errors with their line.

use std::collections::{HashMap, VecDeque};

use memchr::{memchr3, memchr3_iter};

use super::{
    super::column_types::Tag,
    cells::{Cells, MOST_COLUMNS, MOST_ROW_BYTES},
    rows::{Rows, column_of_text, too_large},
};
use crate::{Error, Result};

/// What a file of delimited text looks like.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    pub delimiter: u8,
    pub has_header: bool,
}

/// A splitter at work.
pub struct CsvReader {
    dialect: Dialect,
    state: State,
    /// The line that is being read, from 1.
    line: u64,
    /// The last byte was a CR, and a LF behind it belongs to it.
    follows_cr: bool,
    row_line: u64,
    row_bytes: usize,
    /// The field that is being read; may be beyond the table's width, and is then only counted.
    field: usize,
    quote_line: u64,
    cells: Cells,
    /// None until the first row has ended.
    names: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RowStart,
    FieldStart,
    Bare,
    Quoted,
    /// Behind a quote that closes the field, unless another one follows.
    QuoteInQuoted,
}

impl CsvReader {
    /// Begin with the first row.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            state: State::RowStart,
            line: 1,
            follows_cr: false,
            row_line: 1,
            row_bytes: 0,
            field: 0,
            quote_line: 1,
            cells: Cells::default(),
            names: None,
        }
    }

    /// Take bytes of the current state from the start of `piece`, and give how many they are.
    fn step(&mut self, piece: &[u8], batches: &mut VecDeque<Cells>) -> Result<usize> {
        let first = piece[0];
        if std::mem::take(&mut self.follows_cr) && first == b'\n' {
            if self.state == State::Quoted {
                self.keep(b"\n")?;
            }
            return Ok(1);
        }
        match self.state {
            State::RowStart => {
                self.row_line = self.line;
                if matches!(first, b'\n' | b'\r') {
                    self.blank_line(batches)?;
                    self.end_line(first);
                    return Ok(1);
                }
                self.state = State::FieldStart;
                Ok(0)
            }
            State::FieldStart if first == b'"' => {
                (self.state, self.quote_line) = (State::Quoted, self.line);
                Ok(1)
            }
            State::FieldStart => {
                self.state = State::Bare;
                Ok(0)
            }
            State::Bare => self.bare(piece, batches),
            State::Quoted => self.quoted(piece),
            State::QuoteInQuoted if first == b'"' => {
                self.state = State::Quoted;
                self.keep(b"\"")?;
                Ok(1)
            }
            State::QuoteInQuoted => self.behind_field(first, Tag::Text, batches).map(|()| 1),
        }
    }

    fn bare(&mut self, piece: &[u8], batches: &mut VecDeque<Cells>) -> Result<usize> {
        let Some(end) = memchr3(self.dialect.delimiter, b'\n', b'\r', piece) else {
            self.keep(piece)?;
            return Ok(piece.len());
        };
        self.keep(&piece[..end])?;
        self.behind_field(piece[end], Tag::Null, batches)?;
        Ok(end + 1)
    }

    /// Take text up to the next quote, and count its lines.
    fn quoted(&mut self, piece: &[u8]) -> Result<usize> {
        for at in memchr3_iter(b'"', b'\n', b'\r', piece) {
            match piece[at] {
                b'"' => {
                    self.state = State::QuoteInQuoted;
                    self.keep(&piece[..at])?;
                    return Ok(at + 1);
                }
                b'\r' => {
                    self.keep(&piece[..=at])?;
                    self.end_line(b'\r');
                    return Ok(at + 1);
                }
                _ => self.line += 1,
            }
        }
        self.keep(piece)?;
        Ok(piece.len())
    }

    /// End the field at the byte behind it; where it is empty, `empty` is what it is.
    fn behind_field(&mut self, byte: u8, empty: Tag, batches: &mut VecDeque<Cells>) -> Result<()> {
        if byte == self.dialect.delimiter {
            self.close(empty)?;
            self.state = State::FieldStart;
        } else if matches!(byte, b'\n' | b'\r') {
            self.close(empty)?;
            self.end_row(batches)?;
            self.end_line(byte);
        } else {
            return Err(Error::CsvBadQuotes(format!(
                "line {}, field {}: there is text behind the closing quote; a quote within a quoted field is doubled",
                self.line,
                self.field + 1
            )));
        }
        Ok(())
    }

    fn end_line(&mut self, byte: u8) {
        self.line += 1;
        self.follows_cr = byte == b'\r';
    }

    /// Add bytes to the current field.
    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        self.row_bytes += bytes.len();
        if self.row_bytes > MOST_ROW_BYTES {
            return Err(too_large(self.row_line, ", which a quote that is never closed makes, too"));
        }
        if self.names.is_none() && self.field == self.cells.columns.len() {
            if self.field == MOST_COLUMNS {
                return Err(Error::UnsupportedInput(format!("the first row has more than {MOST_COLUMNS} fields")));
            }
            self.cells.columns.push(Default::default());
        }
        if let Some(column) = self.cells.columns.get_mut(self.field) {
            column.extend(bytes);
        }
        Ok(())
    }

    fn close(&mut self, empty: Tag) -> Result<()> {
        self.keep(b"")?; // of an empty field of the first row this makes the column
        if let Some(column) = self.cells.columns.get_mut(self.field) {
            let tag = if column.is_empty_cell() { empty } else { Tag::Bare };
            column.close(tag);
        }
        self.field += 1;
        Ok(())
    }

    /// A line without any byte: a null in a table of one column, and nothing elsewhere.
    fn blank_line(&mut self, batches: &mut VecDeque<Cells>) -> Result<()> {
        let is_row = self.names.as_ref().map_or(!self.dialect.has_header, |names| names.len() == 1);
        if !is_row {
            return Ok(());
        }
        self.close(Tag::Null)?;
        self.end_row(batches)
    }

    fn end_row(&mut self, batches: &mut VecDeque<Cells>) -> Result<()> {
        self.state = State::RowStart;
        let found = std::mem::take(&mut self.field);
        let row_bytes = std::mem::take(&mut self.row_bytes);
        let Some(names) = &self.names else { return self.end_first_row(row_bytes) };
        if found != names.len() {
            return Err(Error::CsvRaggedRow(format!(
                "line {} has {found} fields, the first row has {}",
                self.row_line,
                names.len()
            )));
        }
        self.cells.end_row(self.row_line, row_bytes);
        if self.cells.is_full() {
            batches.push_back(self.cells.take());
        }
        Ok(())
    }

    fn end_first_row(&mut self, row_bytes: usize) -> Result<()> {
        if !self.dialect.has_header {
            self.names = Some((1..=self.cells.columns.len()).map(|number| format!("column_{number}")).collect());
            self.cells.end_row(self.row_line, row_bytes);
            return Ok(());
        }
        let fields = std::mem::take(&mut self.cells.columns).into_iter().map(column_of_text);
        let names: Vec<_> = fields
            .enumerate()
            .map(|(at, name)| {
                name.map_err(|_| Error::InvalidUtf8(format!("the name of column {} is not UTF-8", at + 1)))
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
        self.cells = Cells::new(names.len());
        self.names = Some(names);
        Ok(())
    }
}

impl Rows for CsvReader {
    fn push(&mut self, mut piece: &[u8], batches: &mut VecDeque<Cells>) -> Result<()> {
        while !piece.is_empty() {
            let taken = self.step(piece, batches)?;
            piece = &piece[taken..];
        }
        Ok(())
    }

    fn end(&mut self, batches: &mut VecDeque<Cells>) -> Result<()> {
        match self.state {
            State::RowStart => {}
            State::Quoted => {
                let line = self.quote_line;
                return Err(Error::CsvBadQuotes(format!("the quote that opens on line {line} is never closed")));
            }
            State::FieldStart | State::Bare | State::QuoteInQuoted => {
                let empty = if self.state == State::QuoteInQuoted { Tag::Text } else { Tag::Null };
                self.close(empty)?;
                self.end_row(batches)?;
            }
        }
        if !self.cells.lines.is_empty() {
            batches.push_back(self.cells.take());
        }
        Ok(())
    }

    fn names(&self) -> &[String] {
        self.names.as_deref().unwrap_or_default()
    }

    fn bad_value(&self, message: String) -> Error {
        Error::CsvBadValue(message)
    }
}
