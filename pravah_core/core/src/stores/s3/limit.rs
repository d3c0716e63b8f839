//! How many requests of a connection are in flight: one more for each round that went well, half as many when the
//! server says that it is too much (additive increase, multiplicative decrease).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// Requests to begin with, fewest and most: a server on the same machine is busy with eight, Amazon takes hundreds.
const FIRST: f64 = 32.0;
const FEWEST: f64 = 4.0;
const MOST: f64 = 256.0;

/// Time in which the limit is halved once only: all that was in flight together is refused together.
const ROUND: Duration = Duration::from_millis(500);

/// Time after which the server is believed to have had enough less to do since the limit was halved: as long as the
/// longest pause between two tries, or so.
const CALM: Duration = Duration::from_secs(10);

/// Requests that may be in flight.
pub struct Limit {
    state: Mutex<State>,
    freed: Notify,
}

struct State {
    limit: f64,
    in_flight: usize,
    halved: Option<Instant>,
}

/// The right to one request in flight.
pub struct Pass<'l>(&'l Limit);

impl Limit {
    /// Begin with a moderate number.
    pub fn new() -> Self {
        Self { state: Mutex::new(State { limit: FIRST, in_flight: 0, halved: None }), freed: Notify::new() }
    }

    /// Wait for one's turn.
    pub async fn enter(&self) -> Pass<'_> {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state();
                if (state.in_flight as f64) < state.limit {
                    state.in_flight += 1;
                    return Pass(self);
                }
            }
            freed.await;
        }
    }

    /// Send one more than are allowed, without waiting: others wait for it instead.
    pub fn enter_beyond(&self) -> Pass<'_> {
        self.state().in_flight += 1;
        Pass(self)
    }

    /// Whether the server has not said of late that it has too much to do.
    pub fn is_calm(&self) -> bool {
        self.state().halved.is_none_or(|halved| halved.elapsed() >= CALM)
    }

    /// Take note that a request went well.
    pub fn grow(&self) {
        let mut state = self.state();
        state.limit = (state.limit + 1.0 / state.limit).min(MOST);
        drop(state);
        self.freed.notify_one();
    }

    /// Take note that the server has too much to do.
    pub fn shrink(&self) {
        let mut state = self.state();
        if state.halved.is_none_or(|halved| halved.elapsed() >= ROUND) {
            state.limit = (state.limit / 2.0).max(FEWEST);
            state.halved = Some(Instant::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_limit_grows_by_one_a_round_and_is_halved_once_a_round() {
        let limit = Limit::new();
        (0..33).for_each(|_| limit.grow());
        assert!((33.0..34.0).contains(&limit.state().limit));
        assert!(limit.is_calm());
        limit.shrink();
        limit.shrink();
        assert!((16.0..17.0).contains(&limit.state().limit));
        assert!(!limit.is_calm());
    }
}
