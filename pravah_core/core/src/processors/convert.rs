//! `convert`: says in which format tables are written, and how they are read; values are kept, or the file fails.
//!
//! It does nothing to rows: the pipeline reads and writes tables as it says (see [`crate::tables`]).

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Example, Expected, Native, Payload, Processor, Sample, Shape, Step,
    parameters::{self, invalid, parse},
};
use crate::{
    Error, Result,
    tables::{
        BadRows, Compression, Declared, Delimited, Format, Nested, ReadOptions, SheetChoice, Statistics, WriteOptions,
    },
};

/// The registry's line.
pub const NATIVE: Native = Native { name: "convert", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The format that is written.
    #[schemars(transform = without_read_only)]
    format: Format,
    /// The format that is read; if not given, the extension of each file's name tells.
    #[serde(default)]
    from: Option<Format>,
    /// How Parquet pages and blocks of Avro are compressed; if not given, zstd for Parquet, and for Avro deflate, which
    /// all its readers have.
    #[serde(default)]
    compression: Option<Compression>,
    /// Rows of a Parquet row group, at most, 131,072 if not given; it ends sooner at 32 MiB. For Parquet only.
    #[serde(default)]
    #[schemars(range(min = 1))]
    row_group_rows: Option<u64>,
    /// What a Parquet file tells of the values in its parts, page if not given; for Parquet only.
    #[serde(default)]
    statistics: Option<Statistics>,
    /// Columns that the rows are sorted by, as the Parquet file tells then: ascending, nulls last. A file whose rows are
    /// not fails; for Parquet only.
    #[serde(default)]
    sorted_by: Vec<String>,
    /// The sheet of a workbook that is read, by its name or its position; if not given, the first one.
    #[serde(default)]
    sheet: Option<SheetChoice>,
    /// What is between the fields of CSV, read and written: one ASCII character. If not given, the first rows tell
    /// whether it is `,`, `;`, a tab or `|`, and a comma is written.
    #[serde(default)]
    delimiter: Option<String>,
    /// What is around fields of CSV that have delimiters in them: one ASCII character, or `none`; read only.
    #[serde(default)]
    #[schemars(extend("default" = "\""))]
    quote: Option<String>,
    /// What takes the next character within quotes as it is, where quotes are not doubled; read only.
    #[serde(default)]
    escape: Option<String>,
    /// What lines of CSV begin with that are no rows; read only.
    #[serde(default)]
    comment: Option<String>,
    /// Lines of CSV before the header.
    #[serde(default)]
    skip_lines: u64,
    /// Whether CSV and TSV begin with the names of the columns, read and written, and sheets of workbooks.
    #[serde(default = "default_header")]
    header: bool,
    /// The encoding of text that is read, as `latin1`, `utf-16` or `shift_jis`; if not given, a mark at its beginning
    /// tells, and without one it is UTF-8.
    #[serde(default)]
    encoding: Option<String>,
    /// Types of columns of text and of sheets by name, where they shall not be inferred.
    #[serde(default)]
    types: Declared,
    /// What lists and objects in NDJSON and JSON become.
    #[serde(default)]
    nested: Nested,
    /// What becomes of rows that can't be read: those of another length, and values that a declared type can't hold.
    #[serde(default)]
    #[schemars(extend("finds" = ["drop", "quarantine"]))]
    on_bad_row: BadRows,
}

/// Take the formats out of a list that nothing is written in.
fn without_read_only(schema: &mut Schema) {
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice["const"] != "xlsx");
    }
}

fn default_header() -> bool {
    true
}

struct Convert {
    read: ReadOptions,
    write: WriteOptions,
}

fn describe() -> Descriptor {
    Descriptor {
        name: NATIVE.name,
        version: 3,
        summary: "convert tables between CSV, TSV, NDJSON, JSON, Parquet, Arrow and Avro, and from xlsx",
        shape: Shape::Map,
        input: "table",
        output: "table",
        pure: true,
        primary: Some("format"),
        parameters: parameters::schema::<Parameters>(),
        examples: examples(),
    }
}

