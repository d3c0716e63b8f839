//! Processors: code that acts on entries, without I/O of its own.
//!
//! One file per processor; a line in [`NATIVE`] is all that a new one needs outside its file.
//! A processor never blocks, never spawns, and its output depends on content, parameters and version only.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// What flows through a pipeline.
#[derive(Debug, Clone)]
pub enum Event {
    /// A file begins. Its size is known where it comes straight from the store.
    Begin {
        /// Name without directory, as it was listed.
        name: Bytes,
        /// Size in bytes, where it is known.
        size_bytes: Option<u64>,
    },
    /// The next bytes of the current file.
    Bytes(Bytes),
    /// A finding of an inspect step, gathered into the job's dataset; other steps never see it.
    Record(Map<String, Value>),
    /// The current file ends.
    End,
}

/// A configured processor: parsed parameters, immutable, shared by all threads.
pub trait Processor: Send + Sync {
    /// Peak bytes that one file of `size_bytes` takes, beside the buffers of the store.
    fn need(&self, size_bytes: u64) -> u64;

    /// Start on one file.
    fn open(&self) -> Result<Box<dyn Step>>;

    /// Name the output of an input that is called `name`.
    fn output_name(&self, name: &[u8]) -> Vec<u8> {
        name.to_vec()
    }

    /// Whether two names of one directory can get one output name.
    fn names_can_collide(&self) -> bool {
        false
    }
}

/// The work on one file: events are pushed in, and pulled out until there is none.
///
/// After each `push` the caller pulls until `None`. A pull yields at most 1 MiB,
/// so neither a bomb nor a slow sink is ever met inside a call.
pub trait Step: Send {
    /// Take the next event.
    fn push(&mut self, event: Event) -> Result<()>;

    /// Give the next event; none: more input is wanted.
    fn pull(&mut self) -> Result<Option<Event>>;
}

/// Most bytes that one [`Step::pull`] yields.
pub const PULL_BYTES: usize = 1 << 20;

/// How many outputs a processor makes of its inputs (design: shapes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One in, one out.
    Map,
    /// One in, records out; the payload passes on unchanged.
    Inspect,
}

/// A processor as people and programs see it, before it has parameters.
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
    /// What the step does to the input.
    pub explains: &'static str,
}

/// A native processor: its descriptor and how it is built.
pub struct Native {
    /// Describe it.
    pub describe: fn() -> Descriptor,
    /// Build it from checked parameters.
    pub build: fn(&Map<String, Value>) -> Result<Box<dyn Processor>>,
}

/// Every native processor.
pub const NATIVE: &[Native] = &[];

/// Build a processor by its name.
pub fn build(name: &str, params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    NATIVE
        .iter()
        .find(|native| (native.describe)().name == name)
        .ok_or_else(|| Error::UnknownProcessor(name.to_owned()))
        .and_then(|native| (native.build)(params))
}
