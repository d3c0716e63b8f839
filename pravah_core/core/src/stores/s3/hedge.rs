//! Second requests for answers that are late: of the two, the one that is answered first counts.
//!
//! As in "The Tail at Scale" (Dean and Barroso, Communications of the ACM 56(2), 2013) only for what is late by the
//! measure of its like. And as FoundationDB's load balancing does it, out of a budget that requests fill: where a server
//! is slow as a whole, hardly anything is asked for twice.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use tokio::time::timeout;

/// Answers by which others are measured, and fewest of them.
const SAMPLES: usize = 100;
const FEWEST: usize = 20;
/// An answer is late after so many times the 95th percentile, and never before so long: the median of small objects
/// at Amazon is some tens of milliseconds (whitepaper "Optimizing Amazon S3 Performance").
const TIMES_LATE: u32 = 3;
const LEAST_LATE: Duration = Duration::from_millis(200);
/// The part of all requests that are sent a second time, at most: the slowest of them, as the same paper advises.
const SHARE: f64 = 0.05;
/// Second requests that can be saved up: while a server stands still, not all that it was asked for comes again.
const MOST_SAVED: f64 = 10.0;

/// What is known of the answers of one connection.
#[derive(Default)]
pub struct Hedges(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// How long the last answers took to their first byte.
    waits: VecDeque<Duration>,
    /// Second requests that may be sent.
    saved: f64,
}

impl Hedges {
    /// Wait for the answer to a first request; where it is late and there `may` be a second one, for whichever comes
    /// first. What does not `count`, an error, ends nothing while the other one is under way.
    pub async fn race<T>(
        &self,
        first: impl Future<Output = T>,
        second: impl Future<Output = T>,
        may: impl Fn() -> bool,
        counts: impl Fn(&T) -> bool,
    ) -> T {
        let (begun, mut first, mut second) = (Instant::now(), pin!(first), pin!(second));
        self.save();
        let answer = match self.in_time(begun, first.as_mut(), may).await {
            Some(answer) => answer,
            None => match first_of(first.as_mut(), second.as_mut()).await {
                (came, _) if counts(&came) => came,
                (_, Turn::First) => second.await,
                (_, Turn::Second) => first.await,
            },
        };
        if counts(&answer) {
            self.note(begun.elapsed());
        }
        answer
    }

    /// Wait for an answer until it is late and there may be a second request.
    async fn in_time<T>(
        &self,
        begun: Instant,
        mut first: Pin<&mut impl Future<Output = T>>,
        may: impl Fn() -> bool,
    ) -> Option<T> {
        let mut look_at = LEAST_LATE;
        loop {
            let waiting = timeout(look_at.saturating_sub(begun.elapsed()), first.as_mut());
            if let Ok(answer) = waiting.await {
                return Some(answer);
            }
            look_at = match self.late_after() {
                Some(late) if begun.elapsed() < late => late,
                Some(_) if may() && self.take() => return None,
                _ => begun.elapsed() + LEAST_LATE,
            };
        }
    }

    /// How long nearly all answers of late took, three times; none: there were too few.
    fn late_after(&self) -> Option<Duration> {
        let known = self.known();
        let mut waits: Vec<Duration> = known.waits.iter().copied().collect();
        drop(known);
        if waits.len() < FEWEST {
            return None;
        }
        let at = waits.len() * 95 / 100;
        let (_, percentile, _) = waits.select_nth_unstable(at);
        Some((*percentile * TIMES_LATE).max(LEAST_LATE))
    }

    /// Count a request.
    fn save(&self) {
        let mut known = self.known();
        known.saved = (known.saved + SHARE).min(MOST_SAVED);
    }

    /// Take the right to a second request, if there is one.
    fn take(&self) -> bool {
        let mut known = self.known();
        // Twenty times a twentieth is a little less than one.
        let has = known.saved > 0.999;
        if has {
            known.saved -= 1.0;
        }
        has
    }

    /// Take note of how long an answer took.
    fn note(&self, waited: Duration) {
        let mut known = self.known();
        known.waits.push_back(waited);
        if known.waits.len() > SAMPLES {
            known.waits.pop_front();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of two requests.
enum Turn {
    First,
    Second,
}

async fn first_of<T>(
    mut first: Pin<&mut impl Future<Output = T>>,
    mut second: Pin<&mut impl Future<Output = T>>,
) -> (T, Turn) {
    poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(came) => Poll::Ready((came, Turn::First)),
        Poll::Pending => second.as_mut().poll(context).map(|came| (came, Turn::Second)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::{super::runtime::wait, *};

    fn after(requests: usize) -> Hedges {
        let hedges = Hedges::default();
        for _ in 0..requests {
            wait(hedges.race(ready(0), pending(), || true, |_| true));
        }
        hedges
    }

    /// Give what a late answer comes down to: 2 is the second request's, 1 the first one's, after a while.
    fn late(hedges: &Hedges, may: bool) -> i32 {
        let first = async {
            tokio::time::sleep(LEAST_LATE * 3).await;
            1
        };
        wait(hedges.race(first, ready(2), || may, |_| true))
    }

    #[test]
    fn test_late_answer_is_asked_for_again_once_there_were_twenty() {
        assert_eq!(late(&after(19), true), 1);
        assert_eq!(late(&after(20), true), 2);
    }

    #[test]
    fn test_late_answer_is_waited_for_where_there_may_be_no_second_request() {
        assert_eq!(late(&after(100), false), 1);
    }

    #[test]
    fn test_second_requests_are_a_twentieth_of_all_at_most() {
        let hedges = after(39);
        assert_eq!([(); 3].map(|()| late(&hedges, true)), [2, 2, 1]);
    }

    #[test]
    fn test_second_requests_are_not_saved_up_for_a_server_that_stands_still() {
        let hedges = after(1_000);
        assert_eq!((0..20).filter(|_| hedges.take()).count(), 10);
    }

    #[test]
    fn test_answers_are_late_by_the_measure_of_nearly_all_of_the_last_hundred() {
        let hedges = Hedges::default();
        (0..200).for_each(|_| hedges.note(Duration::from_secs(9)));
        (0..96).for_each(|_| hedges.note(Duration::from_millis(100)));
        assert_eq!(hedges.late_after(), Some(Duration::from_millis(300)));
        (0..4).for_each(|_| hedges.note(Duration::from_millis(10)));
        (0..95).for_each(|_| hedges.note(Duration::from_millis(1)));
        assert_eq!(hedges.late_after(), Some(LEAST_LATE));
    }

    #[test]
    fn test_error_ends_nothing_while_the_other_request_is_under_way() {
        let hedges = after(40);
        let slow = |answer: i32| async move {
            tokio::time::sleep(LEAST_LATE * 2).await;
            answer
        };
        assert_eq!(wait(hedges.race(slow(1), ready(-1), || true, |answer| *answer > 0)), 1);
        assert_eq!(wait(hedges.race(slow(-1), slow(2), || true, |answer| *answer > 0)), 2);
    }
}
