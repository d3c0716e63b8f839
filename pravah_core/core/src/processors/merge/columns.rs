//! The columns of several tables as one: which there are, and types that hold the values of all.
//!
//! Types are widened as `convert` does it for the values of one file: a number of bits grows, integers beside other
//! numbers become those where each is kept, and what nothing else holds is text. A column without any value takes the
//! type that it has in other tables.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray,
    cast::AsArray,
    new_null_array,
    types::{Int64Type, UInt64Type},
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use super::Columns;
use crate::{Error, Result, processors::column_types::EXACT_IN_FLOAT64, tables::texts};

/// What is known of the columns of all tables so far, in the order in which they came.
#[derive(Default)]
pub struct Found {
    columns: Vec<Column>,
    positions: HashMap<String, usize>,
    tables: usize,
}

struct Column {
    name: String,
    /// The type that holds its values; none: it has none yet.
    valued: Option<DataType>,
    /// The type where it has none.
    empty: Option<DataType>,
    /// It has integers that a float64 does not hold.
    has_large: bool,
    /// Tables that have it.
    tables: usize,
}

/// What one table tells of a column, once it has ended.
#[derive(Clone, Default)]
pub struct Told {
    pub has_values: bool,
    pub has_large: bool,
}

impl Told {
    /// See some rows of the column.
    pub fn see(&mut self, column: &ArrayRef) {
        self.has_values |= column.logical_null_count() < column.len();
        let large = |value: u64| value > EXACT_IN_FLOAT64;
        self.has_large = self.has_large
            || match column.data_type() {
                DataType::Int64 => {
                    column.as_primitive::<Int64Type>().iter().flatten().any(|value| large(value.unsigned_abs()))
                }
                DataType::UInt64 => column.as_primitive::<UInt64Type>().iter().flatten().any(large),
                _ => false,
            };
    }
}

impl Found {
    /// Add the columns of a table that has ended. Fails where no type holds the values of two tables.
    pub fn add(&mut self, schema: &Schema, told: &[Told]) -> Result<()> {
        self.tables += 1;
        for (field, told) in schema.fields().iter().zip(told) {
            let at = self.positions.get(field.name()).copied().unwrap_or_else(|| {
                let (name, at) = (field.name().clone(), self.columns.len());
                self.positions.insert(name.clone(), at);
                self.columns.push(Column { name, valued: None, empty: None, has_large: false, tables: 0 });
                at
            });
            let column = &mut self.columns[at];
            column.tables += 1;
            column.has_large |= told.has_large;
            let known = if told.has_values { &mut column.valued } else { &mut column.empty };
            let wider = match known.take() {
                None => field.data_type().clone(),
                Some(before) => wider(&before, field.data_type()).ok_or_else(|| unlike(field, &before))?,
            };
            *known = Some(wider);
        }
        Ok(())
    }

    /// The columns that the output has.
    pub fn decide(&self, rule: Columns) -> Result<SchemaRef> {
        let is_kept = |column: &&Column| rule != Columns::Intersection || column.tables == self.tables;
        let fields = self.columns.iter().filter(is_kept).map(|column| {
            let mut data_type = column.valued.as_ref().or(column.empty.as_ref()).cloned().unwrap_or(DataType::Null);
            if data_type == DataType::Float64 && column.has_large {
                data_type = DataType::Utf8;
            }
            Field::new(&column.name, data_type, true)
        });
        let fields: Vec<Field> = fields.collect();
        if fields.is_empty() {
            return Err(Error::NoColumns("the files have no column in common".to_owned()));
        }
        Ok(Arc::new(Schema::new(fields)))
    }
}

/// Give the columns of a table as they are written, without what only its own file says of them.
pub fn plain(schema: &Schema) -> Result<SchemaRef> {
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
        let message = format!("two columns are called `{}`, and columns are put together by name", twice.name());
        return Err(Error::UnsupportedInput(message));
    }
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// Whether rows of a table can be written under these columns, and none of its own is lost.
pub fn fits(table: &Schema, written: &Schema, rule: Columns) -> bool {
    let holds = |field: &Field| {
        written.field_with_name(field.name()).map_or(rule == Columns::Intersection, |there| {
            wider(there.data_type(), field.data_type()).is_some_and(|wider| wider == *there.data_type())
        })
    };
    let misses_none = || written.fields().iter().all(|field| table.field_with_name(field.name()).is_ok());
    table.fields().iter().all(|field| holds(field)) && (rule != Columns::Intersection || misses_none())
}