fn examples() -> Vec<Example> {
    let file = |name, text| Expected::File { name, content: Sample::Text(text), records: Vec::new() };
    let params = |value: Value| value.as_object().cloned().unwrap_or_default();
    vec![
        Example {
            step: "convert:ndjson",
            params: params(json!({"format": "ndjson"})),
            explains: "writes each row as a JSON object, `a.csv` to `a.ndjson`; numbers are numbers, `007` stays text",
            name: "a.csv",
            input: Sample::Text("id,code,price\n1,007,2.5\n2,,\n"),
            expected: file(
                "a.ndjson",
                "{\"id\":1,\"code\":\"007\",\"price\":2.5}\n{\"id\":2,\"code\":null,\"price\":null}\n",
            ),
        },
        Example {
            step: "convert:format=csv,from=ndjson",
            params: params(json!({"format": "csv", "from": "ndjson"})),
            explains: "reads files of any name as NDJSON; columns are the fields of all lines",
            name: "events.log",
            input: Sample::Text("{\"id\":1}\n{\"id\":2,\"tags\":[\"a\"]}\n"),
            expected: file("events.csv", "id,tags\n1,\n2,\"[\"\"a\"\"]\"\n"),
        },
        Example {
            step: "convert:parquet",
            params: params(json!({"format": "parquet"})),
            explains: "writes Parquet; a row with too few fields fails, as `csv_ragged_row`",
            name: "a.csv",
            input: Sample::Text("id,name\n1\n"),
            expected: Expected::Error("csv_ragged_row"),
        },
        Example {
            step: "convert:format=json,on_bad_row=quarantine",
            params: params(json!({"format": "json", "on_bad_row": "quarantine"})),
            explains: "leaves rows out that can't be read, and keeps them in the job's results",
            name: "a.csv",
            input: Sample::Text("id;name\n1;Asha\n2\n"),
            expected: Expected::File {
                name: "a.json",
                content: Sample::Text("[\n{\"id\":1,\"name\":\"Asha\"}\n]\n"),
                records: vec![json!({
                    "line": 3,
                    "column": null,
                    "kind": "csv_ragged_row",
                    "message": "line 3 has 1 fields, the first row has 2",
                    "text": "2",
                })],
            },
        },
    ]
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let given: Parameters = parse(NATIVE.name, params)?;
    let format = given.format;
    if format == Format::Xlsx {
        return Err(invalid(NATIVE.name, "format is \"xlsx\", which is only read"));
    }
    for (name, is_given) in [
        ("row_group_rows", given.row_group_rows.is_some()),
        ("statistics", given.statistics.is_some()),
        ("sorted_by", !given.sorted_by.is_empty()),
    ] {
        if is_given && format != Format::Parquet {
            return Err(invalid(NATIVE.name, format!("{name} is for `format: parquet` only")));
        }
    }
    if let Some(compression) = given.compression.filter(|compression| !compression.is_of(format)) {
        let message = match format {
            Format::Parquet => "compression is deflate, which is for `format: avro` only".to_owned(),
            Format::Avro => {
                format!("compression is {compression:?}; avro has none, deflate, snappy and zstd").to_lowercase()
            }
            _ => "compression is for `format: parquet` and `format: avro` only".to_owned(),
        };
        return Err(invalid(NATIVE.name, message));
    }
    let mut write = WriteOptions {
        format: Some(format),
        has_header: given.header,
        compression: given.compression,
        sorted_by: given.sorted_by.clone().into(),
        ..WriteOptions::default()
    };
    write.statistics = given.statistics.unwrap_or(write.statistics);
    match given.row_group_rows {
        Some(0) => return Err(invalid(NATIVE.name, "row_group_rows is 0, 1 or more is expected")),
        Some(rows) => write.row_group_rows = usize::try_from(rows).unwrap_or(usize::MAX),
        None => {}
    }
    let delimited = delimited(&given)?;
    write.delimiter = delimited.delimiter.unwrap_or(write.delimiter);
    let encoding = given.encoding.as_deref().map(encoding).transpose()?;
    let (types, nested, bad_rows, sheet) = (given.types, given.nested, given.on_bad_row, given.sheet);
    let read = ReadOptions { format: given.from, delimited, encoding, types, nested, bad_rows, sheet };
    Ok(Box::new(Convert { read, write }))
}

fn delimited(given: &Parameters) -> Result<Delimited> {
    let byte = |name: &str, value: &Option<String>| value.as_deref().map(|value| ascii(name, value)).transpose();
    let delimiter = byte("delimiter", &given.delimiter)?;
    let quote = match given.quote.as_deref() {
        Some("none") => None,
        Some(quote) => Some(ascii("quote", quote)?),
        None => Some(b'"'),
    };
    if delimiter.is_some() && delimiter == quote {
        return Err(invalid(NATIVE.name, "delimiter and quote are the same character"));
    }
    Ok(Delimited {
        delimiter,
        quote,
        escape: byte("escape", &given.escape)?,
        comment: byte("comment", &given.comment)?,
        skip_lines: given.skip_lines,
        has_header: given.header,
    })
}

fn ascii(name: &str, value: &str) -> Result<u8> {
    match value.as_bytes() {
        &[byte @ (b'\t' | b' '..=b'~')] => Ok(byte),
        _ => Err(invalid(NATIVE.name, format!("{name} is {value:?}, one ASCII character is expected"))),
    }
}

fn encoding(label: &str) -> Result<&'static encoding_rs::Encoding> {
    let standard = match label.to_ascii_lowercase().as_str() {
        "latin-1" => "latin1".to_owned(),
        other => other.to_owned(),
    };
    encoding_rs::Encoding::for_label(standard.as_bytes()).ok_or_else(|| {
        let message =
            format!("encoding is {label:?}, a name as `utf-8`, `utf-16`, `latin1` or `shift_jis` is expected");
        invalid(NATIVE.name, message)
    })
}

impl Processor for Convert {
    fn need(&self, _size_bytes: u64, _blocks: u64) -> u64 {
        0
    }

    fn payload(&self) -> Payload {
        Payload::Table
    }

    fn converts(&self) -> Option<(&ReadOptions, &WriteOptions)> {
        Some((&self.read, &self.write))
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Err(Error::InvalidPlan("a conversion is made by the pipeline".to_owned()))
    }
}
