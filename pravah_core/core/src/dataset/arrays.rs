//! Values of records as Arrow arrays, of the kinds that were found.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, ListArray, StructArray,
    builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder},
};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields};
use serde_json::value::RawValue;

use super::kind::{Kind, Names, bad_record, items, object};
use crate::Result;

/// One column under way.
pub enum Column {
    Boolean(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    List { field: FieldRef, items: Box<Column>, lengths: Vec<usize>, valid: NullBufferBuilder },
    Struct { fields: Fields, members: Members, valid: NullBufferBuilder },
}

/// Columns under way, by the names of an object.
pub struct Members {
    names: Names,
    columns: Vec<Column>,
}

impl Members {
    /// No values yet.
    pub fn new(names: &Names) -> Self {
        Self { names: names.clone(), columns: names.kinds.iter().map(Column::new).collect() }
    }

    /// Add an object, each field of it to its column; none: a null.
    pub fn append(&mut self, text: Option<&str>) -> Result<()> {
        let mut values = vec![None; self.columns.len()];
        for (expected, (name, value)) in text.map(object).transpose()?.unwrap_or_default().into_iter().enumerate() {
            if let Some(place) = self.names.position(expected, &name) {
                values[place] = Some(value);
            }
        }
        self.columns.iter_mut().zip(values).try_for_each(|(column, value)| column.append(value))
    }

    /// Take the columns.
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        self.columns.iter_mut().map(Column::finish).collect()
    }
}

impl Column {
    fn new(kind: &Kind) -> Self {
        let valid = || NullBufferBuilder::new(0);
        match (kind, kind.data_type()) {
            (Kind::Boolean, _) => Self::Boolean(BooleanBuilder::new()),
            (Kind::Int { .. }, _) => Self::Int(Int64Builder::new()),
            (Kind::Float, _) => Self::Float(Float64Builder::new()),
            (Kind::List(items), _) => Self::List {
                field: Arc::new(Field::new_list_field(items.data_type(), true)),
                items: Box::new(Self::new(items)),
                lengths: Vec::new(),
                valid: valid(),
            },
            (Kind::Struct(names), DataType::Struct(fields)) => {
                Self::Struct { fields, members: Members::new(names), valid: valid() }
            }
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Add a value; none: a null.
    fn append(&mut self, value: Option<&RawValue>) -> Result<()> {
        let text = value.map(RawValue::get).filter(|&text| text != "null");
        match self {
            Self::Boolean(column) => column.append_option(text.map(|text| text == "true")),
            Self::Int(column) => column.append_option(text.and_then(|text| text.parse().ok())),
            Self::Float(column) => column.append_option(text.and_then(|text| text.parse().ok())),
            Self::Text(column) => match text {
                Some(quoted) if quoted.starts_with('"') => {
                    column.append_value(serde_json::from_str::<String>(quoted).map_err(|error| bad_record(&error))?);
                }
                other => column.append_option(other),
            },
            Self::List { items: column, lengths, valid, .. } => {
                let values = text.map(items).transpose()?;
                valid.append(values.is_some());
                let values = values.unwrap_or_default();
                lengths.push(values.len());
                values.into_iter().try_for_each(|item| column.append(Some(item)))?;
            }
            Self::Struct { members, valid, .. } => {
                valid.append(text.is_some());
                members.append(text)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Text(column) => Arc::new(column.finish()),
            Self::List { field, items, lengths, valid } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                Arc::new(ListArray::new(Arc::clone(field), offsets, items.finish(), valid.finish()))
            }
            Self::Struct { fields, members, valid } => {
                Arc::new(StructArray::new(fields.clone(), members.finish(), valid.finish()))
            }
        }
    }
}
