//! What parts of a file tell, where nothing is made of it: it need not be read whole.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Active, Failure, Output, Pipeline, contained, turn};
use crate::{
    Error, Result,
    processors::{Event, Halt, LOOK_BYTES, Look, Parts},
};

impl Pipeline {
    /// Whether parts of a file tell all that its steps find, so that it need not be read where nothing is made of it.
    pub fn looks(&self) -> bool {
        self.processors().all(|processor| processor.look().is_some())
    }

    /// Find what steps that look tell of a file of this size; `read` gives the bytes of a range of it.
    pub fn look(
        &self,
        (name, size_bytes): (&[u8], u64),
        read: &mut dyn FnMut(Range<u64>) -> Result<Bytes>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let (active, mut parts) = (Active::default(), Parts::none(size_bytes));
        contained(&active, || {
            for stage in &self.stages {
                let Some(look) = stage.processor.look() else { continue };
                let place = (self.names[stage.step].as_str(), u8::try_from(stage.step).unwrap_or(u8::MAX));
                for record in find(look, place, name, &mut parts, read, &active)? {
                    active.set(None);
                    output(Event::Record(record))?;
                }
            }
            Ok(())
        })
    }
}

/// Have a step look at a file, and read what it lacks, until it lacks nothing.
fn find<'p>(
    look: &dyn Look,
    place: (&'p str, u8),
    name: &[u8],
    parts: &mut Parts,
    read: &mut dyn FnMut(Range<u64>) -> Result<Bytes>,
    active: &Active<'p>,
) -> Result<Vec<Map<String, Value>>, Failure> {
    loop {
        turn(place, active);
        let range = match look.find(name, parts) {
            Ok(records) => return Ok(records),
            Err(Halt::Failed(error)) => return Err(Failure::at(place.0, error)),
            Err(Halt::Lacks(range)) => range,
        };
        let held_bytes = parts.held_bytes() + (range.end - range.start);
        if held_bytes > LOOK_BYTES {
            let told = format!("{held_bytes} bytes of it would have to be looked at, at most {LOOK_BYTES} are");
            return Err(Failure::at(place.0, Error::UnsupportedInput(told)));
        }
        active.set(None);
        let bytes = read(range.clone())?;
        if (bytes.len() as u64) < range.end - range.start {
            let end = range.start + bytes.len() as u64;
            return Err(Error::ChangedWhileRead(format!("{} bytes, then {end}", parts.size_bytes())).into());
        }
        parts.add(range.start, bytes);
    }
}
