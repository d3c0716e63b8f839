//! Columns of Avro files, from the schema in their header, and rows by the counts of their blocks.
//!
//! The format is that of the Avro 1.12 specification, "Object Container Files"; only the header and the blocks' sizes
//! are read, which is too little to take a library for.

use bytes::Bytes;
use serde_json::Value;

use super::{
    super::{Looked, Parts},
    MOST_COLUMNS, SAMPLE_BYTES,
    findings::{Findings, Rows, Seen},
    format::Format,
    too_many_columns,
};
use crate::{Error, Result};

/// What an Avro file begins with.
pub const MAGIC: [u8; 4] = *b"Obj\x01";

/// What stands behind the header and each block.
const SYNC_BYTES: usize = 16;

/// Bytes of a schema that is read: what they are read into takes up to sixty times as many.
const SCHEMA_BYTES: usize = 256 << 10;

/// Depth up to which types are told.
const DEPTH: usize = 16;

/// Letters of a type's name that are told.
const TYPE_BYTES: usize = 4 << 10;

/// Find the columns of an Avro file.
pub fn read(parts: &Parts) -> Looked<Findings> {
    let sample = parts.first(SAMPLE_BYTES as u64)?;
    let mut rest = Walk { bytes: sample.clone(), at: MAGIC.len(), is_whole: sample.len() as u64 == parts.size_bytes() };
    let schema = rest.schema()?;
    let sync = rest.take(SYNC_BYTES as i64, "its header")?;
    let columns = columns(&schema)?;
    let rows = rest.rows(&sync, parts.size_bytes())?;
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

/// Walks over the beginning of a file.
struct Walk {
    bytes: Bytes,
    at: usize,
    is_whole: bool,
}

impl Walk {
    /// The schema of the header's metadata: a map, in blocks of so many pairs.
    fn schema(&mut self) -> Result<Value> {
        let mut schema = None;
        loop {
            let count = self.long("its header")?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long("its header")?; // the block's size, for those who skip it
            }
            for _ in 0..count.unsigned_abs() {
                let key = self.bytes("its header")?;
                let value = self.bytes("its header")?;
                if &key[..] == b"avro.schema" {
                    schema = Some(value);
                }
            }
        }
        let schema = schema.ok_or_else(|| corrupt("its header has no schema"))?;
        if schema.len() > SCHEMA_BYTES {
            let told = format!("its schema has {} bytes, at most {SCHEMA_BYTES} are read", schema.len());
            return Err(Error::UnsupportedInput(told));
        }
        serde_json::from_slice(&schema).map_err(|error| corrupt(&format!("its schema is no JSON: {error}")))
    }

    /// What the blocks tell, as far as they are seen.
    fn rows(&mut self, sync: &[u8], size_bytes: u64) -> Result<Rows> {
        let (start, mut rows, mut end) = (self.at as u64, 0_u64, self.at as u64);
        while self.at < self.bytes.len() {
            let begun = self.at;
            let (Ok(count), Ok(length)) = (self.long("a block"), self.long("a block")) else {
                if self.is_whole {
                    return Err(cut("a block"));
                }
                self.at = begun;
                break;
            };
            let (Ok(count), Ok(length)) = (u64::try_from(count), usize::try_from(length)) else {
                return Err(corrupt(&format!("a block at byte {begun} tells {count} rows in {length} bytes")));
            };
            let behind = self.at.checked_add(length).and_then(|at| at.checked_add(SYNC_BYTES));
            let behind = behind.filter(|behind| *behind as u64 <= size_bytes).ok_or_else(|| cut("a block"))?;
            if self.bytes.get(behind - SYNC_BYTES..behind).is_some_and(|found| found != sync) {
                return Err(corrupt(&format!("the block at byte {begun} does not end as the header does")));
            }
            (rows, self.at, end) = (rows.saturating_add(count), behind, behind as u64);
        }
        if end == size_bytes {
            return Ok(Rows::Exact(rows));
        }
        let (text_bytes, file_bytes) = (size_bytes, size_bytes);
        Ok(Rows::Seen(Seen { rows, before_bytes: start, until_bytes: end, text_bytes, file_bytes }))
    }

    /// A number: seven bits a byte, the lowest first, and zigzag.
    fn long(&mut self, what: &str) -> Result<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.ended(what))?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(corrupt(&format!("{what} has a number of more than 64 bits")))
    }

    fn bytes(&mut self, what: &str) -> Result<Bytes> {
        let length = self.long(what)?;
        self.take(length, what)
    }

    fn take(&mut self, length: i64, what: &str) -> Result<Bytes> {
        let length = usize::try_from(length).map_err(|_| corrupt(&format!("{what} tells {length} bytes")))?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.ended(what))?;
        let taken = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn ended(&self, what: &str) -> Error {
        if self.is_whole {
            return cut(what);
        }
        Error::UnsupportedInput(format!("{what} is longer than the {} bytes that are looked at", self.bytes.len()))
    }
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
