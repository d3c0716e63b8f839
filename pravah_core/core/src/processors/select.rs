//! `select`: which columns of tables are kept, under which names and with which types.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt::Display,
    sync::Arc,
};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options, display::array_value_to_string};
use arrow_ord::cmp::distinct;
use arrow_schema::{ArrowError, Field, FieldRef, Schema, SchemaRef};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    ColumnType, Descriptor, Event, Example, Expected, Native, Payload, Processor, Sample, Shape, Step,
    parameters::{self, invalid, parse},
};
use crate::{Error, Result, tables::data_type};

/// The registry's line.
pub const NATIVE: Native = Native { name: "select", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The columns that are kept, in this order; all of them if not given.
    #[serde(default)]
    columns: Vec<String>,
    /// Columns that are left out.
    #[serde(default)]
    exclude: Vec<String>,
    /// New names of columns, by the old ones.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// Types that columns become, by their old names; a value that does not fit fails the file.
    #[serde(default)]
    cast: BTreeMap<String, ColumnType>,
}

struct Select(Arc<Parameters>);

fn describe() -> Descriptor {
    let example = |step, params: Value, explains, text| Example {
        step,
        params: params.as_object().cloned().unwrap_or_default(),
        explains,
        name: "a.csv",
        input: Sample::Text("id,name,price\n1,Asha,2\n2,Ravi,\n"),
        expected: Expected::File { name: "a.csv", content: Sample::Text(text), records: Vec::new() },
    };
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "keep some columns of tables, rename them, change their types",
        shape: Shape::Map,
        input: "table",
        output: "table",
        pure: true,
        primary: Some("columns"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            example(
                "select:price,id",
                json!({"columns": ["price", "id"]}),
                "keeps two columns, in this order; the file stays CSV",
                "price,id\n2,1\n,2\n",
            ),
            example(
                "select:{exclude: [name], rename: {id: key}, cast: {price: float64}}",
                json!({"exclude": ["name"], "rename": {"id": "key"}, "cast": {"price": "float64"}}),
                "leaves one out, renames one, and makes numbers of 64 bits",
                "key,price\n1,2.0\n2,\n",
            ),
        ],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let given: Parameters = parse(NATIVE.name, params)?;
    if given.columns.is_empty() && given.exclude.is_empty() && given.rename.is_empty() && given.cast.is_empty() {
        return Err(invalid(NATIVE.name, "nothing is selected: `columns`, `exclude`, `rename` or `cast` is expected"));
    }
    if let Some(both) = given.columns.iter().find(|name| given.exclude.contains(name)) {
        return Err(invalid(NATIVE.name, format!("`{both}` is in columns and in exclude")));
    }
    Ok(Box::new(Select(Arc::new(given))))
}

impl Processor for Select {
    /// A cast makes a column once more, of a batch at a time.
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        if self.0.cast.is_empty() { 0 } else { size_bytes.min(CAST_BYTES) }
    }

    fn payload(&self) -> Payload {
        Payload::Table
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(SelectStep { parameters: Arc::clone(&self.0), columns: None, output: VecDeque::new() }))
    }
}

/// Bytes of the columns of a batch, as a rule.
const CAST_BYTES: u64 = 16 << 20;

struct SelectStep {
    parameters: Arc<Parameters>,
    /// The columns by position, and what they become; none before the first batch.
    columns: Option<(Vec<usize>, SchemaRef)>,
    output: VecDeque<Event>,
}

impl SelectStep {
    fn select(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (positions, schema) = match &mut self.columns {
            Some(columns) => columns,
            None => self.columns.insert(self.parameters.resolve(&batch.schema())?),
        };
        let columns = positions.iter().zip(schema.fields()).map(|(&at, field)| converted(batch.column(at), field));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_>>()?, &options)
            .map_err(|error| Error::UnsupportedInput(error.to_string()))
    }
}

/// Give the column with the type of its field.
fn converted(column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let refused =
        |why: &dyn Display| Error::UnsupportedInput(format!("the column `{}` can't be cast: {why}", field.name()));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let converted = cast_with_options(column, field.data_type(), &options).map_err(|error| refused(&error))?;
    match lost(column, &converted).map_err(|error| refused(&error))? {
        Some(value) => Err(refused(&format!("`{value}` is no {}", field.data_type()))),
        None => Ok(converted),
    }
}

/// Find a value that a cast has changed: it checks ranges, and cuts fractions, digits and times of day without a word.
fn lost(column: &ArrayRef, converted: &ArrayRef) -> Result<Option<String>, ArrowError> {
    let (from, to) = (column.data_type(), converted.data_type());
    if !(from.is_numeric() || from.is_temporal()) || to.is_string() {
        return Ok(None);
    }
    // What does not come back at all is null, and differs as well.
    let back = cast_with_options(converted, from, &CastOptions::default())?;
    let differs = distinct(column, &back)?;
    for row in differs.values().set_indices() {
        let value = array_value_to_string(column, row)?;
        // Zero is zero, whatever its sign.
        if value != "-0.0" {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

impl Parameters {
    /// Find the columns in a table.
    fn resolve(&self, schema: &Schema) -> Result<(Vec<usize>, SchemaRef)> {
        let named = self.columns.iter().chain(&self.exclude).chain(self.rename.keys()).chain(self.cast.keys());
        for name in named {
            position(schema, name)?;
        }
        let positions: Vec<usize> = if self.columns.is_empty() {
            let all = schema.fields().iter().enumerate();
            all.filter(|(_, field)| !self.exclude.contains(field.name())).map(|(at, _)| at).collect()
        } else {
            self.columns.iter().map(|name| position(schema, name)).collect::<Result<_>>()?
        };
        if positions.is_empty() {
            return Err(Error::NoColumns("no column is left".to_owned()));
        }
        let fields: Vec<_> = positions.iter().map(|&at| self.field(schema.field(at))).collect();
        let mut names = HashSet::new();
        if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
            return Err(Error::UnsupportedInput(format!("two columns would have the name `{}`", twice.name())));
        }
        Ok((positions, Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))))
    }

    fn field(&self, field: &Field) -> Field {
        let name = self.rename.get(field.name()).unwrap_or(field.name());
        let cast = self.cast.get(field.name()).map(|&column_type| data_type(column_type));
        let is_cast = cast.is_some();
        let data_type = cast.unwrap_or_else(|| field.data_type().clone());
        let selected = Field::new(name, data_type, field.is_nullable());
        if is_cast { selected } else { selected.with_metadata(field.metadata().clone()) }
    }
}

/// The position of a column; an error names those that are there.
pub fn position(schema: &Schema, name: &str) -> Result<usize> {
    /// Names that an error shows.
    const SHOWN: usize = 20;
    schema.fields().iter().position(|field| field.name() == name).ok_or_else(|| {
        let mut there: Vec<_> = schema.fields().iter().take(SHOWN).map(|field| format!("`{}`", field.name())).collect();
        if schema.fields().len() > SHOWN {
            there.push("…".to_owned());
        }
        Error::NoSuchColumn(format!("there is no column `{name}`; there are {}", there.join(", ")))
    })
}

impl Step for SelectStep {
    fn push(&mut self, event: Event) -> Result<()> {
        let event = match event {
            Event::Table(batch) => Event::Table(self.select(&batch)?),
            event => event,
        };
        self.output.push_back(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.output.pop_front())
    }
}
