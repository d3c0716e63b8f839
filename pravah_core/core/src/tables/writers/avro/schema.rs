//! Columns as Avro has them: what has no type there becomes a wider one, or text, as in CSV.

use std::collections::HashSet;

use arrow_schema::{DataType, Schema, TimeUnit};
use serde_json::{Map, Value, json};

use crate::{Error, Result, tables::avro::NAME_KEY};

/// Digits of the largest unsigned number of 64 bits.
const UINT64_DIGITS: u8 = 20;

/// The column that a column is stored as.
pub fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        // Half of its numbers are beyond a long: a decimal holds them all.
        DataType::UInt64 => DataType::Decimal128(UINT64_DIGITS, 0),
        DataType::Float16 => DataType::Float32,
        &DataType::Decimal32(precision, scale) | &DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(precision, scale)
        }
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Time32(_) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Null
        | DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Date32
        | DataType::Timestamp(..)
        | DataType::Binary => data_type.clone(),
        _ => DataType::Utf8,
    }
}

/// The schema of a file with these columns.
pub fn stored_schema(schema: &Schema) -> Result<Value> {
    let mut names = HashSet::new();
    let fields = schema.fields().iter().map(|field| {
        let mut stored = Map::new();
        let name = plain_name(field.name(), &mut names);
        if name != *field.name() {
            stored.insert(NAME_KEY.to_owned(), json!(field.name()));
        }
        stored.insert("name".to_owned(), json!(name));
        let value = type_of(field.name(), &stored_type(field.data_type()))?;
        if field.is_nullable() && value != "null" {
            stored.insert("default".to_owned(), Value::Null);
            stored.insert("type".to_owned(), json!(["null", value]));
        } else {
            stored.insert("type".to_owned(), value);
        }
        Ok(Value::Object(stored))
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(json!({"type": "record", "name": "row", "fields": fields}))
}

fn type_of(column: &str, stored: &DataType) -> Result<Value> {
    let logical = |plain: &str, meaning: &str| Ok(json!({"type": plain, "logicalType": meaning}));
    Ok(match stored {
        DataType::Null => json!("null"),
        DataType::Boolean => json!("boolean"),
        DataType::Int32 => json!("int"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Binary => json!("bytes"),
        DataType::Date32 => return logical("int", "date"),
        DataType::Time32(_) => return logical("int", "time-millis"),
        DataType::Time64(_) => return logical("long", "time-micros"),
        DataType::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Nanosecond => "nanos",
                TimeUnit::Microsecond => "micros",
                _ => "millis",
            };
            let local = if zone.is_some() { "" } else { "local-" };
            return logical("long", &format!("{local}timestamp-{unit}"));
        }
        &DataType::Decimal128(precision, scale) | &DataType::Decimal256(precision, scale) => {
            if scale < 0 || i16::from(scale) > i16::from(precision) {
                return Err(Error::UnsupportedInput(format!(
                    "the column `{column}` can't be written as Avro: a decimal of {precision} digits has {scale} of \
                     them behind its point"
                )));
            }
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
        }
        _ => json!("string"),
    })
}

/// A name of letters, digits and `_`, which nobody else has: Avro takes no other ones.
fn plain_name(name: &str, taken: &mut HashSet<String>) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let mut stored: String = name.chars().map(plain).collect();
    if !stored.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        stored.insert(0, '_');
    }
    while !taken.insert(stored.clone()) {
        stored.push('_');
    }
    stored
}

#[cfg(test)]
mod tests {
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn test_names_that_avro_does_not_take_are_kept_beside_plain_ones() {
        let field = |name: &str| Field::new(name, DataType::Int8, true);
        let schema = stored_schema(&Schema::new(vec![field("a b"), field("a_b"), field("1"), field("")]));
        let names: Vec<_> = schema.expect("is stored")["fields"]
            .as_array()
            .expect("are many")
            .iter()
            .map(|field| (field["name"].as_str().map(str::to_owned), field[NAME_KEY].as_str().map(str::to_owned)))
            .collect();
        let told = |name: &str, kept: Option<&str>| (Some(name.to_owned()), kept.map(str::to_owned));
        assert_eq!(
            names,
            [told("a_b", Some("a b")), told("a_b_", Some("a_b")), told("_1", Some("1")), told("_", Some(""))]
        );
    }
}
