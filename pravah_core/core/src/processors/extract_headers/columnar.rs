//! Columns and rows of Parquet and Arrow files, whose last bytes tell where everything is.

use std::ops::Range;

use arrow_ipc::{Block, MessageHeader, root_as_footer, root_as_message};
use arrow_schema::{DataType, Field, Schema};
use parquet::{arrow::parquet_to_arrow_schema, file::metadata::ParquetMetaDataReader};

use super::{
    super::{Halt, Looked, Parts},
    MOST_COLUMNS,
    findings::{Findings, Rows},
    format::Format,
    step::TAIL_BYTES,
    too_many_columns,
};
use crate::{Error, Result};

/// What a Parquet file begins and ends with; where its footer is encrypted, its end differs.
pub const PARQUET_MAGIC: [u8; 4] = *b"PAR1";
const ENCRYPTED_MAGIC: [u8; 4] = *b"PARE";

/// What an Arrow file begins with: a word, and two bytes that align what follows.
pub const ARROW_MAGIC: [u8; 8] = *b"ARROW1\0\0";

/// Bytes at a file's end that are looked at first: most footers are smaller.
const END_BYTES: u64 = 64 << 10;

/// Batches of an Arrow file whose rows are counted; of those with more the number of rows is estimated.
const COUNTED_BATCHES: usize = 256;

/// Bytes that reading a file of this size takes: its end, and what that is read into, which is larger.
pub fn need(size_bytes: u64) -> u64 {
    6 * size_bytes.min(TAIL_BYTES as u64)
}

/// Find the columns of a file of this format.
pub fn read(format: Format, parts: &Parts) -> Looked<Findings> {
    match format {
        Format::Arrow => arrow(parts),
        _ => parquet(parts),
    }
}

fn parquet(parts: &Parts) -> Looked<Findings> {
    let cut = || Error::TruncatedInput("the file does not end with `PAR1`, as Parquet does".to_owned());
    let end = parts.size_bytes();
    let Some(end_of_footer) = end.checked_sub(8).filter(|at| *at >= PARQUET_MAGIC.len() as u64) else {
        return Err(cut().into());
    };
    let tail = parts.get(end.saturating_sub(END_BYTES)..end)?;
    let (length, magic) = tail[tail.len() - 8..].split_at(4);
    if magic == ENCRYPTED_MAGIC {
        return Err(Error::UnsupportedInput("its Parquet footer is encrypted".to_owned()).into());
    }
    if magic != PARQUET_MAGIC {
        return Err(cut().into());
    }
    let length = u32::from_le_bytes(length.try_into().expect("are four bytes"));
    let footer = parts.get(footer("Parquet", u64::from(length), PARQUET_MAGIC.len() as u64..end_of_footer)?)?;
    let damaged = |error: parquet::errors::ParquetError| Error::CorruptInput(format!("its Parquet footer: {error}"));
    let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(damaged)?;
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).map_err(damaged)?;
    let rows = u64::try_from(file.num_rows());
    let rows = rows.map_err(|_| Error::CorruptInput(format!("its Parquet footer tells {} rows", file.num_rows())))?;
    Ok(found(Format::Parquet, &schema, Rows::Exact(rows))?)
}

/// Where a footer of this length is, which ends where the room for it does.
fn footer(format: &str, length: u64, room: Range<u64>) -> Result<Range<u64>> {
    let start = room.end.checked_sub(length).filter(|start| *start >= room.start).ok_or_else(|| {
        let room = room.end - room.start;
        Error::CorruptInput(format!("its {format} footer has {length} bytes, there is room for {room}"))
    })?;
    if length > TAIL_BYTES as u64 - 16 {
        let most = TAIL_BYTES - 16;
        return Err(Error::UnsupportedInput(format!(
            "its {format} footer has {length} bytes, at most {most} are read"
        )));
    }
    Ok(start..room.end)
}

