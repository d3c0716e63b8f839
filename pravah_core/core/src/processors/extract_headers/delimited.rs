//! Columns of csv and tsv: names from the first row, types from what all rows of the sample may be read as.

use super::{
    super::column_types::{Candidates, ColumnType, Tag},
    MOST_COLUMNS, dialect,
    findings::{self, Findings},
    format::Format,
    rows::Rows,
    text::Text,
    too_many_columns,
};
use crate::{Error, Result};

/// Find the columns.
pub fn read(text: &Text<'_>, format: Format, has_header: bool) -> Result<Findings> {
    let dialect = dialect::of(text, format);
    let mut rows = Rows::new(&text.bytes, dialect, text.is_whole);
    let mut fields = Vec::new();
    let mut names: Vec<String> = Vec::new();
    if rows.next(&mut fields) {
        names = fields.iter().map(|field| text.string(&rows.content(field))).collect();
    } else if !text.is_whole {
        let seen = text.bytes.len();
        return Err(Error::UnsupportedInput(format!(
            "the first row is longer than the {seen} bytes that are looked at"
        )));
    }
    if names.len() > MOST_COLUMNS {
        return Err(too_many_columns(names.len()));
    }
    if !has_header {
        names = (1..=names.len()).map(|number| format!("column_{number}")).collect();
        rows = Rows::new(&text.bytes, dialect, text.is_whole);
    }
    let before_bytes = rows.position();
    let mut types = vec![Candidates::ALL; names.len()];
    let mut count = 0;
    while rows.next(&mut fields) {
        count += 1;
        for (seen, field) in types.iter_mut().zip(&fields).filter(|(seen, _)| !seen.are_decided()) {
            match rows.plain(field) {
                Some([]) if !field.is_quoted => seen.see(Tag::Null, b""),
                Some(cell) if !cell.is_empty() => seen.see(Tag::Bare, cell),
                Some(_) => seen.see(Tag::Empty, b""),
                None => seen.see(Tag::Text, b""),
            }
        }
    }
    let types: Vec<ColumnType> = types.iter().map(Candidates::decide).collect();
    Ok(Findings {
        format,
        compression: text.compression,
        encoding: Some((text.encoding, text.is_marked)),
        dialect: Some((dialect.delimiter, dialect.quote)),
        header_likely: if has_header { is_header(&names, &types) } else { None },
        columns: names.into_iter().zip(types).map(|(name, kind)| (name, kind.name().to_owned())).collect(),
        rows: findings::Rows::of(text, count, before_bytes, rows.position()),
    })
}

/// Whether the first row looks like names: over a column of numbers or times stands something else. None: all columns
/// are text, or it speaks for both.
fn is_header(first: &[String], types: &[ColumnType]) -> Option<bool> {
    let (mut is_other, mut is_like) = (false, false);
    for (cell, kind) in first.iter().zip(types).filter(|(cell, kind)| !cell.is_empty() && **kind != ColumnType::Text) {
        let mut seen = Candidates::ALL;
        seen.see(Tag::Bare, cell.as_bytes());
        let found = seen.decide();
        let fits = found == *kind || (found, *kind) == (ColumnType::Int64, ColumnType::Float64);
        (is_other, is_like) = (is_other | !fits, is_like | fits);
    }
    (is_other != is_like).then_some(is_other)
}
