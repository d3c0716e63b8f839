//! A pipeline: configured steps that stream into each other, in one fused pass without temporary files.

use crate::{
    Result,
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

    /// Name the output of an input that is called `name`: each step's naming in turn.
    pub fn output_name(&self, name: &[u8]) -> Vec<u8> {
        self.processors.iter().fold(name.to_vec(), |name, (_, processor)| processor.output_name(&name))
    }

    /// Whether two names of one directory can get one output name.
    pub fn names_can_collide(&self) -> bool {
        self.processors.iter().any(|(_, processor)| processor.names_can_collide())
    }

    /// Peak bytes that all steps take together for one file.
    pub fn need(&self, size_bytes: u64) -> u64 {
        self.processors.iter().map(|(_, processor)| processor.need(size_bytes)).sum()
    }

    /// Start on one file.
    pub fn open(&self) -> Result<Flow<'_>, Failure> {
        let steps = self
            .processors
            .iter()
            .map(|(name, processor)| Ok((name.as_str(), processor.open().map_err(|e| Failure::at(name, e))?)))
            .collect::<Result<_, Failure>>()?;
        Ok(Flow { steps })
    }
}

/// One file on its way through the steps.
pub struct Flow<'p> {
    steps: Vec<(&'p str, Box<dyn Step>)>,
}

/// An error, and the step that it came from.
#[derive(Debug)]
pub struct Failure {
    /// The processor's name; none where the store failed.
    pub step: Option<String>,
    /// What went wrong.
    pub error: crate::Error,
}

impl Failure {
    fn at(step: &str, error: crate::Error) -> Self {
        Self { step: Some(step.to_owned()), error }
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self { step: None, error }
    }
}

impl Flow<'_> {
    /// Push one event through all steps; what comes out of the last goes to `output`.
    ///
    /// Records skip the steps behind the one that found them.
    pub fn feed(&mut self, event: Event, output: &mut dyn FnMut(Event) -> Result<()>) -> Result<(), Failure> {
        feed(&mut self.steps, event, output)
    }
}

fn feed(
    steps: &mut [(&str, Box<dyn Step>)],
    event: Event,
    output: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<(), Failure> {
    let Some(((name, step), behind)) = steps.split_first_mut() else {
        return Ok(output(event)?);
    };
    if matches!(event, Event::Record(_)) {
        return Ok(output(event)?);
    }
    step.push(event).map_err(|error| Failure::at(name, error))?;
    while let Some(event) = step.pull().map_err(|error| Failure::at(name, error))? {
        feed(behind, event, output)?;
    }
    Ok(())
}
