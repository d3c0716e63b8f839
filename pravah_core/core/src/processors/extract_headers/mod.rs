//! `extract_headers`: names and types of a table's columns, from its first 1 MiB; one record a file.
//!
//! Only the sample is looked at, and of Parquet the end of the file, where its schema is; all other bytes just pass.
//! What is told of the whole file (the number of rows) is exact where the sample is the whole file, else estimated by
//! bytes. The sample ends at the same byte however the file is cut into pieces, so records never depend on that.
//!
//! - `format`: which format a file has; `text`: its text, out of compression and encoding
//! - `delimited`: csv and tsv; `dialect`: delimiter and quote; `rows`: where fields begin and end
//! - `json`: ndjson and json; `columnar`: Parquet and Arrow; `kind`: types of its values
//! - `findings`: what becomes the record

mod columnar;
mod delimited;
mod dialect;
mod findings;
mod format;
mod json;
mod kind;
mod rows;
mod text;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::{columnar::Tail, findings::Findings, format::Format, text::Text};
use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    blocks::Blocks,
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
    /// What becomes of a file that is no table of a known format: it fails, or it passes without a record.
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

struct HeadersStep {
    parameters: Parameters,
    name: Bytes,
    size_bytes: u64,
    stage: Stage,
    record: Option<Event>,
    passing: Option<Event>,
}

/// How far a file has been read.
enum Stage {
    /// Into the sample.
    Sample(Blocks),
    /// Beyond it, and what tells more is at the end.
    Tail(Tail),
    /// Beyond it, and all is known but the size.
    Known(Findings),
    /// Nothing is to be told.
    Passed,
}

fn describe() -> Descriptor {
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "find names and types of the columns of tables: csv, tsv, ndjson, json, Parquet, Arrow",
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
    let record = |columns: Value, delimiter: &str, rows: u64| {
        json!({
            "format": "csv", "compression": null, "encoding": "utf-8", "bom": false, "delimiter": delimiter,
            "quote": "\"", "columns": columns, "row_estimate": rows, "exact": true,
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
                records: vec![record(columns(["id", "name", "amount"]), ",", 2)],
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
                records: vec![record(columns(["column_1", "column_2", "column_3"]), ";", 2)],
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

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(HeadersStep {
            parameters: self.0,
            name: Bytes::new(),
            size_bytes: 0,
            stage: Stage::Sample(Blocks::new(SAMPLE_BYTES, None)),
            record: None,
            passing: None,
        }))
    }
}

impl Step for HeadersStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Begin { name, size_bytes, .. } => {
                self.name = name.clone();
                self.stage = Stage::Sample(Blocks::new(SAMPLE_BYTES, *size_bytes));
            }
            Event::Bytes(bytes) => self.take(bytes)?,
            Event::End => self.record = self.finish()?.map(Event::Record),
            // No pipeline pushes these.
            Event::Table(_) | Event::Record(_) | Event::Rows(_) | Event::Block(_) => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.record.take().or_else(|| self.passing.take()))
    }
}

impl HeadersStep {
    fn take(&mut self, bytes: &Bytes) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        match &mut self.stage {
            Stage::Sample(blocks) => {
                blocks.push(bytes.clone());
                // Only a byte beyond the sample tells that it is not the whole file.
                if self.size_bytes > SAMPLE_BYTES as u64
                    && let Some(sample) = blocks.full()
                {
                    let rest = blocks.rest();
                    self.stage = self.look(&sample, false)?;
                    if let Stage::Tail(tail) = &mut self.stage {
                        tail.push(&rest);
                    }
                }
            }
            Stage::Tail(tail) => tail.push(bytes),
            Stage::Known(_) | Stage::Passed => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Map<String, Value>>> {
        if let Stage::Sample(blocks) = &mut self.stage {
            let sample = blocks.full().unwrap_or_else(|| blocks.rest());
            self.stage = self.look(&sample, true)?;
        }
        match std::mem::replace(&mut self.stage, Stage::Passed) {
            Stage::Tail(tail) => columnar::parquet(&tail).map(|found| Some(found.record(self.size_bytes))),
            Stage::Known(found) => Ok(Some(found.record(self.size_bytes))),
            Stage::Sample(_) | Stage::Passed => Ok(None),
        }
    }

    /// Find what the sample tells.
    fn look(&self, sample: &Bytes, is_whole: bool) -> Result<Stage> {
        if sample.starts_with(&columnar::PARQUET_MAGIC) {
            return Ok(Stage::Tail(Tail::new(sample)));
        }
        let (text, name) = Text::read(sample, &self.name, is_whole)?;
        let Some(format) = format::detect(name, &text) else {
            return match self.parameters.unknown {
                Unknown::Fail => Err(unknown(&text)),
                Unknown::Pass => Ok(Stage::Passed),
            };
        };
        let found = match format {
            Format::Csv | Format::Tsv => delimited::read(&text, format, self.parameters.header),
            Format::Ndjson | Format::Json => json::read(&text, format),
            Format::Arrow => columnar::arrow(&text),
            Format::Parquet => columnar::packed_parquet(&text),
        }?;
        Ok(Stage::Known(found))
    }
}

fn unknown(text: &Text<'_>) -> Error {
    let what = if text.bytes.is_empty() { "is empty, and its name does not tell a format" } else { "is no table" };
    Error::UnsupportedInput(format!("the file {what}; known are {}", Format::NAMES.join(", ")))
}

fn too_many_columns(found: usize) -> Error {
    Error::UnsupportedInput(format!("the table has {found} columns or more, at most {MOST_COLUMNS} are read"))
}

#[cfg(test)]
mod tests;
