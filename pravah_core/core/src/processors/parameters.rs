//! Reads the parameters of a step into its processor's struct, and describes that struct as JSON Schema.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Read the parameters of `step`; an error names the parameter, its value and what is taken instead.
pub fn parse<T: DeserializeOwned>(step: &str, params: &Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(params.clone())).map_err(|error| {
        let told = error.to_string();
        invalid(step, culprit::<T>(params).unwrap_or(told))
    })
}

/// Refuse a parameter.
pub fn invalid(step: &str, message: impl Into<String>) -> Error {
    Error::InvalidParameter { step: step.to_owned(), message: message.into() }
}

/// Describe a parameter struct as JSON Schema, without references, so that every reader can show it.
pub fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.remove("description");
    schema.to_value()
}

/// Bytes as a number, or with a unit.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub enum SizeForm {
    Bytes(u64),
    WithUnit(String),
}

/// Read a number of bytes, perhaps with a unit: KiB is 1,024, kB 1,000.
pub fn size<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let bytes = match &value {
        Value::Null => return Ok(None),
        Value::String(text) => read_size(text),
        number => number.as_u64(),
    };
    let expected = || D::Error::custom(format!("invalid size {value}, expected bytes such as `256MiB`"));
    bytes.filter(|bytes| *bytes > 0).map(Some).ok_or_else(expected)
}

fn read_size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Find the parameter that can't be read: serde says what it expected, not where.
fn culprit<T: DeserializeOwned>(params: &Map<String, Value>) -> Option<String> {
    params.iter().find_map(|(name, value)| {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        let told = serde_json::from_value::<T>(Value::Object(alone)).err()?.to_string();
        if told.starts_with("missing field") {
            return None;
        }
        match told.split_once("expected ") {
            Some((start, expected)) if !start.starts_with("unknown field") => {
                Some(format!("{name} is {value}, {} is expected", plain(expected)))
            }
            _ => Some(told),
        }
    })
}

fn plain(expected: &str) -> String {
    match expected {
        "i32" | "i64" | "u32" | "u64" | "usize" => "an integer".to_owned(),
        other => other.strip_prefix("one of ").unwrap_or(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Parameters {
        #[serde(default)]
        kind: Kind,
        level: Option<i64>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        Fast,
        Small,
    }

    fn message(params: Value) -> String {
        let params = params.as_object().cloned().unwrap_or_default();
        parse::<Parameters>("demo", &params).expect_err("refused").to_string()
    }

    #[test]
    fn test_parse_of_a_wrong_value_names_parameter_and_value() {
        assert_eq!(message(json!({"level": "x"})), r#"demo: level is "x", an integer is expected"#);
        assert_eq!(message(json!({"level": 3.5})), "demo: level is 3.5, an integer is expected");
        assert_eq!(
            message(json!({"level": 1, "kind": "big"})),
            r#"demo: kind is "big", `fast` or `small` is expected"#
        );
    }

    #[test]
    fn test_parse_of_an_unknown_parameter_names_it_and_the_known_ones() {
        assert_eq!(message(json!({"levl": 3})), "demo: unknown field `levl`, expected `kind` or `level`");
    }
}
