//! The order of rows that a file tells of: checked, as readers skip what they don't want by it.
//!
//! Ascending by these columns, the first of them first, with nulls behind all values.

use std::cmp::Ordering;

use arrow_array::RecordBatch;
use arrow_ord::ord::{DynComparator, make_comparator};
use arrow_schema::{DataType, SchemaRef, SortOptions};
use parquet::file::metadata::SortingColumn;

use crate::{Error, Result};

/// Nulls come last.
const OPTIONS: SortOptions = SortOptions { descending: false, nulls_first: false };

/// Columns that rows are sorted by.
#[derive(Debug, Clone)]
pub struct SortedBy {
    schema: SchemaRef,
    columns: Vec<usize>,
}

impl SortedBy {
    /// Find the columns.
    pub fn new(schema: &SchemaRef, names: &[String]) -> Result<Self> {
        let columns = names.iter().map(|name| {
            let found = schema.fields().iter().position(|field| field.name() == name);
            let column = found.ok_or_else(|| {
                let there: Vec<_> = schema.fields().iter().map(|field| format!("`{}`", field.name())).collect();
                Error::NoSuchColumn(format!("`sorted_by` names `{name}`, the columns are {}", there.join(", ")))
            })?;
            if schema.field(column).data_type().is_nested() {
                let told = format!("`sorted_by` names `{name}`, whose values have values in them");
                return Err(Error::UnsupportedInput(told));
            }
            Ok(column)
        });
        Ok(Self { schema: SchemaRef::clone(schema), columns: columns.collect::<Result<_>>()? })
    }

    /// What a file says of it; none: rows have no order.
    pub fn told(&self) -> Option<Vec<SortingColumn>> {
        let told = |column: &usize| {
            let before = self.schema.fields().iter().take(*column).map(|field| leaves(field.data_type()));
            SortingColumn { column_idx: before.sum(), descending: OPTIONS.descending, nulls_first: OPTIONS.nulls_first }
        };
        (!self.columns.is_empty()).then(|| self.columns.iter().map(told).collect())
    }

    /// Check rows that follow each other; `before` has the row before them, if there is one, and their first one has
    /// this number.
    pub fn check(&self, before: Option<&RecordBatch>, batches: &[RecordBatch], first_row: u64) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let (mut before, mut number) = (before, first_row);
        for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
            if let Some(before) = before {
                self.check_pair(&self.comparators(before, batch)?, (before.num_rows() - 1, 0), number)?;
            }
            let within = self.comparators(batch, batch)?;
            for row in 1..batch.num_rows() {
                self.check_pair(&within, (row - 1, row), number + row as u64)?;
            }
            number += batch.num_rows() as u64;
            before = Some(batch);
        }
        Ok(())
    }

    fn comparators(&self, left: &RecordBatch, right: &RecordBatch) -> Result<Vec<DynComparator>> {
        let comparators = self.columns.iter().map(|&column| {
            make_comparator(left.column(column), right.column(column), OPTIONS).map_err(|error| {
                let name = self.schema.field(column).name();
                Error::UnsupportedInput(format!("`sorted_by` names `{name}`, which has no order: {error}"))
            })
        });
        comparators.collect()
    }

    fn check_pair(&self, comparators: &[DynComparator], (left, right): (usize, usize), number: u64) -> Result<()> {
        for (&column, compare) in self.columns.iter().zip(comparators) {
            match compare(left, right) {
                Ordering::Less => return Ok(()),
                Ordering::Equal => {}
                Ordering::Greater => {
                    let name = self.schema.field(column).name();
                    return Err(Error::NotSorted(format!(
                        "row {number} should stand before row {} by `{name}`, which `sorted_by` names",
                        number - 1
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Columns of Parquet that values of a type are in.
fn leaves(data_type: &DataType) -> i32 {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => leaves(field.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{Field, Schema};

    use super::*;

    fn batch(numbers: &[Option<i64>], texts: &[&str]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] =
            [("n", Arc::new(Int64Array::from(numbers.to_vec()))), ("t", Arc::new(StringArray::from(texts.to_vec())))];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
            .expect("is a table")
    }

    fn told(batches: &[RecordBatch], names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let sorted = SortedBy::new(&batches[0].schema(), &names);
        let checked = sorted.and_then(|sorted| sorted.check(None, batches, 1));
        checked.map_or_else(|error| format!("{}: {error}", error.kind()), |()| "sorted".to_owned())
    }

    #[test]
    fn test_order_is_checked_within_batches_and_between_them() {
        let one = batch(&[Some(1), Some(1)], &["a", "b"]);
        let other = batch(&[Some(1), None], &["c", "a"]);
        assert_eq!(told(&[one.clone(), other.clone()], &["n", "t"]), "sorted");
        assert_eq!(
            told(&[one.clone(), other.clone()], &["t"]),
            "not_sorted: row 4 should stand before row 3 by `t`, which `sorted_by` names"
        );
        assert!(told(&[other, one.clone()], &["n"]).starts_with("not_sorted: row 3 should stand before row 2 by `n`"));
        assert!(told(&[one], &["x"]).starts_with("no_such_column: "));
    }

    #[test]
    fn test_columns_are_told_by_their_leaves() {
        let pair =
            DataType::Struct([DataType::Int8, DataType::Utf8].map(|kind| Field::new("", kind, true)).to_vec().into());
        let schema = Schema::new(vec![Field::new("s", pair, true), Field::new("n", DataType::Int8, true)]);
        let sorted = SortedBy::new(&Arc::new(schema), &["n".to_owned()]).expect("is sorted");
        assert_eq!(sorted.told().expect("is told")[0].column_idx, 2);
    }
}
