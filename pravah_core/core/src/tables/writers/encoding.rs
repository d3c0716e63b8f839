//! How columns of Parquet are best encoded, as the first rows of a file tell.
//!
//! A dictionary of values that hardly ever come twice is larger than the values, and takes most of the time to make.

use std::{collections::HashSet, hash::Hash};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::basic::Encoding;

/// Rows that are looked at: as many as a page has values of eight bytes in a few dozen KiB.
const SAMPLE_ROWS: usize = 8_192;

/// Give the columns that are better off without a dictionary, and their encoding where it is not the plain one.
pub fn plain_columns<'s>(schema: &'s Schema, batches: &[RecordBatch]) -> Vec<(&'s String, Option<Encoding>)> {
    let Some(first) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Vec::new() };
    let first = first.slice(0, first.num_rows().min(SAMPLE_ROWS));
    let columns = schema.fields().iter().zip(first.columns());
    columns
        .filter(|(_, column)| are_mostly_distinct(column))
        .map(|(field, _)| (field.name(), encoding(field.data_type())))
        .collect()
}

/// Numbers that lie close to those before them are small as differences.
fn encoding(data_type: &DataType) -> Option<Encoding> {
    let is_integer = matches!(
        data_type,
        DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _)
    );
    is_integer.then_some(Encoding::DELTA_BINARY_PACKED)
}

/// Whether more than half of the values are different ones; false for columns of which nobody knows.
fn are_mostly_distinct(column: &dyn Array) -> bool {
    match column.data_type() {
        DataType::Int32 => distinct(column.as_primitive::<Int32Type>().iter()),
        DataType::Int64 => distinct(column.as_primitive::<Int64Type>().iter()),
        DataType::Date32 => distinct(column.as_primitive::<Date32Type>().iter()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            distinct(column.as_primitive::<TimestampMicrosecondType>().iter())
        }
        DataType::Float64 => distinct(column.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits))),
        DataType::Utf8 => distinct(column.as_string::<i32>().iter()),
        DataType::LargeUtf8 => distinct(column.as_string::<i64>().iter()),
        _ => false,
    }
}

fn distinct<T: Hash + Eq>(values: impl Iterator<Item = Option<T>>) -> bool {
    let (mut seen, mut count) = (HashSet::new(), 0);
    for value in values.flatten() {
        seen.insert(value);
        count += 1;
    }
    2 * seen.len() > count
}
