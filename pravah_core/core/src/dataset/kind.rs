//! Which columns records have, and what each holds: found by looking at every value once.
//!
//! Nothing is lost by a type: integers are 64 bits wide or text, they become floating-point numbers only where these
//! have each of them exactly, and what is irregular stays text.

use std::{borrow::Cow, collections::HashMap};

use arrow_schema::{DataType, Field};
use serde_json::value::RawValue;

use super::table::Form;
use crate::{Error, Result, tables::JsonObject};

/// Fields of all columns together, nested ones counted: each takes memory of its own in readers and writers.
const MOST_FIELDS: usize = 4_096;

/// Levels of lists and structs within a column; what is nested deeper is JSON text.
const MOST_LEVELS: u32 = 16;

/// Integers up to here are floating-point numbers as well (IEEE 754, 53 bits of significand).
const EXACT: u64 = 1 << 53;

/// What the values of a column have in common.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// There was none but nulls.
    Null,
    Boolean,
    /// Integers of 64 bits; whether all of them are floating-point numbers as well.
    Int {
        exact: bool,
    },
    Float,
    /// Text as it is, and everything else as JSON.
    Text,
    List(Box<Kind>),
    Struct(Names),
}

/// The fields of a struct, in the order in which they came first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    pub names: Vec<String>,
    pub kinds: Vec<Kind>,
    positions: HashMap<String, usize>,
}

/// The columns of a table.
#[derive(Debug)]
pub struct Fields {
    pub columns: Names,
    form: Form,
    /// How many fields there may still be.
    room: usize,
}

impl Fields {
    /// The columns of no records: every record has a path, and a table without columns can't be written.
    pub fn with_path(form: Form) -> Self {
        let mut columns = Names::default();
        columns.add("path");
        Self { columns, form, room: MOST_FIELDS - 1 }
    }

    /// See another record.
    pub fn see(&mut self, line: &str) -> Result<()> {
        let levels = if self.form == Form::Flat { 0 } else { MOST_LEVELS };
        for (expected, (name, value)) in object(line)?.into_iter().enumerate() {
            let Some(column) = self.columns.position_or_add(expected, &name, &mut self.room) else {
                return Err(Error::UnsupportedInput(format!(
                    "the records have the field `{name}` beyond {MOST_FIELDS} others"
                )));
            };
            self.columns.kinds[column].see(value.get(), levels, &mut self.room)?;
        }
        Ok(())
    }
}

impl Names {
    /// The place of a name, which is `expected` there.
    pub fn position(&self, expected: usize, name: &str) -> Option<usize> {
        let is_there = self.names.get(expected).is_some_and(|there| there == name);
        if is_there { Some(expected) } else { self.positions.get(name).copied() }
    }

    fn position_or_add(&mut self, expected: usize, name: &str, room: &mut usize) -> Option<usize> {
        if let Some(known) = self.position(expected, name) {
            return Some(known);
        }
        *room = room.checked_sub(1)?;
        Some(self.add(name))
    }

    fn add(&mut self, name: &str) -> usize {
        let place = self.names.len();
        self.names.push(name.to_owned());
        self.kinds.push(Kind::Null);
        self.positions.insert(name.to_owned(), place);
        place
    }

    /// The same as Arrow has it.
    pub fn fields(&self) -> Vec<Field> {
        let named = self.names.iter().zip(&self.kinds);
        named.map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect()
    }
}

impl Kind {
    /// What Arrow calls it; of what no value was seen, text.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int { .. } => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::List(items) => DataType::new_list(items.data_type(), true),
            // Parquet has no structs without fields.
            Self::Struct(names) if !names.names.is_empty() => DataType::Struct(names.fields().into()),
            Self::Null | Self::Text | Self::Struct(_) => DataType::Utf8,
        }
    }

    /// See another value, as it stands in a record.
    fn see(&mut self, value: &str, levels: u32, room: &mut usize) -> Result<()> {
        match value.as_bytes().first() {
            Some(b'n') => {}
            Some(b't' | b'f') => self.meet(Self::Boolean),
            Some(b'[' | b'{') if levels == 0 => *self = Self::Text,
            Some(b'[') => return self.see_list(value, levels - 1, room),
            Some(b'{') => return self.see_object(value, levels - 1, room),
            Some(b'"') | None => self.meet(Self::Text),
            Some(_) => self.meet(Self::of_number(value)),
        }
        Ok(())
    }

    fn see_list(&mut self, value: &str, levels: u32, room: &mut usize) -> Result<()> {
        if *self == Self::Null {
            *self = Self::List(Box::new(Self::Null));
        }
        let Self::List(kind) = self else {
            *self = Self::Text;
            return Ok(());
        };
        items(value)?.into_iter().try_for_each(|item| kind.see(item.get(), levels, room))
    }

    fn see_object(&mut self, value: &str, levels: u32, room: &mut usize) -> Result<()> {
        if *self == Self::Null {
            *self = Self::Struct(Names::default());
        }
        if let Self::Struct(names) = self {
            for (expected, (name, value)) in object(value)?.into_iter().enumerate() {
                let Some(place) = names.position_or_add(expected, &name, room) else {
                    *self = Self::Text;
                    return Ok(());
                };
                names.kinds[place].see(value.get(), levels, room)?;
            }
            return Ok(());
        }
        *self = Self::Text;
        Ok(())
    }

    fn of_number(value: &str) -> Self {
        if let Ok(number) = value.parse::<i64>() {
            return Self::Int { exact: number.unsigned_abs() <= EXACT };
        }
        let is_integer = !value.contains(['.', 'e', 'E']);
        if is_integer || !value.parse::<f64>().is_ok_and(f64::is_finite) { Self::Text } else { Self::Float }
    }

    /// Keep what two kinds have in common.
    fn meet(&mut self, other: Self) {
        let before = std::mem::replace(self, Self::Text);
        *self = match (before, other) {
            (Self::Null, kind) => kind,
            (Self::Boolean, Self::Boolean) => Self::Boolean,
            (Self::Int { exact }, Self::Int { exact: also }) => Self::Int { exact: exact && also },
            (Self::Int { exact: true } | Self::Float, Self::Float) | (Self::Float, Self::Int { exact: true }) => {
                Self::Float
            }
            _ => Self::Text,
        }
    }
}

/// The fields of an object, with their values as they are written.
pub fn object(text: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str::<JsonObject<'_>>(text).map(|object| object.0).map_err(|error| bad_record(&error))
}

/// The items of a list, as they are written.
pub fn items(text: &str) -> Result<Vec<&RawValue>> {
    serde_json::from_str(text).map_err(|error| bad_record(&error))
}

/// The error of a record that can't be read.
pub fn bad_record(error: &serde_json::Error) -> Error {
    Error::UnsupportedInput(format!("a record can't be read as JSON: {error}"))
}
