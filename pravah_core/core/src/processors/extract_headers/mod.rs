//! `extract_headers`: what a file says of itself at its beginning: names and types of a table's columns, fields of
//! e-mail, headings of documents, EXIF of images; one record a file, of workbooks one a sheet.
//!
//! Only the sample is looked at, and of formats that tell more at their end, that: where no other step needs the file
//! the rest is not read, else it just passes.
//! What is told of the whole file (the number of rows) is exact where the sample is the whole file, else estimated by
//! bytes. The sample ends at the same byte however the file is cut into pieces, so records never depend on that.
//!
//! - `format`: which format a file has; `text`: its text, out of compression and encoding
//! - `delimited`: csv and tsv; `dialect`: delimiter and quote; `rows`: where fields begin and end
//! - `json`: ndjson and json; `columnar`: Parquet and Arrow; `avro`; `xlsx`; `kind`: types of values
//! - `email`, `html`, `markdown`, `image`: what is no table
//! - `findings`, `document`: what becomes the record; `step`: keeps what is looked at of a file that passes

mod avro;
mod columnar;
mod delimited;
pub(super) mod dialect;
mod document;
mod email;
mod findings;
pub(super) mod format;
mod html;
mod image;
pub(super) mod json;
mod kind;
mod markdown;
pub(super) mod rows;
mod step;
pub(super) mod text;
mod xlsx;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::{format::Format, step::HeadersStep, text::Text};
use super::{
    Descriptor, Example, Expected, Look, Looked, Native, Parts, Processor, Sample, Shape, Step,
    codecs::Codec,
    parameters::{self, parse},
};
use crate::{Error, Result};

/// The registry's line.
pub const NATIVE: Native = Native { name: "extract_headers", describe, build };

/// Bytes at a file's beginning that are looked at: thousands of rows, and read in no time.
const SAMPLE_BYTES: usize = 1 << 20;

/// Most columns of a table: what is found of them is held in memory.
const MOST_COLUMNS: usize = 1 << 14;

/// What a column takes at most while its record is made: two names, two words, and the maps around them.
const COLUMN_BYTES: u64 = 600;

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Whether the first row of csv and tsv has the names; if not, columns are named column_1, column_2, …
    #[serde(default = "yes")]
    #[schemars(extend("default" = true))]
    header: bool,
    /// What becomes of a file that is of no known format: it fails, or it passes without a record.
    #[serde(default)]
    #[schemars(extend("default" = "fail"))]
    unknown: Unknown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unknown {
    /// `unsupported_input`
    #[default]
    Fail,
    /// The dataset has nothing of it
    Pass,
}

fn yes() -> bool {
    true
}

struct ExtractHeaders(Parameters);

fn describe() -> Descriptor {
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "find columns of tables, fields of e-mail, headings of HTML and Markdown, EXIF of images",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: None,
        parameters: parameters::schema::<Parameters>(),
        examples: examples(),
    }
}

fn examples() -> Vec<Example> {
    let columns = |names: [&str; 3]| {
        let kinds = ["int64", "text", "float64"];
        Value::from_iter(names.iter().zip(kinds).map(|(name, kind)| json!({"name": name, "type": kind})))
    };
    let record = |columns: Value, delimiter: &str, header_likely: Option<bool>, rows: u64| {
        json!({
            "format": "csv", "compression": null, "encoding": "utf-8", "bom": false, "delimiter": delimiter,
            "quote": "\"", "header_likely": header_likely, "columns": columns, "row_estimate": rows, "exact": true,
        })
    };
    let table = "id,name,amount\n1,Asha,2.50\n2,\"Rao, K.\",\n";
    let bare = "1;Asha;2.50\n2;Ravi;3\n";
    vec![
        Example {
            step: "extract_headers",
            params: Map::new(),
            explains: "gives names and types of the columns, and how the file is written",
            name: "a.csv",
            input: Sample::Text(table),
            expected: Expected::File {
                name: "a.csv",
                content: Sample::Text(table),
                records: vec![record(columns(["id", "name", "amount"]), ",", Some(true), 2)],
            },
        },
        Example {
            step: "extract_headers:header=false,unknown=pass",
            params: Map::from_iter([("header".to_owned(), json!(false)), ("unknown".to_owned(), json!("pass"))]),
            explains: "takes the first row for data, and passes over what is no table",
            name: "a.csv",
            input: Sample::Text(bare),
            expected: Expected::File {
                name: "a.csv",
                content: Sample::Text(bare),
                records: vec![record(columns(["column_1", "column_2", "column_3"]), ";", None, 2)],
            },
        },
    ]
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    Ok(Box::new(ExtractHeaders(parse(NATIVE.name, params)?)))
}

