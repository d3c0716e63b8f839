//! A pipeline: configured steps that stream into each other, in one fused pass without temporary files.
//!
//! - `stages`: where files are read as tables and written again
//! - `looking`: what parts of a file tell, where it need not be read whole
//! - `lane`: from one step to the next, with blocks of the file in work at once

mod lane;
mod looking;
mod stages;

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
};

use bytes::Bytes;

use crate::{
    Error, Result,
    effort::{self, Activity},
    memo::Memo,
    plan::StepConfig,
    processors::{self, Event, Made, PULL_BYTES, Processor, Step},
};

use lane::{Lane, Patience};

pub use lane::Workers;

/// The steps of a job, ready to be opened for each file.
pub struct Pipeline {
    /// The names of the steps that were asked for.
    names: Vec<String>,
    stages: Vec<Stage>,
    /// The position of the stage that takes several files, if there is one.
    reduces_at: Option<usize>,
}

/// A processor, and the step that it belongs to: one that works on rows may need their files to be read and written.
struct Stage {
    step: usize,
    processor: Box<dyn Processor>,
}

impl Pipeline {
    /// Build the processors of these steps.
    pub fn new(steps: &[StepConfig]) -> Result<Self> {
        let names = steps.iter().map(|step| step.name.clone()).collect();
        let built = steps.iter().map(|step| processors::build(&step.name, &step.params));
        Self::of(names, built.collect::<Result<_>>()?)
    }

    fn of(names: Vec<String>, processors: Vec<Box<dyn Processor>>) -> Result<Self> {
        let stages = stages::connect(processors)?;
        let reduces_at = stages.iter().position(|stage| stage.processor.reduces());
        Ok(Self { names, stages, reduces_at })
    }

    /// The names of its steps, in order.
    pub fn step_names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn processors(&self) -> impl Iterator<Item = &dyn Processor> {
        self.stages.iter().map(|stage| &*stage.processor)
    }

    /// Name the output of an input that is called `name`: each step's naming in turn.
    pub fn output_name(&self, name: &[u8]) -> Vec<u8> {
        named_by(&self.stages, name)
    }

    /// Name an input as the step that takes several files gets it.
    pub fn name_to_reduce(&self, name: &[u8]) -> Vec<u8> {
        named_by(&self.stages[..self.reduces_at.unwrap_or(0)], name)
    }

    /// Have each step read what all files need.
    pub fn prepare(&self) -> Result<()> {
        self.processors().try_for_each(Processor::prepare)
    }

    /// Whether a step asks where a file was listed.
    pub fn wants_path(&self) -> bool {
        self.processors().any(Processor::wants_path)
    }

    /// Whether what comes out is what went in, and nothing else is found: the system may copy it.
    pub fn passes_bytes(&self) -> bool {
        self.processors().all(Processor::passes_bytes)
    }

    /// Whether two names of one directory can get one output name.
    pub fn names_can_collide(&self) -> bool {
        self.processors().any(Processor::names_can_collide)
    }

    /// Peak bytes that all steps take together for one file, with so many blocks of each in work at once.
    ///
    /// A step behind one that expands its input is counted with what may reach it.
    pub fn need(&self, name: &[u8], size_bytes: u64, blocks: u64) -> u64 {
        let (need, ..) =
            self.processors().fold((0_u64, name.to_vec(), size_bytes), |(need, name, size_bytes), next| {
                let need = need.saturating_add(next.need_of(&name, size_bytes, blocks));
                (need, next.output_name(&name), next.output_bound(size_bytes))
            });
        need
    }

    /// Bytes of a large file that are best pushed at once.
    pub fn piece_bytes(&self) -> usize {
        self.processors().next().map_or(PULL_BYTES, Processor::piece_bytes)
    }

