//! What a predicate says of the rows of a batch, in the three values of SQL: true, false, and null for what is unknown.

use std::sync::Arc;

use arrow_arith::boolean::{and_kleene, is_null, not, or_kleene};
use arrow_array::{Array, ArrayRef, BooleanArray, Datum, RecordBatch, Scalar, StringArray, cast::AsArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DECIMAL256_MAX_PRECISION, DataType, TimeUnit};
use arrow_string::like;

use super::predicate::{Comparison, Operand, Predicate};
use crate::{Error, Result, processors::select::position};

/// Decimals of a literal that are compared as they are written; those of longer ones as floating-point numbers.
const MOST_DECIMALS: i8 = 36;

/// Tell for each row whether the predicate holds.
pub fn rows(predicate: &Predicate, batch: &RecordBatch) -> Result<BooleanArray> {
    match predicate {
        Predicate::And(left, right) => and_kleene(&rows(left, batch)?, &rows(right, batch)?).map_err(unusable),
        Predicate::Or(left, right) => or_kleene(&rows(left, batch)?, &rows(right, batch)?).map_err(unusable),
        Predicate::Not(inner) => not(&rows(inner, batch)?).map_err(unusable),
        Predicate::Constant(value) => Ok(BooleanArray::from(vec![*value; batch.num_rows()])),
        Predicate::Column(name) => {
            let column = column(batch, name)?;
            column.as_boolean_opt().cloned().ok_or_else(|| {
                let found = column.data_type();
                Error::UnsupportedInput(format!("the column `{name}` is {found}, and neither true nor false"))
            })
        }
        Predicate::IsNull(operand) => is_null(&values(operand, batch)?).map_err(unusable),
        Predicate::Compare(left, comparison, right) => compare(left, *comparison, right, batch),
        Predicate::In(operand, list) => {
            let mut found = BooleanArray::from(vec![false; batch.num_rows()]);
            for value in list {
                let equal = compare(operand, Comparison::Equal, value, batch)?;
                found = or_kleene(&found, &equal).map_err(unusable)?;
            }
            Ok(found)
        }
        Predicate::Like { text, pattern, ignores_case } => {
            let (text, pattern) = (texts(text, batch)?, StringArray::new_scalar(pattern));
            let found = if *ignores_case { like::ilike(&text, &pattern) } else { like::like(&text, &pattern) };
            found.map_err(unusable)
        }
        Predicate::Matches(text, regex) => {
            let text = texts(text, batch)?;
            Ok(text.iter().map(|text| text.map(|text| regex.is_match(text))).collect())
        }
    }
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    Ok(batch.column(position(&batch.schema(), name)?))
}

/// The values of an operand, one for each row.
fn values(operand: &Operand, batch: &RecordBatch) -> Result<ArrayRef> {
    match operand {
        Operand::Column(name) => column(batch, name).cloned(),
        _ => Err(Error::UnsupportedInput("a value stands where a column is expected".to_owned())),
    }
}

fn texts(operand: &Operand, batch: &RecordBatch) -> Result<StringArray> {
    let values = values(operand, batch)?;
    let texts = to_type(&values, &DataType::Utf8).map_err(unusable)?;
    Ok(texts.as_string().clone())
}

fn compare(left: &Operand, comparison: Comparison, right: &Operand, batch: &RecordBatch) -> Result<BooleanArray> {
    match (left, right) {
        (Operand::Column(name), Operand::Column(other)) => {
            let (left, right) = meet(column(batch, name)?, column(batch, other)?)
                .map_err(|error| incomparable(name, &format!("column `{other}`"), &error))?;
            compared(&left, comparison, &right)
                .map_err(|error| incomparable(name, &format!("column `{other}`"), &error))
        }
        (Operand::Column(name), value) => compare_value(name, comparison, value, batch),
        (value, Operand::Column(name)) => compare_value(name, comparison.turned(), value, batch),
        _ => Err(Error::UnsupportedInput("a comparison needs a column".to_owned())),
    }
}

