//! What each thread works on, in shared memory that outlives the process (protocol, rule 22).
//!
//! Whoever finds this process dead reads there which entries were in flight: only those are suspects. Nothing is
//! ever waited for, and where all slots are taken an entry goes unnoted.

use std::{
    cell::Cell,
    fs::File,
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::{Error, Result};

/// One entry in flight: two numbers of 8 bytes in the byte order of the machine.
#[repr(C)]
struct Slot {
    /// The task's number + 1; 0: free, [`RESERVED`]: being written.
    task: AtomicU64,
    /// The entry's position in its manifest.
    index: AtomicU64,
}

const RESERVED: u64 = u64::MAX;

thread_local! {
    /// Where this thread found a free slot last: it is free again.
    static LAST: Cell<usize> = const { Cell::new(0) };
}

/// A mapped file of slots, or none where nobody reads them.
#[derive(Default)]
pub struct Notes {
    map: Option<Map>,
}

struct Map {
    start: *const Slot,
    slots: usize,
}

// SAFETY: the memory stays mapped as long as the map lives, and is only accessed by atomic operations.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

/// A note; dropped, it is wiped out.
pub struct Note<'n>(Option<&'n Slot>);

impl Notes {
    /// Note in this file, which is as long as there shall be slots.
    pub fn open(file: &File) -> Result<Self> {
        let bytes = file.metadata().map_err(Error::io("look at the notes"))?.len();
        let slots = usize::try_from(bytes).unwrap_or(0) / size_of::<Slot>();
        if slots == 0 {
            return Ok(Self::default());
        }
        // SAFETY: a new mapping at an address that the kernel chooses; the file keeps its length as long as it is
        // open here or with the process that made it.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                slots * size_of::<Slot>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file.as_fd(),
                0,
            )
        };
        let start = start.map_err(Error::system("map the notes"))?.cast_const().cast();
        Ok(Self { map: Some(Map { start, slots }) })
    }

    /// Note that this thread works on an entry.
    pub fn take(&self, task_id: i64, index: u32) -> Note<'_> {
        let slots = self.map.as_ref().map_or(&[][..], Map::slots);
        let first = LAST.get();
        for step in 0..slots.len() {
            let at = (first + step) % slots.len();
            let slot = &slots[at];
            if slot.task.compare_exchange(0, RESERVED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                slot.index.store(u64::from(index), Ordering::Relaxed);
                slot.task.store(task_id.cast_unsigned() + 1, Ordering::Release);
                LAST.set(at);
                return Note(Some(slot));
            }
        }
        Note(None)
    }
}

impl Map {
    fn slots(&self) -> &[Slot] {
        // SAFETY: `start` is the beginning of a mapping of so many slots, aligned to a page; any bits are valid.
        unsafe { std::slice::from_raw_parts(self.start, self.slots) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `open`; nobody holds a slot any more, since notes borrow from here.
        let _ = unsafe { munmap(self.start.cast_mut().cast(), self.slots * size_of::<Slot>()) };
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.task.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn read(file: &File) -> Vec<(u64, u64)> {
        let mut bytes = [0; 64];
        file.read_exact_at(&mut bytes, 0).expect("reads");
        let number = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        (0..4).map(|slot| (number(slot * 16), number(slot * 16 + 8))).filter(|(task, _)| *task != 0).collect()
    }

    #[test]
    fn notes_are_read_by_others_until_they_are_dropped() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(64).expect("grows");
        let notes = Notes::open(&file).expect("maps");
        let first = notes.take(7, 3);
        let second = notes.take(8, 4);
        assert_eq!(read(&file), [(8, 3), (9, 4)]);
        drop(first);
        assert_eq!(read(&file), [(9, 4)]);
        drop(second);
        assert_eq!(read(&file), []);
    }

    #[test]
    fn take_more_than_there_are_slots_goes_unnoted() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(64).expect("grows");
        let notes = Notes::open(&file).expect("maps");
        let taken: Vec<_> = (0..6).map(|index| notes.take(1, index)).collect();
        assert_eq!(read(&file).len(), 4);
        drop(taken);
        assert_eq!(read(&file), []);
        drop(Notes::default().take(1, 1));
    }
}
