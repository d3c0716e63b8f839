//! Rows of a sheet, cell by cell, in the order of the file.

use std::collections::{BTreeMap, HashMap};

use super::{
    archive::Content,
    book::{Element, Elements, attribute, name, position},
    styles::{Epoch, Moment, Shown, moment},
};
use crate::Result;

/// Columns that a sheet can have (ECMA-376, 18.3.1.73).
pub const SHEET_COLUMNS: usize = 1 << 14;

/// Rows that a sheet can have.
const SHEET_ROWS: u64 = 1 << 20;

/// What is needed to read cells.
#[derive(Debug)]
pub struct Meaning {
    pub times: HashMap<usize, Shown>,
    pub epoch: Epoch,
}

/// Walks over the rows of a sheet that have values.
pub struct Rows {
    elements: Elements,
    number: u64,
    /// The number of the last row, as the sheet itself tells it.
    pub told: Option<u64>,
    is_within: bool,
    /// Whether all rows have been seen.
    pub has_ended: bool,
}

/// A row that has values.
pub struct Row {
    /// From 1 on.
    pub number: u64,
    /// The values by their columns, from 0 on.
    pub cells: BTreeMap<usize, Cell>,
}

/// The value of a cell; those that are empty, or errors, have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    /// A text at this position of those that are shared.
    Shared(usize),
    Boolean(bool),
    /// A number as it is written.
    Number(String),
    Day(String),
    Timestamp(String),
}

impl Cell {
    /// The value as text; of a shared one there is none here.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Day(text) | Self::Timestamp(text) => text,
            Self::Boolean(true) => "true",
            Self::Boolean(false) => "false",
            Self::Shared(_) => "",
        }
    }
}

impl Rows {
    /// Begin with a sheet.
    pub fn new(content: &Content) -> Self {
        Self { elements: Elements::new(content), number: 0, told: None, is_within: false, has_ended: false }
    }

    /// Give the next row; none: there is no more that can be read.
    pub fn next(&mut self, meaning: &Meaning) -> Result<Option<Row>> {
        let (mut cells, mut next) = (BTreeMap::new(), 0);
        while let Some(element) = self.elements.next() {
            match element {
                Element::Start(start) => match name(&start).as_str() {
                    "dimension" => self.told = attribute(&start, "ref").and_then(|area| last_row(&area)),
                    "sheetData" => self.is_within = true,
                    "row" => {
                        cells.clear();
                        next = 0;
                        let number = attribute(&start, "r").and_then(|r| r.parse().ok());
                        // Some writers leave the numbers out; one that goes back would be no number of a line.
                        self.number = number
                            .filter(|number| (self.number + 1..=SHEET_ROWS).contains(number))
                            .unwrap_or(self.number + 1);
                    }
                    "c" => {
                        let at = attribute(&start, "r").as_deref().and_then(column_of).unwrap_or(next);
                        next = at + 1;
                        let (kind, style) = (attribute(&start, "t"), attribute(&start, "s"));
                        let Some(value) = self.value() else { break };
                        if at < SHEET_COLUMNS
                            && let Some(cell) = cell(kind.as_deref(), style.as_deref(), value, meaning)?
                        {
                            cells.insert(at, cell);
                        }
                    }
                    _ => {}
                },
                Element::End(name) if name == "row" => {
                    self.elements.begin_part();
                    if !cells.is_empty() {
                        return Ok(Some(Row { number: self.number, cells }));
                    }
                }
                Element::End(name) if name == "sheetData" => {
                    self.has_ended = true;
                    return Ok(None);
                }
                _ => {}
            }
        }
        // An end within the rows is none.
        self.has_ended |= self.elements.has_ended && !self.is_within;
        Ok(None)
    }

    /// Why there is no next row, where that is not the end.
    pub fn failure(&mut self) -> crate::Error {
        self.elements.failure()
    }

    /// The text of a cell; none: the cell's end is not there.
    fn value(&mut self) -> Option<String> {
        let (mut value, mut is_value, mut is_reading) = (String::new(), false, false);
        loop {
            match self.elements.next()? {
                Element::Start(start) => match name(&start).as_str() {
                    "v" | "t" => is_value = !is_reading,
                    "rPh" => is_reading = true,
                    _ => is_value = false,
                },
                Element::Text(text) if is_value => value.push_str(&text),
                Element::Text(_) => {}
                Element::End(name) if name == "c" => return Some(value),
                Element::End(name) => {
                    is_value = false;
                    is_reading &= name != "rPh";
                }
            }
        }
    }
}

/// The cell that has this type, style and value; none: it is empty, or an error.
fn cell(kind: Option<&str>, style: Option<&str>, value: String, meaning: &Meaning) -> Result<Option<Cell>> {
    if value.is_empty() {
        return Ok(None);
    }
    Ok(Some(match kind.unwrap_or("n") {
        "s" => Cell::Shared(position(&value)?),
        "str" | "inlineStr" => Cell::Text(value),
        "b" => match value.as_str() {
            "1" | "true" => Cell::Boolean(true),
            "0" | "false" => Cell::Boolean(false),
            _ => Cell::Text(value),
        },
        "d" => Cell::Timestamp(value),
        "e" => return Ok(None),
        _ => {
            let shown = style.map(position).transpose()?.and_then(|style| meaning.times.get(&style));
            match shown.and_then(|shown| moment(&value, *shown, meaning.epoch)) {
                Some(Moment::Day(day)) => Cell::Day(day),
                Some(Moment::Timestamp(moment)) => Cell::Timestamp(moment),
                Some(Moment::Time(time)) => Cell::Text(time),
                None => Cell::Number(value),
            }
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
