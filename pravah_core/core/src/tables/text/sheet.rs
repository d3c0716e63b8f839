//! Rows of a sheet in pieces of their own form, so that types are found and widened as those of text are.
//!
//! A row is the number of lines that end with it, the number of its cells, and the cells: column, tag, bytes.

use std::collections::{HashMap, HashSet};

use super::rows::{Extent, RowSink};
use crate::{Error, Result, processors::Tag};

/// The columns of a sheet: those of its first row have names, others are called by their position.
#[derive(Debug)]
pub struct SheetColumns {
    /// The first one of the sheet that has a name.
    first: usize,
    pub names: Vec<String>,
    taken: HashSet<String>,
}

impl SheetColumns {
    /// Take the names of a row, as far as it has some, from the first to the last one.
    pub fn named(first: usize, given: Vec<Option<String>>) -> Result<Self> {
        let mut positions = HashMap::new();
        for (at, name) in given.iter().enumerate() {
            if let Some(name) = name
                && let Some(before) = positions.insert(name, at)
            {
                return Err(Error::UnsupportedInput(format!(
                    "columns {} and {} are both called `{name}`; `header: false` takes the first row for values",
                    before + 1,
                    at + 1
                )));
            }
        }
        let taken = given.iter().flatten().cloned().collect();
        let mut columns = Self { first, names: Vec::new(), taken };
        columns.names = given
            .into_iter()
            .enumerate()
            .map(|(at, name)| name.unwrap_or_else(|| columns.numbered(first + at)))
            .collect();
        Ok(columns)
    }

    /// The name of a column that has none: no other one has it.
    fn numbered(&self, column: usize) -> String {
        let mut name = match column.checked_sub(self.first) {
            Some(at) => format!("column_{}", at + 1),
            None => format!("column_-{}", self.first - column),
        };
        while self.taken.contains(&name) {
            name.push('_');
        }
        name
    }

    /// Read the rows of a piece.
    pub fn read<S: RowSink>(&self, piece: &[u8], sink: &mut S) -> Extent {
        let mut read = Extent::default();
        while read.bytes < piece.len() && sink.wants_more() {
            let mut rest = Rest(&piece[read.bytes..]);
            let (lines, cells) = (rest.number(), rest.number());
            for _ in 0..cells {
                let (column, tag, text) = rest.cell();
                let at = column.checked_sub(self.first).filter(|at| *at < self.names.len());
                let found = match at {
                    Some(at) => sink.column(at, &self.names[at]),
                    None => sink.column(usize::MAX, &self.numbered(column)),
                };
                if let Some(found) = found {
                    sink.cell(found, tag, text);
                }
            }
            let end = piece.len() - rest.0.len();
            sink.end_row(read.lines + lines.saturating_sub(1), read.bytes..end);
            read = Extent { bytes: end, lines: read.lines + lines };
        }
        read
    }
}

/// Write a row that ends so many lines.
pub fn write_row(lines: u32, cells: &[(usize, Tag, &str)], out: &mut Vec<u8>) {
    out.extend(lines.to_le_bytes());
    out.extend((cells.len() as u32).to_le_bytes());
    for (column, tag, text) in cells {
        out.extend((*column as u32).to_le_bytes());
        out.push(*tag as u8);
        out.extend((text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

/// Show a row to people: its values with tabs between them.
pub fn shown(row: &[u8]) -> String {
    let mut rest = Rest(row);
    let (_, cells) = (rest.number(), rest.number());
    let texts = (0..cells).map(|_| String::from_utf8_lossy(rest.cell().2).into_owned());
    texts.collect::<Vec<_>>().join("\t")
}

/// What of a piece has not been read; it is as [`write_row`] has made it.
struct Rest<'p>(&'p [u8]);

impl<'p> Rest<'p> {
    fn take(&mut self, length: usize) -> &'p [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> u32 {
        self.take(4).try_into().map_or(0, u32::from_le_bytes)
    }

    fn cell(&mut self) -> (usize, Tag, &'p [u8]) {
        let column = self.number() as usize;
        let tag = match self.take(1) {
            [tag] if *tag == Tag::Text as u8 => Tag::Text,
            [tag] if *tag == Tag::Day as u8 => Tag::Day,
            _ => Tag::Bare,
        };
        let length = self.number() as usize;
        (column, tag, self.take(length))
    }
}
