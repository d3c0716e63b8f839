//! Rows of Avro become columns: each field of the record one, what nests or changes its type as text.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, NullArray, RecordBatch, RecordBatchOptions,
    builder::{
        ArrayBuilder, BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, Float32Builder,
        Float64Builder, Int32Builder, Int64Builder, StringBuilder,
    },
    make_array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{
    Cursor, Stop,
    nested::{boolean, branch, decimal, symbol, write_text},
    schema::{Clock, Type, TypeId, Types},
};
use crate::{Error, Result};

/// Columns of a table, at most: each takes memory of its own.
const MOST_COLUMNS: usize = 65_536;

/// Bytes of text that the nested values of one row may become.
const MOST_TEXT_BYTES: usize = 64 << 20;

/// The name of the column of a file whose rows are no records.
const VALUE: &str = "value";

/// The columns of a file, and how its rows are read.
#[derive(Debug)]
pub struct Columns {
    types: Types,
    columns: Vec<Column>,
    pub schema: SchemaRef,
    /// Bytes of memory that each row takes, beside those that it has in the file.
    row_bytes: usize,
    /// A row may have no byte in the file.
    pub may_be_empty: bool,
}

#[derive(Debug)]
struct Column {
    source: Source,
    data_type: DataType,
    is_text: bool,
}

/// What a column is read from.
#[derive(Debug)]
enum Source {
    One(TypeId),
    /// One of these, told by a number before it; none: a null.
    OneOf(Vec<Option<TypeId>>),
}

impl Columns {
    /// Find the columns of a schema.
    pub fn new(types: Types) -> Result<Self, Stop> {
        let fields = match types.get(0) {
            Type::Record(fields) => fields.clone(),
            _ => vec![(VALUE.to_owned(), 0)],
        };
        if fields.len() > MOST_COLUMNS {
            return Err(Stop::Beyond(format!(
                "the file has {} columns, at most {MOST_COLUMNS} are read",
                fields.len()
            )));
        }
        let columns: Vec<_> = fields.iter().map(|(_, id)| Column::new(&types, *id)).collect();
        let described = fields.into_iter().zip(&columns).map(|((name, _), column)| {
            let is_nullable = match &column.source {
                Source::One(_) => column.data_type == DataType::Null,
                Source::OneOf(branches) => branches.contains(&None),
            };
            Field::new(name, column.data_type.clone(), is_nullable)
        });
        let schema = Arc::new(Schema::new(described.collect::<Vec<_>>()));
        let row_bytes = columns.iter().map(|column| column.width(&types)).sum::<usize>().max(1);
        let may_be_empty = types.is_empty(0);
        Ok(Self { types, columns, schema, row_bytes, may_be_empty })
    }

    /// Begin a batch.
    pub fn batch(&self) -> Batch<'_> {
        let values = self.columns.iter().map(|column| Values::new(&column.data_type)).collect();
        Batch { columns: self, values, rows: 0, size_bytes: 0, text: Vec::new() }
    }
}

impl Column {
    fn new(types: &Types, id: TypeId) -> Self {
        let Type::Union(branches) = types.get(id) else {
            let is_text = is_nested(types.get(id));
            let data_type = if is_text { DataType::Utf8 } else { data_type(types.get(id)) };
            return Self { source: Source::One(id), data_type, is_text };
        };
        let values = || branches.iter().filter(|&&branch| *types.get(branch) != Type::Null);
        let is_integer = |id: &&TypeId| matches!(types.get(**id), Type::Int | Type::Long);
        let (is_text, data_type) = match (values().count(), values().next()) {
            (_, None) => (false, DataType::Null),
            (1, Some(&value)) if !is_nested(types.get(value)) => (false, data_type(types.get(value))),
            (_, Some(_)) if values().all(|id| is_integer(&id)) => (false, DataType::Int64),
            _ => (true, DataType::Utf8),
        };
        let branches = branches.iter().map(|&branch| (*types.get(branch) != Type::Null).then_some(branch));
        Self { source: Source::OneOf(branches.collect()), data_type, is_text }
    }

