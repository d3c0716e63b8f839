//! The rows of one sheet, as far as its beginning has them.

use std::{
    collections::{BTreeMap, HashMap},
    io::BufRead,
};

use super::{
    super::{MOST_COLUMNS, kind::Kind},
    archive::Content,
    book::{Element, Elements, attribute, name, position},
};
use crate::Result;

/// Columns that a sheet can have (ECMA-376, 18.3.1.73).
const SHEET_COLUMNS: usize = 1 << 14;
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

/// The content of a cell.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Text(String),
    /// A text at this position of those that are shared.
    Shared(usize),
    Other(Kind, String),
}

impl Cell {
    fn kind(&self) -> Kind {
        match self {
            Self::Text(_) | Self::Shared(_) => Kind::Text,
            Self::Other(kind, _) => *kind,
        }
    }
}

impl Sheet {
    /// Read the beginning of a sheet.
    pub fn read(content: &Content, dates: &HashMap<usize, bool>, has_header: bool) -> Result<Self> {
        let mut sheet = Self { has_header, ..Self::default() };
        let mut elements = Elements::new(content.reader());
        let mut row: BTreeMap<usize, Cell> = BTreeMap::new();
        let mut number = 0;
        while let Some(element) = elements.next() {
            match element {
                Element::Start(start) => match name(&start).as_str() {
                    "dimension" => sheet.told = attribute(&start, "ref").and_then(|area| last_row(&area)),
                    "row" => {
                        row.clear();
                        number = attribute(&start, "r").and_then(|r| r.parse().ok()).unwrap_or(number + 1);
                    }
                    "c" => {
                        let next = row.last_key_value().map_or(0, |(last, _)| last + 1);
                        let at = attribute(&start, "r").as_deref().and_then(column_of).unwrap_or(next);
                        let (kind, style) = (attribute(&start, "t"), attribute(&start, "s"));
                        let (value, is_closed) = value(&mut elements);
                        if is_closed
                            && at < SHEET_COLUMNS
                            && let Some(cell) = cell(kind.as_deref(), style.as_deref(), value, dates)?
                        {
                            row.insert(at, cell);
                        }
                    }
                    _ => {}
                },
                Element::End(name) if name == "row" => sheet.take(number, &mut row),
                _ => {}
            }
        }
        sheet.is_whole = elements.has_ended && content.is_whole;
        Ok(sheet)
    }

    fn take(&mut self, number: u64, row: &mut BTreeMap<usize, Cell>) {
        if row.is_empty() {
            return;
        }
        self.seen += 1;
        if self.seen == 1 {
            self.first_number = number;
            self.first.clone_from(row);
            if self.has_header {
                return;
            }
        }
        for (at, cell) in std::mem::take(row) {
            let kind = self.kinds.entry(at).or_insert(Kind::Null);
            *kind = kind.with(cell.kind()).unwrap_or(Kind::Mixed);
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
                Some(Cell::Text(text) | Cell::Other(_, text)) => text.clone(),
                Some(Cell::Shared(position)) => texts.get(position).cloned().unwrap_or_default(),
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

/// The text of a cell, and whether the cell's end was seen.
fn value(elements: &mut Elements<impl BufRead>) -> (String, bool) {
    let (mut value, mut is_value) = (String::new(), false);
    while let Some(element) = elements.next() {
        match element {
            Element::Start(start) => is_value = matches!(name(&start).as_str(), "v" | "t"),
            Element::Text(text) if is_value => value.push_str(&text),
            Element::Text(_) => {}
            Element::End(name) if name == "c" => return (value, true),
            Element::End(_) => is_value = false,
        }
    }
    (value, false)
}

/// The cell that has this type, style and value; none: it is empty, or an error.
fn cell(kind: Option<&str>, style: Option<&str>, value: String, dates: &HashMap<usize, bool>) -> Result<Option<Cell>> {
    if value.is_empty() {
        return Ok(None);
    }
    Ok(Some(match kind.unwrap_or("n") {
        "s" => Cell::Shared(position(&value)?),
        "str" | "inlineStr" => Cell::Text(value),
        "b" => Cell::Other(Kind::Boolean, value),
        "d" => Cell::Other(Kind::Timestamp, value),
        "e" => return Ok(None),
        _ => {
            let date = style.map(position).transpose()?.and_then(|style| dates.get(&style));
            let kind = match date {
                Some(true) => Kind::Timestamp,
                Some(false) => Kind::Date,
                None if value.parse::<i64>().is_ok() => Kind::Int64,
                None => Kind::Float64,
            };
            Cell::Other(kind, value)
        }
    }))
}

/// The column of a reference such as `AB12`, from 0 on.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic);
    let number =
        letters.take(4).fold(0, |number, letter| 26 * number + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    number.checked_sub(1)
}

/// The last row of an area such as `A1:F100`.
fn last_row(area: &str) -> Option<u64> {
    let corner = area.rsplit(':').next()?;
    corner.trim_start_matches(|letter: char| letter.is_ascii_alphabetic() || letter == '$').parse().ok()
}