fn compare_value(name: &str, comparison: Comparison, value: &Operand, batch: &RecordBatch) -> Result<BooleanArray> {
    let column = column(batch, name)?;
    let text = match value {
        Operand::Null => return Ok(BooleanArray::new_null(batch.num_rows())),
        Operand::Text(text) | Operand::Number(text) => text.clone(),
        Operand::Boolean(value) => value.to_string(),
        Operand::Column(_) => return Err(Error::UnsupportedInput("a value is expected".to_owned())),
    };
    let refused = |error: &ArrowError| incomparable(name, &format!("`{text}`"), error);
    let is_text = matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if is_text != matches!(value, Operand::Text(_)) && (is_text || column.data_type().is_numeric()) {
        let (kind, found) = (if is_text { "text" } else { "numbers" }, column.data_type());
        return Err(Error::UnsupportedInput(format!(
            "the column `{name}` holds {kind} ({found}), `{text}` is something else; text is in single quotes"
        )));
    }
    let literal: ArrayRef = Arc::new(StringArray::from(vec![text.clone()]));
    let column = &finer(column, &text).map_err(|error| refused(&error))?;
    let exact = to_type(&literal, column.data_type());
    match exact {
        Ok(literal) => compared(column, comparison, &Scalar::new(literal)).map_err(|error| refused(&error)),
        // A number that is no integer, beside integers.
        Err(_) if column.data_type().is_integer() => {
            let column = to_type(column, &DataType::Float64).map_err(|error| refused(&error))?;
            let literal = to_type(&literal, &DataType::Float64).map_err(|error| refused(&error))?;
            compared(&column, comparison, &Scalar::new(literal)).map_err(|error| refused(&error))
        }
        Err(error) => Err(refused(&error)),
    }
}

