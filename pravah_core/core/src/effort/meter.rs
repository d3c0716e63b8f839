//! One thread for the whole process that looks at what all others are at, and adds it up for each call.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Activity, CODE_BITS, Effort, Slot, Turned,
    machine::{Clocks, Disk, Moved},
};

/// How often it looks: a second's work is told to a per cent, and looking costs a thousandth of a CPU.
const LOOK: Duration = Duration::from_millis(10);
/// Looks between two at the clocks of the machine, whose hands move a hundred times a second.
const CLOCKS_EVERY: u32 = 10;

/// What a call does: while there are tasks, listing holds nobody up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// It lists sources.
    Scan,
    /// It works on entries.
    Task,
}

/// A running call that is measured until it is dropped.
pub struct Call(Arc<Tally>);

/// What is added up of one call.
struct Tally {
    number: u64,
    kind: CallKind,
    steps: Vec<String>,
    disks: Vec<Disk>,
    effort: Mutex<Effort>,
}

/// Measure a call with these steps, between these disks, on top of what earlier attempts have measured.
pub fn begin(kind: CallKind, steps: Vec<String>, disks: Vec<Disk>, before: Effort) -> Call {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let tally = Arc::new(Tally { number, kind, steps, disks, effort: Mutex::new(before) });
    Meter::get().begin(Arc::clone(&tally));
    Call(tally)
}

impl Call {
    /// This thread works for the call until the guard is dropped.
    #[must_use]
    pub fn work(&self, activity: Activity) -> Turned {
        let value = self.0.number << CODE_BITS | activity.code();
        Turned(super::SLOT.try_with(|slot| slot.0.swap(value, Ordering::Relaxed)).unwrap_or_default())
    }

    /// What was measured so far.
    pub fn so_far(&self) -> Effort {
        locked(&self.0.effort).clone().rounded()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        Meter::get().end(self.0.number);
    }
}

/// A slot for a thread that works for the first time.
pub fn register() -> Arc<Slot> {
    let slot = Arc::new(Slot::default());
    locked(&Meter::get().watched).slots.push(Arc::downgrade(&slot));
    slot
}

#[derive(Default)]
struct Meter {
    watched: Mutex<Watched>,
    begun: Condvar,
}

#[derive(Default)]
struct Watched {
    slots: Vec<Weak<Slot>>,
    calls: Vec<Arc<Tally>>,
    looked: Option<Instant>,
    clocks: Clocks,
    looks: u32,
}

impl Meter {
    fn get() -> &'static Self {
        static METER: OnceLock<Meter> = OnceLock::new();
        METER.get_or_init(|| {
            // Without a thread for it nothing is measured, and the work goes on.
            let _ = thread::Builder::new().name("pravah-meter".into()).spawn(|| Meter::get().watch());
            Self::default()
        })
    }

    fn begin(&self, tally: Arc<Tally>) {
        let mut watched = locked(&self.watched);
        if watched.calls.is_empty() {
            watched.looked = Some(Instant::now());
            watched.clocks = Clocks::default();
        }
        watched.clocks.watch(&tally.disks);
        watched.calls.push(tally);
        self.begun.notify_one();
    }

    fn end(&self, number: u64) {
        let mut watched = locked(&self.watched);
        watched.calls.retain(|tally| tally.number != number);
        watched.slots.retain(|slot| slot.strong_count() > 0);
    }

    fn watch(&self) {
        loop {
            let mut watched = locked(&self.watched);
            while watched.calls.is_empty() {
                watched = self.begun.wait(watched).unwrap_or_else(PoisonError::into_inner);
            }
            watched.look();
            drop(watched);
            thread::sleep(LOOK);
        }
    }
}

impl Watched {
    fn look(&mut self) {
        let now = Instant::now();
        let since = self.looked.replace(now).map_or(Duration::ZERO, |looked| now - looked);
        let seen: Vec<_> = self.slots.iter().filter_map(Weak::upgrade).map(|slot| slot.read()).collect();
        let working = self.working();
        for tally in &working {
            tally.add(since, &seen);
        }
        self.looks += 1;
        if self.looks.is_multiple_of(CLOCKS_EVERY) {
            let moved = self.clocks.moved(now);
            for tally in &working {
                tally.add_clocks(&moved, working.len());
            }
        }
    }

