//! Makes Arrow columns of cells; a cell that its column can't hold is an error, never a null.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, SchemaRef, TimeUnit};

use super::{
    super::column_types::{self as types, ColumnType, Tag, Zone},
    cells::{Cells, Column},
};
use crate::{Error, Result};

/// What a column has to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    pub column_type: ColumnType,
    /// The user has said so: empty text is null, and forms are taken that would not be guessed.
    pub is_declared: bool,
}

/// The name of the zone of instants.
const UTC: &str = "UTC";

/// Characters of a value that a message shows.
const SHOWN_CHARACTERS: usize = 40;

/// The Arrow type of a column.
pub fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        ColumnType::Text => DataType::Utf8,
    }
}

/// Make a batch of cells; `bad_value` makes the error of a cell that does not fit.
pub fn batch(
    schema: &SchemaRef,
    expected: &[Expected],
    mut cells: Cells,
    names: &[String],
    bad_value: impl Fn(String) -> Error,
) -> Result<RecordBatch> {
    for (at, column) in cells.columns.iter().enumerate().skip(expected.len()) {
        if let Some(row) = column.cells().position(|(tag, _)| tag != Tag::Null) {
            let (line, name) = (cells.lines[row], &names[at]);
            return Err(bad_value(format!("line {line} has a field `{name}` that no line of the sample has")));
        }
    }
    cells.columns.resize_with(expected.len(), Column::default);
    let rows = cells.lines.len();
    let columns =
        std::mem::take(&mut cells.columns).into_iter().zip(expected).zip(names).map(|((column, &expected), name)| {
            array(column, expected, rows).map_err(|Misfit { row, value }| {
                let line = cells.lines[row];
                match std::str::from_utf8(&value) {
                    Ok(text) => {
                        let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
                        if shown.len() < text.len() {
                            shown.push('…');
                        }
                        let wanted = spoken(expected);
                        bad_value(format!("line {line}, column `{name}`: `{shown}` is no {wanted}"))
                    }
                    Err(_) => Error::InvalidUtf8(format!("line {line}, column `{name}`: the text is not UTF-8")),
                }
            })
        });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::CorruptInput(error.to_string()))
}

fn spoken(expected: Expected) -> String {
    let name = expected.column_type.name();
    if expected.is_declared {
        format!("{name}, which `types` declares")
    } else {
        format!("{name} as those of the sample; declare the column in `types`, `text` takes all")
    }
}

/// A cell that does not fit.
struct Misfit {
    row: usize,
    value: Vec<u8>,
}

fn array(column: Column, expected: Expected, rows: usize) -> Result<ArrayRef, Misfit> {
    let is_declared = expected.is_declared;
    Ok(match expected.column_type {
        ColumnType::Int64 => {
            let found = values(&column, rows, is_declared, |cell: &[u8]| integer(cell, is_declared))?;
            Arc::new(Int64Array::from(found))
        }
        ColumnType::Float64 => {
            let found = values(&column, rows, is_declared, |cell: &[u8]| float(cell, is_declared))?;
            Arc::new(Float64Array::from(found))
        }
        ColumnType::Boolean => Arc::new(BooleanArray::from(values(&column, rows, is_declared, types::boolean)?)),
        ColumnType::Date => Arc::new(Date32Array::from(values(&column, rows, is_declared, types::date)?)),
        ColumnType::Timestamp => {
            let found = values(&column, rows, is_declared, |cell: &[u8]| micros(cell, Zone::None))?;
            Arc::new(TimestampMicrosecondArray::from(found))
        }
        ColumnType::TimestampUtc => {
            let found = values(&column, rows, is_declared, |cell: &[u8]| micros(cell, Zone::Offset))?;
            Arc::new(TimestampMicrosecondArray::from(found).with_timezone(UTC))
        }
        ColumnType::Text => Arc::new(text_array(column, rows)?),
    })
}

/// Read an integer; what a user has declared may have leading zeros or a plus.
fn integer(cell: &[u8], is_declared: bool) -> Option<i64> {
    if is_declared { std::str::from_utf8(cell).ok()?.parse().ok() } else { types::integer(cell) }
}

/// Read a number; what a user has declared may have more digits, which are rounded.
fn float(cell: &[u8], is_declared: bool) -> Option<f64> {
    if is_declared {
        return std::str::from_utf8(cell).ok()?.parse().ok();
    }
    types::float(cell).filter(|_| is_exact(cell))
}

fn micros(cell: &[u8], wanted: Zone) -> Option<i64> {
    types::timestamp(cell).filter(|(_, zone)| *zone == wanted).map(|(micros, _)| micros)
}

/// Whether a number is the same as a float64, as far as it is an integer.
fn is_exact(cell: &[u8]) -> bool {
    types::integer(cell).is_none_or(|integer| integer.unsigned_abs() <= types::EXACT_IN_FLOAT64)
}

/// Read each cell; a column without any has no values.
fn values<T: Clone>(
    column: &Column,
    rows: usize,
    is_declared: bool,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<Option<T>>, Misfit> {
    let mut values = Vec::with_capacity(rows);
    for (row, (tag, cell)) in column.cells().enumerate() {
        values.push(match tag {
            Tag::Null => None,
            Tag::Text if cell.is_empty() && is_declared => None,
            Tag::Text if !is_declared => return Err(Misfit { row, value: cell.to_vec() }),
            Tag::Bare | Tag::Text => Some(parse(cell).ok_or_else(|| Misfit { row, value: cell.to_vec() })?),
        });
    }
    values.resize(rows, None);
    Ok(values)
}

fn text_array(column: Column, rows: usize) -> Result<StringArray, Misfit> {
    let (data, ends, tags) = column.into_parts();
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    // A batch is far below 2 GiB: see its weight.
    offsets.extend(ends.iter().map(|&end| end as i32));
    offsets.resize(rows + 1, data.len() as i32);
    let is_there = (0..rows).map(|row| tags.get(row).is_some_and(|&tag| tag != Tag::Null));
    let nulls = NullBuffer::from_iter(is_there);
    let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
    let bounds = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let buffer = Buffer::from_vec(data);
    StringArray::try_new(bounds.clone(), buffer.clone(), nulls).map_err(|_| {
        let cell = |row: usize| &buffer[bounds[row] as usize..bounds[row + 1] as usize];
        let row = (0..rows).find(|&row| std::str::from_utf8(cell(row)).is_err()).unwrap_or_default();
        Misfit { row, value: cell(row).to_vec() }
    })
}