/// Give rows under the columns that are written; none: a value of theirs does not fit.
pub fn aligned(batch: &RecordBatch, written: &SchemaRef) -> Result<Option<RecordBatch>> {
    let mut columns = Vec::with_capacity(written.fields().len());
    for field in written.fields() {
        let Some(column) = batch.column_by_name(field.name()) else {
            columns.push(new_null_array(field.data_type(), batch.num_rows()));
            continue;
        };
        match as_type(field, column)? {
            Some(column) => columns.push(column),
            None => return Ok(None),
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(written), columns, &options).map(Some).map_err(unusable)
}

fn as_type(field: &Arc<Field>, column: &ArrayRef) -> Result<Option<ArrayRef>> {
    let (from, to) = (column.data_type(), field.data_type());
    if from == to {
        return Ok(Some(Arc::clone(column)));
    }
    // Without a value it has no type of its own, and a cast to lists would make one of each null.
    if column.logical_null_count() == column.len() {
        return Ok(Some(new_null_array(to, column.len())));
    }
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let mut column = Arc::clone(column);
    if is_text(to) && !is_text(from) {
        let own = Arc::new(Field::new(field.name(), from.clone(), true));
        let texts = texts(&own, &column)?;
        let text = |row| texts.get(row).map(String::from_utf8_lossy);
        column = Arc::new((0..column.len()).map(text).collect::<StringArray>());
    } else if is_text(from) && !is_text(to) {
        return Ok(None);
    } else if *to == DataType::Float64 {
        let mut told = Told::default();
        told.see(&column);
        if told.has_large {
            return Ok(None);
        }
    }
    let exact = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(&column, to, &exact).ok())
}

/// The narrowest type that holds the values of both without loss; none: there is none.
fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::*;
    if one == other {
        return Some(one.clone());
    }
    if one.is_nested() || other.is_nested() {
        return None;
    }
    Some(match (one, other) {
        (Null, some) | (some, Null) => some.clone(),
        (Utf8 | Utf8View | LargeUtf8, Utf8 | Utf8View | LargeUtf8) => LargeUtf8,
        (a, b) if a.is_signed_integer() && b.is_signed_integer() => by_width(a, b),
        (a, b) if a.is_unsigned_integer() && b.is_unsigned_integer() => by_width(a, b),
        (UInt64, a) | (a, UInt64) if a.is_signed_integer() => Utf8,
        (a, b) if a.is_integer() && b.is_integer() => Int64,
        (a, b) if a.is_floating() && b.is_floating() => by_width(a, b),
        (a, b) if (a.is_integer() || a.is_floating()) && (b.is_integer() || b.is_floating()) => Float64,
        (Timestamp(a, zone), Timestamp(b, other)) if zone == other => Timestamp(finer(*a, *b), zone.clone()),
        _ => Utf8,
    })
}

fn by_width(one: &DataType, other: &DataType) -> DataType {
    if one.primitive_width() >= other.primitive_width() { one.clone() } else { other.clone() }
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    let rank = |unit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if rank(one) >= rank(other) { one } else { other }
}

fn unlike(field: &Field, before: &DataType) -> Error {
    let (name, own) = (field.name(), field.data_type());
    Error::ColumnsDiffer(format!(
        "its column `{name}` is {own}, in the files before it {before}, and nothing holds both"
    ))
}

fn unusable(error: ArrowError) -> Error {
    Error::UnsupportedInput(format!("the rows can't be put together: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_wider_types_hold_the_values_of_both() {
        use DataType::*;
        let micros = |zone: Option<&str>| Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (one, other, expected) in [
            (Int32, Int64, Some(Int64)),
            (UInt8, Int16, Some(Int64)),
            (UInt64, Int64, Some(Utf8)),
            (Int64, Float64, Some(Float64)),
            (Float32, Int32, Some(Float64)),
            (Float32, Float64, Some(Float64)),
            (Boolean, Int64, Some(Utf8)),
            (Date32, micros(None), Some(Utf8)),
            (Timestamp(TimeUnit::Second, None), micros(None), Some(micros(None))),
            (micros(None), micros(Some("UTC")), Some(Utf8)),
            (Null, Date32, Some(Date32)),
            (Utf8, Utf8, Some(Utf8)),
            (Utf8, LargeUtf8, Some(LargeUtf8)),
            (List(Arc::new(Field::new("item", Int64, true))), Int64, None),
        ] {
            assert_eq!(wider(&one, &other), expected, "{one} {other}");
            assert_eq!(wider(&other, &one), expected, "{other} {one}");
        }
    }

    #[test]
    fn test_column_without_a_value_becomes_nulls_of_any_type() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
        for from in [DataType::Null, DataType::Int64, DataType::Boolean, DataType::Utf8] {
            for to in [&list, &DataType::Date32, &DataType::Utf8] {
                let field = Arc::new(Field::new("x", to.clone(), true));
                let column = as_type(&field, &new_null_array(&from, 3)).expect("is made").expect("is one");
                assert_eq!((column.data_type(), column.logical_null_count()), (to, 3), "{from} {to}");
            }
        }
    }
}
