//! Types of Avro values: the schema of a header, with its names resolved.

use std::collections::HashMap;

use arrow_schema::TimeUnit;
use serde_json::Value;

use super::Stop;

/// Types of a schema, at most; each is at least two bytes of its text.
const MOST_TYPES: usize = 1 << 16;

/// Digits of a decimal number, at most: what 256 bits hold.
const MOST_DIGITS: u64 = 76;

/// Types of values, which refer to each other by position; the first is that of rows.
#[derive(Debug, Default)]
pub struct Types(Vec<Type>);

/// The position of a type.
pub type TypeId = usize;

/// The type of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    /// Of so many bytes.
    Fixed(usize),
    Enum(Vec<String>),
    Date,
    TimeMillis,
    TimeMicros,
    /// Instants, or on whatever clock.
    Timestamp(TimeUnit, Clock),
    Decimal(Decimal),
    Array(TypeId),
    Map(TypeId),
    Record(Vec<(String, TypeId)>),
    Union(Vec<TypeId>),
}

/// On which clock a time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Utc,
    Local,
}

/// Decimal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    pub precision: u8,
    pub scale: i8,
    /// Bytes of each, where they all have as many.
    pub size: Option<usize>,
}

impl Types {
    /// Read a schema.
    pub fn read(schema: &Value) -> Result<Self, Stop> {
        let mut reading = Reading::default();
        reading.add(schema, "")?;
        Ok(reading.types)
    }

    /// The type at a position.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.0[id]
    }

    /// Bytes that a value takes at least, up to 1: whether it takes any.
    pub fn is_empty(&self, id: TypeId) -> bool {
        self.is_empty_within(id, &mut vec![false; self.0.len()])
    }

    fn is_empty_within(&self, id: TypeId, seen: &mut [bool]) -> bool {
        // A record within itself has no end; reading it finds that out.
        if std::mem::replace(&mut seen[id], true) {
            return true;
        }
        match &self.0[id] {
            Type::Null | Type::Fixed(0) => true,
            Type::Decimal(decimal) => decimal.size == Some(0),
            Type::Record(fields) => fields.iter().all(|(_, field)| self.is_empty_within(*field, seen)),
            _ => false,
        }
    }
}

/// A schema that is being read.
#[derive(Default)]
struct Reading {
    types: Types,
    /// Positions of types with names, by their whole names.
    named: HashMap<String, TypeId>,
}

impl Reading {
    /// Read a type that stands within this namespace. Types within others come behind them.
    fn add(&mut self, schema: &Value, namespace: &str) -> Result<TypeId, Stop> {
        let simple = match schema {
            Value::String(name) => match primitive(name) {
                Some(simple) => simple,
                None => {
                    let known = self.named.get(&whole_name(name, namespace)).or_else(|| self.named.get(name.as_str()));
                    return known.copied().ok_or_else(|| unknown(name));
                }
            },
            Value::Array(branches) => {
                let id = self.reserve()?;
                let branches = branches.iter().map(|branch| self.add(branch, namespace)).collect::<Result<_, _>>()?;
                self.types.0[id] = Type::Union(branches);
                return Ok(id);
            }
            Value::Object(_) => match &schema["type"] {
                Value::String(name) => return self.object(name, schema, namespace),
                within => return self.add(within, namespace),
            },
            _ => return Err(Stop::bad("its schema has something that is no type")),
        };
        let id = self.reserve()?;
        self.types.0[id] = simple;
        Ok(id)
    }

    fn reserve(&mut self) -> Result<TypeId, Stop> {
        if self.types.0.len() == MOST_TYPES {
            return Err(Stop::Beyond(format!("its schema has more than {MOST_TYPES} types")));
        }
        self.types.0.push(Type::Null);
        Ok(self.types.0.len() - 1)
    }

    fn object(&mut self, kind: &str, schema: &Value, namespace: &str) -> Result<TypeId, Stop> {
        if let Some(simple) = primitive(kind) {
            let id = self.reserve()?;
            self.types.0[id] = logical(simple, schema);
            return Ok(id);
        }
        match kind {
            "array" | "map" => {
                let id = self.reserve()?;
                let within = self.add(&schema[if kind == "array" { "items" } else { "values" }], namespace)?;
                self.types.0[id] = if kind == "array" { Type::Array(within) } else { Type::Map(within) };
                Ok(id)
            }
            "record" | "error" | "enum" | "fixed" => self.named(kind, schema, namespace),
            name => self.add(&Value::String(name.to_owned()), namespace),
        }
    }

