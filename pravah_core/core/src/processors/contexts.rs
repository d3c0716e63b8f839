//! Codec contexts that each thread keeps for its next file: creating one costs more than compressing 15 kB.

use std::cell::RefCell;

/// A thread's contexts of one kind; the value of a `thread_local!`.
///
/// They are taken out and put back, never borrowed over the work: Rayon may run another file's
/// step on this thread in the middle of it, and that one then makes a context of its own.
pub struct Shelf<T>(RefCell<Vec<T>>);

/// Most contexts of one kind that a thread keeps.
const KEPT: usize = 2;

impl<T> Shelf<T> {
    /// An empty shelf.
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Take out a context that fits, if there is one.
    pub fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut kept = self.0.borrow_mut();
        let at = kept.iter().rposition(fits)?;
        Some(kept.remove(at))
    }

    /// Put a context back; the one that lay there longest gives way.
    pub fn put(&self, context: T) {
        let mut kept = self.0.borrow_mut();
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_shelf_gives_the_one_that_fits_and_keeps_the_latest() {
        let shelf = Shelf::new();
        (1..=3).for_each(|context| shelf.put(context));
        assert_eq!(shelf.take(|&context| context == 1), None);
        assert_eq!(shelf.take(|&context| context == 2), Some(2));
        assert_eq!(shelf.take(|_| true), Some(3));
        assert_eq!(shelf.take(|_| true), None);
    }
}