impl Processor for ExtractHeaders {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        let sample = size_bytes.min(SAMPLE_BYTES as u64);
        // The sample, what it is unpacked or recoded to, and the fields of one row.
        let text = 2 * sample + text::UNPACKED_BYTES as u64 + Codec::Zstd.decoder_bytes();
        let columns = COLUMN_BYTES * sample.min(MOST_COLUMNS as u64);
        text.max(columnar::need(size_bytes)) + sample + columns + rows::need(sample)
    }

    fn look(&self) -> Option<&dyn Look> {
        Some(self)
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(HeadersStep::new(self.0)))
    }
}

impl Look for ExtractHeaders {
    fn find(&self, name: &[u8], parts: &Parts) -> Looked<Vec<Record>> {
        look(self.0, name, parts)
    }
}

/// What the dataset gets.
type Record = Map<String, Value>;

/// Look at a file: at its beginning, and where its format has more to tell elsewhere, there.
fn look(parameters: Parameters, name: &[u8], parts: &Parts) -> Looked<Vec<Record>> {
    let start = parts.first(format::MAGIC_BYTES)?;
    if let Some(format) = format::of_magic(&start)
        && let Some(records) = read(format, parameters, parts)?
    {
        return Ok(records);
    }
    let sample = parts.first(SAMPLE_BYTES as u64)?;
    let (text, name) = Text::read(&sample, name, sample.len() as u64 == parts.size_bytes())?;
    let found = match format::detect(name, &text) {
        Some(Format::Csv) => delimited::read(&text, Format::Csv, parameters.header)?,
        Some(Format::Tsv) => delimited::read(&text, Format::Tsv, parameters.header)?,
        Some(format @ (Format::Ndjson | Format::Json)) => json::read(&text, format)?,
        Some(format @ (Format::Email | Format::Mbox)) => return Ok(vec![email::read(&text, format)?.record()]),
        Some(Format::Html) => return Ok(vec![html::read(&text).record()]),
        Some(Format::Markdown) => return Ok(vec![markdown::read(&text).record()]),
        Some(format) if text.compression.is_some() || format::of_magic(&start).is_none() => {
            return packed(format, parameters, text);
        }
        _ if parameters.unknown == Unknown::Pass => return Ok(Vec::new()),
        _ => return Err(unknown(&text).into()),
    };
    Ok(vec![found.record(parts.size_bytes())])
}

/// Read a format whose bytes, not its text, are looked at; none: it is something else that begins like it.
fn read(format: Format, parameters: Parameters, parts: &Parts) -> Looked<Option<Vec<Record>>> {
    let found = match format {
        Format::Xlsx => return xlsx::read(parts, parameters.header),
        Format::Image(name) => {
            let sample = parts.first(SAMPLE_BYTES as u64)?;
            return Ok(Some(vec![image::read(name, &sample, sample.len() as u64 == parts.size_bytes()).record()]));
        }
        Format::Avro => avro::read(parts)?,
        format => columnar::read(format, parts)?,
    };
    Ok(Some(vec![found.record(parts.size_bytes())]))
}

/// Read such a file out of a compressed one, or one that only its name says to be one.
fn packed(format: Format, parameters: Parameters, text: Text<'_>) -> Looked<Vec<Record>> {
    if format::of_magic(&text.bytes).is_none() {
        let name = format.name();
        return Err(
            Error::CorruptInput(format!("the file does not begin as {name} does, which its name says it is")).into()
        );
    }
    if !text.is_whole {
        let name = format.name();
        let message =
            format!("a compressed {name} file is read only where it is small: what it is, is told all over it");
        return Err(Error::UnsupportedInput(message).into());
    }
    let (compression, unknown) = (text.compression, unknown(&text));
    let records = read(format, parameters, &Parts::whole(text.bytes.into_owned().into()))?;
    let mut records = match (records, parameters.unknown) {
        (Some(records), _) => records,
        (None, Unknown::Pass) => Vec::new(),
        (None, Unknown::Fail) => return Err(unknown.into()),
    };
    for record in &mut records {
        record.insert("compression".to_owned(), json!(compression));
    }
    Ok(records)
}

fn unknown(text: &Text<'_>) -> Error {
    let what =
        if text.bytes.is_empty() { "is empty, and its name does not tell a format" } else { "is of no known format" };
    Error::UnsupportedInput(format!("the file {what}; known are {}", Format::NAMES.join(", ")))
}

fn too_many_columns(found: usize) -> Error {
    Error::UnsupportedInput(format!("the table has {found} columns or more, at most {MOST_COLUMNS} are read"))
}

#[cfg(test)]
mod tests;
