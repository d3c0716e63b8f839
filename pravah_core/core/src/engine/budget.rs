//! A memory budget: who needs much takes what it needs at admission, whole, and waits until it is there.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Bytes that may be taken together.
pub struct Budget {
    total: u64,
    room: Mutex<Room>,
    freed: Condvar,
}

struct Room {
    /// Below 0 while more is in memory than there was room for.
    free: i128,
    waiting: usize,
}

/// Bytes taken; given back on drop.
pub struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Arc<Self> {
        let room = Room { free: total.into(), waiting: 0 };
        Arc::new(Self { total, room: Mutex::new(room), freed: Condvar::new() })
    }

    /// All bytes, taken or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Wait for `bytes`, and call `waiting` every second meanwhile. More than the whole budget means: alone.
    pub fn take(self: &Arc<Self>, bytes: u64, waiting: impl Fn()) -> Permit {
        let bytes = bytes.min(self.total);
        let mut room = self.room();
        room.waiting += 1;
        while room.free < bytes.into() {
            room = self.freed.wait_timeout(room, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
            waiting();
        }
        room.waiting -= 1;
        self.give(room, bytes)
    }

    /// Take `bytes` if they are there, and nobody waits for any.
    pub fn try_take(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let bytes = bytes.min(self.total);
        let room = self.room();
        (room.waiting == 0 && room.free >= bytes.into()).then(|| self.give(room, bytes))
    }

    /// A permit for nothing, which may grow.
    pub fn none(self: &Arc<Self>) -> Permit {
        Permit { budget: Arc::clone(self), bytes: 0 }
    }

    fn give(self: &Arc<Self>, mut room: MutexGuard<'_, Room>, bytes: u64) -> Permit {
        room.free -= i128::from(bytes);
        Permit { budget: Arc::clone(self), bytes }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Take more, for what is in memory already: where there is no room for it, others wait until there is again.
    pub fn grow(&mut self, bytes: u64) {
        self.budget.room().free -= i128::from(bytes);
        self.bytes += bytes;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.room().free += i128::from(self.bytes);
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

    #[test]
    fn try_take_gives_nothing_where_something_else_is_waited_for() {
        let budget = Budget::new(10);
        let first = budget.try_take(4).expect("is there");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| drop(budget.take(7, || ())));
            while budget.room().waiting == 0 {
                std::thread::yield_now();
            }
            assert!(budget.try_take(1).is_none());
            drop(first);
            waiting.join().expect("ends");
        });
        assert_eq!(budget.try_take(11).expect("is all").bytes, 10);
    }

    #[test]
    fn grow_beyond_the_total_has_others_wait_until_it_is_given_back() {
        let budget = Budget::new(10);
        let mut held = budget.none();
        held.grow(25);
        assert!(budget.try_take(0).is_none());
        drop(held);
        assert!(budget.try_take(10).is_some());
    }
}
