//! The memory budget: large files take what they need at admission, whole, and wait until it is there.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Bytes that may be taken together.
pub struct Budget {
    total: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// Bytes taken; given back on drop.
pub struct Permit<'b> {
    budget: &'b Budget,
    bytes: u64,
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Self {
        Self { total, free: Mutex::new(total), freed: Condvar::new() }
    }

    /// All bytes, taken or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Wait for `bytes`, and call `waiting` every second meanwhile. More than the whole budget means: alone.
    pub fn take(&self, bytes: u64, waiting: impl Fn()) -> Permit<'_> {
        let bytes = bytes.min(self.total);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self.freed.wait_timeout(free, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
            waiting();
        }
        *free -= bytes;
        Permit { budget: self, bytes }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_more_than_the_total_waits_until_alone() {
        let budget = Budget::new(10);
        let first = budget.take(4, || ());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(1_000, || ()).bytes);
            assert!(!waiting.is_finished());
            drop(first);
            assert_eq!(waiting.join().expect("ends"), 10);
        });
        assert_eq!(budget.take(10, || ()).bytes, 10);
    }
}