    fn named(&mut self, kind: &str, schema: &Value, namespace: &str) -> Result<TypeId, Stop> {
        let name = schema["name"].as_str().ok_or_else(|| Stop::bad("a type of its schema has no name"))?;
        let name = whole_name(name, schema["namespace"].as_str().unwrap_or(namespace));
        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let id = self.reserve()?;
        self.named.insert(name, id);
        let described = match kind {
            "enum" => {
                let symbols = schema["symbols"].as_array().into_iter().flatten();
                Type::Enum(symbols.map(|symbol| symbol.as_str().unwrap_or_default().to_owned()).collect())
            }
            "fixed" => {
                let size = schema["size"].as_u64().and_then(|size| usize::try_from(size).ok());
                logical(Type::Fixed(size.ok_or_else(|| Stop::bad("a fixed type has no size"))?), schema)
            }
            _ => {
                let fields = schema["fields"].as_array().ok_or_else(|| Stop::bad("a record has no fields"))?;
                let fields = fields.iter().map(|field| {
                    let name = field["name"].as_str().ok_or_else(|| Stop::bad("a field has no name"))?;
                    let name = field[super::NAME_KEY].as_str().unwrap_or(name);
                    Ok((name.to_owned(), self.add(&field["type"], &namespace)?))
                });
                Type::Record(fields.collect::<Result<_, Stop>>()?)
            }
        };
        self.types.0[id] = described;
        Ok(id)
    }
}

fn unknown(name: &str) -> Stop {
    let shown: String = name.chars().take(40).collect();
    Stop::bad(format!("its schema has no type `{shown}`"))
}

fn whole_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::Text,
        _ => return None,
    })
}

/// What a type says that it means; a meaning that is unknown, or that its type can't have, is none, as the
/// specification wants it.
fn logical(plain: Type, schema: &Value) -> Type {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};

    match (&plain, schema["logicalType"].as_str().unwrap_or_default()) {
        (Type::Int, "date") => Type::Date,
        (Type::Int, "time-millis") => Type::TimeMillis,
        (Type::Long, "time-micros") => Type::TimeMicros,
        (Type::Long, "timestamp-millis") => Type::Timestamp(Millisecond, Clock::Utc),
        (Type::Long, "timestamp-micros") => Type::Timestamp(Microsecond, Clock::Utc),
        (Type::Long, "timestamp-nanos") => Type::Timestamp(Nanosecond, Clock::Utc),
        (Type::Long, "local-timestamp-millis") => Type::Timestamp(Millisecond, Clock::Local),
        (Type::Long, "local-timestamp-micros") => Type::Timestamp(Microsecond, Clock::Local),
        (Type::Long, "local-timestamp-nanos") => Type::Timestamp(Nanosecond, Clock::Local),
        (Type::Bytes, "decimal") => decimal(schema, None).unwrap_or(plain),
        (&Type::Fixed(size), "decimal") => decimal(schema, Some(size)).unwrap_or(plain),
        _ => plain,
    }
}

fn decimal(schema: &Value, size: Option<usize>) -> Option<Type> {
    let precision = schema["precision"].as_u64().filter(|precision| (1..=MOST_DIGITS).contains(precision))?;
    let scale = match &schema["scale"] {
        Value::Null => 0,
        scale => scale.as_u64().filter(|&scale| scale <= precision)?,
    };
    Some(Type::Decimal(Decimal { precision: precision as u8, scale: scale as i8, size }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn test_names_are_resolved_in_their_namespaces() {
        let schema = json!({"type": "record", "name": "a.row", "fields": [
            {"name": "x", "type": {"type": "fixed", "name": "four", "size": 4}},
            {"name": "y", "type": ["null", "four", "a.four"]},
            {"name": "z", "type": ["null", "row"]},
        ]});
        let types = Types::read(&schema).expect("is read");
        let Type::Record(fields) = types.get(0) else { panic!("is no record") };
        assert_eq!(types.get(fields[0].1), &Type::Fixed(4));
        let Type::Union(branches) = types.get(fields[1].1) else { panic!("is no union") };
        assert_eq!(branches[1..], [fields[0].1; 2]);
        let Type::Union(branches) = types.get(fields[2].1) else { panic!("is no union") };
        assert_eq!(branches[1], 0);
    }

    #[test]
    fn test_meanings_that_can_not_be_are_passed_over() {
        for (schema, expected) in [
            (json!({"type": "bytes", "logicalType": "decimal", "precision": 99}), Type::Bytes),
            (json!({"type": "string", "logicalType": "date"}), Type::Text),
            (json!({"type": {"type": "int", "logicalType": "date"}}), Type::Date),
            (
                json!({"type": "bytes", "logicalType": "decimal", "precision": 5}),
                Type::Decimal(Decimal { precision: 5, scale: 0, size: None }),
            ),
        ] {
            assert_eq!(Types::read(&schema).expect("is read").get(0), &expected);
        }
        assert!(matches!(Types::read(&json!("no")), Err(Stop::Bad(_))));
        assert!(matches!(Types::read(&json!({"type": 5})), Err(Stop::Bad(_))));
    }

    #[test]
    fn test_values_without_bytes_are_known() {
        let record = |kind: Value| json!({"type": "record", "name": "r", "fields": [{"name": "x", "type": kind}]});
        for (schema, expected) in [
            (record(json!("null")), true),
            (record(json!(["null"])), false),
            (record(json!("r")), true),
            (json!({"type": "fixed", "name": "f", "size": 0}), true),
        ] {
            assert_eq!(Types::read(&schema).expect("is read").is_empty(0), expected, "{schema}");
        }
    }
}