    /// The calls that hold the work up: scans only where nothing else goes on.
    fn working(&self) -> Vec<Arc<Tally>> {
        let of_kind = |kind| self.calls.iter().filter(|tally| tally.kind == kind).cloned().collect::<Vec<_>>();
        let tasks = of_kind(CallKind::Task);
        if tasks.is_empty() { of_kind(CallKind::Scan) } else { tasks }
    }
}

impl Tally {
    fn add(&self, since: Duration, seen: &[(u64, Activity)]) {
        let mine = seen.iter().filter(|(number, _)| *number == self.number).map(|(_, activity)| *activity);
        let mut shares = BTreeMap::<String, f64>::new();
        let held_up = match self.kind {
            CallKind::Scan => vec!["listing".to_owned()],
            CallKind::Task => held_up_by(mine).into_iter().map(|activity| activity.name(&self.steps)).collect(),
        };
        #[expect(clippy::cast_precision_loss, reason = "threads are few")]
        let share_s = since.as_secs_f64() / held_up.len().max(1) as f64;
        held_up.into_iter().for_each(|name| *shares.entry(name).or_default() += share_s);
        locked(&self.effort).add(&Effort { seconds: shares, ..Effort::default() });
    }

    fn add_clocks(&self, moved: &Moved, calls: usize) {
        #[expect(clippy::cast_precision_loss, reason = "calls are few")]
        let share = 1.0 / calls.max(1) as f64;
        let disk_busy_s = self.disks.iter().filter_map(|disk| moved.disk_busy_s.get(disk)).copied().reduce(f64::max);
        locked(&self.effort).add(&Effort {
            wall_s: share * moved.wall_s,
            cpu_s: share * moved.cpu_s,
            cpu_quota_s: share * moved.cpu_quota_s,
            cpu_free_s: share * moved.cpu_free_s,
            disk_busy_s: share * disk_busy_s.unwrap_or(0.0),
            disk_seen_s: share * disk_busy_s.map_or(0.0, |_| moved.wall_s),
            ..Effort::default()
        });
    }
}

/// What holds a task up: what those who stage are at; while they wait for the committer, what that one is at.
fn held_up_by(threads: impl Iterator<Item = Activity>) -> Vec<Activity> {
    let (committing, staging): (Vec<_>, Vec<_>) =
        threads.filter(|activity| *activity != Activity::Idle).partition(|activity| activity.commits());
    if staging.contains(&Activity::HandingOver) {
        return committing;
    }
    let busy: Vec<_> = staging.iter().copied().filter(|activity| *activity != Activity::Preparing).collect();
    match (busy.is_empty(), staging.is_empty()) {
        (false, _) => busy,
        (true, false) => vec![Activity::Preparing],
        (true, true) => committing,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{HandingOver, Idle, Ledger, Preparing, Reading, Step, Syncing};

    fn held_up(threads: &[Activity]) -> Vec<Activity> {
        held_up_by(threads.iter().copied())
    }

    #[test]
    fn held_up_by_who_stages_whatever_the_committer_is_at() {
        assert_eq!(held_up(&[Preparing, Step(0), Reading, Syncing, Idle]), [Step(0), Reading]);
        assert_eq!(held_up(&[Preparing, Ledger]), [Preparing]);
    }

    #[test]
    fn held_up_by_the_committer_where_a_window_waits_for_it_or_nothing_is_left_to_stage() {
        assert_eq!(held_up(&[HandingOver, Reading, Ledger]), [Ledger]);
        assert_eq!(held_up(&[Syncing]), [Syncing]);
        assert!(held_up(&[Idle]).is_empty());
    }

    #[test]
    fn call_is_measured_by_what_its_threads_are_at() {
        let call = begin(CallKind::Task, vec!["compress".to_owned()], vec![], Effort::default());
        let _working = call.work(Step(0));
        while call.so_far().seconds.get("step:compress").is_none_or(|seconds| *seconds < 0.05) {
            std::hint::spin_loop();
        }
        let effort = call.so_far();
        assert_eq!(effort.seconds.len(), 1, "{effort:?}");
    }

    #[test]
    fn effort_of_earlier_attempts_is_kept() {
        let before = Effort { wall_s: 7.0, ..Effort::default() };
        let call = begin(CallKind::Scan, vec![], vec![], before);
        assert!(call.so_far().wall_s >= 7.0);
    }
}