    /// Run a file that lies in one buffer through all steps.
    ///
    /// A panic of a step fails the file ([`Error::Panicked`]) and nothing else.
    pub fn run_whole(&self, name: Bytes, input: Bytes, output: &mut Output<'_>) -> Result<(), Failure> {
        let active = Active::default();
        contained(&active, || {
            let mut flow = self.open_steps(Workers::NONE, &active)?;
            let size_bytes = Some(input.len() as u64);
            feed(&mut flow, Event::Begin { name, size_bytes, source_bytes: size_bytes, path: None }, output, &active)?;
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
        (0..self.stages.len()).map(|position| self.open_step(position, workers, active)).collect()
    }

    fn open_step<'p>(
        &'p self,
        position: usize,
        workers: Workers<'p>,
        active: &Active<'p>,
    ) -> Result<OpenStep<'p>, Failure> {
        let Stage { step, processor } = &self.stages[position];
        let name = self.names[*step].as_str();
        active.set(Some(name));
        let number = u8::try_from(*step).unwrap_or(u8::MAX);
        let step = processor.open().map_err(|error| Failure::at(name, error))?;
        let (processor, lane) = (&**processor, Lane::new(workers));
        Ok(OpenStep { name, number, processor, step, has_ended: false, lane })
    }
}

fn named_by(stages: &[Stage], name: &[u8]) -> Vec<u8> {
    stages.iter().fold(name.to_vec(), |name, stage| stage.processor.output_name(&name))
}

/// Takes what comes out of the last step.
pub type Output<'o> = dyn FnMut(Event) -> Result<()> + 'o;

/// A step at work on one file.
struct OpenStep<'p> {
    name: &'p str,
    /// Its position in the pipeline.
    number: u8,
    processor: &'p dyn Processor,
    step: Box<dyn Step>,
    /// It has got the end of a file.
    has_ended: bool,
    lane: Lane<'p>,
}

impl OpenStep<'_> {
    /// Work on the next file as on one that came alone, behind a step that makes several; a step that puts files
    /// together goes on instead.
    fn begin_anew(&mut self) -> Result<(), Failure> {
        if !self.processor.reduces() {
            self.step = self.processor.open().map_err(|error| Failure::at(self.name, error))?;
        }
        Ok(())
    }
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
    /// Have its steps know what an earlier reading of the file has found, before it begins.
    pub fn remember(&mut self, memo: &Memo) {
        self.steps.iter_mut().for_each(|open| open.step.remember(memo));
    }

    /// Push one event through all steps; what comes out of the last goes to `output`.
    ///
    /// Records, counts of rows and marks of parts skip the steps behind the one that gave them. A panic of a step is [`Error::Panicked`].
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
    let Some((first, behind)) = steps.split_first_mut().filter(|_| !skips_steps(&event)) else {
        active.set(None);
        return Ok(output(event)?);
    };
    let ends = matches!(event, Event::End);
    turn((first.name, first.number), active);
    if first.has_ended && matches!(event, Event::Begin { .. }) {
        first.begin_anew()?;
    }
    first.has_ended = ends;
    let pushed = first.step.push(event);
    pull_all(first, behind, output, active, (pushed, ends))
}

/// Whether an event is for the output alone.
fn skips_steps(event: &Event) -> bool {
    matches!(event, Event::Record(_) | Event::Rows(_) | Event::Part(_))
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

/// Pass an event of a step to the steps behind it: a block as what it makes, and bytes in bounded pieces.
fn pass<'p>(
    (name, number): (&'p str, u8),
    event: Event,
    behind: &mut [OpenStep<'p>],
    output: &mut Output<'_>,
    active: &Active<'p>,
) -> Result<(), Failure> {
    let mut event = event;
    // A loop, as each block may leave the rest of its work to one behind it, any number of times.
    while let Event::Block(block) = event {
        let mut events = match block.run().map_err(|error| Failure::at(name, error))? {
            Made::Bytes(bytes) => vec![Event::Bytes(bytes)],
            Made::Turn(work) => work().map_err(|error| Failure::at(name, error))?,
        };
        let Some(last) = events.pop() else { return Ok(()) };
        events.into_iter().try_for_each(|event| pass((name, number), event, behind, output, active))?;
        event = last;
    }
    let mut bytes = match event {
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
mod tests;
