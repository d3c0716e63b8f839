//! Finds out which types columns of text may have, over the rows of one piece or of many.

use std::{collections::HashMap, ops::Range};

use super::{csv::MOST_COLUMNS, fault::BadRow, rows::RowSink};
use crate::processors::{Candidates, Tag};

/// What columns there are, and what they may be.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    pub names: Vec<String>,
    pub columns: Vec<Candidates>,
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
        for (name, candidates) in other.names.iter().zip(&other.columns) {
            let column = self.positions.get(name).copied().unwrap_or_else(|| self.add(name));
            self.columns[column].merge(*candidates);
        }
    }

    fn add(&mut self, name: &str) -> usize {
        let column = self.names.len();
        self.names.push(name.to_owned());
        self.positions.insert(name.to_owned(), column);
        self.columns.push(Candidates::ALL);
        column
    }
}

/// Surveys the rows of a piece.
pub struct Surveyor {
    survey: Survey,
    /// Cells of the row under way, which count once it has ended well.
    row: Vec<(usize, Candidates)>,
    /// The number of the row in which each column had a cell last.
    last_rows: Vec<u32>,
    rows: u32,
    /// There are more columns than a table may have.
    pub is_too_wide: bool,
}

impl Surveyor {
    /// Begin with columns that are known by name.
    pub fn new(names: &[String]) -> Self {
        let survey = Survey::new(names);
        let last_rows = vec![0; survey.names.len()];
        Self { survey, row: Vec::new(), last_rows, rows: 1, is_too_wide: false }
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
        if !self.survey.columns[column].are_decided() {
            self.row.push((column, Candidates::of(tag, cell)));
        }
        true
    }

    fn end_row(&mut self, _line: u32, _extent: Range<usize>) {
        for (column, candidates) in self.row.drain(..) {
            self.survey.columns[column].merge(candidates);
        }
        self.rows += 1;
    }

    fn reject(&mut self, _bad: BadRow) {
        self.forget();
    }

    fn forget(&mut self) {
        self.row.clear();
        self.rows += 1;
    }

    fn wants_more(&self) -> bool {
        !self.is_too_wide
    }
}
