//! Columns of Avro files, from the schema in their header, and rows by the counts of their blocks.

use serde_json::Value;

use super::{
    super::{Looked, Parts},
    MOST_COLUMNS, SAMPLE_BYTES,
    findings::{Findings, Rows, Seen},
    format::Format,
    too_many_columns,
};
use crate::{
    Error, Result,
    tables::avro::{BlockHeader, Cursor, Header, SYNC_BYTES, Stop},
};

pub use crate::tables::avro::MAGIC;

/// Depth up to which types are told.
const DEPTH: usize = 16;

/// Letters of a type's name that are told.
const TYPE_BYTES: usize = 4 << 10;

/// Find the columns of an Avro file.
pub fn read(parts: &Parts) -> Looked<Findings> {
    let sample = parts.first(SAMPLE_BYTES as u64)?;
    let is_whole = sample.len() as u64 == parts.size_bytes();
    let header = Header::read(&sample).map_err(|stop| match stop {
        Stop::Ended if is_whole => cut("its header"),
        Stop::Ended => {
            Error::UnsupportedInput(format!("its header is longer than the {} bytes that are looked at", sample.len()))
        }
        Stop::Bad(why) => corrupt(&why),
        Stop::Beyond(why) => Error::UnsupportedInput(why),
    })?;
    let columns = columns(&header.schema)?;
    let rows = rows(&sample, &header, parts.size_bytes())?;
    Ok(Findings {
        format: Format::Avro,
        compression: None,
        encoding: None,
        dialect: None,
        header_likely: None,
        columns,
        rows,
    })
}

/// What the blocks tell, as far as they are seen.
fn rows(sample: &[u8], header: &Header, size_bytes: u64) -> Result<Rows> {
    let start = header.size_bytes;
    let (mut rows, mut at) = (0_u64, start);
    while at < sample.len() {
        let mut rest = Cursor::new(&sample[at..]);
        let block = match BlockHeader::read(&mut rest) {
            Ok(block) => block,
            Err(Stop::Ended) if sample.len() as u64 == size_bytes => return Err(cut("a block")),
            Err(Stop::Ended) => break,
            Err(Stop::Bad(why) | Stop::Beyond(why)) => return Err(corrupt(&format!("the block at byte {at}: {why}"))),
        };
        let behind = (at + rest.offset()).checked_add(block.packed_bytes).and_then(|at| at.checked_add(SYNC_BYTES));
        let behind = behind.filter(|behind| *behind as u64 <= size_bytes).ok_or_else(|| cut("a block"))?;
        if sample.get(behind - SYNC_BYTES..behind).is_some_and(|found| found != header.sync) {
            return Err(corrupt(&format!("the block at byte {at} does not end as the header does")));
        }
        (rows, at) = (rows.saturating_add(block.rows), behind);
    }
    let (start, end) = (start as u64, at as u64);
    if end == size_bytes {
        return Ok(Rows::Exact(rows));
    }
    let (text_bytes, file_bytes) = (size_bytes, size_bytes);
    Ok(Rows::Seen(Seen { rows, before_bytes: start, until_bytes: end, text_bytes, file_bytes }))
}

fn corrupt(what: &str) -> Error {
    Error::CorruptInput(format!("no Avro file: {what}"))
}

fn cut(what: &str) -> Error {
    Error::TruncatedInput(format!("the Avro file is cut off: {what} goes on behind its end"))
}

/// Names and types of a schema's fields; of what is no record, there is one column.
fn columns(schema: &Value) -> Result<Vec<(String, String)>> {
    let Some(fields) = schema["fields"].as_array().filter(|_| schema["type"] == "record") else {
        return Ok(vec![("value".to_owned(), type_name(schema, 0))]);
    };
    if fields.len() > MOST_COLUMNS {
        return Err(too_many_columns(fields.len()));
    }
    let name = |field: &Value| field["name"].as_str().map(str::to_owned);
    let column = |field| Ok((name(field).ok_or_else(|| corrupt("a field has no name"))?, type_name(&field["type"], 0)));
    fields.iter().map(column).collect()
}

/// The type as Parquet and Arrow have it here.
fn type_name(schema: &Value, depth: usize) -> String {
    let mut name = match schema {
        Value::String(name) => return primitive(name),
        // What may be null has the type of its values.
        Value::Array(choices) => {
            let mut values = choices.iter().filter(|choice| *choice != "null");
            return match (values.next(), values.next()) {
                (None, _) => "null".to_owned(),
                (Some(value), None) => type_name(value, depth),
                _ => "mixed".to_owned(),
            };
        }
        _ if depth == DEPTH => "…".to_owned(),
        _ => match (schema["logicalType"].as_str(), schema["type"].as_str()) {
            (Some("date"), _) => "date".to_owned(),
            (Some("decimal"), _) => {
                let digits = |key: &str| schema[key].as_u64().unwrap_or_default();
                format!("decimal({},{})", digits("precision"), digits("scale"))
            }
            (Some(logical), _) if logical.contains("timestamp") => "timestamp".to_owned(),
            (Some(logical), _) if logical.starts_with("time-") => "time".to_owned(),
            (_, Some("array")) => format!("list<{}>", type_name(&schema["items"], depth + 1)),
            (_, Some("map")) => format!("map<text, {}>", type_name(&schema["values"], depth + 1)),
            (_, Some("record")) => {
                let field = |field: &Value| {
                    format!("{}: {}", field["name"].as_str().unwrap_or_default(), type_name(&field["type"], depth + 1))
                };
                let fields: Vec<_> = schema["fields"].as_array().into_iter().flatten().map(field).collect();
                format!("object<{}>", fields.join(", "))
            }
            (_, Some("enum")) => "text".to_owned(),
            (_, Some("fixed")) => "binary".to_owned(),
            (_, Some(name)) => primitive(name),
            (_, None) => type_name(&schema["type"], depth + 1),
        },
    };
    if name.len() > TYPE_BYTES {
        let cut = (0..=TYPE_BYTES).rev().find(|at| name.is_char_boundary(*at)).unwrap_or_default();
        name.truncate(cut);
    }
    name
}

/// The type of this name; one that a schema has given itself is told as it is called.
fn primitive(name: &str) -> String {
    let known = match name {
        "int" => "int32",
        "long" => "int64",
        "float" => "float32",
        "double" => "float64",
        "string" => "text",
        "bytes" => "binary",
        _ => name,
    };
    known.to_owned()
}
