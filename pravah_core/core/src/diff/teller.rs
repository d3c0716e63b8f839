//! Tells what differs in order, whatever finishes first: what is known, and what is still being compared.

use std::{collections::VecDeque, ops::ControlFlow, sync::mpsc::Receiver};

use super::{
    By, Counts, Difference, What,
    content::{Comparers, Comparison, Verdict},
};
use crate::Error;

/// Takes what is found, and tells it.
pub struct Teller<'t> {
    by: By,
    comparers: Comparers,
    /// What has been found and not been told yet, in order.
    waiting: VecDeque<Found>,
    counts: Counts,
    tell: &'t mut dyn FnMut(Difference) -> ControlFlow<()>,
}

/// A difference, or a pair of files whose contents are being compared.
enum Found {
    Known(Difference),
    Same,
    Pending(Vec<u8>, Receiver<Verdict>),
}

impl<'t> Teller<'t> {
    pub fn new(by: By, comparers: Comparers, tell: &'t mut dyn FnMut(Difference) -> ControlFlow<()>) -> Self {
        Self { by, comparers, waiting: VecDeque::new(), counts: Counts::default(), tell }
    }

    /// How much was compared so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Compare two files of these sizes.
    pub fn files(&mut self, path: Vec<u8>, sizes: [u64; 2]) -> ControlFlow<()> {
        if sizes[0] != sizes[1] {
            return self.found(path, What::Size(sizes[0], sizes[1]));
        }
        if self.by == By::Size {
            return self.same();
        }
        let (comparison, verdict) = Comparison::new(path.clone());
        self.comparers.send(comparison);
        self.take(Found::Pending(path, verdict))
    }

    /// Take a difference.
    pub fn found(&mut self, path: Vec<u8>, what: What) -> ControlFlow<()> {
        self.take(Found::Known(Difference { path, what }))
    }

    /// Take something that is the same in both.
    pub fn same(&mut self) -> ControlFlow<()> {
        self.take(Found::Same)
    }

    fn take(&mut self, found: Found) -> ControlFlow<()> {
        self.waiting.push_back(found);
        self.drain(WAITING)
    }

    /// Tell what is known, and wait for what is not where more than so much waits.
    pub fn drain(&mut self, most: usize) -> ControlFlow<()> {
        while let Some(first) = self.waiting.pop_front() {
            let (path, verdict) = match first {
                Found::Same => {
                    self.counts.same += 1;
                    continue;
                }
                Found::Known(difference) => {
                    self.tell(difference)?;
                    continue;
                }
                Found::Pending(path, verdict) => (path, verdict),
            };
            let answer = if self.waiting.len() >= most { verdict.recv().ok() } else { verdict.try_recv().ok() };
            match answer {
                Some(Ok(None)) => self.counts.same += 1,
                Some(Ok(Some(what))) => self.tell(Difference { path, what })?,
                Some(Err(error)) => self.tell(Difference { path, what: failed(&error) })?,
                None if self.waiting.len() >= most => {
                    let lost = Error::Panicked("the comparison panicked".to_owned());
                    self.tell(Difference { path, what: failed(&lost) })?;
                }
                None => {
                    self.waiting.push_front(Found::Pending(path, verdict));
                    break;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn tell(&mut self, difference: Difference) -> ControlFlow<()> {
        *match difference.what {
            What::OnlyFirst(_) => &mut self.counts.only_first,
            What::OnlySecond(_) => &mut self.counts.only_second,
            What::Failed(..) => &mut self.counts.failed,
            _ => &mut self.counts.differing,
        } += 1;
        (self.tell)(difference)
    }
}

/// Why something can't be compared.
pub fn failed(error: &Error) -> What {
    What::Failed(error.kind(), error.to_string())
}

/// Entries that may wait to be told: enough that threads have work while the oldest pair is still compared.
const WAITING: usize = 1024;
