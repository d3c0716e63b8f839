//! `sample`: some rows of each table, the same ones at every run.
//!
//! Which rows are kept depends on their numbers and the seed alone: a row has a random number by its place, and is kept
//! where that is among the smallest.

use std::collections::VecDeque;

use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_select::{concat::concat_batches, filter::filter_record_batch, take::take_record_batch};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    Descriptor, Event, Example, Expected, Native, Payload, Processor, RowCounts, Sample, Shape, Step,
    parameters::{self, invalid, parse},
};
use crate::{Error, Result};

/// The registry's line.
pub const NATIVE: Native = Native { name: "sample", describe, build };

/// Rows that are kept of one file, at most: they stay in memory until it ends.
const MOST_ROWS: u64 = 100_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Rows that are kept of each file, at random; all of them where it has no more. At most 100,000.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    rows: Option<u64>,
    /// The share of rows that is kept of each file, from 0 to 1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    fraction: Option<f64>,
    /// Another seed keeps other rows.
    #[serde(default)]
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kept {
    Rows(usize),
    /// Those whose number is below.
    Below(u64),
}

#[derive(Debug, Clone, Copy)]
struct Sampling {
    kept: Kept,
    seed: u64,
}

fn describe() -> Descriptor {
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "keep some rows of each table, at random and the same at every run",
        shape: Shape::Map,
        input: "table",
        output: "table",
        pure: true,
        primary: Some("rows"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![Example {
            step: "sample:2",
            params: Map::from_iter([("rows".to_owned(), json!(2))]),
            explains: "keeps two rows of each file, in their order",
            name: "a.csv",
            input: Sample::Text("id\n1\n2\n3\n4\n5\n"),
            expected: Expected::File { name: "a.csv", content: Sample::Text("id\n2\n3\n"), records: Vec::new() },
        }],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { rows, fraction, seed } = parse(NATIVE.name, params)?;
    let kept = match (rows, fraction) {
        (Some(rows), None) if (1..=MOST_ROWS).contains(&rows) => Kept::Rows(rows as usize),
        (Some(rows), None) => {
            return Err(invalid(NATIVE.name, format!("rows is {rows}, 1 to {MOST_ROWS} are expected")));
        }
        (None, Some(fraction)) if (0.0..=1.0).contains(&fraction) => Kept::Below((fraction * u64::MAX as f64) as u64),
        (None, Some(fraction)) => {
            return Err(invalid(NATIVE.name, format!("fraction is {fraction}, a number from 0 to 1 is expected")));
        }
        _ => return Err(invalid(NATIVE.name, "either rows or fraction is expected")),
    };
    Ok(Box::new(Sampling { kept, seed }))
}

impl Processor for Sampling {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        match self.kept {
            Kept::Rows(rows) => size_bytes.min(4 * rows as u64 * ROW_BYTES),
            Kept::Below(_) => 0,
        }
    }

    fn payload(&self) -> Payload {
        Payload::Table
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(SampleStep { sampling: *self, row: 0, kept: None, given: 0, output: VecDeque::new() }))
    }
}

/// Bytes of a row in memory, as a rule.
const ROW_BYTES: u64 = 256;

struct SampleStep {
    sampling: Sampling,
    /// The number of the next row.
    row: u64,
    /// The rows so far that may be kept to the end, with their numbers.
    kept: Option<(RecordBatch, Vec<u64>)>,
    given: u64,
    output: VecDeque<Event>,
}

impl SampleStep {
    fn number(&self, row: u64) -> u64 {
        xxh3_64_with_seed(&row.to_le_bytes(), self.sampling.seed)
    }

    fn take(&mut self, batch: RecordBatch) -> Result<()> {
        let first = self.row;
        self.row += batch.num_rows() as u64;
        let numbers = (first..self.row).map(|row| self.number(row));
        match self.sampling.kept {
            Kept::Below(bound) => {
                let is_kept: BooleanArray = numbers.map(|number| Some(number <= bound && bound > 0)).collect();
                let batch = filter_record_batch(&batch, &is_kept).map_err(unusable)?;
                self.give(batch);
            }
            Kept::Rows(rows) => {
                let numbers: Vec<u64> = numbers.collect();
                let (batch, numbers) = match self.kept.take() {
                    None => (batch, numbers),
                    Some((before, kept)) => {
                        let both = concat_batches(&batch.schema(), [&before, &batch]).map_err(unusable)?;
                        (both, [kept, numbers].concat())
                    }
                };
                self.kept = Some(smallest(batch, numbers, rows)?);
            }
        }
        Ok(())
    }

    fn give(&mut self, batch: RecordBatch) {
        self.given += batch.num_rows() as u64;
        self.output.push_back(Event::Table(batch));
    }
}

/// Keep the rows with the smallest numbers, in their order.
fn smallest(batch: RecordBatch, numbers: Vec<u64>, rows: usize) -> Result<(RecordBatch, Vec<u64>)> {
    if numbers.len() <= rows {
        return Ok((batch, numbers));
    }
    let mut order: Vec<u32> = (0..numbers.len() as u32).collect();
    order.select_nth_unstable_by_key(rows, |&at| (numbers[at as usize], at));
    order.truncate(rows);
    order.sort_unstable();
    let numbers = order.iter().map(|&at| numbers[at as usize]).collect();
    let batch = take_record_batch(&batch, &UInt32Array::from(order)).map_err(unusable)?;
    Ok((batch, numbers))
}

fn unusable(error: arrow_schema::ArrowError) -> Error {
    Error::UnsupportedInput(format!("the rows can't be chosen from: {error}"))
}

impl Step for SampleStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Table(batch) => return self.take(batch),
            Event::End => {
                if let Some((batch, _)) = self.kept.take() {
                    self.give(batch);
                }
                let filtered = self.row - self.given;
                self.output.push_back(Event::Rows(RowCounts { filtered, ..RowCounts::default() }));
                self.output.push_back(Event::End);
            }
            event => self.output.push_back(event),
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.output.pop_front())
    }
}