    /// Bytes of memory that a value takes, beside those that it has in the file.
    fn width(&self, types: &Types) -> usize {
        let branches: &[Option<TypeId>] = match &self.source {
            Source::One(id) => &[Some(*id)],
            Source::OneOf(branches) => branches,
        };
        let symbols = branches.iter().flatten().filter_map(|id| match types.get(*id) {
            Type::Enum(symbols) if !self.is_text => symbols.iter().map(String::len).max(),
            _ => None,
        });
        self.data_type.primitive_width().unwrap_or(4) + 1 + symbols.max().unwrap_or_default()
    }
}

fn is_nested(simple: &Type) -> bool {
    matches!(simple, Type::Array(_) | Type::Map(_) | Type::Record(_) | Type::Union(_))
}

/// The type of the column that holds such values alone.
fn data_type(simple: &Type) -> DataType {
    match simple {
        Type::Null => DataType::Null,
        Type::Boolean => DataType::Boolean,
        Type::Int => DataType::Int32,
        Type::Long => DataType::Int64,
        Type::Float => DataType::Float32,
        Type::Double => DataType::Float64,
        Type::Bytes | Type::Fixed(_) => DataType::Binary,
        Type::Date => DataType::Date32,
        Type::TimeMillis => DataType::Time32(TimeUnit::Millisecond),
        Type::TimeMicros => DataType::Time64(TimeUnit::Microsecond),
        Type::Timestamp(unit, Clock::Utc) => DataType::Timestamp(*unit, Some("UTC".into())),
        Type::Timestamp(unit, Clock::Local) => DataType::Timestamp(*unit, None),
        Type::Decimal(shape) if shape.precision <= 38 => DataType::Decimal128(shape.precision, shape.scale),
        Type::Decimal(shape) => DataType::Decimal256(shape.precision, shape.scale),
        Type::Text | Type::Enum(_) | Type::Array(_) | Type::Map(_) | Type::Record(_) | Type::Union(_) => DataType::Utf8,
    }
}

/// A batch that is being filled.
pub struct Batch<'c> {
    columns: &'c Columns,
    values: Vec<Values>,
    /// Rows so far.
    pub rows: usize,
    /// Bytes of memory that they take.
    pub size_bytes: usize,
    text: Vec<u8>,
}

impl Batch<'_> {
    /// Read the next row; an error names the column.
    pub fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), (usize, Stop)> {
        let start = cursor.offset();
        let columns = self.columns;
        let mut text_bytes = 0;
        for (at, (column, values)) in columns.columns.iter().zip(&mut self.values).enumerate() {
            let found = match &column.source {
                Source::One(id) => Ok(Some(*id)),
                Source::OneOf(branches) => branch(branches, cursor),
            };
            let read = found.and_then(|found| match found {
                None => {
                    values.push_null();
                    Ok(())
                }
                Some(id) if column.is_text => {
                    self.text.clear();
                    write_text(&columns.types, id, cursor, &mut self.text)?;
                    text_bytes += self.text.len();
                    if text_bytes > MOST_TEXT_BYTES {
                        let most = MOST_TEXT_BYTES >> 20;
                        return Err(Stop::Beyond(format!(
                            "the nested values of a row have more than {most} MiB of text"
                        )));
                    }
                    values.push_text(&self.text)
                }
                Some(id) => values.read(columns.types.get(id), cursor),
            });
            read.map_err(|stop| (at, stop))?;
        }
        self.rows += 1;
        self.size_bytes += columns.row_bytes + text_bytes + (cursor.offset() - start);
        Ok(())
    }

    /// Give the batch.
    pub fn finish(self) -> Result<RecordBatch> {
        let columns = self.values.into_iter().zip(self.columns.schema.fields());
        let arrays = columns.map(|(values, field)| values.finish(field.data_type())).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.columns.schema), arrays, &options)
            .map_err(|error| Error::CorruptInput(error.to_string()))
    }
}