fn arrow(parts: &Parts) -> Looked<Findings> {
    let damaged = |what: String| Error::CorruptInput(format!("its Arrow footer: {what}"));
    let end = parts.size_bytes();
    let cut = || Error::TruncatedInput("the file does not end with `ARROW1`, as Arrow files do".to_owned());
    let Some(end_of_footer) = end.checked_sub(10).filter(|at| *at >= ARROW_MAGIC.len() as u64) else {
        return Err(cut().into());
    };
    let tail = parts.get(end.saturating_sub(END_BYTES)..end)?;
    let (length, magic) = tail[tail.len() - 10..].split_at(4);
    if magic != &ARROW_MAGIC[..6] {
        return Err(cut().into());
    }
    let length = u32::from_le_bytes(length.try_into().expect("are four bytes"));
    let room = ARROW_MAGIC.len() as u64..end_of_footer;
    let bytes = parts.get(footer("Arrow", u64::from(length), room.clone())?)?;
    let footer = root_as_footer(&bytes).map_err(|error| damaged(error.to_string()))?;
    let schema = footer.schema().ok_or_else(|| damaged("it has no schema".to_owned()))?;
    let schema = arrow_ipc::convert::try_fb_to_schema(schema).map_err(|error| damaged(error.to_string()))?;
    let batches: Vec<Block> = footer.recordBatches().map(|blocks| blocks.iter().copied().collect()).unwrap_or_default();
    let rows = match rows_of(&batches, parts, room) {
        // What has passed tells no more.
        Err(Halt::Failed(Error::UnsupportedInput(_))) if !parts.can_grow() => Rows::Unknown,
        rows => rows?,
    };
    Ok(found(Format::Arrow, &schema, rows)?)
}

/// Count the rows of batches, each of which tells them at its beginning.
fn rows_of(batches: &[Block], parts: &Parts, room: Range<u64>) -> Looked<Rows> {
    let mut rows = 0_u64;
    let (counted, others) = batches.split_at(batches.len().min(COUNTED_BATCHES));
    for block in counted {
        let range = u64::try_from(block.offset()).ok().zip(u64::try_from(block.metaDataLength()).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let range = range.filter(|range| room.start <= range.start && range.end <= room.end);
        let misplaced = || Error::CorruptInput("its Arrow footer: a batch is outside the file".to_owned());
        let metadata = parts.get(range.ok_or_else(misplaced)?)?;
        rows = rows.saturating_add(rows_of_batch(&metadata)?);
    }
    if others.is_empty() {
        return Ok(Rows::Exact(rows));
    }
    // All but the last have as many rows, mostly.
    let all = u128::from(rows) * batches.len() as u128 / counted.len() as u128;
    Ok(Rows::Estimated(u64::try_from(all).unwrap_or(u64::MAX)))
}

/// The rows that a batch's message tells. A mark, which old files lack, and its length stand before it.
fn rows_of_batch(metadata: &[u8]) -> Result<u64> {
    let skipped = if metadata.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let message = root_as_message(metadata.get(skipped..).unwrap_or_default());
    let message = message.map_err(|error| Error::CorruptInput(format!("a batch of its Arrow file: {error}")))?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        _ => None,
    };
    let rows = batch.and_then(|batch| u64::try_from(batch.length()).ok());
    rows.ok_or_else(|| Error::CorruptInput("its Arrow footer: what should be a batch is none".to_owned()))
}

fn found(format: Format, schema: &Schema, rows: Rows) -> Result<Findings> {
    if schema.fields().len() > MOST_COLUMNS {
        return Err(too_many_columns(schema.fields().len()));
    }
    let columns = schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
    Ok(Findings { format, compression: None, encoding: None, dialect: None, header_likely: None, columns, rows })
}

/// The type as it is called for texts where they have it, else as Arrow calls it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, _) => "timestamp".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => format!("object<{}>", members(fields.iter().map(AsRef::as_ref))),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => format!("map<{}>", members(fields.iter().map(AsRef::as_ref))),
            other => format!("map<{}>", type_name(other)),
        },
        // `Boolean`, `Int64`, `UInt8`, `Float32`, `Null`, `Duration(Second)`, …
        other => other.to_string().to_ascii_lowercase(),
    }
}

fn members<'f>(fields: impl Iterator<Item = &'f Field>) -> String {
    fields.map(|field| format!("{}: {}", field.name(), type_name(field.data_type()))).collect::<Vec<_>>().join(", ")
}
