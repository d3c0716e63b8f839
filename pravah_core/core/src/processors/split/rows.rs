//! Cuts tables: each part has the columns of all, and so many of the rows.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use bytes::Bytes;

use super::Limit;
use crate::{
    Result,
    naming::Part,
    processors::{Event, SourcePath, Step},
    tables::slice_bytes,
};

/// The work on one table.
pub struct RowCutter {
    limit: Limit,
    name: Bytes,
    path: Option<SourcePath>,
    source_bytes: Option<u64>,
    /// No row of any, once the columns are known.
    columns: Option<RecordBatch>,
    /// The part at hand: its number, and what it has.
    number: u32,
    rows: u64,
    size_bytes: u64,
    /// Rows that are not cut yet: one part of them at a time, as there may be as many as rows.
    rest: Option<RecordBatch>,
    given: VecDeque<Event>,
}

impl RowCutter {
    /// Begin before the table.
    pub fn new(limit: Limit) -> Self {
        let (name, path, columns, rest, given) = (Bytes::new(), None, None, None, VecDeque::new());
        Self { limit, name, path, source_bytes: None, columns, number: 0, rows: 0, size_bytes: 0, rest, given }
    }

    fn begin_part(&mut self) {
        self.given.push_back(Event::Part(Part { number: self.number, ..Part::default() }));
        let (name, path, source_bytes) = (self.name.clone(), self.path.clone(), self.source_bytes);
        self.given.push_back(Event::Begin { name, size_bytes: None, source_bytes, path });
        // The first batch tells the columns, also where no row follows.
        self.given.extend(self.columns.clone().map(Event::Table));
        (self.rows, self.size_bytes) = (0, 0);
    }

    /// Give the next rows that belong to one part.
    fn cut(&mut self, batch: &RecordBatch) {
        let fitting = match self.fitting(batch) {
            0 if self.rows > 0 => {
                self.given.push_back(Event::End);
                self.number = self.number.saturating_add(1);
                self.begin_part();
                self.rest = Some(batch.clone());
                return;
            }
            fitting => fitting.max(1), // a row that is larger than a part may be has one of its own
        };
        let slice = batch.slice(0, fitting);
        let behind = batch.num_rows() - fitting;
        self.rest = (behind > 0).then(|| batch.slice(fitting, behind));
        self.rows += fitting as u64;
        self.size_bytes += slice_bytes(&slice) as u64;
        self.given.push_back(Event::Table(slice));
    }

    /// How many of the next rows still belong to the part at hand.
    fn fitting(&self, batch: &RecordBatch) -> usize {
        match self.limit {
            Limit::Units(rows) => {
                usize::try_from(rows - self.rows).map_or(batch.num_rows(), |n| n.min(batch.num_rows()))
            }
            Limit::Bytes(limit) => {
                let rest = limit.saturating_sub(self.size_bytes);
                let fits = |rows: usize| slice_bytes(&batch.slice(0, rows)) as u64 <= rest;
                let (mut fitting, mut beyond) = (0, batch.num_rows() + 1);
                while fitting + 1 < beyond {
                    let middle = fitting.midpoint(beyond);
                    if fits(middle) { fitting = middle } else { beyond = middle }
                }
                fitting
            }
        }
    }
}

impl Step for RowCutter {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, source_bytes, path, .. } => {
                (self.name, self.path, self.source_bytes) = (name, path, source_bytes);
                self.begin_part();
            }
            Event::Table(batch) => {
                if self.columns.is_none() {
                    let columns = self.columns.insert(batch.slice(0, 0)).clone();
                    self.given.push_back(Event::Table(columns));
                }
                self.rest = Some(batch).filter(|batch| batch.num_rows() > 0);
            }
            event => self.given.push_back(event),
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if self.given.is_empty()
            && let Some(batch) = self.rest.take()
        {
            self.cut(&batch);
        }
        Ok(self.given.pop_front())
    }
}
