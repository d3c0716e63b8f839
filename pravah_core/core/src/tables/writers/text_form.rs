//! Values as text: what CSV cells and JSON values are written from. A value that has no text is an error.

use std::{fmt, sync::Arc};

use arrow_array::{
    Array, ArrayRef, PrimitiveArray,
    cast::AsArray,
    types::{
        ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType,
    },
};
use arrow_buffer::NullBuffer;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_json::{Encoder, EncoderFactory, EncoderOptions, writer::NullableEncoder, writer::make_encoder};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, TimeUnit};
use serde::Serialize;

use super::instants::instants;
use crate::{Error, Result};

/// The text of each value of a column.
pub struct Texts {
    data: Vec<u8>,
    ends: Vec<usize>,
    nulls: Option<NullBuffer>,
}

impl Texts {
    /// The text of a row; none: a null.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.data[start..self.ends[row]])
    }

    /// Have the text of each value written behind those before it; a null has none.
    pub fn of(
        array: &dyn Array,
        mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<(), ArrowError>,
    ) -> Result<Self, ArrowError> {
        let nulls = array.logical_nulls();
        let (mut data, mut ends) = (Vec::new(), Vec::with_capacity(array.len()));
        for row in 0..array.len() {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                write(row, &mut data)?;
            }
            ends.push(data.len());
        }
        Ok(Self { data, ends, nulls })
    }

    /// Write values as the library does.
    pub fn formatted(array: &dyn Array) -> Result<Self, ArrowError> {
        let options = FormatOptions::new().with_display_error(false);
        let formatter = ArrayFormatter::try_new(array, &options)?;
        Self::of(array, |row, data| formatter.value(row).write(&mut Behind(data)))
    }
}

/// Takes text behind other bytes.
struct Behind<'d>(&'d mut Vec<u8>);

impl fmt::Write for Behind<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Give a column as CSV has it: nested values as JSON, and numbers with the digits that they have there.
pub fn texts(field: &FieldRef, column: &ArrayRef) -> Result<Texts> {
    let texts = match column.data_type() {
        DataType::Utf8 => strings(column, |row| column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => strings(column, |row| column.as_string::<i64>().value(row)),
        DataType::Utf8View => strings(column, |row| column.as_string_view().value(row)),
        other if other.is_nested() || other.is_floating() => {
            let options = json_options();
            make_encoder(field, column, &options).and_then(|mut encoder| {
                Texts::of(column, |row, data| {
                    let start = data.len();
                    encoder.encode(row, data);
                    if other.is_floating() && data[start] == b'"' {
                        // `"NaN"` and the like, which are bare in CSV.
                        data.pop();
                        data.remove(start);
                    }
                    Ok(())
                })
            })
        }
        _ => instants(&in_utc(column)),
    };
    texts.map_err(|error| unwritable(field.name(), &error))
}

/// How values become JSON.
pub fn json_options() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Exact))
}

/// The error of a column that a format can't hold.
pub fn unwritable(column: &str, error: &ArrowError) -> Error {
    Error::UnsupportedInput(format!("the column `{column}` can't be written: {error}"))
}

fn strings<'s>(column: &dyn Array, text: impl Fn(usize) -> &'s str) -> Result<Texts, ArrowError> {
    Texts::of(column, |row, data| {
        data.extend_from_slice(text(row).as_bytes());
        Ok(())
    })
}

/// Give instants in UTC, so that no database of zones is asked; other columns stay.
fn in_utc(column: &ArrayRef) -> ArrayRef {
    let DataType::Timestamp(unit, Some(_)) = column.data_type() else { return Arc::clone(column) };
    fn utc<T: arrow_array::types::ArrowTimestampType>(column: &ArrayRef) -> ArrayRef {
        Arc::new(column.as_primitive::<T>().clone().with_timezone_utc())
    }
    match unit {
        TimeUnit::Second => utc::<TimestampSecondType>(column),
        TimeUnit::Millisecond => utc::<TimestampMillisecondType>(column),
        TimeUnit::Microsecond => utc::<TimestampMicrosecondType>(column),
        TimeUnit::Nanosecond => utc::<TimestampNanosecondType>(column),
    }
}

/// Encodes what the library would lose: numbers that JSON has none for, and values whose text is an error.
#[derive(Debug)]
struct Exact;

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float16 => {
                Box::new(Floats(array.as_primitive::<Float16Type>(), |value| f64::from(value.to_f32())))
            }
            DataType::Float32 => Box::new(Float32s(array.as_primitive())),
            DataType::Float64 => Box::new(Floats(array.as_primitive::<Float64Type>(), |value| value)),
            other if other.is_temporal() => Box::new(Quoted(instants(&in_utc(&array.slice(0, array.len())))?)),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.logical_nulls())))
    }
}

/// Numbers; those that JSON does not have are text.
struct Floats<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>, fn(T::Native) -> f64);

impl<T: ArrowPrimitiveType> Encoder for Floats<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = (self.1)(self.0.value(row));
        write_float(value, &value, out);
    }
}

/// Numbers of 32 bits, which have fewer digits.
struct Float32s<'a>(&'a PrimitiveArray<Float32Type>);

impl Encoder for Float32s<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        write_float(f64::from(value), &value, out);
    }
}

fn write_float(value: f64, digits: &impl Serialize, out: &mut Vec<u8>) {
    if value.is_finite() {
        serde_json::to_writer(out, digits).expect("a buffer takes any number");
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if value > 0.0 { b"\"inf\"" } else { b"\"-inf\"" });
    }
}

/// Text that needs no escapes.
struct Quoted(Texts);

impl Encoder for Quoted {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.0.get(row).unwrap_or_default());
        out.push(b'"');
    }
}

/// The field of a whole row.
pub fn row_field(fields: &arrow_schema::Fields) -> FieldRef {
    Arc::new(Field::new_struct("", fields.clone(), false))
}
