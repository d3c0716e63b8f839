//! What a processor says about itself, before it has parameters; help, schemas and docs are made of it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::NATIVE;

/// How many outputs a processor makes of its inputs (design: shapes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One in, one out.
    Map,
    /// One in, records out; the payload passes on unchanged.
    Inspect,
    /// Several in, one out.
    Reduce,
    /// One in, several out.
    Expand,
}

/// A processor as people and programs see it.
#[derive(Debug, Clone, Serialize)]
pub struct Descriptor {
    /// snake_case verb.
    pub name: &'static str,
    /// Raised when the same parameters give other bytes.
    pub version: u32,
    /// One line.
    pub summary: &'static str,
    /// One in, how many out.
    pub shape: Shape,
    /// Payload kind taken.
    pub input: &'static str,
    /// Payload kind given.
    pub output: &'static str,
    /// Equal input and parameters give equal output.
    pub pure: bool,
    /// The parameter that `NAME:VALUE` sets, if there is one.
    pub primary: Option<&'static str>,
    /// JSON Schema of the parameters.
    pub parameters: Value,
    /// Specs of this step that run as tests.
    pub examples: Vec<Example>,
}

/// A step, an input and what comes of it; runs as a test.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// The step as it is typed after `-s`.
    pub step: &'static str,
    /// The same parameters as a spec has them.
    pub params: Map<String, Value>,
    /// What the step does to the input.
    pub explains: &'static str,
    /// The input's name.
    pub name: &'static str,
    /// The input.
    pub input: Sample,
    /// What comes of it.
    pub expected: Expected,
}

/// A few bytes, readable where they are text.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// UTF-8.
    Text(&'static str),
    /// Two lower-case digits a byte.
    Hex(&'static str),
}

/// What an example gives.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// An output, and records.
    File {
        /// The output's name.
        name: &'static str,
        /// The output.
        content: Sample,
        /// What inspect steps find.
        records: Vec<Value>,
    },
    /// Several outputs, in order of their numbers.
    Parts(Vec<Sample>),
    /// A failure of this kind.
    Error(&'static str),
}

impl Sample {
    /// The bytes that are meant; none where hex digits are malformed.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.as_bytes().to_vec()),
            Self::Hex(digits) => {
                let pairs = (0..digits.len()).step_by(2);
                pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
            }
        }
    }
}

/// Describe every native processor, ordered by name.
pub fn descriptors() -> Vec<Descriptor> {
    NATIVE.iter().map(|native| (native.describe)()).collect()
}

/// Give all descriptors as indented JSON; the order of keys never changes.
pub fn descriptors_json() -> String {
    serde_json::to_string_pretty(&descriptors()).expect("descriptors hold no maps but those with text keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_registry_is_ordered_by_name_and_named_as_described() {
        assert!(NATIVE.is_sorted_by_key(|native| native.name));
        for native in NATIVE {
            assert_eq!(native.name, (native.describe)().name);
        }
    }

    #[test]
    fn test_parameters_are_documented_and_closed() {
        for descriptor in descriptors() {
            let schema = &descriptor.parameters;
            assert_eq!(schema["additionalProperties"], false, "{}: {schema}", descriptor.name);
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            for (name, property) in &properties {
                assert!(property["description"].is_string(), "{}.{name}: {property}", descriptor.name);
            }
            if let Some(primary) = descriptor.primary {
                assert!(properties.contains_key(primary), "{}", descriptor.name);
            }
        }
    }

    #[test]
    fn test_descriptors_json_is_the_same_each_time() {
        assert_eq!(descriptors_json(), descriptors_json());
    }
}
