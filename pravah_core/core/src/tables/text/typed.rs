//! Makes a batch of the rows of a piece, once the types of the columns are known.

use std::{collections::HashMap, ops::Range, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};

use super::{
    columns::Expected,
    csv::MOST_COLUMNS,
    fault::{BadRow, Fault},
    nested::{Filling, MOST_CELLS},
    rows::RowSink,
    shape::Wanted,
    survey::Survey,
};
use crate::{
    Error, Result,
    processors::{ColumnType, Tag},
    tables::Declared,
};

/// The columns of a file and their types.
#[derive(Debug)]
pub struct Typing {
    pub schema: SchemaRef,
    wanted: Vec<Wanted>,
    /// Rows of a piece, at most.
    most_rows: usize,
    positions: HashMap<String, usize>,
}

impl Typing {
    /// No columns.
    pub fn none() -> Self {
        let (schema, wanted) = (Arc::new(Schema::empty()), Vec::new());
        Self { schema, wanted, most_rows: usize::MAX, positions: HashMap::new() }
    }

    /// Decide, by what was found and what was declared.
    pub fn decide(survey: &Survey, declared: &Declared) -> Result<Self> {
        if survey.names.is_empty() {
            return Err(Error::NoColumns("the file has no columns: it is empty, or its rows are".to_owned()));
        }
        if let Some(unknown) = declared.keys().find(|declared| !survey.names.contains(declared)) {
            return Err(Error::UnsupportedInput(format!("`types` names the column `{unknown}`, which is not there")));
        }
        let columns = survey.names.iter().zip(&survey.columns);
        let wanted: Vec<_> = columns
            .map(|(name, shape)| match declared.get(name) {
                Some(&column_type) => Wanted::Flat(Expected { column_type, is_declared: true }),
                None => shape.decide(),
            })
            .collect();
        let leaves: usize = wanted.iter().map(Wanted::leaves).sum();
        if leaves > MOST_COLUMNS {
            let told = format!("the objects have more than {MOST_COLUMNS} different fields, nested ones counted");
            return Err(Error::UnsupportedInput(told));
        }
        let fields = survey.names.iter().zip(&wanted);
        let fields: Vec<_> = fields.map(|(name, wanted)| Field::new(name, wanted.data_type(), true)).collect();
        let positions = survey.names.iter().cloned().zip(0..).collect();
        Ok(Self { schema: Arc::new(Schema::new(fields)), wanted, most_rows: MOST_CELLS / leaves, positions })
    }
}

/// What became of the rows of a piece.
pub struct Typed {
    /// Those that are good.
    pub batch: RecordBatch,
    pub bad: Vec<BadRow>,
    /// A value does not fit, or has no column: the types are too narrow for this file, and the batch is not complete.
    pub is_misfit: bool,
}

/// Makes the columns of one piece.
pub struct Typer {
    typing: Arc<Typing>,
    columns: Vec<Filling>,
    rows: usize,
    bad: Vec<BadRow>,
    /// What is wrong with the row under way.
    fault: Option<Fault>,
    /// A value of the row under way does not fit, which counts once the row has ended well.
    row_is_misfit: bool,
    is_misfit: bool,
    /// The texts of the piece are not all UTF-8, so each is looked at.
    checks_text: bool,
    /// Nobody wants more than the first bad row.
    stops_at_bad: bool,
}

impl Typer {
    /// Begin without rows.
    pub fn new(typing: &Arc<Typing>, checks_text: bool, stops_at_bad: bool) -> Self {
        Self {
            typing: Arc::clone(typing),
            columns: typing.wanted.iter().map(Filling::new).collect(),
            rows: 0,
            bad: Vec::new(),
            fault: None,
            row_is_misfit: false,
            is_misfit: false,
            checks_text,
            stops_at_bad,
        }
    }

    /// Give the batch.
    pub fn finish(self) -> Result<Typed> {
        if self.rows > self.typing.most_rows {
            return Err(Error::UnsupportedInput(format!(
                "it has {} columns, and rows that mention few of them: more than {} rows in a piece of 1 MiB",
                self.columns.len(),
                self.typing.most_rows
            )));
        }
        let arrays: Vec<ArrayRef> = self.columns.into_iter().map(Filling::finish).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.typing.schema), arrays, &options)
            .map_err(|error| Error::CorruptInput(error.to_string()))?;
        Ok(Typed { batch, bad: self.bad, is_misfit: self.is_misfit })
    }

    fn name(&self, column: usize) -> String {
        self.typing.schema.field(column).name().clone()
    }
}

impl RowSink for Typer {
    fn column(&mut self, expected: usize, name: &str) -> Option<usize> {
        let fields = self.typing.schema.fields();
        if fields.get(expected).is_some_and(|there| there.name() == name) {
            return Some(expected);
        }
        let column = self.typing.positions.get(name).copied();
        self.row_is_misfit |= column.is_none();
        column
    }

    #[inline]
    fn cell(&mut self, column: usize, tag: Tag, cell: &[u8]) -> bool {
        let filling = &mut self.columns[column];
        if filling.len() > self.rows {
            return false;
        }
        while filling.len() < self.rows {
            filling.push_null(); // of rows that had no such field
        }
        let Filling::Flat(flat) = filling else {
            match filling.push(tag, cell) {
                Ok(fits) => self.row_is_misfit |= !fits,
                Err(fault) => self.fault = Some(fault),
            }
            return true;
        };
        let Expected { column_type, is_declared } = flat.expected;
        if self.checks_text && column_type == ColumnType::Text && std::str::from_utf8(cell).is_err() {
            flat.push_null();
            self.fault = Some(Fault::NotUtf8 { column: self.name(column) });
            return true;
        }
        if !flat.push(tag, cell) {
            if is_declared {
                let (column, value) = (self.name(column), cell.to_vec());
                self.fault = Some(Fault::Value { column, value, wanted: column_type.name() });
            } else {
                self.row_is_misfit = true;
            }
        }
        true
    }

    fn end_row(&mut self, line: u32, extent: Range<usize>) {
        if let Some(fault) = self.fault.take() {
            return self.reject(BadRow { line, extent, fault });
        }
        self.is_misfit |= self.row_is_misfit;
        self.row_is_misfit = false;
        self.rows += 1;
        for column in &mut self.columns {
            if column.len() < self.rows {
                column.push_null();
            }
        }
    }

    fn reject(&mut self, bad: BadRow) {
        self.forget();
        self.bad.push(bad);
    }

    fn forget(&mut self) {
        self.fault = None;
        self.row_is_misfit = false;
        let rows = self.rows;
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    fn wants_more(&self) -> bool {
        !self.is_misfit && self.rows <= self.typing.most_rows && (self.bad.is_empty() || !self.stops_at_bad)
    }
}
