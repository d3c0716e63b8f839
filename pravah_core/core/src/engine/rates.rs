//! Limits of what a job reads and writes in a second, shared by all of its tasks in this process.
//!
//! A token bucket in the form of a virtual clock (the generic cell rate algorithm, ITU-T I.371): it says when the
//! bytes so far would have passed at the limit, and whoever is ahead of it waits.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::control::Control;
use crate::{
    Error, Result,
    effort::{self, Activity},
};

/// What may pass at once after a time of rest: long enough that waiting costs no speed, too short to be felt.
const BURST: Duration = Duration::from_millis(100);

/// Longest sleep, after which a request to drain is seen.
const SLICE: Duration = Duration::from_millis(100);

/// Bytes that are handled at once under a limit are at least so many: smaller ones would only cost system calls.
const LEAST_BYTES: u64 = 64 << 10;

/// The limits of one job.
#[derive(Debug)]
pub struct Rates {
    /// Of reading.
    pub read: Limit,
    /// Of writing.
    pub write: Limit,
}

impl Default for Rates {
    fn default() -> Self {
        let limit = |waiting| Limit { waiting, ..Limit::default() };
        Self { read: limit(Activity::ReadRate), write: limit(Activity::WriteRate) }
    }
}

impl Rates {
    /// How many bytes both limits let pass in a time; `u64::MAX` where there is none.
    pub fn in_time(&self, time: Duration) -> u64 {
        self.read.in_time(time).min(self.write.in_time(time))
    }
}

/// The limits of all jobs that are worked on.
#[derive(Debug, Default)]
pub struct RatesByJob(Mutex<HashMap<String, Weak<Rates>>>);

impl RatesByJob {
    /// The limits of a job, set to what its plan says.
    pub fn begin(&self, job: &str, read: Option<u64>, write: Option<u64>) -> Arc<Rates> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, rates| rates.strong_count() > 0);
        let rates = jobs.get(job).and_then(Weak::upgrade).unwrap_or_default();
        jobs.insert(job.to_owned(), Arc::downgrade(&rates));
        rates.read.set(read);
        rates.write.set(write);
        rates
    }

    /// Change the limits of a job that is worked on; nothing where it is not.
    pub fn change(&self, job: &str, read: Option<u64>, write: Option<u64>) {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rates) = jobs.get(job).and_then(Weak::upgrade) {
            rates.read.set(read);
            rates.write.set(write);
        }
    }
}

/// One limit, in bytes a second.
#[derive(Debug, Default)]
pub struct Limit {
    /// 0: none.
    bytes_per_s: AtomicU64,
    /// What a thread is at that waits.
    waiting: Activity,
    /// When what has passed would have passed at the limit.
    passed: Mutex<Option<Instant>>,
}

impl Limit {
    fn set(&self, bytes_per_s: Option<u64>) {
        let fresh = bytes_per_s.unwrap_or(0);
        if self.bytes_per_s.swap(fresh, Ordering::Relaxed) != fresh {
            *self.passed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn in_time(&self, time: Duration) -> u64 {
        match self.bytes_per_s.load(Ordering::Relaxed) {
            0 => u64::MAX,
            rate => u64::try_from(u128::from(rate) * time.as_millis() / 1_000).unwrap_or(u64::MAX),
        }
    }

    /// How many of these bytes to handle at once.
    pub fn portion(&self, bytes: u64) -> u64 {
        match self.bytes_per_s.load(Ordering::Relaxed) {
            0 => bytes,
            rate => bytes.min((rate / 8).max(LEAST_BYTES)),
        }
    }

    /// Let bytes pass, and wait as long as they take at the limit.
    pub fn pass(&self, bytes: u64, control: &Control) -> Result<()> {
        let Some(until) = self.reserve(bytes, Instant::now()) else { return Ok(()) };
        let _waiting = effort::during(self.waiting);
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            if control.giving_up() {
                return Err(Error::Cancelled);
            }
            control.get_on(); // it waits because it is told to
            std::thread::sleep(rest.min(SLICE));
        }
    }

    /// Move the clock on by what these bytes take; gives until when to wait.
    fn reserve(&self, bytes: u64, now: Instant) -> Option<Instant> {
        let rate = self.bytes_per_s.load(Ordering::Relaxed);
        if rate == 0 {
            return None;
        }
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = passed.map_or(earliest, |passed| passed.max(earliest));
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let until = from + Duration::from_secs_f64(bytes as f64 / rate as f64);
        *passed = Some(until);
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(bytes_per_s: u64) -> Limit {
        let limit = Limit::default();
        limit.set(Some(bytes_per_s));
        limit
    }

    #[test]
    fn reserve_lets_pass_what_the_limit_allows_and_a_burst() {
        let (limit, now) = (limit(1_000), Instant::now());
        assert_eq!(limit.reserve(100, now), Some(now), "the burst");
        assert_eq!(limit.reserve(500, now), Some(now + Duration::from_millis(500)));
        assert_eq!(limit.reserve(500, now), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(10);
        assert_eq!(limit.reserve(100, later), Some(later), "rest is not saved up beyond the burst");
    }

    #[test]
    fn change_of_a_running_job_takes_effect_and_of_another_one_none() {
        let jobs = RatesByJob::default();
        let rates = jobs.begin("a", None, Some(5));
        assert_eq!(rates.read.reserve(1 << 40, Instant::now()), None);
        jobs.change("a", Some(7), None);
        jobs.change("b", Some(1), Some(1));
        assert_eq!(rates.read.bytes_per_s.load(Ordering::Relaxed), 7);
        assert_eq!(rates.write.bytes_per_s.load(Ordering::Relaxed), 0);
        assert!(Arc::ptr_eq(&rates, &jobs.begin("a", Some(7), None)), "tasks of one job share its limits");
    }

    #[test]
    fn in_time_is_what_the_stricter_limit_lets_pass() {
        let rates = Rates::default();
        assert_eq!(rates.in_time(Duration::from_secs(1)), u64::MAX);
        rates.read.set(Some(u64::MAX));
        rates.write.set(Some(10_000));
        assert_eq!(rates.in_time(Duration::from_millis(250)), 2_500);
    }

    #[test]
    fn pass_ends_when_the_call_is_drained() {
        let control = Control::default();
        control.drain();
        let error = limit(1).pass(1 << 30, &control).expect_err("would take years");
        assert_eq!(error.kind(), "cancelled");
    }
}
