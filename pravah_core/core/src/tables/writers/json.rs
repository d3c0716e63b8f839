//! Writes NDJSON, one object a line, and JSON, an array of such lines.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_json::writer::make_encoder;
use arrow_schema::SchemaRef;
use bytes::Bytes;

use super::{
    TableWriter,
    text_form::{json_options, row_field},
    unwritable,
};
use crate::{
    Error, Result,
    processors::{Block, Event},
};

/// Writes one file.
pub struct JsonWriter {
    schema: SchemaRef,
    is_array: bool,
    has_rows: bool,
}

impl JsonWriter {
    /// Write lines.
    pub fn lines(schema: &SchemaRef) -> Result<Self> {
        Self::new(schema, false)
    }

    /// Write one array.
    pub fn array(schema: &SchemaRef) -> Result<Self> {
        Self::new(schema, true)
    }

    /// Objects can't have a name twice.
    fn new(schema: &SchemaRef, is_array: bool) -> Result<Self> {
        let mut names = HashSet::new();
        if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
            let message = format!("two columns are called `{}`, which a JSON object can't have", twice.name());
            return Err(Error::UnsupportedInput(message));
        }
        Ok(Self { schema: SchemaRef::clone(schema), is_array, has_rows: false })
    }
}

impl TableWriter for JsonWriter {
    fn write(&mut self, batch: RecordBatch, output: &mut VecDeque<Event>) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (schema, is_array, is_first) = (SchemaRef::clone(&self.schema), self.is_array, !self.has_rows);
        self.has_rows = true;
        output.push_back(Event::Block(Block::new(move || {
            let rows: ArrayRef = Arc::new(StructArray::from(batch));
            let (field, options) = (row_field(schema.fields()), json_options());
            let mut encoder = make_encoder(&field, &rows, &options).map_err(unwritable)?;
            let mut text = Vec::new();
            for row in 0..rows.len() {
                if is_array {
                    text.extend_from_slice(if is_first && row == 0 { b"[\n" } else { b",\n" });
                }
                encoder.encode(row, &mut text);
                if !is_array {
                    text.push(b'\n');
                }
            }
            Ok(text.into())
        })));
        Ok(())
    }

    fn end(&mut self, output: &mut VecDeque<Event>) -> Result<()> {
        if self.is_array {
            let end: &[u8] = if self.has_rows { b"\n]\n" } else { b"[]\n" };
            output.push_back(Event::Bytes(Bytes::from_static(end)));
        }
        Ok(())
    }
}
