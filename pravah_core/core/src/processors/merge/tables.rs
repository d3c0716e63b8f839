//! Puts the rows of several tables together: under the columns of all of them, in the order of the files.
//!
//! A file's format wants its columns before the first row, and the last file may have others. So rows pass on under the
//! columns of the first table as long as those of the others fit; where one does not, the rest is only looked at, and
//! all files are read once more with columns that hold everything.

use std::{collections::VecDeque, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;

use super::{
    Columns,
    columns::{Found, Told, aligned, fits, plain},
    partitions::Partitions,
};
use crate::{
    Error, Result,
    memo::Memo,
    processors::{Event, Step},
};

/// The columns of all files, as an earlier reading has found them.
struct Decided(SchemaRef);

/// The work on the tables of one output.
pub struct TablesStep {
    rule: Columns,
    partitions: Option<Partitions>,
    /// What an earlier reading has found; none: this is the first one.
    decided: Option<SchemaRef>,
    /// The columns under which rows are written; none: no table has come yet.
    written: Option<SchemaRef>,
    /// A table does not fit: nothing is written any more.
    is_surveying: bool,
    found: Found,
    /// The first table, which the others are compared with.
    first: Option<(Bytes, SchemaRef)>,
    name: Bytes,
    /// The table at hand; none: its columns are not known yet.
    table: Option<(SchemaRef, Vec<Told>)>,
    has_begun: bool,
    given: VecDeque<Event>,
}

impl TablesStep {
    /// Begin before the first table.
    pub fn new(rule: Columns, partition_by: &[String]) -> Self {
        Self {
            rule,
            partitions: (!partition_by.is_empty()).then(|| Partitions::new(partition_by.to_vec())),
            decided: None,
            written: None,
            is_surveying: false,
            found: Found::default(),
            first: None,
            name: Bytes::new(),
            table: None,
            has_begun: false,
            given: VecDeque::new(),
        }
    }

    fn begin(&mut self, name: Bytes) {
        if !std::mem::replace(&mut self.has_begun, true) {
            match &mut self.partitions {
                Some(partitions) => partitions.begin(name.clone()),
                None => self.given.push_back(Event::Begin {
                    name: name.clone(),
                    size_bytes: None,
                    source_bytes: None,
                    path: None,
                }),
            }
        }
        self.name = name;
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.table.is_none() {
            self.take_columns(&batch.schema())?;
        }
        let Some((_, told)) = &mut self.table else { return Ok(()) };
        told.iter_mut().zip(batch.columns()).for_each(|(told, column)| told.see(column));
        let Some(written) = self.written.as_ref().filter(|_| !self.is_surveying && batch.num_rows() > 0) else {
            return Ok(());
        };
        match aligned(batch, written)? {
            Some(batch) => self.give(batch)?,
            None if self.decided.is_some() => {
                return Err(Error::ChangedWhileRead("its columns were others at the first reading".to_owned()));
            }
            None => self.is_surveying = true,
        }
        Ok(())
    }

    fn take_columns(&mut self, schema: &Schema) -> Result<()> {
        let table = plain(schema)?;
        match &self.first {
            None => self.first = Some((self.name.clone(), Arc::clone(&table))),
            Some((name, first)) if self.rule == Columns::Same => refuse_other(&table, first, name)?,
            Some(_) => {}
        }
        self.table = Some((Arc::clone(&table), vec![Told::default(); table.fields().len()]));
        match &self.written {
            None => {
                let written = self.decided.clone().unwrap_or(table);
                self.written = Some(Arc::clone(&written));
                // Another table may have the columns that part rows.
                let lacks = self.partitions.as_ref().is_some_and(|partitions| partitions.lacks(&written));
                self.is_surveying = self.decided.is_none() && lacks;
                if self.is_surveying { Ok(()) } else { self.give(RecordBatch::new_empty(written)) }
            }
            Some(written) => {
                self.is_surveying |= self.decided.is_none() && !fits(&table, written, self.rule);
                Ok(())
            }
        }
    }

    fn give(&mut self, batch: RecordBatch) -> Result<()> {
        match &mut self.partitions {
            Some(partitions) => partitions.take(&batch, &mut self.given),
            None => {
                self.given.push_back(Event::Table(batch));
                Ok(())
            }
        }
    }

    fn end_table(&mut self) -> Result<()> {
        match self.table.take() {
            Some((schema, told)) => self.found.add(&schema, &told),
            None => Ok(()),
        }
    }
}

impl Step for TablesStep {
    fn remember(&mut self, memo: &Memo) {
        if let Some(Decided(schema)) = memo.get() {
            self.decided = Some(Arc::clone(schema));
        }
    }

    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, .. } => self.begin(name),
            Event::Table(batch) => self.take(&batch)?,
            Event::End => self.end_table()?,
            event => self.given.push_back(event),
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.given.pop_front())
    }

    fn finish(&mut self) -> Result<()> {
        if self.decided.is_none() && self.first.is_some() {
            let decided = self.found.decide(self.rule)?;
            if self.is_surveying || self.written.as_ref() != Some(&decided) {
                return Err(Error::ReadAgain(Memo::new(Decided(decided))));
            }
        }
        match &mut self.partitions {
            Some(partitions) => partitions.finish(&mut self.given),
            None => {
                self.given.push_back(Event::End);
                Ok(())
            }
        }
    }
}

/// Refuse a table that has other columns than the first one, in whatever order.
fn refuse_other(table: &Schema, first: &Schema, name: &[u8]) -> Result<()> {
    let lacks = |one: &Schema, other: &Schema| {
        let names = one.fields().iter().map(|field| field.name());
        names.filter(|name| other.field_with_name(name).is_err()).cloned().collect::<Vec<_>>()
    };
    let (missing, more) = (lacks(first, table), lacks(table, first));
    if missing.is_empty() && more.is_empty() {
        return Ok(());
    }
    let told = [("lacks", missing), ("has", more)].into_iter().filter(|(_, names)| !names.is_empty());
    let told: Vec<String> = told.map(|(verb, names)| format!("{verb} `{}`", names.join("`, `"))).collect();
    let name = String::from_utf8_lossy(name);
    Err(Error::ColumnsDiffer(format!("its columns are not those of `{name}`: it {}", told.join(" and "))))
}
