//! From cells to typed columns: types are found out over a sample, and hold for the whole file.
//!
//! The sample is every batch up to [`SAMPLE_WEIGHT`], which is the whole of most files. What comes behind it and does
//! not fit is an error that names line, column and value: never a null, and never another type half-way.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use bytes::Bytes;

use super::{
    super::column_types::{Candidates, ColumnType},
    TableReader,
    cells::Cells,
    columns::{self, Expected},
    rows::{Rows, Unmarked},
};
use crate::{Error, Result};

/// The sample ends with the batch that reaches this weight: bytes of cells, and five for each of them.
pub const SAMPLE_WEIGHT: usize = 32 << 20;

/// The types that the user has declared, by column.
pub type Declared = BTreeMap<String, ColumnType>;

/// Reads a file of text as a table.
pub struct TypedReader {
    rows: Box<dyn Rows>,
    unmarked: Unmarked,
    declared: Declared,
    waiting: VecDeque<Cells>,
    has_ended: bool,
    /// What the rows failed with; it comes behind the batches before it.
    failed: Option<Error>,
    columns: Option<(SchemaRef, Vec<Expected>)>,
}

impl TypedReader {
    /// Read these rows.
    pub fn new(rows: Box<dyn Rows>, declared: Declared) -> Self {
        Self {
            rows,
            unmarked: Unmarked::default(),
            declared,
            waiting: VecDeque::new(),
            has_ended: false,
            failed: None,
            columns: None,
        }
    }

    /// Find out the columns and their types, once the sample is complete.
    fn find_types(&mut self) -> Result<bool> {
        let mut weight = 0;
        let sampled = self.waiting.iter().take_while(|cells| {
            let belongs = weight < SAMPLE_WEIGHT;
            weight += cells.weight();
            belongs
        });
        let sampled: Vec<_> = sampled.collect();
        if weight < SAMPLE_WEIGHT && !self.has_ended {
            return match self.failed.take() {
                Some(error) => Err(error),
                None => Ok(false),
            };
        }
        let names = self.rows.names();
        let width = sampled.last().map_or(names.len(), |cells| cells.columns.len());
        if width == 0 {
            return Err(Error::NoColumns("the file has no columns: it is empty, or its rows are".to_owned()));
        }
        if let Some(unknown) = self.declared.keys().find(|declared| !names[..width].contains(declared)) {
            return Err(Error::UnsupportedInput(format!("`types` names the column `{unknown}`, which is not there")));
        }
        let expected: Vec<_> = (0..width)
            .map(|at| match self.declared.get(&names[at]) {
                Some(&column_type) => Expected { column_type, is_declared: true },
                None => Expected { column_type: inferred(&sampled, at), is_declared: false },
            })
            .collect();
        let fields = names.iter().zip(&expected);
        let fields: Vec<_> =
            fields.map(|(name, expected)| Field::new(name, columns::data_type(expected.column_type), true)).collect();
        self.columns = Some((Arc::new(Schema::new(fields)), expected));
        Ok(true)
    }
}

fn inferred(sampled: &[&Cells], at: usize) -> ColumnType {
    let mut candidates = Candidates::ALL;
    for (tag, cell) in sampled.iter().filter_map(|cells| cells.columns.get(at)).flat_map(|column| column.cells()) {
        candidates.see(tag, cell);
        if candidates.are_decided() {
            break;
        }
    }
    candidates.decide()
}

impl TableReader for TypedReader {
    fn push(&mut self, piece: Bytes) -> Result<()> {
        let (held, rest) = self.unmarked.pass(&piece);
        if self.failed.is_none() {
            let pushed = [held, rest].into_iter().try_for_each(|part| self.rows.push(part, &mut self.waiting));
            self.failed = pushed.err();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.failed.is_none() {
            let rest = self.rows.push(self.unmarked.rest(), &mut self.waiting);
            self.failed = rest.and_then(|()| self.rows.end(&mut self.waiting)).err();
            self.has_ended = self.failed.is_none();
        }
        Ok(())
    }

    fn schema(&self) -> Option<SchemaRef> {
        self.columns.as_ref().map(|(schema, _)| Arc::clone(schema))
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        if self.columns.is_none() && !self.find_types()? {
            return Ok(None);
        }
        let Some((schema, expected)) = &self.columns else { return Ok(None) };
        match (self.waiting.pop_front(), self.failed.take()) {
            (Some(cells), failed) => {
                self.failed = failed;
                let names = self.rows.names();
                columns::batch(schema, expected, cells, names, |message| self.rows.bad_value(message)).map(Some)
            }
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}
