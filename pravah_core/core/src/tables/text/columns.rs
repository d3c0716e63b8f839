//! Columns of types, filled cell by cell; a cell that its column can't hold is told, never a null.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};

use crate::{
    Error, Result,
    processors::{
        ColumnType, Tag,
        column_types::{self as types, Zone},
    },
};

/// What a column has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub column_type: ColumnType,
    /// The user has said so: empty text is null, and forms are taken that would not be guessed.
    pub is_declared: bool,
}

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// The name of the zone of instants.
const UTC: &str = "UTC";

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

/// A column that is being filled.
pub struct Column {
    pub expected: Expected,
    values: Values,
    /// Whether each row has a value.
    validity: Vec<bool>,
    has_nulls: bool,
}

enum Values {
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    Boolean(Vec<bool>),
    Date(Vec<i32>),
    Micros(Vec<i64>),
    Text { data: Vec<u8>, offsets: Vec<i32> },
}

impl Column {
    /// Begin without rows.
    pub fn new(expected: Expected) -> Self {
        let values = match expected.column_type {
            ColumnType::Int64 => Values::Int64(Vec::new()),
            ColumnType::Float64 => Values::Float64(Vec::new()),
            ColumnType::Boolean => Values::Boolean(Vec::new()),
            ColumnType::Date => Values::Date(Vec::new()),
            ColumnType::Timestamp | ColumnType::TimestampUtc => Values::Micros(Vec::new()),
            ColumnType::Text => Values::Text { data: Vec::new(), offsets: vec![0] },
        };
        Self { expected, values, validity: Vec::new(), has_nulls: false }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.validity.len()
    }

    /// Add a cell; false: the column can't hold it, and a null stands for it.
    #[inline]
    pub fn push(&mut self, tag: Tag, cell: &[u8]) -> bool {
        let Expected { column_type, is_declared } = self.expected;
        let is_empty = tag == Tag::Empty || (tag == Tag::Text && cell.is_empty() && is_declared);
        if tag == Tag::Null || (is_empty && column_type != ColumnType::Text) {
            self.push_null();
            return true;
        }
        let fits = (matches!(tag, Tag::Bare | Tag::Day) || is_declared || column_type == ColumnType::Text)
            && self.values.push(tag, cell, self.expected);
        if fits {
            self.validity.push(true);
        } else {
            self.push_null();
        }
        fits
    }

    /// Add a null.
    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Int64(values) | Values::Micros(values) => values.push(0),
            Values::Float64(values) => values.push(0.0),
            Values::Boolean(values) => values.push(false),
            Values::Date(values) => values.push(0),
            Values::Text { data, offsets } => offsets.push(data.len() as i32),
        }
        self.validity.push(false);
        self.has_nulls = true;
    }

    /// Forget the rows behind so many.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Int64(values) | Values::Micros(values) => values.truncate(rows),
            Values::Float64(values) => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
            Values::Date(values) => values.truncate(rows),
            Values::Text { data, offsets } => {
                offsets.truncate(rows + 1);
                data.truncate(offsets[rows] as usize);
            }
        }
        self.validity.truncate(rows);
    }

    /// Give the column; its texts have to be UTF-8.
    pub fn finish(self) -> Result<ArrayRef> {
        let nulls = if self.has_nulls { Some(NullBuffer::from(self.validity)) } else { None };
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        Ok(match self.values {
            Values::Int64(values) => Arc::new(Int64Array::new(values.into(), nulls)),
            Values::Float64(values) => Arc::new(Float64Array::new(values.into(), nulls)),
            Values::Boolean(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)),
            Values::Date(values) => Arc::new(Date32Array::new(values.into(), nulls)),
            Values::Micros(values) => {
                let micros = TimestampMicrosecondArray::new(values.into(), nulls);
                match self.expected.column_type {
                    ColumnType::TimestampUtc => Arc::new(micros.with_timezone(UTC)),
                    _ => Arc::new(micros),
                }
            }
            Values::Text { data, offsets } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                let texts = StringArray::try_new(offsets, Buffer::from_vec(data), nulls);
                Arc::new(texts.map_err(|error| Error::InvalidUtf8(error.to_string()))?)
            }
        })
    }
}

impl Values {
    /// Add a value; false: the cell is none.
    #[inline]
    fn push(&mut self, tag: Tag, cell: &[u8], expected: Expected) -> bool {
        fn add<T>(values: &mut Vec<T>, value: Option<T>) -> bool {
            let fits = value.is_some();
            values.extend(value);
            fits
        }
        let is_declared = expected.is_declared;
        match self {
            Self::Int64(values) => add(values, integer(cell, is_declared)),
            Self::Float64(values) => add(values, float(cell, is_declared)),
            Self::Boolean(values) => add(values, types::boolean(cell)),
            Self::Date(values) => add(values, types::date(cell)),
            Self::Micros(values) if tag == Tag::Day && expected.column_type == ColumnType::Timestamp => {
                add(values, types::date(cell).map(|days| i64::from(days) * DAY_MICROS))
            }
            Self::Micros(values) => {
                let wanted = if expected.column_type == ColumnType::Timestamp { Zone::None } else { Zone::Offset };
                let micros = types::timestamp(cell).filter(|(_, zone)| *zone == wanted);
                add(values, micros.map(|(micros, _)| micros))
            }
            Self::Text { data, offsets } => {
                data.extend_from_slice(cell);
                // A piece is bounded far below 2 GiB.
                offsets.push(data.len() as i32);
                true
            }
        }
    }
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

/// Whether a number is the same as a float64, as far as it is an integer.
fn is_exact(cell: &[u8]) -> bool {
    types::integer(cell).is_none_or(|integer| integer.unsigned_abs() <= types::EXACT_IN_FLOAT64)
}