/// The values of a column, by how they lie in memory.
enum Values {
    Null(usize),
    Boolean(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder),
    Decimal256(Decimal256Builder),
    Binary(BinaryBuilder),
    Text(StringBuilder),
}

impl Values {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null(0),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int32 | DataType::Date32 | DataType::Time32(_) => Self::Int32(Int32Builder::new()),
            DataType::Int64 | DataType::Time64(_) | DataType::Timestamp(..) => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(..) => Self::Decimal128(Decimal128Builder::new()),
            DataType::Decimal256(..) => Self::Decimal256(Decimal256Builder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Null(count) => *count += 1,
            Self::Boolean(values) => values.append_null(),
            Self::Int32(values) => values.append_null(),
            Self::Int64(values) => values.append_null(),
            Self::Float32(values) => values.append_null(),
            Self::Float64(values) => values.append_null(),
            Self::Decimal128(values) => values.append_null(),
            Self::Decimal256(values) => values.append_null(),
            Self::Binary(values) => values.append_null(),
            Self::Text(values) => values.append_null(),
        }
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), Stop> {
        if let Self::Text(values) = self {
            values.append_value(std::str::from_utf8(text).map_err(|_| Stop::bad("a text is not UTF-8"))?);
        }
        Ok(())
    }

    /// Read the next value, of this type.
    fn read(&mut self, simple: &Type, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        match (self, simple) {
            (Self::Null(count), Type::Null) => *count += 1,
            (Self::Boolean(values), _) => values.append_value(boolean(cursor)?),
            (Self::Int32(values), _) => values.append_value(cursor.int()?),
            (Self::Int64(values), Type::Int) => values.append_value(i64::from(cursor.int()?)),
            (Self::Int64(values), _) => values.append_value(cursor.long()?),
            (Self::Float32(values), _) => values.append_value(f32::from_le_bytes(cursor.array()?)),
            (Self::Float64(values), _) => values.append_value(f64::from_le_bytes(cursor.array()?)),
            (Self::Decimal128(values), Type::Decimal(shape)) => {
                let number = decimal(shape, cursor)?;
                values.append_value(number.to_i128().ok_or_else(|| Stop::bad("a decimal is beyond 128 bits"))?);
            }
            (Self::Decimal256(values), Type::Decimal(shape)) => values.append_value(decimal(shape, cursor)?),
            (Self::Binary(values), &Type::Fixed(size)) => values.append_value(cursor.take(size)?),
            (Self::Binary(values), _) => values.append_value(cursor.bytes()?),
            (Self::Text(values), Type::Enum(symbols)) => values.append_value(symbol(symbols, cursor)?),
            (Self::Text(values), _) => values.append_value(cursor.text()?),
            (Self::Null(_) | Self::Decimal128(_) | Self::Decimal256(_), other) => {
                return Err(Stop::bad(format!("its column does not hold {other:?}")));
            }
        }
        Ok(())
    }

    /// Give the column: numbers that mean times get their type.
    fn finish(self, data_type: &DataType) -> Result<ArrayRef> {
        let array: ArrayRef = match self {
            Self::Null(count) => Arc::new(NullArray::new(count)),
            Self::Boolean(mut values) => ArrayBuilder::finish(&mut values),
            Self::Int32(mut values) => ArrayBuilder::finish(&mut values),
            Self::Int64(mut values) => ArrayBuilder::finish(&mut values),
            Self::Float32(mut values) => ArrayBuilder::finish(&mut values),
            Self::Float64(mut values) => ArrayBuilder::finish(&mut values),
            Self::Decimal128(mut values) => ArrayBuilder::finish(&mut values),
            Self::Decimal256(mut values) => ArrayBuilder::finish(&mut values),
            Self::Binary(mut values) => ArrayBuilder::finish(&mut values),
            Self::Text(mut values) => ArrayBuilder::finish(&mut values),
        };
        if array.data_type() == data_type {
            return Ok(array);
        }
        let retyped = array.to_data().into_builder().data_type(data_type.clone()).build();
        Ok(make_array(retyped.map_err(|error| Error::CorruptInput(error.to_string()))?))
    }
}
