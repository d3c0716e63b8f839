//! A pipeline: configured steps that stream into each other, in one fused pass without temporary files.
//!
//! - `lane`: from one step to the next, with blocks of the file in work at once

mod lane;

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
};

use bytes::Bytes;

use crate::{
    Error, Result,
    effort::{self, Activity},
    plan::StepConfig,
    processors::{self, Event, PULL_BYTES, Processor, Step},
};

use lane::{Lane, Patience};

pub use lane::Workers;

/// The steps of a job, ready to be opened for each file.
pub struct Pipeline {
    processors: Vec<(String, Box<dyn Processor>)>,
    /// The position of the step that takes several files, if there is one.
    reduces_at: Option<usize>,
}

impl Pipeline {
    /// Build the processors of these steps.
    pub fn new(steps: &[StepConfig]) -> Result<Self> {
        let processors = steps
            .iter()
            .map(|step| Ok((step.name.clone(), processors::build(&step.name, &step.params)?)))
            .collect::<Result<_>>()?;
        Ok(Self::of(processors))
    }

    fn of(processors: Vec<(String, Box<dyn Processor>)>) -> Self {
        let reduces_at = processors.iter().position(|(_, processor)| processor.reduces());
        Self { processors, reduces_at }
    }

    /// The names of its steps, in order.
    pub fn step_names(&self) -> Vec<String> {
        self.processors.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Name the output of an input that is called `name`: each step's naming in turn.
    pub fn output_name(&self, name: &[u8]) -> Vec<u8> {
        named_by(&self.processors, name)
    }

    /// Name an input as the step that takes several files gets it.
    pub fn name_to_reduce(&self, name: &[u8]) -> Vec<u8> {
        named_by(&self.processors[..self.reduces_at.unwrap_or(0)], name)
    }

    /// Have each step read what all files need.
    pub fn prepare(&self) -> Result<()> {
        self.processors.iter().try_for_each(|(_, processor)| processor.prepare())
    }

    /// Whether a step asks where a file was listed.
    pub fn wants_path(&self) -> bool {
        self.processors.iter().any(|(_, processor)| processor.wants_path())
    }

    /// Whether what comes out is what went in, and nothing else is found: the system may copy it.
    pub fn passes_bytes(&self) -> bool {
        self.processors.iter().all(|(_, processor)| processor.passes_bytes())
    }

    /// Whether two names of one directory can get one output name.
    pub fn names_can_collide(&self) -> bool {
        self.processors.iter().any(|(_, processor)| processor.names_can_collide())
    }

    /// Peak bytes that all steps take together for one file, with so many blocks of each in work at once.
    ///
    /// A step behind one that expands its input is counted with what may reach it.
    pub fn need(&self, size_bytes: u64, blocks: u64) -> u64 {
        let (need, _) = self.processors.iter().fold((0_u64, size_bytes), |(need, size_bytes), (_, processor)| {
            (need.saturating_add(processor.need(size_bytes, blocks)), processor.output_bound(size_bytes))
        });
        need
    }

    /// Bytes of a large file that are best pushed at once.
    pub fn piece_bytes(&self) -> usize {
        self.processors.first().map_or(PULL_BYTES, |(_, processor)| processor.piece_bytes())
    }

    /// Run a file that lies in one buffer through all steps.
    ///
    /// A panic of a step fails the file ([`Error::Panicked`]) and nothing else.
    pub fn run_whole(&self, name: Bytes, input: Bytes, output: &mut Output<'_>) -> Result<(), Failure> {
        let active = Active::default();
        contained(&active, || {
            let mut flow = self.open_steps(Workers::NONE, &active)?;
            let size_bytes = Some(input.len() as u64);
            feed(&mut flow, Event::Begin { name, size_bytes, path: None }, output, &active)?;
            if !input.is_empty() {
                feed(&mut flow, Event::Bytes(input), output, &active)?;
            }
            feed(&mut flow, Event::End, output, &active)?;
            self.reduces_at.map_or(Ok(()), |at| finish(&mut flow[at..], output, &active))
        })
    }

    /// Start on one file that comes in pieces; its blocks are done by these workers.
    pub fn open<'p>(&'p self, workers: Workers<'p>) -> Result<Flow<'p>, Failure> {
        let active = Active::default();
        let steps = contained(&active, || self.open_steps(workers, &active))?;
        Ok(Flow { pipeline: self, workers, steps })
    }

    fn open_steps<'p>(&'p self, workers: Workers<'p>, active: &Active<'p>) -> Result<Vec<OpenStep<'p>>, Failure> {
        (0..self.processors.len()).map(|position| self.open_step(position, workers, active)).collect()
    }

    fn open_step<'p>(
        &'p self,
        position: usize,
        workers: Workers<'p>,
        active: &Active<'p>,
    ) -> Result<OpenStep<'p>, Failure> {
        let (name, processor) = &self.processors[position];
        active.set(Some(name));
        let number = u8::try_from(position).unwrap_or(u8::MAX);
        let step = processor.open().map_err(|error| Failure::at(name, error))?;
        Ok(OpenStep { name, number, step, lane: Lane::new(workers) })
    }
}

