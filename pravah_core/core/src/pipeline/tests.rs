//! Pipelines of steps that split, panic and fail.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::processors::Block;

/// Panics on the byte `!`.
struct Fragile;

impl Processor for Fragile {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        size_bytes
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(FragileStep(None)))
    }
}

struct FragileStep(Option<Event>);

impl Step for FragileStep {
    fn push(&mut self, event: Event) -> Result<()> {
        if let Event::Bytes(bytes) = &event {
            assert!(!bytes.contains(&b'!'), "met a `!` among {} bytes", bytes.len());
        }
        self.0 = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.0.take())
    }
}

/// Makes a block of each piece; the later ones are done sooner. Panics in the block of a `!`.
struct Splitting;

impl Processor for Splitting {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        size_bytes
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(SplittingStep(None)))
    }
}

struct SplittingStep(Option<Event>);

impl Step for SplittingStep {
    fn push(&mut self, event: Event) -> Result<()> {
        self.0 = Some(match event {
            Event::Bytes(bytes) => Event::Block(Block::new(move || {
                std::thread::sleep(Duration::from_millis(u64::from(b'z'.saturating_sub(bytes[0])) % 8));
                assert!(!bytes.contains(&b'!'), "met a `!`");
                Ok(bytes)
            })),
            event => event,
        });
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.0.take())
    }
}

fn of(steps: Vec<(&str, Box<dyn Processor>)>) -> Pipeline {
    let names = steps.iter().map(|(name, _)| (*name).to_owned()).collect();
    let processors = steps.into_iter().map(|(_, processor)| processor).collect();
    Pipeline::of(names, processors).expect("connected")
}

/// Run pieces of one byte through a step that splits and one that passes on.
fn run_split(input: &[u8], blocks: usize, output: &mut Output<'_>) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("built");
    let checksum = processors::build("checksum", &serde_json::Map::new()).expect("built");
    let pipeline = of(vec![("splitting", Box::new(Splitting)), ("checksum", checksum)]);
    let mut flow = pipeline.open(Workers::new(&pool, blocks))?;
    flow.feed(Event::Begin { name: Bytes::new(), size_bytes: None, source_bytes: None, path: None }, output)?;
    for byte in input {
        flow.feed(Event::Bytes(Bytes::copy_from_slice(&[*byte])), output)?;
    }
    flow.feed(Event::End, output)
}

#[test]
fn test_blocks_pass_on_in_their_order_with_everything_between_them() {
    for blocks in [1, 2, 3, 8] {
        let (mut bytes, mut kinds) = (Vec::new(), Vec::new());
        let taken = run_split(b"abcdefghijklmnop", blocks, &mut |event| {
            match event {
                Event::Begin { .. } => kinds.push("begin"),
                Event::Bytes(piece) => bytes.extend_from_slice(&piece),
                Event::Block(_) => kinds.push("block"),
                Event::Record(record) => {
                    assert_eq!(record["size_bytes"], 16);
                    kinds.push("record");
                }
                Event::Table(_) | Event::Rows(_) | Event::Part(_) => kinds.push("table"),
                Event::End => kinds.push("end"),
            }
            Ok(())
        });
        taken.expect("run");
        assert_eq!((bytes.as_slice(), kinds), (&b"abcdefghijklmnop"[..], vec!["begin", "record", "end"]), "{blocks}");
    }
}

#[test]
fn test_panic_in_a_block_fails_the_file_behind_what_came_before_it() {
    for blocks in [1, 4] {
        let mut bytes = Vec::new();
        let failure = run_split(b"abc!def!", blocks, &mut |event| {
            if let Event::Bytes(piece) = event {
                bytes.extend_from_slice(&piece);
            }
            Ok(())
        });
        let failure = failure.expect_err("panicked");
        assert_eq!((failure.step.as_deref(), failure.error.kind()), (Some("splitting"), "processor_panicked"));
        assert_eq!((failure.error.to_string(), bytes.as_slice()), ("panicked: met a `!`".to_owned(), &b"abc"[..]));
    }
}

#[test]
fn test_error_of_the_output_ends_a_file_whose_blocks_are_in_work() {
    for blocks in [1, 4] {
        let mut taken = 0;
        let failure = run_split(b"abcdefghijklmnop", blocks, &mut |event| {
            taken += usize::from(matches!(event, Event::Bytes(_)));
            if taken == 3 { Err(Error::Cancelled) } else { Ok(()) }
        });
        assert_eq!((failure.expect_err("cancelled").error.kind(), taken), ("cancelled", 3));
    }
}

