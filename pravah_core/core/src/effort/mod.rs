//! What a call's time goes to, and how much of CPU and disk is in use meanwhile: the report names the bottleneck by it.
//!
//! - this file: what each thread is at, in a word of its own
//! - `meter`: one thread that looks at all of them a hundred times a second, and adds up
//! - `machine`: the clocks of CPU and disks
//!
//! Threads only store a number when they turn to something else: no clock is read and no system call made per entry.
//! Time is that of the work as a whole: what the staging threads are at, shared among them, while they get on; what
//! the committer is at while they wait for it. So one figure says what more of would have made the call faster.

mod machine;
mod meter;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub use machine::{Disk, disk_of};
pub use meter::{Call, CallKind, begin};

/// What a thread is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Nothing of a call.
    #[default]
    Idle,
    /// The crew: it looks at entries, opens their directories, waits for nobody.
    Preparing,
    /// The crew waits until the committer takes the next window.
    HandingOver,
    /// A source is opened, looked at and read.
    Reading,
    /// An output is made and written.
    Writing,
    /// It waits until the limit of reading lets bytes pass.
    ReadRate,
    /// The same of writing.
    WriteRate,
    /// A large file waits for its share of the memory.
    Memory,
    /// It waits before another try.
    Retrying,
    /// The committer makes outputs, or their names, durable.
    Syncing,
    /// It reads outputs back.
    Verifying,
    /// It gives outputs their names.
    Publishing,
    /// It waits for a transaction of the ledger.
    Ledger,
    /// A step computes, by its position in the pipeline.
    Step(u8),
}

use Activity::{
    HandingOver, Idle, Ledger, Memory, Preparing, Publishing, ReadRate, Reading, Retrying, Step, Syncing, Verifying,
    WriteRate, Writing,
};

/// By code; those of steps follow.
const NAMED: [(Activity, &str); 13] = [
    (Idle, "idle"),
    (Preparing, "preparing"),
    (HandingOver, "handing_over"),
    (Reading, "reading"),
    (Writing, "writing"),
    (ReadRate, "read_rate"),
    (WriteRate, "write_rate"),
    (Memory, "memory"),
    (Retrying, "retrying"),
    (Syncing, "syncing"),
    (Verifying, "verifying"),
    (Publishing, "publishing"),
    (Ledger, "ledger"),
];

impl Activity {
    fn code(self) -> u64 {
        match self {
            Step(number) => NAMED.len() as u64 + u64::from(number),
            named => NAMED.iter().position(|(each, _)| *each == named).unwrap_or(0) as u64,
        }
    }

    fn of_code(code: u64) -> Self {
        let code = usize::try_from(code).unwrap_or(0);
        let step = |number| u8::try_from(number).map_or(Idle, Step);
        NAMED.get(code).map_or_else(|| step(code - NAMED.len()), |(activity, _)| *activity)
    }

    /// Whether the committer is at it, and not those who stage.
    fn commits(self) -> bool {
        matches!(self, Syncing | Verifying | Publishing | Ledger)
    }

    fn name(self, steps: &[String]) -> String {
        match self {
            Step(number) => format!("step:{}", steps.get(usize::from(number)).map_or("?", String::as_str)),
            named => NAMED.iter().find(|(each, _)| *each == named).map_or("idle", |(_, name)| name).to_owned(),
        }
    }
}

/// What one thread is at: the call's number, and below it the activity's code.
#[derive(Debug, Default)]
struct Slot(AtomicU64);

const CODE_BITS: u32 = 16;
const CODE_MASK: u64 = (1 << CODE_BITS) - 1;

thread_local! {
    static SLOT: Arc<Slot> = meter::register();
}

/// This thread turns to something else of its call.
pub fn now(activity: Activity) {
    let _ = SLOT.try_with(|slot| slot.turn_to(activity));
}

/// This thread is at something until the guard is dropped; then at what it was before.
#[must_use]
pub fn during(activity: Activity) -> Turned {
    Turned(SLOT.try_with(|slot| slot.turn_to(activity)).unwrap_or_default())
}

/// What the thread was at before.
pub struct Turned(u64);

