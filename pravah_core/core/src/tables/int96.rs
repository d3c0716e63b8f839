//! Times of Parquet files in 96 bits, as Spark and Hive used to write them: days and nanoseconds of any year.
//!
//! They become 64 bits of nanoseconds, and their reader turns years beyond that over: such a file is refused.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, cast::AsArray, types::TimestampSecondType};
use arrow_schema::{DataType, Field, FieldRef, Schema, TimeUnit};
use bytes::Bytes;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    basic::Type,
    errors::Result,
};

use super::BATCH_ROWS;

/// Seconds before and after 1970 that 64 bits of nanoseconds hold.
const MOST_SECONDS: i64 = i64::MAX / 1_000_000_000 - 1;

/// Find a time beyond 64 bits of nanoseconds: gives the column that it is in.
pub fn beyond(file: &Bytes, metadata: &ArrowReaderMetadata) -> Result<Option<String>> {
    let leaves = metadata.parquet_schema().columns().iter().enumerate();
    let leaves: Vec<_> =
        leaves.filter(|(_, leaf)| leaf.physical_type() == Type::INT96).map(|(position, _)| position).collect();
    if leaves.is_empty() {
        return Ok(None);
    }
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), leaves);
    let options = ArrowReaderOptions::new().with_schema(Arc::new(in_seconds(metadata.schema())));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata);
    for batch in builder.with_batch_size(BATCH_ROWS).with_projection(mask).build()? {
        let batch = batch?;
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if has_beyond(column) {
                return Ok(Some(field.name().clone()));
            }
        }
    }
    Ok(None)
}

/// The schema with all times of nanoseconds without a zone in seconds, which none of 96 bits is beyond.
fn in_seconds(schema: &Schema) -> Schema {
    Schema::new_with_metadata(schema.fields().iter().map(field).collect::<Vec<_>>(), schema.metadata().clone())
}

fn field(given: &FieldRef) -> FieldRef {
    let data_type = match given.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, None) => DataType::Timestamp(TimeUnit::Second, None),
        DataType::List(inner) => DataType::List(field(inner)),
        DataType::LargeList(inner) => DataType::LargeList(field(inner)),
        DataType::FixedSizeList(inner, size) => DataType::FixedSizeList(field(inner), *size),
        DataType::Struct(inner) => DataType::Struct(inner.iter().map(field).collect()),
        DataType::Map(inner, sorted) => DataType::Map(field(inner), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(given.name(), data_type, given.is_nullable()).with_metadata(given.metadata().clone()))
}

fn has_beyond(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => column
            .as_primitive::<TimestampSecondType>()
            .iter()
            .flatten()
            .any(|seconds| seconds.unsigned_abs() > MOST_SECONDS as u64),
        DataType::List(_) => has_beyond(column.as_list::<i32>().values()),
        DataType::LargeList(_) => has_beyond(column.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => has_beyond(column.as_fixed_size_list().values()),
        DataType::Struct(_) => column.as_struct().columns().iter().any(has_beyond),
        DataType::Map(..) => column.as_map().entries().columns().iter().any(has_beyond),
        _ => false,
    }
}
