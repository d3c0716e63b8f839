//! Takes what the scanner finds, and hands it over: tasks, units for others, and what is left of this one.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use super::{
    Emission,
    cutter::Cutter,
    frontier::{Cut, Frontier},
    gather::Found,
    single::Single,
};
use crate::{
    Result, effort,
    engine::{Control, Ending, Verdict},
};

/// How much a scan hands over at a time, and how often. Tests have others than the default.
pub struct Pace {
    /// Time between transactions.
    pub interval: Duration,
    /// Time after which a slow scan hands over what it has, however little.
    pub slow_interval: Duration,
    /// Entries of a task.
    pub entries: usize,
    /// What may wait in one unit, about, in bytes: with each emission it is written anew.
    pub waiting_bytes: usize,
}

impl Default for Pace {
    /// Transactions often enough for workers, rarely enough for a disk that syncs in 10 ms; some 10,000 directories
    /// with short names that wait, of which compressed a third or less is written.
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(200),
            slow_interval: Duration::from_secs(1),
            entries: 8192,
            waiting_bytes: 256 << 10,
        }
    }
}

/// Hands tasks over, and decides when.
pub struct Emitter<'e> {
    pace: &'e Pace,
    effort: effort::Call,
    control: &'e Control,
    on_tasks: &'e mut dyn FnMut(Emission) -> Verdict,
    cutter: Cutter,
    frontier: Frontier,
    /// When tasks were handed over last; none: not yet.
    emitted: Option<Instant>,
    begun: Instant,
    /// Something was taken since.
    has_news: bool,
}

impl<'e> Emitter<'e> {
    /// Begin, with what a unit holds.
    pub fn new(
        pace: &'e Pace,
        effort: effort::Call,
        control: &'e Control,
        on_tasks: &'e mut dyn FnMut(Emission) -> Verdict,
        cutter: Cutter,
        frontier: Frontier,
    ) -> Self {
        Self {
            pace,
            effort,
            control,
            on_tasks,
            cutter,
            frontier,
            emitted: None,
            begun: Instant::now(),
            has_news: false,
        }
    }

    /// Take what is found until the scan ends (none) or is to be stopped. Whoever sends more then sees that nobody listens.
    pub fn run(&mut self, found: Receiver<Found>) -> Result<Option<Ending>> {
        loop {
            if self.control.draining() {
                return Ok(Some(Ending::Drained));
            }
            match found.recv_timeout(TICK) {
                Ok(found) => self.take(found)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
            if self.is_starving() {
                self.cut()?;
            }
            if self.is_due()
                && let Some(ending) = self.emit(Finished::NotYet)?
            {
                return Ok(Some(ending));
            }
        }
    }

    /// Take the entries of a directory.
    pub fn take(&mut self, mut found: Found) -> Result<()> {
        self.has_news = true;
        let listed = self.frontier.list(&mut found);
        let (before, has_entries) = (self.cutter.count(), found.len() > 0);
        self.cutter.take(found)?;
        let cut = Cut {
            tasks: self.cutter.count() - before,
            is_at_hand: has_entries && self.cutter.is_filling(),
            holds: self.cutter.single().is_some_and(Single::holds),
        };
        self.frontier.take(listed, cut);
        Ok(())
    }

    fn cut(&mut self) -> Result<()> {
        let before = self.cutter.count();
        self.cutter.cut()?;
        self.frontier.cover(self.cutter.count() - before);
        Ok(())
    }

    /// Whether tasks or units that are ready, or else how far the scan is, should be recorded now.
    fn is_due(&self) -> bool {
        let is_ready = self.cutter.has_tasks() || self.frontier.has_units();
        match self.emitted {
            None => is_ready || (self.has_news && self.begun.elapsed() >= self.pace.slow_interval),
            Some(emitted) => {
                let interval = if is_ready { self.pace.interval } else { self.pace.slow_interval };
                (is_ready || self.has_news) && emitted.elapsed() >= interval
            }
        }
    }

    /// Whether so little comes in that workers should have what there is, instead of waiting for a full task.
    fn is_starving(&self) -> bool {
        match self.emitted {
            None => !self.cutter.has_tasks() && self.begun.elapsed() >= self.pace.interval,
            Some(emitted) => !self.cutter.has_tasks() && emitted.elapsed() >= self.pace.slow_interval,
        }
    }

    fn emit(&mut self, finished: Finished) -> Result<Option<Ending>> {
        let finished = finished == Finished::Now;
        if self.frontier.is_wide() {
            self.cut()?;
        }
        let emission = Emission {
            tasks: self.cutter.take_tasks(),
            units: self.frontier.take_units()?,
            frontier: if finished { None } else { Some(self.frontier.encode(self.first_file())?) },
            filtered: self.frontier.filtered(),
            effort: self.effort.so_far(),
            finished,
        };
        let verdict = (self.on_tasks)(emission);
        (self.emitted, self.has_news) = (Some(Instant::now()), false);
        Ok(match verdict {
            Verdict::Fenced => Some(Ending::Fenced),
            _ if finished => Some(Ending::Finished),
            Verdict::Drain => Some(Ending::Drained),
            Verdict::Committed => None,
        })
    }

    /// Hand over the rest.
    pub fn finish(&mut self) -> Result<Ending> {
        self.cutter.finish()?;
        self.frontier.finish();
        Ok(self.emit(Finished::Now)?.unwrap_or(Ending::Finished))
    }

    fn first_file(&self) -> Option<&[u8]> {
        self.cutter.single().and_then(Single::first)
    }
}

/// Whether an emission is the last one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finished {
    NotYet,
    Now,
}

/// Longest time until a request to drain is seen.
const TICK: Duration = Duration::from_millis(50);