impl Drop for Turned {
    fn drop(&mut self) {
        let _ = SLOT.try_with(|slot| slot.0.store(self.0, Ordering::Relaxed));
    }
}

impl Slot {
    /// Give what it was before. Only the slot's own thread writes.
    fn turn_to(&self, activity: Activity) -> u64 {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before & !CODE_MASK | activity.code(), Ordering::Relaxed);
        before
    }

    fn read(&self) -> (u64, Activity) {
        let value = self.0.load(Ordering::Relaxed);
        (value >> CODE_BITS, Activity::of_code(value & CODE_MASK))
    }
}

/// What was measured of a task, by all of its attempts. Sums: those of a job's tasks add up.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effort {
    /// Seconds by what the work was at: `reading`, `step:compress`, `read_rate`, …
    pub seconds: BTreeMap<String, f64>,
    /// Seconds in which the engine worked; those of tasks at once are shared out among them.
    pub wall_s: f64,
    /// CPU seconds that the process used.
    pub cpu_s: f64,
    /// CPU seconds that it could have had: its quota × the time.
    pub cpu_quota_s: f64,
    /// CPU seconds of these that nobody used, this process or another.
    pub cpu_free_s: f64,
    /// Seconds in which the busier of the disks of source and sink had something to do.
    pub disk_busy_s: f64,
    /// Seconds in which it was looked at; 0 where there is none.
    pub disk_seen_s: f64,
}

impl Effort {
    /// Read the JSON form; an empty text is nothing.
    pub fn parse(json: &str) -> Result<Self> {
        let invalid = |error| Error::InvalidPlan(format!("no effort: {error}"));
        if json.is_empty() { Ok(Self::default()) } else { serde_json::from_str(json).map_err(invalid) }
    }

    /// The JSON form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an effort has string keys only")
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.seconds.is_empty() && self.wall_s == 0.0
    }

    /// Add what another attempt has measured.
    pub fn add(&mut self, other: &Self) {
        for (name, seconds) in &other.seconds {
            *self.seconds.entry(name.clone()).or_default() += seconds;
        }
        for (mine, others) in self.sums().into_iter().zip(other.clone().sums()) {
            *mine += *others;
        }
    }

    /// Round to milliseconds: that is what it is good for, and short where it is stored.
    fn rounded(mut self) -> Self {
        let round = |value: &mut f64| *value = (*value * 1e3).round() / 1e3;
        self.seconds.values_mut().for_each(round);
        self.sums().into_iter().for_each(round);
        self.seconds.retain(|_, seconds| *seconds > 0.0);
        self
    }

    fn sums(&mut self) -> [&mut f64; 6] {
        let Self { wall_s, cpu_s, cpu_quota_s, cpu_free_s, disk_busy_s, disk_seen_s, .. } = self;
        [wall_s, cpu_s, cpu_quota_s, cpu_free_s, disk_busy_s, disk_seen_s]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_each_activity_leads_back_to_it() {
        let steps = (0..=u8::MAX).map(Step);
        for activity in NAMED.iter().map(|(activity, _)| *activity).chain(steps) {
            assert_eq!(Activity::of_code(activity.code()), activity);
        }
    }

    #[test]
    fn during_ends_with_what_the_thread_was_at_before() {
        now(Reading);
        let at = || SLOT.with(|slot| slot.read().1);
        {
            let _waiting = during(Memory);
            assert_eq!(at(), Memory);
            now(Writing);
        }
        assert_eq!(at(), Reading);
    }

    #[test]
    fn add_of_two_efforts_is_their_sum() {
        let effort = |name: &str| Effort {
            seconds: BTreeMap::from([(name.to_owned(), 1.0), ("reading".to_owned(), 0.5)]),
            wall_s: 2.0,
            disk_seen_s: 3.0,
            ..Effort::default()
        };
        let mut sum = effort("ledger");
        sum.add(&effort("syncing"));
        let seconds = [("ledger", 1.0), ("reading", 1.0), ("syncing", 1.0)].map(|(name, s)| (name.to_owned(), s));
        assert_eq!(sum.seconds, BTreeMap::from(seconds));
        assert_eq!((sum.wall_s, sum.disk_seen_s, sum.cpu_s), (4.0, 6.0, 0.0));
    }
}