fn step(name: &str) -> StepConfig {
    StepConfig { name: name.to_owned(), params: serde_json::Map::new() }
}

fn fragile() -> Pipeline {
    let copy = processors::build("copy", &serde_json::Map::new()).expect("built");
    of(vec![("copy", copy), ("fragile", Box::new(Fragile))])
}

fn run(pipeline: &Pipeline, input: &'static [u8]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    pipeline.run_whole(Bytes::from_static(b"a"), Bytes::from_static(input), &mut |event| {
        if let Event::Bytes(piece) = event {
            bytes.extend_from_slice(&piece);
        }
        Ok(())
    })?;
    Ok(bytes)
}

#[test]
fn test_panic_of_a_step_fails_its_file_only() {
    let pipeline = fragile();
    let failure = run(&pipeline, b"oh!").expect_err("panicked");
    assert_eq!(failure.step.as_deref(), Some("fragile"));
    assert_eq!(failure.error.kind(), "processor_panicked");
    assert_eq!(failure.error.to_string(), "panicked: met a `!` among 3 bytes");
    assert_eq!(run(&pipeline, b"oh").expect("the next file is done"), b"oh");
}

#[test]
fn test_panic_in_a_flow_is_an_error_of_its_step() {
    let pipeline = fragile();
    let mut flow = pipeline.open(Workers::NONE).expect("opened");
    let failure = flow.feed(Event::Bytes(Bytes::from_static(b"!")), &mut |_| Ok(())).expect_err("panicked");
    assert_eq!((failure.step.as_deref(), failure.error.kind()), (Some("fragile"), "processor_panicked"));
}

#[test]
fn test_panic_of_the_output_is_not_blamed_on_a_step() {
    let pipeline = fragile();
    let failure = pipeline
        .run_whole(Bytes::new(), Bytes::from_static(b"x"), &mut |_| panic!("disk on fire"))
        .expect_err("panicked");
    assert_eq!(failure.step, None);
    assert_eq!(failure.error.to_string(), "panicked: disk on fire");
}

#[test]
fn test_error_of_a_step_names_it() {
    let pipeline = Pipeline::new(&[step("copy"), step("decompress")]).expect("built");
    let failure = run(&pipeline, b"plain").expect_err("not compressed");
    assert_eq!((failure.step.as_deref(), failure.error.kind()), (Some("decompress"), "not_compressed"));
}

#[test]
fn test_records_pass_the_steps_behind() {
    let pipeline = Pipeline::new(&[step("checksum"), step("compress")]).expect("built");
    let mut order = Vec::new();
    pipeline
        .run_whole(Bytes::from_static(b"a"), Bytes::from_static(b"abc"), &mut |event| {
            order.push(match event {
                Event::Begin { name, .. } => String::from_utf8_lossy(&name).into_owned(),
                Event::Bytes(_) | Event::Block(_) | Event::Table(_) | Event::Rows(_) | Event::Part(_) => {
                    "bytes".to_owned()
                }
                Event::Record(record) => record["size_bytes"].to_string(),
                Event::End => "end".to_owned(),
            });
            Ok(())
        })
        .expect("run");
    assert_eq!(order, ["a.zst", "3", "bytes", "end"]);
}

#[test]
fn test_need_counts_what_may_reach_later_steps() {
    let packed = Pipeline::new(&[step("decompress"), step("compress")]).expect("built");
    let alone = Pipeline::new(&[step("compress")]).expect("built");
    assert!(packed.need(b"a", 100, 1) > alone.need(b"a", u64::MAX, 1));
    assert!(alone.need(b"a", 100, 1) < alone.need(b"a", u64::MAX, 1));
}

#[test]
fn test_unknown_processor_and_parameter_are_refused() {
    let kind = |step| Pipeline::new(&[step]).err().map(|error| error.kind());
    assert_eq!(kind(step("compres")), Some("unknown_processor"));
    let params = json!({"level": 99}).as_object().cloned().unwrap_or_default();
    assert_eq!(kind(StepConfig { name: "compress".to_owned(), params }), Some("invalid_parameter"));
}
