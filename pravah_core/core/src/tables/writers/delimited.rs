//! Writes CSV and TSV: quotes only where they are needed, and around empty text, as nothing at all is a null.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{
    TableWriter,
    text_form::{Texts, texts},
};
use crate::{
    Result,
    processors::{Block, Event},
};

/// Writes one file.
pub struct DelimitedWriter {
    delimiter: u8,
    schema: SchemaRef,
    /// The header, until it is given.
    header: Vec<u8>,
}

impl DelimitedWriter {
    /// Begin with the header.
    pub fn new(delimiter: u8, has_header: bool, schema: &SchemaRef) -> Self {
        let mut header = Vec::new();
        if has_header {
            let names = schema.fields().iter().map(|field| Some(field.name().as_bytes()));
            write_row(&mut header, delimiter, names);
        }
        Self { delimiter, schema: SchemaRef::clone(schema), header }
    }
}

impl TableWriter for DelimitedWriter {
    fn write(&mut self, batch: RecordBatch, output: &mut VecDeque<Event>) -> Result<()> {
        let (delimiter, schema) = (self.delimiter, SchemaRef::clone(&self.schema));
        let mut text = std::mem::take(&mut self.header);
        if text.is_empty() && batch.num_rows() == 0 {
            return Ok(());
        }
        output.push_back(Event::Block(Block::new(move || {
            let columns = schema.fields().iter().zip(batch.columns());
            let columns: Vec<Texts> = columns.map(|(field, column)| texts(field, column)).collect::<Result<_>>()?;
            for row in 0..batch.num_rows() {
                write_row(&mut text, delimiter, columns.iter().map(|texts| texts.get(row)));
            }
            Ok(text.into())
        })));
        Ok(())
    }

    fn end(&mut self, output: &mut VecDeque<Event>) -> Result<()> {
        if !self.header.is_empty() {
            output.push_back(Event::Bytes(std::mem::take(&mut self.header).into()));
        }
        Ok(())
    }
}

fn write_row<'c>(output: &mut Vec<u8>, delimiter: u8, cells: impl Iterator<Item = Option<&'c [u8]>>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            output.push(delimiter);
        }
        match cell {
            None => {}
            Some(cell) if needs_quotes(cell, delimiter) => {
                output.push(b'"');
                for (at, part) in cell.split(|&byte| byte == b'"').enumerate() {
                    output.extend_from_slice(if at > 0 { b"\"\"" } else { b"" });
                    output.extend_from_slice(part);
                }
                output.push(b'"');
            }
            Some(cell) => output.extend_from_slice(cell),
        }
    }
    output.push(b'\n');
}

/// Empty text would be a null, and a mark at the beginning of the file no text.
fn needs_quotes(cell: &[u8], delimiter: u8) -> bool {
    let is_special = |&byte: &u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    cell.is_empty() || cell.iter().any(is_special) || cell.starts_with("\u{feff}".as_bytes())
}
