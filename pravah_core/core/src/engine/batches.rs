//! Batches of small files that come from a server, or whose outputs wait in memory for one: fetched while others are
//! worked on, as far as there is room for them.

use std::collections::VecDeque;

use super::{
    budget::Permit,
    stage::{Bench, Item},
};
use crate::{
    effort::{self, Activity},
    stores::Sink,
};

/// Batches that are fetched ahead of the one at work: some hundred requests are in flight then.
const BATCHES_AHEAD: usize = 2;
/// Bytes that a file on its way takes beside its content: a request, an answer's headers, their buffers.
const BESIDE_BYTES: u64 = 4 << 10;

/// Files that are handed to the pool together.
pub struct Batch {
    pub items: Vec<Item>,
    /// Room for what is fetched, and for the outputs that it becomes; none: nothing of it stays in memory.
    pub room: Option<Permit>,
}

/// Batches that were asked for, in order.
#[derive(Default)]
pub struct Batches(VecDeque<Batch>);

impl Batches {
    /// Put a batch behind the others.
    pub fn push(&mut self, batch: Batch) {
        self.0.push_back(batch);
    }

    /// Take the first one.
    pub fn next(&mut self) -> Option<Batch> {
        self.0.pop_front()
    }

    /// Take the first one, where enough others are on their way.
    pub fn next_if_enough(&mut self) -> Option<Batch> {
        if self.0.len() > BATCHES_AHEAD { self.next() } else { None }
    }
}

impl Bench<'_> {
    /// Whether reading or looking at names means to wait for a server.
    pub fn is_far(&self) -> bool {
        self.source.is_remote() || self.sink.is_some_and(Sink::holds_outputs)
    }

    /// Bytes that a batch keeps in memory from when it is asked for: its files, and then its outputs, as far as these
    /// are no larger.
    pub fn room_of(&self, items: &[Item]) -> u64 {
        let passing = items.iter().filter(|item| !self.is_copied_there(item.index));
        passing.map(|item| self.size_bytes(item.index) + BESIDE_BYTES).sum()
    }

    /// Ask for the files of a batch, and for what stands at the names of its outputs, without waiting.
    pub fn begin_fetching(&self, items: &[Item]) {
        for item in items {
            let name = self.manifest.name(item.index as usize);
            match self.is_copied_there(item.index) {
                true => item.place.source.look_ahead(name),
                false if self.source.is_remote() => item.place.source.fetch_ahead(name),
                false => {}
            }
            if self.plan.expands() {
                // What goes wrong here is told of when it is the entry's turn.
                let _ = self.look_ahead_at_parts(item.index);
                continue;
            }
            if let (Some(sink), Ok((_, name))) = (&item.place.sink, self.output_name(item.index, None)) {
                sink.look_ahead(&name);
            }
        }
    }

    /// Wait until the files of a batch are here: the pool, which never waits, finds them in memory.
    pub fn await_fetched(&self, items: &[Item]) {
        let _reading = effort::during(Activity::Reading);
        for item in items {
            item.place.source.await_ahead(self.manifest.name(item.index as usize));
            self.control.get_on();
        }
    }
}
