//! Steps that do harm, for tests of what survives it; compiled only with the feature `test-steps`.
//!
//! Each does its harm when a piece of the file holds its marker, and passes everything else on.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Descriptor, Event, Native, Processor, Shape, Step,
    parameters::{self, parse},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "test_harm", describe, build };

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {}

struct Harm;

struct HarmStep(Option<Event>);

fn describe() -> Descriptor {
    Descriptor {
        name: "test_harm",
        version: 1,
        summary: "do what the file's marker says",
        shape: Shape::Map,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: None,
        parameters: parameters::schema::<Parameters>(),
        examples: Vec::new(),
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters {} = parse(NATIVE.name, params)?;
    Ok(Box::new(Harm))
}

impl Processor for Harm {
    fn need(&self, _size_bytes: u64, _blocks: u64) -> u64 {
        0
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(HarmStep(None)))
    }
}

impl Step for HarmStep {
    fn push(&mut self, event: Event) -> Result<()> {
        if let Event::Bytes(bytes) = &event {
            match bytes.get(..5) {
                Some(b"CRASH") => crash(),
                Some(b"HANG!") => hang(),
                Some(b"BOMB!") => bomb(),
                Some(b"DEEP!") => drop(deep(&mut [0; 512], 1)),
                Some(b"SLOW!") => std::thread::sleep(std::time::Duration::from_millis(200)),
                _ => {}
            }
        }
        self.0 = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.0.take())
    }
}

/// Read what is not mapped.
fn crash() {
    // SAFETY: none: the fault is what is asked for.
    unsafe { std::ptr::read_volatile(std::ptr::without_provenance::<u8>(8)) };
}

/// Never come back.
fn hang() {
    loop {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Take memory until there is none.
fn bomb() {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1; 64 << 20]));
    }
}

/// Call itself until the stack ends.
fn deep(frame: &mut [u64; 512], depth: u64) -> u64 {
    let mut next = *std::hint::black_box(frame);
    next[0] = depth;
    if depth == u64::MAX {
        return depth;
    }
    deep(&mut next, depth + 1) + std::hint::black_box(&next)[0]
}
