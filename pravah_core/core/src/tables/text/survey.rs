//! Finds out which types columns of text may have, over the rows of one piece or of many.

use std::{collections::HashMap, ops::Range};

use super::{csv::MOST_COLUMNS, fault::BadRow, rows::RowSink, shape::Shape};
use crate::{
    processors::{Candidates, Tag},
    tables::Nested,
};

/// What columns there are, and what they may be.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    pub names: Vec<String>,
    pub columns: Vec<Shape>,
    positions: HashMap<String, usize>,
}

impl Survey {
    /// Begin with columns that are known by name.
    pub fn new(names: &[String]) -> Self {
        let mut survey = Self::default();
        names.iter().for_each(|name| {
            survey.add(name);
        });
        survey
    }

    /// Take what was found in the rows behind these.
    pub fn merge(&mut self, other: &Self) {
        for (expected, (name, shape)) in other.names.iter().zip(&other.columns).enumerate() {
            let column = self.position(expected, name);
            self.columns[column].merge(shape);
        }
    }

    /// The position of a column that is `expected` there; one that is new is the last one.
    pub fn position(&mut self, expected: usize, name: &str) -> usize {
        if self.names.get(expected).is_some_and(|there| there == name) {
            return expected;
        }
        self.positions.get(name).copied().unwrap_or_else(|| self.add(name))
    }

    fn add(&mut self, name: &str) -> usize {
        let column = self.names.len();
        self.names.push(name.to_owned());
        self.positions.insert(name.to_owned(), column);
        self.columns.push(Shape::ANY);
        column
    }
}

/// What a cell may be.
enum Seen {
    Flat(Candidates),
    /// So many bytes of text tell.
    Nested(usize),
}

/// Surveys the rows of a piece.
pub struct Surveyor {
    survey: Survey,
    nested: Nested,
    /// Cells of the row under way, which count once it has ended well.
    row: Vec<(usize, Seen)>,
    /// The text of its nested cells, one behind the other.
    text: Vec<u8>,
    /// The number of the row in which each column had a cell last.
    last_rows: Vec<u32>,
    rows: u32,
    /// There are more columns than a table may have.
    pub is_too_wide: bool,
}

impl Surveyor {
    /// Begin with columns that are known by name.
    pub fn new(names: &[String], nested: Nested) -> Self {
        let survey = Survey::new(names);
        let last_rows = vec![0; survey.names.len()];
        Self { survey, nested, row: Vec::new(), text: Vec::new(), last_rows, rows: 1, is_too_wide: false }
    }

    /// Give what was found.
    pub fn finish(self) -> Survey {
        self.survey
    }
}

impl RowSink for Surveyor {
    fn column(&mut self, expected: usize, name: &str) -> Option<usize> {
        if self.survey.names.get(expected).is_some_and(|there| there == name) {
            return Some(expected);
        }
        if let Some(&column) = self.survey.positions.get(name) {
            return Some(column);
        }
        if self.survey.names.len() == MOST_COLUMNS {
            self.is_too_wide = true;
            return None;
        }
        self.last_rows.push(0);
        Some(self.survey.add(name))
    }

    fn cell(&mut self, column: usize, tag: Tag, cell: &[u8]) -> bool {
        if self.last_rows[column] == self.rows {
            return false;
        }
        self.last_rows[column] = self.rows;
        if self.survey.columns[column].is_decided() {
            return true;
        }
        let seen = if tag == Tag::Nested && self.nested == Nested::Structs {
            self.text.extend_from_slice(cell);
            Seen::Nested(cell.len())
        } else {
            Seen::Flat(Candidates::of(tag, cell))
        };
        self.row.push((column, seen));
        true
    }

    fn end_row(&mut self, _line: u32, _extent: Range<usize>) {
        let mut text = &self.text[..];
        for (column, seen) in self.row.drain(..) {
            let shape = &mut self.survey.columns[column];
            match seen {
                Seen::Flat(candidates) => shape.merge(&Shape::Flat(candidates)),
                Seen::Nested(length) => {
                    let (cell, rest) = text.split_at(length);
                    text = rest;
                    // A row that can't be read is told when it is read with types.
                    let _ = shape.see_nested(cell, 0);
                }
            }
        }
        self.text.clear();
        self.rows += 1;
    }

    fn reject(&mut self, _bad: BadRow) {
        self.forget();
    }

    fn forget(&mut self) {
        self.row.clear();
        self.text.clear();
        self.rows += 1;
    }

    fn wants_more(&self) -> bool {
        !self.is_too_wide
    }
}
