//! `copy`: passes every byte on, by reference.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    parameters::{self, parse},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "copy", describe, build };

/// `copy` has no parameters.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {}

struct Copy;

/// The event that was pushed last, until it is pulled.
struct CopyStep(Option<Event>);

fn describe() -> Descriptor {
    Descriptor {
        name: "copy",
        version: 1,
        summary: "pass each file on as it is",
        shape: Shape::Map,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: None,
        parameters: parameters::schema::<Parameters>(),
        examples: vec![Example {
            step: "copy",
            params: Map::new(),
            explains: "writes each file to the sink, unchanged",
            name: "a.csv",
            input: Sample::Text("id,name\n1,Asha\n"),
            expected: Expected::File { name: "a.csv", content: Sample::Text("id,name\n1,Asha\n"), records: Vec::new() },
        }],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters {} = parse(NATIVE.name, params)?;
    Ok(Box::new(Copy))
}

impl Processor for Copy {
    fn need(&self, _size_bytes: u64, _blocks: u64) -> u64 {
        0
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(CopyStep(None)))
    }

    fn passes_bytes(&self) -> bool {
        true
    }
}

impl Step for CopyStep {
    fn push(&mut self, event: Event) -> Result<()> {
        self.0 = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.0.take())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn test_copy_passes_bytes_by_reference() {
        let piece = Bytes::from(vec![7; 100]);
        let mut step = Copy.open().expect("opened");
        step.push(Event::Bytes(piece.clone())).expect("taken");
        let Ok(Some(Event::Bytes(passed))) = step.pull() else { panic!("bytes are expected") };
        assert_eq!(passed.as_ptr(), piece.as_ptr());
        assert!(step.pull().expect("pulled").is_none());
    }
}
