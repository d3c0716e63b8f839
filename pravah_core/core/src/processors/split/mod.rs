//! `split`: cuts each file into several: tables by whole rows, text by whole lines, anything by bytes.
//!
//! Where a part ends depends on the content alone. An empty file has one part, which is empty: nothing is lost.
//!
//! - `rows`: tables; `bytes`: lines and plain bytes

mod bytes;
mod rows;

use bytes::{ByteCutter, HELD_BYTES, LineCutter};
use rows::RowCutter;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Example, Expected, Native, Payload, Processor, Sample, Shape, Step,
    parameters::{self, invalid, parse},
};
use crate::{Result, plan::StepConfig};

/// The registry's line.
pub const NATIVE: Native = Native { name: "split", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Rows of each part of a table, which is read and written as `convert` does it: delimited text repeats its header.
    #[serde(default)]
    #[schemars(range(min = 1))]
    rows: Option<u64>,
    /// Lines of each part of a text; they are as they were, and no line is a header.
    #[serde(default)]
    #[schemars(range(min = 1))]
    lines: Option<u64>,
    /// Bytes of each part, at most, such as `64MiB`: exactly so many, unless `whole` says what is not cut.
    #[serde(default, deserialize_with = "parameters::size")]
    #[schemars(with = "Option<parameters::SizeForm>")]
    bytes: Option<u64>,
    /// What `bytes` does not cut: a row or a line that is larger has a part of its own. Rows count as they lie in
    /// memory, which is about their size in a file that is not compressed.
    /// A line above 64 MiB begins a part in any case.
    #[serde(default)]
    whole: Option<Whole>,
}

/// What is not cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Whole {
    /// Rows of tables
    Rows,
    /// Lines of text
    Lines,
    /// Nothing but bytes
    Bytes,
}

/// How much a part holds, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// Rows, or lines.
    Units(u64),
    Bytes(u64),
}

struct Split {
    whole: Whole,
    limit: Limit,
}

/// Whether a step makes several outputs of what else would be one.
pub fn is_expanding(step: &StepConfig) -> bool {
    step.name == NATIVE.name || super::merge::is_partitioning(step)
}

fn describe() -> Descriptor {
    let parts = |parts: &[&'static str]| Expected::Parts(parts.iter().copied().map(Sample::Text).collect());
    let params = |value: Value| value.as_object().cloned().unwrap_or_default();
    Descriptor {
        name: NATIVE.name,
        version: 2,
        summary: "cut each file into several, by rows, lines or bytes",
        shape: Shape::Expand,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: Some("rows"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            Example {
                step: "split:2",
                params: params(json!({"rows": 2})),
                explains: "makes tables of two rows, `a-00000.csv` and so on, each with the header",
                name: "a.csv",
                input: Sample::Text("id,name\n1,Asha\n2,Ravi\n3,Uma\n"),
                expected: parts(&["id,name\n1,Asha\n2,Ravi\n", "id,name\n3,Uma\n"]),
            },
            Example {
                step: "split:bytes=10B,whole=lines",
                params: params(json!({"bytes": "10B", "whole": "lines"})),
                explains: "makes files of at most ten bytes of whole lines; one that is longer has a file of its own",
                name: "a.log",
                input: Sample::Text("one\ntwo\na long line indeed\nthree"),
                expected: parts(&["one\ntwo\n", "a long line indeed\n", "three"]),
            },
            Example {
                step: "split:bytes=4B",
                params: params(json!({"bytes": "4B"})),
                explains: "makes files of four bytes",
                name: "a.bin",
                input: Sample::Text("0123456789"),
                expected: parts(&["0123", "4567", "89"]),
            },
        ],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { rows, lines, bytes, whole } = parse(NATIVE.name, params)?;
    let (limit, only) = match (rows, lines, bytes) {
        (Some(rows), None, None) => (Limit::Units(rows), Some(Whole::Rows)),
        (None, Some(lines), None) => (Limit::Units(lines), Some(Whole::Lines)),
        (None, None, Some(bytes)) => (Limit::Bytes(bytes), None),
        _ => return Err(invalid(NATIVE.name, "one of rows, lines and bytes is expected")),
    };
    if limit == Limit::Units(0) {
        return Err(invalid(NATIVE.name, "a part of 0 rows or lines would have no end, 1 or more are expected"));
    }
    if only.is_some() && whole.is_some() {
        return Err(invalid(NATIVE.name, "whole is for `bytes` only: rows and lines are never cut"));
    }
    Ok(Box::new(Split { whole: only.or(whole).unwrap_or(Whole::Bytes), limit }))
}

impl Processor for Split {
    /// A line that may still fit into the part before it is held.
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        match (self.whole, self.limit) {
            (Whole::Lines, Limit::Bytes(limit)) => 2 * size_bytes.min(limit).min(HELD_BYTES as u64),
            _ => 0,
        }
    }

    fn payload(&self) -> Payload {
        if self.whole == Whole::Rows { Payload::Table } else { Payload::Bytes }
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(match (self.whole, self.limit) {
            (Whole::Rows, limit) => Box::new(RowCutter::new(limit)),
            (Whole::Lines, limit) => Box::new(LineCutter::new(limit)),
            (Whole::Bytes, Limit::Bytes(limit) | Limit::Units(limit)) => Box::new(ByteCutter::new(limit)),
        })
    }

    fn expands(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
