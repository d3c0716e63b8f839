//! A pipeline: configured steps that stream into each other, in one fused pass without temporary files.

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
    processors::{self, Event, Processor, Step},
};

/// The steps of a job, ready to be opened for each file.
pub struct Pipeline {
    processors: Vec<(String, Box<dyn Processor>)>,
}

impl Pipeline {
    /// Build the processors of these steps.
    pub fn new(steps: &[StepConfig]) -> Result<Self> {
        let processors = steps
            .iter()
            .map(|step| Ok((step.name.clone(), processors::build(&step.name, &step.params)?)))
            .collect::<Result<_>>()?;
        Ok(Self { processors })
    }

    /// The names of its steps, in order.
    pub fn step_names(&self) -> Vec<String> {
        self.processors.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Name the output of an input that is called `name`: each step's naming in turn.
    pub fn output_name(&self, name: &[u8]) -> Vec<u8> {
        self.processors.iter().fold(name.to_vec(), |name, (_, processor)| processor.output_name(&name))
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

    /// Peak bytes that all steps take together for one file.
    ///
    /// A step behind one that expands its input is counted with what may reach it.
    pub fn need(&self, size_bytes: u64) -> u64 {
        let (need, _) = self.processors.iter().fold((0_u64, size_bytes), |(need, size_bytes), (_, processor)| {
            (need.saturating_add(processor.need(size_bytes)), processor.output_bound(size_bytes))
        });
        need
    }

    /// Run a file that lies in one buffer through all steps.
    ///
    /// A panic of a step fails the file ([`Error::Panicked`]) and nothing else.
    pub fn run_whole(&self, name: Bytes, input: Bytes, output: &mut Output<'_>) -> Result<(), Failure> {
        let active = Active::default();
        contained(&active, || {
            let mut flow = self.open_steps(&active)?;
            let size_bytes = Some(input.len() as u64);
            feed(&mut flow, Event::Begin { name, size_bytes, path: None }, output, &active)?;
            if !input.is_empty() {
                feed(&mut flow, Event::Bytes(input), output, &active)?;
            }
            feed(&mut flow, Event::End, output, &active)
        })
    }

    /// Start on one file that comes in pieces.
    pub fn open(&self) -> Result<Flow<'_>, Failure> {
        let active = Active::default();
        let steps = contained(&active, || self.open_steps(&active))?;
        Ok(Flow { steps })
    }

    fn open_steps<'p>(&'p self, active: &Active<'p>) -> Result<Vec<OpenStep<'p>>, Failure> {
        self.processors
            .iter()
            .enumerate()
            .map(|(position, (name, processor))| {
                active.set(Some(name));
                let number = u8::try_from(position).unwrap_or(u8::MAX);
                Ok(OpenStep { name, number, step: processor.open().map_err(|e| Failure::at(name, e))? })
            })
            .collect()
    }
}

/// Takes what comes out of the last step.
pub type Output<'o> = dyn FnMut(Event) -> Result<()> + 'o;

/// A step at work on one file.
struct OpenStep<'p> {
    name: &'p str,
    /// Its position in the pipeline.
    number: u8,
    step: Box<dyn Step>,
}

/// The step that is at work; none: the caller's output is.
type Active<'p> = Cell<Option<&'p str>>;

/// One file on its way through the steps.
pub struct Flow<'p> {
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
}

fn feed<'p>(
    steps: &mut [OpenStep<'p>],
    event: Event,
    output: &mut Output<'_>,
    active: &Active<'p>,
) -> Result<(), Failure> {
    let Some((OpenStep { name, number, step }, behind)) =
        steps.split_first_mut().filter(|_| !matches!(event, Event::Record(_)))
    else {
        active.set(None);
        return Ok(output(event)?);
    };
    let turn = || {
        active.set(Some(name));
        effort::now(Activity::Step(*number));
    };
    turn();
    step.push(event).map_err(|error| Failure::at(name, error))?;
    while let Some(event) = step.pull().map_err(|error| Failure::at(name, error))? {
        feed(behind, event, output, active)?;
        turn();
    }
    Ok(())
}

/// Run `work`, and turn its panic into an error. This costs nothing while nobody panics.
fn contained<T>(active: &Active<'_>, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What a panic leaves half-done are the steps of this file, which nobody uses after an error; contexts
    // that were taken out of a thread's cache are dropped with it.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let error = Error::Panicked(format!("panicked: {}", message(payload.as_ref())));
        Err(Failure { step: active.get().map(str::to_owned), error })
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Panics on the byte `!`.
    struct Fragile;

    impl Processor for Fragile {
        fn need(&self, size_bytes: u64) -> u64 {
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

    fn step(name: &str) -> StepConfig {
        StepConfig { name: name.to_owned(), params: serde_json::Map::new() }
    }

    fn fragile() -> Pipeline {
        let copy = processors::build("copy", &serde_json::Map::new()).expect("built");
        Pipeline { processors: vec![("copy".to_owned(), copy), ("fragile".to_owned(), Box::new(Fragile))] }
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
        let mut flow = pipeline.open().expect("opened");
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
                    Event::Bytes(_) => "bytes".to_owned(),
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
        assert!(packed.need(100) > alone.need(u64::MAX));
        assert!(alone.need(100) < alone.need(u64::MAX));
    }

    #[test]
    fn test_unknown_processor_and_parameter_are_refused() {
        let kind = |step| Pipeline::new(&[step]).err().map(|error| error.kind());
        assert_eq!(kind(step("compres")), Some("unknown_processor"));
        let params = json!({"level": 99}).as_object().cloned().unwrap_or_default();
        assert_eq!(kind(StepConfig { name: "compress".to_owned(), params }), Some("invalid_parameter"));
    }
}
