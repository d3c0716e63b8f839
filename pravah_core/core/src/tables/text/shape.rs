//! What a column may be: one value a row, or lists and objects of such, as deep as they are regular.

use arrow_schema::{DataType, Field, Fields};

use super::{
    columns::{Expected, data_type},
    fault::Fault,
    ndjson::{fields_of, told, values_of},
    survey::Survey,
};
use crate::processors::{Candidates, ColumnType, Tag};

/// Lists and objects in each other that get types of their own; the JSON of deeper ones is text.
const MOST_LEVELS: usize = 16;

/// Fields of one object; one with more is a map whose keys are data, and its JSON is text.
const MOST_FIELDS: usize = 1_000;

/// What all cells of a column may be, as far as they were seen.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Values without parts, nothing but nulls, or text, as nothing else holds them.
    Flat(Candidates),
    List(Box<Shape>),
    Struct(Box<Survey>),
}

/// What a column has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Flat(Expected),
    List(Box<Wanted>),
    Struct(Vec<(String, Wanted)>),
}

impl Shape {
    /// Nothing was seen.
    pub const ANY: Self = Self::Flat(Candidates::ALL);

    /// Whether no cell to come can change the decision.
    pub fn is_decided(&self) -> bool {
        matches!(self, Self::Flat(candidates) if candidates.are_decided())
    }

    /// See what others have seen.
    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Flat(mine), Self::Flat(theirs)) => mine.merge(*theirs),
            (Self::List(mine), Self::List(theirs)) => mine.merge(theirs),
            (Self::Struct(mine), Self::Struct(theirs)) => {
                mine.merge(theirs);
                self.give_up_map();
            }
            (_, Self::Flat(theirs)) if !theirs.have_values() => {}
            (Self::Flat(mine), theirs) if !mine.have_values() => *self = theirs.clone(),
            _ => *self = Self::text(),
        }
    }

    /// See a nested cell, so many levels within the column. Of one that can't be read a part has been seen then.
    pub fn see_nested(&mut self, cell: &[u8], level: usize) -> Result<(), Fault> {
        if self.is_decided() || level == MOST_LEVELS {
            *self = Self::text();
            return Ok(());
        }
        let is_new = matches!(self, Self::Flat(candidates) if !candidates.have_values());
        if cell.first() == Some(&b'[') {
            if is_new {
                *self = Self::List(Box::new(Self::ANY));
            }
            let Self::List(items) = self else {
                *self = Self::text();
                return Ok(());
            };
            for value in values_of(cell)? {
                let (tag, text) = told(value)?;
                items.see(tag, &text, level + 1)?;
            }
            return Ok(());
        }
        if is_new {
            *self = Self::Struct(Box::default());
        }
        let Self::Struct(fields) = self else {
            *self = Self::text();
            return Ok(());
        };
        for (expected, (name, value)) in fields_of(cell)?.into_iter().enumerate() {
            let (tag, text) = told(value)?;
            let field = fields.position(expected, &name);
            fields.columns[field].see(tag, &text, level + 1)?;
        }
        self.give_up_map();
        Ok(())
    }

    fn see(&mut self, tag: Tag, cell: &[u8], level: usize) -> Result<(), Fault> {
        if tag == Tag::Nested {
            return self.see_nested(cell, level);
        }
        self.merge(&Self::Flat(Candidates::of(tag, cell)));
        Ok(())
    }

    fn give_up_map(&mut self) {
        if matches!(self, Self::Struct(fields) if fields.names.len() > MOST_FIELDS) {
            *self = Self::text();
        }
    }

    fn text() -> Self {
        Self::Flat(Candidates::of(Tag::Text, b""))
    }

    /// Decide; objects without any field are text, as no format has columns for them.
    pub fn decide(&self) -> Wanted {
        let flat = |column_type| Wanted::Flat(Expected { column_type, is_declared: false });
        match self {
            Self::Flat(candidates) => flat(candidates.decide()),
            Self::List(items) => Wanted::List(Box::new(items.decide())),
            Self::Struct(fields) if fields.names.is_empty() => flat(ColumnType::Text),
            Self::Struct(fields) => {
                let decided = fields.columns.iter().map(Self::decide);
                Wanted::Struct(fields.names.iter().cloned().zip(decided).collect())
            }
        }
    }
}

impl Wanted {
    /// The Arrow type of the column.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Flat(expected) => data_type(expected.column_type),
            Self::List(items) => DataType::new_list(items.data_type(), true),
            Self::Struct(fields) => {
                let fields = fields.iter().map(|(name, wanted)| Field::new(name, wanted.data_type(), true));
                DataType::Struct(fields.collect::<Fields>())
            }
        }
    }

    /// Columns that a format of columns makes of it.
    pub fn leaves(&self) -> usize {
        match self {
            Self::Flat(_) => 1,
            Self::List(items) => items.leaves(),
            Self::Struct(fields) => fields.iter().map(|(_, wanted)| wanted.leaves()).sum(),
        }
    }
}