fn named_by(processors: &[(String, Box<dyn Processor>)], name: &[u8]) -> Vec<u8> {
    processors.iter().fold(name.to_vec(), |name, (_, processor)| processor.output_name(&name))
}

/// Takes what comes out of the last step.
pub type Output<'o> = dyn FnMut(Event) -> Result<()> + 'o;

/// A step at work on one file.
struct OpenStep<'p> {
    name: &'p str,
    /// Its position in the pipeline.
    number: u8,
    step: Box<dyn Step>,
    lane: Lane<'p>,
}

/// The step that is at work; none: the caller's output is.
type Active<'p> = Cell<Option<&'p str>>;

/// One file on its way through the steps; several, where a step takes them together.
pub struct Flow<'p> {
    pipeline: &'p Pipeline,
    workers: Workers<'p>,
    steps: Vec<OpenStep<'p>>,
}

/// An error, and the step that it came from.
#[derive(Debug)]
pub struct Failure {
    /// The processor's name; none where the store failed.
    pub step: Option<String>,
    /// What went wrong.
    pub error: Error,
}

impl Failure {
    fn at(step: &str, error: Error) -> Self {
        Self { step: Some(step.to_owned()), error }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { step: None, error }
    }
}

impl<'p> Flow<'p> {
    /// Push one event through all steps; what comes out of the last goes to `output`.
    ///
    /// Records skip the steps behind the one that found them. A panic of a step is [`Error::Panicked`].
    /// After an error the flow is only dropped.
    pub fn feed(&mut self, event: Event, output: &mut Output<'_>) -> Result<(), Failure> {
        let active = Active::default();
        contained(&active, || feed(&mut self.steps, event, output, &active))
    }

    /// Begin with another file for the step that takes several: the steps before it take one each.
    pub fn begin_another(&mut self) -> Result<(), Failure> {
        let active = Active::default();
        contained(&active, || {
            for position in 0..self.pipeline.reduces_at.unwrap_or(0) {
                self.steps[position] = self.pipeline.open_step(position, self.workers, &active)?;
            }
            Ok(())
        })
    }

    /// All files have come: the step that takes several gives the end of what it makes of them.
    pub fn finish(&mut self, output: &mut Output<'_>) -> Result<(), Failure> {
        let active = Active::default();
        let Some(at) = self.pipeline.reduces_at else { return Ok(()) };
        contained(&active, || finish(&mut self.steps[at..], output, &active))
    }
}

fn feed<'p>(
    steps: &mut [OpenStep<'p>],
    event: Event,
    output: &mut Output<'_>,
    active: &Active<'p>,
) -> Result<(), Failure> {
    let Some((first, behind)) = steps.split_first_mut().filter(|_| !matches!(event, Event::Record(_))) else {
        active.set(None);
        return Ok(output(event)?);
    };
    let ends = matches!(event, Event::End);
    turn((first.name, first.number), active);
    let pushed = first.step.push(event);
    pull_all(first, behind, output, active, (pushed, ends))
}

/// Have the step that takes several files, and those behind it, come to their end.
fn finish<'p>(steps: &mut [OpenStep<'p>], output: &mut Output<'_>, active: &Active<'p>) -> Result<(), Failure> {
    let Some((first, behind)) = steps.split_first_mut() else { return Ok(()) };
    turn((first.name, first.number), active);
    let finished = first.step.finish();
    pull_all(first, behind, output, active, (finished, true))
}