/// Give a column a type that holds a literal whole: as it is, a number with more decimals would be rounded to those of
/// the column, and an instant to its day.
fn finer(column: &ArrayRef, literal: &str) -> Result<ArrayRef, ArrowError> {
    match *column.data_type() {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => {
            if literal.contains(['e', 'E']) {
                return to_type(column, &DataType::Float64);
            }
            let decimals = literal.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            match i8::try_from(decimals) {
                Ok(decimals) if decimals <= scale => Ok(Arc::clone(column)),
                Ok(decimals) if decimals <= MOST_DECIMALS => {
                    to_type(column, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, decimals))
                }
                _ => to_type(column, &DataType::Float64),
            }
        }
        DataType::Date32 if literal.len() > "2026-01-31".len() => {
            to_type(column, &DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        _ => Ok(Arc::clone(column)),
    }
}

/// Give two columns a common type.
fn meet(left: &ArrayRef, right: &ArrayRef) -> Result<(ArrayRef, ArrayRef), ArrowError> {
    let (mine, other) = (left.data_type(), right.data_type());
    if mine == other {
        return Ok((Arc::clone(left), Arc::clone(right)));
    }
    if mine.is_integer() && other.is_integer() {
        let whole = DataType::Decimal128(20, 0);
        return Ok((to_type(left, &whole)?, to_type(right, &whole)?));
    }
    if mine.is_numeric() && other.is_numeric() {
        return Ok((to_type(left, &DataType::Float64)?, to_type(right, &DataType::Float64)?));
    }
    Ok((Arc::clone(left), to_type(right, mine)?))
}

fn to_type(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(values, data_type, &CastOptions { safe: false, ..CastOptions::default() })
}

fn compared(left: &dyn Datum, comparison: Comparison, right: &dyn Datum) -> Result<BooleanArray, ArrowError> {
    match comparison {
        Comparison::Equal => cmp::eq(left, right),
        Comparison::NotEqual => cmp::neq(left, right),
        Comparison::Less => cmp::lt(left, right),
        Comparison::LessOrEqual => cmp::lt_eq(left, right),
        Comparison::Greater => cmp::gt(left, right),
        Comparison::GreaterOrEqual => cmp::gt_eq(left, right),
    }
}

impl Comparison {
    /// The same, seen from the other side.
    fn turned(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

fn incomparable(name: &str, other: &str, error: &ArrowError) -> Error {
    Error::UnsupportedInput(format!("the column `{name}` can't be compared with {other}: {error}"))
}

fn unusable(error: ArrowError) -> Error {
    Error::UnsupportedInput(format!("the expression can't be applied: {error}"))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Date32Array, Decimal128Array, Float64Array, Int64Array, UInt64Array};

    use super::*;

    /// The first integer whose next one is no floating-point number.
    const LARGE: i64 = 1 << 53;

    fn kept(expression: &str) -> Vec<usize> {
        let cost = Decimal128Array::from(vec![Some(99), Some(100), Some(101), None]);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), None])) as ArrayRef),
            ("price", Arc::new(Float64Array::from(vec![Some(0.5), Some(2.0), None, Some(4.0)]))),
            ("name", Arc::new(StringArray::from(vec![Some("Asha"), Some("ravi"), Some(""), None]))),
            ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]))),
            ("day", Arc::new(Date32Array::from(vec![Some(0), Some(20_000), Some(20_001), None]))),
            ("cost", Arc::new(cost.with_precision_and_scale(9, 2).expect("is a decimal"))),
            ("large", Arc::new(Int64Array::from(vec![Some(LARGE), None, None, None]))),
            ("more", Arc::new(UInt64Array::from(vec![Some(LARGE as u64 + 1), None, None, None]))),
        ]);
        let predicate = Predicate::read(expression).unwrap_or_else(|told| panic!("{expression}: {told}"));
        let holds =
            rows(&predicate, &batch.expect("is a batch")).unwrap_or_else(|error| panic!("{expression}: {error}"));
        (0..4).filter(|&row| holds.is_valid(row) && holds.value(row)).collect()
    }

    #[test]
    fn test_expressions_hold_as_in_sql() {
        for (expression, expected) in [
            ("id > 1", &[1, 2][..]),
            ("id > 1.5", &[1, 2]),
            ("2 <= id", &[1, 2]),
            ("id <> 2", &[0, 2]),
            ("id = price", &[1]),
            ("id in (1, 3, null)", &[0, 2]),
            ("id not in (1, 3)", &[1]),
            ("id between 2 and 3", &[1, 2]),
            ("not id = 2", &[0, 2]),
            ("id is null", &[3]),
            ("name is not null and not ok", &[1]),
            ("ok or id = 2", &[0, 1, 3]),
            ("ok = true", &[0, 3]),
            ("name = ''", &[2]),
            ("name like '_sha'", &[0]),
            ("name ilike 'R%'", &[1]),
            ("name ~ '^[A-Z]'", &[0]),
            ("name !~ 'a'", &[2]),
            ("day >= '2024-10-04'", &[1, 2]),
            ("day < '2024-10-04T12:00:00'", &[0, 1]),
            ("day = '2024-10-04T12:00:00'", &[]),
            ("cost < 0.994", &[0]),
            ("cost = 1.005", &[]),
            ("cost = 1.010", &[2]),
            ("cost > 1e0", &[2]),
            ("large = more", &[]),
            ("large < more", &[0]),
            ("\"id\" = -1 or price < 1", &[0]),
            ("true", &[0, 1, 2, 3]),
            ("id = null", &[]),
        ] {
            assert_eq!(kept(expression), expected, "{expression}");
        }
    }

    #[test]
    fn test_values_of_another_kind_are_refused() {
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            ("name", Arc::new(StringArray::from(vec!["x"]))),
        ]);
        let batch = batch.expect("is a batch");
        for (expression, told) in [
            ("name = 5", "the column `name` holds text (Utf8), `5` is something else"),
            ("id = 'x'", "the column `id` holds numbers (Int64), `x` is something else"),
            ("id", "the column `id` is Int64, and neither true nor false"),
            ("nme = 'x'", "there is no column `nme`; there are `id`, `name`"),
        ] {
            let predicate = Predicate::read(expression).expect("is read");
            let error = rows(&predicate, &batch).expect_err(expression).to_string();
            assert!(error.starts_with(told), "{expression}: {error}");
        }
    }
}
