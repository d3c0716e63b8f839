//! Rows of Avro: the values of all columns one after the other.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{
        Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type,
        Time32MillisecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType,
    },
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Schema, TimeUnit};

use super::{
    super::text_form::{Texts, texts, unwritable},
    schema::stored_type,
    write_long,
};
use crate::{Error, Result};

/// The rows of a batch.
pub struct Rows<'b>(Vec<Column<'b>>);

/// Writes the value of a row.
type Write<'b> = Box<dyn Fn(usize, &mut Vec<u8>) + 'b>;

struct Column<'b> {
    is_nullable: bool,
    column: &'b ArrayRef,
    write: Write<'b>,
}

impl<'b> Rows<'b> {
    /// Begin with a batch.
    pub fn new(schema: &Schema, batch: &'b RecordBatch) -> Result<Self> {
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| {
            let is_nullable = field.is_nullable() && *field.data_type() != DataType::Null;
            Ok(Column { is_nullable, column, write: writer(field, column)? })
        });
        columns.collect::<Result<_>>().map(Self)
    }

    /// Write a row.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        for Column { is_nullable, column, write } in &self.0 {
            if *is_nullable {
                let is_null = column.is_null(row);
                write_long(i64::from(!is_null), out); // the branch
                if is_null {
                    continue;
                }
            }
            write(row, out);
        }
        Ok(())
    }
}

fn writer<'b>(field: &FieldRef, column: &'b ArrayRef) -> Result<Write<'b>> {
    let stored = stored_type(field.data_type());
    if stored == DataType::Utf8 {
        return text_writer(field, column);
    }
    let column = stored_column(field, column, &stored)?;
    macro_rules! longs {
        ($kind:ty) => {{
            let values = column.as_primitive::<$kind>().values().clone();
            Box::new(move |row: usize, out: &mut Vec<u8>| write_long(i64::from(values[row]), out))
        }};
    }
    macro_rules! bytes {
        ($kind:ty, $write:expr) => {{
            let values = column.as_primitive::<$kind>().values().clone();
            Box::new(move |row: usize, out: &mut Vec<u8>| ($write)(values[row], out))
        }};
    }
    Ok(match &stored {
        DataType::Null => Box::new(|_, _| {}),
        DataType::Boolean => {
            let values = column.as_boolean().clone();
            Box::new(move |row, out| out.push(u8::from(values.value(row))))
        }
        DataType::Int32 => longs!(Int32Type),
        DataType::Int64 => longs!(Int64Type),
        DataType::Date32 => longs!(Date32Type),
        DataType::Time32(_) => longs!(Time32MillisecondType),
        DataType::Time64(_) => longs!(Time64MicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => longs!(TimestampNanosecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => longs!(TimestampMicrosecondType),
        DataType::Timestamp(..) => longs!(TimestampMillisecondType),
        DataType::Float32 => bytes!(Float32Type, |value: f32, out: &mut Vec<u8>| out.extend(value.to_le_bytes())),
        DataType::Float64 => bytes!(Float64Type, |value: f64, out: &mut Vec<u8>| out.extend(value.to_le_bytes())),
        DataType::Decimal128(..) => {
            bytes!(Decimal128Type, |value: i128, out: &mut Vec<u8>| write_decimal(&value.to_be_bytes(), out))
        }
        DataType::Decimal256(..) => bytes!(Decimal256Type, |value: arrow_buffer::i256, out: &mut Vec<u8>| {
            write_decimal(&value.to_be_bytes(), out);
        }),
        DataType::Binary => {
            let values = column.as_binary::<i32>().clone();
            Box::new(move |row, out| write_bytes(values.value(row), out))
        }
        other => {
            let told = format!("the column `{}` can't be written as Avro: it is stored as {other}", field.name());
            return Err(Error::UnsupportedInput(told));
        }
    })
}

fn text_writer<'b>(field: &FieldRef, column: &'b ArrayRef) -> Result<Write<'b>> {
    if let DataType::Utf8 = field.data_type() {
        let values = column.as_string::<i32>();
        return Ok(Box::new(move |row, out| write_bytes(values.value(row).as_bytes(), out)));
    }
    let texts: Texts = texts(field, column)?;
    Ok(Box::new(move |row, out| write_bytes(texts.get(row).unwrap_or_default(), out)))
}

/// Give a column the type that it is stored with; what would be lost is an error.
fn stored_column(field: &Field, column: &ArrayRef, stored: &DataType) -> Result<ArrayRef> {
    if column.data_type() == stored {
        return Ok(Arc::clone(column));
    }
    if let DataType::Time64(TimeUnit::Nanosecond) = column.data_type() {
        let nanos = column.as_primitive::<Time64NanosecondType>();
        if let Some(lost) = nanos.iter().flatten().find(|nanos| nanos % 1_000 != 0) {
            let told = format!(
                "the column `{}` can't be written as Avro, whose times of day have microseconds: one has {lost} \
                 nanoseconds",
                field.name()
            );
            return Err(Error::UnsupportedInput(told));
        }
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, stored, &options).map_err(|error| unwritable(field.name(), &error))
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Write a decimal number in as few bytes as it needs.
fn write_decimal(whole: &[u8], out: &mut Vec<u8>) {
    let filler = if whole[0] & 0x80 == 0 { 0 } else { 0xff };
    let is_filler = |at: &usize| whole[*at] == filler && whole[at + 1] & 0x80 == filler & 0x80;
    let start = (0..whole.len() - 1).take_while(is_filler).count();
    write_bytes(&whole[start..], out);
}