/// Pass on all that a step has to give, now that it was pushed something.
fn pull_all<'p>(
    first: &mut OpenStep<'p>,
    behind: &mut [OpenStep<'p>],
    output: &mut Output<'_>,
    active: &Active<'p>,
    (pushed, ends): (Result<()>, bool),
) -> Result<(), Failure> {
    let place = (first.name, first.number);
    let mut pulled = pushed.and_then(|()| first.step.pull());
    while let Ok(Some(event)) = pulled {
        if let Some(event) = first.lane.take(event) {
            pass(place, event, behind, output, active)?;
        }
        deliver(first, behind, output, active, Patience::WhileFull)?;
        pulled = first.step.pull();
    }
    // What a step gave before it failed comes first, and may fail first.
    let patience = if ends || pulled.is_err() { Patience::UntilEmpty } else { Patience::WhileFull };
    deliver(first, behind, output, active, patience)?;
    pulled.map(|_| ()).map_err(|error| Failure::at(first.name, error))
}

/// Pass on what waits in a step's lane, in order.
fn deliver<'p>(
    first: &mut OpenStep<'p>,
    behind: &mut [OpenStep<'p>],
    output: &mut Output<'_>,
    active: &Active<'p>,
    patience: Patience,
) -> Result<(), Failure> {
    while let Some(event) = first.lane.next(patience) {
        let event = event.map_err(|error| Failure::at(first.name, error))?;
        pass((first.name, first.number), event, behind, output, active)?;
    }
    Ok(())
}

/// Pass an event of a step to the steps behind it: a block as its bytes, and bytes in bounded pieces.
fn pass<'p>(
    (name, number): (&'p str, u8),
    event: Event,
    behind: &mut [OpenStep<'p>],
    output: &mut Output<'_>,
    active: &Active<'p>,
) -> Result<(), Failure> {
    let mut bytes = match event {
        Event::Block(block) => block.run().map_err(|error| Failure::at(name, error))?,
        Event::Bytes(bytes) => bytes,
        event => {
            feed(behind, event, output, active)?;
            turn((name, number), active);
            return Ok(());
        }
    };
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(PULL_BYTES));
        feed(behind, Event::Bytes(piece), output, active)?;
    }
    turn((name, number), active);
    Ok(())
}

/// It is this step's turn.
fn turn<'p>((name, number): (&'p str, u8), active: &Active<'p>) {
    active.set(Some(name));
    effort::now(Activity::Step(number));
}

/// Run `work`, and turn its panic into an error. This costs nothing while nobody panics.
fn contained<T>(active: &Active<'_>, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What a panic leaves half-done are the steps of this file, which nobody uses after an error; contexts
    // that were taken out of a thread's cache are dropped with it.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        Err(Failure { step: active.get().map(str::to_owned), error: panicked(payload.as_ref()) })
    })
}

/// The error that a panic becomes.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Error {
    Error::Panicked(format!("panicked: {}", message(payload)))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
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

    /// Run pieces of one byte through a step that splits and one that passes on.
    fn run_split(input: &[u8], blocks: usize, output: &mut Output<'_>) -> Result<(), Failure> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("built");
        let checksum = processors::build("checksum", &serde_json::Map::new()).expect("built");
        let steps: Vec<(String, Box<dyn Processor>)> =
            vec![("splitting".to_owned(), Box::new(Splitting)), ("checksum".to_owned(), checksum)];
        let pipeline = Pipeline::of(steps);
        let mut flow = pipeline.open(Workers::new(&pool, blocks))?;
        flow.feed(Event::Begin { name: Bytes::new(), size_bytes: None, path: None }, output)?;
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
                    Event::End => kinds.push("end"),
                }
                Ok(())
            });
            taken.expect("run");
            assert_eq!(
                (bytes.as_slice(), kinds),
                (&b"abcdefghijklmnop"[..], vec!["begin", "record", "end"]),
                "{blocks}"
            );
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
        Pipeline::of(vec![("copy".to_owned(), copy), ("fragile".to_owned(), Box::new(Fragile))])
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
                    Event::Bytes(_) | Event::Block(_) => "bytes".to_owned(),
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
        assert!(packed.need(100, 1) > alone.need(u64::MAX, 1));
        assert!(alone.need(100, 1) < alone.need(u64::MAX, 1));
    }

    #[test]
    fn test_unknown_processor_and_parameter_are_refused() {
        let kind = |step| Pipeline::new(&[step]).err().map(|error| error.kind());
        assert_eq!(kind(step("compres")), Some("unknown_processor"));
        let params = json!({"level": 99}).as_object().cloned().unwrap_or_default();
        assert_eq!(kind(StepConfig { name: "compress".to_owned(), params }), Some("invalid_parameter"));
    }
}
