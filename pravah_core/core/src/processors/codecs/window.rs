//! How far back decoders look, which is most of the memory that they take.
//!
//! Threads of the pool take no permits: each has room for the windows that are usual. A stream that wants more is given
//! back there ([`Error::WindowTooLarge`]), and decoded by a thread that waits until it has the memory for it.

use std::cell::Cell;

use crate::{Error, Result};

/// Window that needs no permit: that of `zstd -19`, `xz -6` and `brotli`'s own default, and below.
pub const USUAL_BYTES: u64 = 8 << 20;

thread_local! {
    static IS_CONFINED: Cell<bool> = const { Cell::new(false) };
}

/// Do some work whose decoders have usual windows only.
pub fn confined<T>(work: impl FnOnce() -> T) -> T {
    let _before = Restored(IS_CONFINED.replace(true));
    work()
}

/// Whether decoders of this thread have usual windows only.
pub fn is_confined() -> bool {
    IS_CONFINED.get()
}

/// Refuse a window that this thread has no room for.
pub fn admit(window_bytes: u64) -> Result<()> {
    if is_confined() && window_bytes > USUAL_BYTES { Err(Error::WindowTooLarge) } else { Ok(()) }
}

/// Also behind a panic, and where Rayon did this work in the middle of another.
struct Restored(bool);

impl Drop for Restored {
    fn drop(&mut self) {
        IS_CONFINED.set(self.0);
    }
}
