//! Columns that are filled cell by cell, also those of lists and structs, whose cells are JSON.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{Array, ArrayRef, ListArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, FieldRef, Fields};

use super::{
    columns::Column,
    fault::Fault,
    ndjson::{fields_of, told, values_of},
    shape::Wanted,
};
use crate::{Error, Result, processors::Tag};

/// Values of a piece, nulls counted, at most: some 150 MB. Rows of text that mention few of their columns may be short,
/// and each takes a place in every column.
pub const MOST_CELLS: usize = 16 << 20;

/// A column that is being filled, of whatever shape.
pub enum Filling {
    Flat(Column),
    List(ListColumn),
    Struct(StructColumn),
}

pub struct ListColumn {
    items: Box<Filling>,
    /// Items of all rows, at most.
    most_items: usize,
    /// Where each row's items begin, and the last one's end.
    offsets: Vec<i32>,
    validity: Vec<bool>,
}

pub struct StructColumn {
    names: Vec<String>,
    positions: HashMap<String, usize>,
    columns: Vec<Filling>,
    validity: Vec<bool>,
}

impl Filling {
    /// Begin without rows.
    pub fn new(wanted: &Wanted) -> Self {
        match wanted {
            Wanted::Flat(expected) => Self::Flat(Column::new(*expected)),
            Wanted::List(items) => {
                let most_items = MOST_CELLS / items.leaves();
                let items = Box::new(Self::new(items));
                Self::List(ListColumn { items, most_items, offsets: vec![0], validity: Vec::new() })
            }
            Wanted::Struct(fields) => {
                let names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
                let positions = names.iter().cloned().zip(0..).collect();
                let columns = fields.iter().map(|(_, wanted)| Self::new(wanted)).collect();
                Self::Struct(StructColumn { names, positions, columns, validity: Vec::new() })
            }
        }
    }

    /// Rows so far.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Flat(column) => column.len(),
            Self::List(column) => column.validity.len(),
            Self::Struct(column) => column.validity.len(),
        }
    }

    /// Add a cell; false: the column can't hold it, and something else stands for it. Of a cell that can't be read a
    /// part may be there; `truncate` forgets it.
    pub fn push(&mut self, tag: Tag, cell: &[u8]) -> Result<bool, Fault> {
        match (self, cell.first()) {
            (Self::Flat(column), _) => Ok(column.push(tag, cell)),
            (Self::List(column), Some(b'[')) if tag == Tag::Nested => column.push(cell),
            (Self::Struct(column), Some(b'{')) if tag == Tag::Nested => column.push(cell),
            (other, _) => {
                other.push_null();
                Ok(tag == Tag::Null)
            }
        }
    }

    /// Add a null.
    pub fn push_null(&mut self) {
        match self {
            Self::Flat(column) => column.push_null(),
            Self::List(column) => {
                column.offsets.push(column.items.len() as i32);
                column.validity.push(false);
            }
            Self::Struct(column) => {
                column.columns.iter_mut().for_each(Self::push_null);
                column.validity.push(false);
            }
        }
    }

    /// Forget the rows behind so many.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Self::Flat(column) => column.truncate(rows),
            Self::List(column) => {
                column.offsets.truncate(rows + 1);
                column.validity.truncate(rows);
                let items = column.offsets.last().copied().unwrap_or_default();
                column.items.truncate(items as usize);
            }
            Self::Struct(column) => {
                column.columns.iter_mut().for_each(|field| field.truncate(rows));
                column.validity.truncate(rows);
            }
        }
    }

    /// Give the column; its texts have to be UTF-8.
    pub fn finish(self) -> Result<ArrayRef> {
        match self {
            Self::Flat(column) => column.finish(),
            Self::List(column) => {
                let items = column.items.finish()?;
                let field: FieldRef = Arc::new(Field::new_list_field(items.data_type().clone(), true));
                let offsets = OffsetBuffer::new(ScalarBuffer::from(column.offsets));
                let lists = ListArray::try_new(field, offsets, items, nulls(column.validity));
                Ok(Arc::new(lists.map_err(|error| Error::CorruptInput(error.to_string()))?))
            }
            Self::Struct(column) => {
                let arrays: Vec<ArrayRef> = column.columns.into_iter().map(Self::finish).collect::<Result<_>>()?;
                let fields = column.names.iter().zip(&arrays);
                let fields: Fields =
                    fields.map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
                let structs = StructArray::try_new(fields, arrays, nulls(column.validity));
                Ok(Arc::new(structs.map_err(|error| Error::CorruptInput(error.to_string()))?))
            }
        }
    }
}

impl ListColumn {
    fn push(&mut self, cell: &[u8]) -> Result<bool, Fault> {
        let mut fits = true;
        for value in values_of(cell)? {
            let (tag, text) = told(value)?;
            fits &= self.items.push(tag, &text)?;
            if self.items.len() > self.most_items {
                return Err(Fault::TooSparse);
            }
        }
        // A piece is bounded far below 2^31 items.
        self.offsets.push(self.items.len() as i32);
        self.validity.push(true);
        Ok(fits)
    }
}

impl StructColumn {
    fn push(&mut self, cell: &[u8]) -> Result<bool, Fault> {
        let (mut fits, rows) = (true, self.validity.len());
        for (expected, (name, value)) in fields_of(cell)?.into_iter().enumerate() {
            let is_there = self.names.get(expected).is_some_and(|there| *there == name);
            let position = if is_there { Some(expected) } else { self.positions.get(&*name).copied() };
            let Some(position) = position else {
                fits = false;
                continue;
            };
            let field = &mut self.columns[position];
            if field.len() > rows {
                return Err(Fault::Twice { name: name.into_owned() });
            }
            let (tag, text) = told(value)?;
            fits &= field.push(tag, &text)?;
        }
        self.columns.iter_mut().filter(|field| field.len() == rows).for_each(Filling::push_null);
        self.validity.push(true);
        Ok(fits)
    }
}

fn nulls(validity: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(validity)).filter(|nulls| nulls.null_count() > 0)
}
