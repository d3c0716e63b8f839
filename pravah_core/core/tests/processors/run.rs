//! Runs a pipeline over bytes, whole or in pieces, and keeps what comes out.

use bytes::Bytes;
use pravah_core::{
    Result,
    pipeline::{Failure, Pipeline, Workers},
    plan::StepConfig,
    processors::{Event, PULL_BYTES},
};
use serde_json::{Map, Value, json};

/// What came out of a pipeline.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub name: Vec<u8>,
    pub bytes: Vec<u8>,
    /// Where each of several outputs begins.
    pub parts: Vec<usize>,
    pub records: Vec<Value>,
    pub has_ended: bool,
}

/// How the input is pushed.
#[derive(Debug, Clone)]
pub enum Batching {
    /// By `run_whole`.
    Whole,
    /// In one piece, as a file of unknown size.
    OnePiece,
    /// In pieces of these sizes, over and over.
    Pieces(Vec<usize>),
}

impl Outcome {
    fn take(&mut self, event: Event) -> Result<()> {
        let is_next = matches!(event, Event::Part(_));
        assert!(!self.has_ended || is_next, "nothing follows the end");
        match event {
            Event::Begin { name, .. } => self.name = name.to_vec(),
            Event::Bytes(bytes) => {
                assert!(!bytes.is_empty() && bytes.len() <= PULL_BYTES, "{} bytes in one pull", bytes.len());
                self.bytes.extend_from_slice(&bytes);
            }
            Event::Record(record) => self.records.push(Value::Object(record)),
            Event::End => self.has_ended = true,
            Event::Part(part) => {
                assert!(self.has_ended || self.parts.is_empty(), "one output follows another one");
                assert!(!part.directory.is_empty() || part.number as usize == self.parts.len());
                self.parts.push(self.bytes.len());
                self.has_ended = false;
            }
            Event::Rows(_) => {}
            Event::Block(_) | Event::Table(_) => panic!("blocks and tables do not come out"),
        }
        Ok(())
    }
}

/// Build a pipeline of one step.
pub fn pipeline(name: &str, params: Value) -> Pipeline {
    pipeline_of(name, params.as_object().cloned().unwrap_or_default())
}

/// Build a pipeline of one step, from parameters as descriptors have them.
pub fn pipeline_of(name: &str, params: Map<String, Value>) -> Pipeline {
    Pipeline::new(&[StepConfig { name: name.to_owned(), params }]).expect("the step is valid")
}

/// Every processor in every configuration that its examples show, and the other codecs and algorithms.
pub fn configurations() -> Vec<(String, Pipeline)> {
    let examples = pravah_core::processors::descriptors()
        .into_iter()
        .flat_map(|d| d.examples.into_iter().map(move |e| (e.step.to_owned(), pipeline_of(d.name, e.params))));
    let others = [
        ("compress:gzip", "compress", json!({"codec": "gzip"})),
        ("compress:level=1", "compress", json!({"level": 1})),
        ("compress:level=19", "compress", json!({"level": 19})),
        ("decompress:gzip", "decompress", json!({"codec": "gzip"})),
        ("checksum:blake3", "checksum", json!({"algorithm": "blake3"})),
        ("convert:from=csv", "convert", json!({"from": "csv", "format": "parquet"})),
        ("convert:from=parquet", "convert", json!({"from": "parquet", "format": "csv"})),
        ("convert:from=arrow", "convert", json!({"from": "arrow", "format": "ndjson"})),
        ("convert:from=avro", "convert", json!({"from": "avro", "format": "ndjson"})),
        ("convert:from=xlsx", "convert", json!({"from": "xlsx", "format": "ndjson"})),
        ("convert:format=avro", "convert", json!({"from": "csv", "format": "avro"})),
        ("convert:from=json", "convert", json!({"from": "json", "format": "csv"})),
        ("checksum:crc64nvme", "checksum", json!({"algorithm": "crc64nvme"})),
    ];
    examples.chain(others.map(|(step, name, params)| (step.to_owned(), pipeline(name, params)))).collect()
}

/// Run `input` through the pipeline.
pub fn run(pipeline: &Pipeline, input: &[u8], batching: &Batching) -> Result<Outcome, Failure> {
    run_by(Workers::NONE, pipeline, input, batching)
}

/// Run `input` through the pipeline, its blocks by these workers.
pub fn run_by(
    workers: Workers<'_>,
    pipeline: &Pipeline,
    input: &[u8],
    batching: &Batching,
) -> Result<Outcome, Failure> {
    run_named("input", workers, pipeline, input, batching)
}

/// Run `input`, a file of this name, through the pipeline, its blocks by these workers.
pub fn run_named(
    name: &str,
    workers: Workers<'_>,
    pipeline: &Pipeline,
    input: &[u8],
    batching: &Batching,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let name = Bytes::copy_from_slice(name.as_bytes());
    if let Batching::Whole = batching {
        pipeline.run_whole(name, Bytes::copy_from_slice(input), &mut |event| outcome.take(event))?;
        return Ok(outcome);
    }
    let mut flow = pipeline.open(workers)?;
    flow.feed(Event::Begin { name, size_bytes: None, source_bytes: None, path: None }, &mut |event| {
        outcome.take(event)
    })?;
    for piece in pieces(input, batching) {
        flow.feed(Event::Bytes(Bytes::copy_from_slice(piece)), &mut |event| outcome.take(event))?;
    }
    flow.feed(Event::End, &mut |event| outcome.take(event))?;
    flow.finish(&mut |event| outcome.take(event))?;
    assert!(outcome.has_ended, "the end came through");
    Ok(outcome)
}

/// Run, and say what came of it: the outcome, or step and kind of the error.
pub fn verdict(pipeline: &Pipeline, input: &[u8], batching: &Batching) -> Result<Outcome, String> {
    run(pipeline, input, batching).map_err(|failure| failure.error.kind().to_owned())
}

/// Compress by a step, in one go.
pub fn compressed(codec: &str, content: &[u8]) -> Vec<u8> {
    run(&pipeline("compress", json!({"codec": codec})), content, &Batching::OnePiece).expect("compressed").bytes
}

/// Text that is neither random nor repetitive, the same each time.
pub fn text(size_bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size_bytes + 64);
    let mut state = 7_u64;
    while text.len() < size_bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, word) = (text.len() / 40, ["pune", "delhi", "lagos", "paris"][(state >> 60) as usize % 4]);
        text.extend_from_slice(format!("{id},{word},{},{}\n", state >> 44, state.is_multiple_of(2)).as_bytes());
    }
    text.truncate(size_bytes);
    text
}

fn pieces<'i>(mut input: &'i [u8], batching: &Batching) -> Vec<&'i [u8]> {
    let sizes = match batching {
        Batching::Pieces(sizes) => sizes.clone(),
        Batching::OnePiece | Batching::Whole => vec![input.len()],
    };
    let mut pieces = Vec::new();
    for size in sizes.into_iter().cycle() {
        if input.is_empty() {
            break;
        }
        let (piece, rest) = input.split_at(size.clamp(1, input.len()));
        pieces.push(piece);
        input = rest;
    }
    pieces
}
