//! Columns of each sheet of an xlsx workbook (ECMA-376), of which only what tells them is read: the list of sheets, the
//! formats of numbers, the beginning of each sheet, and the texts of its first row.
//!
//! - `sheet`: what the rows of one tell; they are read by `tables::xlsx`, as for `convert`

mod sheet;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use self::sheet::Sheet;
use super::{
    super::{Looked, Parts},
    findings::{Findings, Rows},
    format::Format,
};
use crate::tables::xlsx::{self, Archive, Meaning, Seen, book};

pub use crate::tables::xlsx::ZIP_MAGIC;

/// Sheets that are told.
const MOST_SHEETS: usize = 64;

/// Find the columns of each sheet: one record a sheet. None: the zip file is no workbook.
pub fn read(parts: &Parts, has_header: bool) -> Looked<Option<Vec<Map<String, Value>>>> {
    let archive = Archive::open(parts, Seen::Beginning)?;
    let Some(book) = book::read(&archive)? else { return Ok(None) };
    // All that is read is asked for before any of it is: each part that lacks begins the look anew.
    let (styles, shared) = (archive.content("xl/styles.xml")?, archive.content("xl/sharedStrings.xml")?);
    let mut contents = Vec::new();
    for (name, member) in book.sheets.into_iter().take(MOST_SHEETS) {
        contents.push((name, archive.content(&member)?));
    }
    let times = styles.map(|styles| xlsx::styles::times(&styles)).transpose()?.unwrap_or_default();
    let meaning = Meaning { times, epoch: book.epoch };
    let mut sheets = Vec::new();
    for (name, content) in contents {
        let sheet = content.map(|content| Sheet::read(&content, &meaning, has_header)).transpose()?;
        sheets.push((name, sheet.unwrap_or_default()));
    }
    let wanted: BTreeSet<usize> = sheets.iter().flat_map(|(_, sheet)| sheet.shared_names()).collect();
    let texts = shared.map(|shared| xlsx::texts::at(&shared, &wanted)).unwrap_or_default();
    let record = |(name, sheet): (String, Sheet)| {
        let rows = match sheet.rows() {
            (rows, true) => Rows::Exact(rows),
            (rows, false) => Rows::Estimated(rows),
        };
        let columns = sheet.columns(&texts);
        let (compression, encoding, dialect) = (None, None, None);
        let found =
            Findings { format: Format::Xlsx, compression, encoding, dialect, header_likely: None, columns, rows };
        let mut record = found.record(parts.size_bytes());
        record.insert("sheet".to_owned(), json!(name));
        record
    };
    Ok(Some(sheets.into_iter().map(record).collect()))
}
