//! Columns of Parquet, from the end of the file, and of Arrow files, from their beginning.

use std::collections::VecDeque;

use arrow_schema::{DataType, Field, Schema};
use parquet::{arrow::parquet_to_arrow_schema, file::metadata::ParquetMetaDataReader};

use super::{
    MOST_COLUMNS,
    findings::{Findings, Rows},
    format::Format,
    text::Text,
    too_many_columns,
};
use crate::{Error, Result};

/// What a Parquet file begins and ends with; where its footer is encrypted, its end differs.
pub const PARQUET_MAGIC: [u8; 4] = *b"PAR1";
const ENCRYPTED_MAGIC: [u8; 4] = *b"PARE";

/// What an Arrow file begins with: a word, and two bytes that align what follows.
pub const ARROW_MAGIC: [u8; 8] = *b"ARROW1\0\0";

/// What parts of Arrow files are aligned to.
const PADDING_BYTES: usize = 8;

/// Bytes at a file's end that are kept: footers grow with columns and row groups, and few are larger.
const TAIL_BYTES: usize = 8 << 20;

/// The footer's length, and the magic.
const END_BYTES: usize = 8;

/// Bytes that reading a file of this size takes: its end, and what that is read into, which is larger.
pub fn need(size_bytes: u64) -> u64 {
    6 * size_bytes.min(TAIL_BYTES as u64)
}

/// The last bytes of a file.
pub struct Tail {
    bytes: VecDeque<u8>,
    size_bytes: u64,
}

impl Tail {
    /// Begin with the file's first bytes.
    pub fn new(beginning: &[u8]) -> Self {
        let mut tail = Self { bytes: VecDeque::new(), size_bytes: 0 };
        tail.push(beginning);
        tail
    }

    /// Take the next bytes.
    pub fn push(&mut self, piece: &[u8]) {
        self.size_bytes += piece.len() as u64;
        let kept = &piece[piece.len().saturating_sub(TAIL_BYTES)..];
        let surplus = (self.bytes.len() + kept.len()).saturating_sub(TAIL_BYTES);
        self.bytes.drain(..surplus);
        self.bytes.extend(kept);
    }
}

/// Find the columns of a Parquet file.
pub fn parquet(tail: &Tail) -> Result<Findings> {
    // Only at the end is it put in a row.
    let bytes: Vec<u8> = tail.bytes.iter().copied().collect();
    read_parquet(&bytes, tail.size_bytes)
}

/// Find the columns of a Parquet file in a compressed one.
pub fn packed_parquet(text: &Text<'_>) -> Result<Findings> {
    if !text.bytes.starts_with(&PARQUET_MAGIC) {
        return Err(Error::CorruptInput("the file does not begin with `PAR1`, as Parquet does".to_owned()));
    }
    if !text.is_whole {
        let message = "a compressed Parquet file is read only where it is small: its schema is at its end";
        return Err(Error::UnsupportedInput(message.to_owned()));
    }
    let found = read_parquet(&text.bytes, text.bytes.len() as u64)?;
    Ok(Findings { compression: text.compression, ..found })
}

fn read_parquet(tail: &[u8], size_bytes: u64) -> Result<Findings> {
    let footer = footer(tail, size_bytes)?;
    let damaged = |error: parquet::errors::ParquetError| Error::CorruptInput(format!("its Parquet footer: {error}"));
    let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(damaged)?;
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).map_err(damaged)?;
    let rows = u64::try_from(file.num_rows());
    let rows = rows.map_err(|_| Error::CorruptInput(format!("its Parquet footer tells {} rows", file.num_rows())))?;
    found(Format::Parquet, &schema, Rows::Exact(rows))
}

/// The footer without its length and the magic.
fn footer(tail: &[u8], size_bytes: u64) -> Result<&[u8]> {
    let cut = || Error::TruncatedInput("the file does not end with `PAR1`, as Parquet does".to_owned());
    let (before, magic) = tail.split_last_chunk::<4>().ok_or_else(cut)?;
    let (before, length) = before.split_last_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length);
    if *magic == ENCRYPTED_MAGIC {
        return Err(Error::UnsupportedInput("its Parquet footer is encrypted".to_owned()));
    }
    if *magic != PARQUET_MAGIC || size_bytes < (PARQUET_MAGIC.len() + END_BYTES) as u64 {
        return Err(cut());
    }
    if u64::from(length) > size_bytes - (PARQUET_MAGIC.len() + END_BYTES) as u64 {
        return Err(Error::CorruptInput(format!("its Parquet footer has {length} bytes, the file {size_bytes}")));
    }
    let start = before.len().checked_sub(length as usize);
    start.map(|start| &before[start..]).ok_or_else(|| {
        Error::UnsupportedInput(format!("its Parquet footer has {length} bytes, at most {TAIL_BYTES} are read"))
    })
}

/// Find the columns of an Arrow file; its rows are told all over it.
pub fn arrow(text: &Text<'_>) -> Result<Findings> {
    let message = text.bytes.strip_prefix(&ARROW_MAGIC).ok_or_else(|| {
        Error::UnsupportedInput("the file does not begin with `ARROW1`, as Arrow files do".to_owned())
    })?;
    // Writers pad what stands before the first message to 8 bytes, or to 64.
    let padding = message.chunks_exact(PADDING_BYTES).take_while(|chunk| **chunk == [0; PADDING_BYTES]).count();
    let schema = arrow_ipc::convert::try_schema_from_ipc_buffer(&message[PADDING_BYTES * padding..]);
    let schema = schema.map_err(|error| Error::CorruptInput(format!("its Arrow schema: {error}")))?;
    Ok(Findings { compression: text.compression, ..found(Format::Arrow, &schema, Rows::Unknown)? })
}

fn found(format: Format, schema: &Schema, rows: Rows) -> Result<Findings> {
    if schema.fields().len() > MOST_COLUMNS {
        return Err(too_many_columns(schema.fields().len()));
    }
    let columns = schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
    Ok(Findings { format, compression: None, encoding: None, dialect: None, columns, rows })
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
