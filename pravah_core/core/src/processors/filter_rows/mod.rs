//! `filter_rows`: keeps the rows of tables for which an expression holds.
//!
//! - `predicate`: the expression, read (SQL, as behind `where`); `evaluate`: what it says of the rows of a batch

mod evaluate;
mod predicate;

use std::{collections::VecDeque, sync::Arc};

use arrow_array::RecordBatch;
use arrow_select::filter::filter_record_batch;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::predicate::Predicate;
use super::{
    Descriptor, Event, Example, Expected, Native, Payload, Processor, RowCounts, Sample, Shape, Step,
    parameters::{self, invalid, parse},
};
use crate::{Error, Result};

/// The registry's line.
pub const NATIVE: Native = Native { name: "filter_rows", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// What holds for the rows that are kept, as SQL has it behind `where`: comparisons of columns with values or each
    /// other, `and`, `or`, `not`, `in`, `between`, `like`, `is null`, and `~` for regular expressions.
    #[schemars(extend("format" = "expression"))]
    r#where: String,
}

struct FilterRows(Arc<Predicate>);

fn describe() -> Descriptor {
    let example = |step, expression: &str, explains, expected| Example {
        step,
        params: Map::from_iter([("where".to_owned(), json!(expression))]),
        explains,
        name: "a.csv",
        input: Sample::Text("id,city,amount\n1,Pune,10\n2,Delhi,\n3,Pune,30\n"),
        expected,
    };
    let file = |text| Expected::File { name: "a.csv", content: Sample::Text(text), records: Vec::new() };
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "keep the rows of tables for which an expression holds",
        shape: Shape::Map,
        input: "table",
        output: "table",
        pure: true,
        primary: Some("where"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            example(
                "filter_rows:amount > 5 and city = 'Pune'",
                "amount > 5 and city = 'Pune'",
                "keeps two rows; what is null is neither larger nor smaller",
                file("id,city,amount\n1,Pune,10\n3,Pune,30\n"),
            ),
            example(
                "filter_rows:amount is null or city ~ '^D'",
                "amount is null or city ~ '^D'",
                "keeps the row without an amount",
                file("id,city,amount\n2,Delhi,\n"),
            ),
            example(
                "filter_rows:town = 'Pune'",
                "town = 'Pune'",
                "fails where a table has no such column",
                Expected::Error("no_such_column"),
            ),
        ],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let given: Parameters = parse(NATIVE.name, params)?;
    let predicate = Predicate::read(&given.r#where).map_err(|told| invalid(NATIVE.name, told))?;
    Ok(Box::new(FilterRows(Arc::new(predicate))))
}

impl Processor for FilterRows {
    /// A batch, once more.
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        size_bytes.min(BATCH_BYTES)
    }

    fn payload(&self) -> Payload {
        Payload::Table
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(FilterStep { predicate: Arc::clone(&self.0), filtered: 0, output: VecDeque::new() }))
    }
}

/// Bytes of a batch, as a rule.
const BATCH_BYTES: u64 = 24 << 20;

struct FilterStep {
    predicate: Arc<Predicate>,
    filtered: u64,
    output: VecDeque<Event>,
}

impl FilterStep {
    fn filter(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let holds = evaluate::rows(&self.predicate, batch)?;
        let kept = filter_record_batch(batch, &holds)
            .map_err(|error| Error::UnsupportedInput(format!("the rows can't be filtered: {error}")))?;
        self.filtered += (batch.num_rows() - kept.num_rows()) as u64;
        Ok(kept)
    }
}

impl Step for FilterStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Table(batch) => {
                let kept = self.filter(&batch)?;
                // The first batch tells the columns, also where no row of it is kept.
                self.output.push_back(Event::Table(kept));
            }
            Event::End => {
                self.output.push_back(Event::Rows(RowCounts { filtered: self.filtered, ..RowCounts::default() }));
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
