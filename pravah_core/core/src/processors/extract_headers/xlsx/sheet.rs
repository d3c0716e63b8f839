//! The rows of one sheet, as far as its beginning has them.

use std::collections::{BTreeMap, HashMap};

use super::super::{MOST_COLUMNS, kind::Kind};
use crate::{
    Result,
    tables::xlsx::{Cell, Content, Meaning, Row, Rows, SHEET_COLUMNS},
};

const _: () = assert!(SHEET_COLUMNS <= MOST_COLUMNS, "the columns of every sheet are told");

/// What was found of a sheet.
#[derive(Default)]
pub struct Sheet {
    has_header: bool,
    /// The cells of the first row that has any.
    first: BTreeMap<usize, Cell>,
    kinds: BTreeMap<usize, Kind>,
    /// Rows with cells that were seen.
    seen: u64,
    /// Rows up to the last one, as the sheet itself tells them.
    told: Option<u64>,
    /// The number of the first row with cells.
    first_number: u64,
    is_whole: bool,
}

/// The type of a cell's value.
fn kind(cell: &Cell) -> Kind {
    match cell {
        Cell::Text(_) | Cell::Shared(_) => Kind::Text,
        Cell::Boolean(_) => Kind::Boolean,
        Cell::Number(number) if number.parse::<i64>().is_ok() => Kind::Int64,
        Cell::Number(_) => Kind::Float64,
        Cell::Day(_) => Kind::Date,
        Cell::Timestamp(_) => Kind::Timestamp,
    }
}

impl Sheet {
    /// Read the beginning of a sheet.
    pub fn read(content: &Content, meaning: &Meaning, has_header: bool) -> Result<Self> {
        let mut sheet = Self { has_header, ..Self::default() };
        let mut rows = Rows::new(content);
        while let Some(row) = rows.next(meaning)? {
            sheet.take(row);
        }
        sheet.told = rows.told;
        sheet.is_whole = rows.has_ended && content.is_whole;
        Ok(sheet)
    }

    fn take(&mut self, row: Row) {
        self.seen += 1;
        if self.seen == 1 {
            self.first_number = row.number;
            self.first.clone_from(&row.cells);
            if self.has_header {
                return;
            }
        }
        for (at, cell) in row.cells {
            let known = self.kinds.entry(at).or_insert(Kind::Null);
            *known = known.with(kind(&cell)).unwrap_or(Kind::Mixed);
        }
    }

    /// Positions of shared texts that are names of columns.
    pub fn shared_names(&self) -> Vec<usize> {
        let position = |cell: &Cell| if let Cell::Shared(position) = cell { Some(*position) } else { None };
        let names = self.first.values().filter(|_| self.has_header);
        names.filter_map(position).collect()
    }

    /// Names and types of the columns, from the first to the last one that has cells.
    pub fn columns(&self, texts: &HashMap<usize, String>) -> Vec<(String, String)> {
        let ends = [&self.first.last_key_value().map(|(at, _)| *at), &self.kinds.last_key_value().map(|(at, _)| *at)];
        let begins = [self.first.keys().next(), self.kinds.keys().next()];
        let (Some(first), Some(last)) = (begins.into_iter().flatten().min(), ends.into_iter().flatten().max()) else {
            return Vec::new();
        };
        let column = |at: usize| {
            let name = match self.first.get(&at).filter(|_| self.has_header) {
                Some(Cell::Shared(position)) => texts.get(position).cloned().unwrap_or_default(),
                Some(cell) => cell.text().to_owned(),
                None => String::new(),
            };
            let name = if name.is_empty() { format!("column_{}", at - first + 1) } else { name };
            (name, self.kinds.get(&at).copied().unwrap_or(Kind::Null).name().to_owned())
        };
        (*first..=*last).map(column).collect()
    }

    /// The number of rows without the first, where that has the names, and whether it is counted.
    pub fn rows(&self) -> (u64, bool) {
        let header = u64::from(self.has_header && self.seen > 0);
        let seen = self.seen - header;
        if self.is_whole {
            return (seen, true);
        }
        let told = self.told.map(|told| (told + 1).saturating_sub(self.first_number + header));
        (told.unwrap_or_default().max(seen), false)
    }
}
