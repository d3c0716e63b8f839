//! Who stages what, and when a window is full.
//!
//! One thread walks the manifest. It hands small files to the pool in batches and large ones to a few drivers, the
//! only threads that wait (for memory, for a slow disk, before another try), and puts what comes back into windows.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, SyncSender, TrySendError},
    },
    thread::Scope,
    time::{Duration, Instant},
};

use rayon::prelude::*;

use super::{
    Engine, SMALL_BYTES,
    batches::{Batch, Batches},
    budget::{Budget, Permit},
    intents::Handed,
    place::{Closed as NoPlace, Place, Places},
    stage::{Bench, Item, STARVED_ATTEMPTS, Staged, backoff},
};
use crate::{
    Result,
    effort::{self, Activity},
    outcome::Row,
    pipeline::Workers,
    plan::Durability,
    processors::confined,
    stores::Output,
};

/// Most entries of a window (protocol, rule 5).
const WINDOW_ENTRIES: usize = 4_096;
/// Time after which a window goes to the committer as soon as that is free: what a kill can cost, beside the window
/// that is being committed. Shorter ones would cost slow jobs more transactions than they have files.
const WINDOW_TIME: Duration = Duration::from_millis(500);
/// Findings of inspect steps that a window may hold, and what is recorded of outputs that are several of one entry.
const WINDOW_RECORD_BYTES: usize = 8 << 20;
/// What one of several outputs takes in a record, with a short directory of its own.
const PART_BYTES: usize = 100;
/// Entries that are handed to the pool together: enough that its threads rarely wait for the last of a batch.
const BATCH_ENTRIES: usize = 256;
/// Bytes of small files that are handed to the pool together, fewer under a limit of the job: a batch takes a
/// fraction of a window's time.
const BATCH_BYTES: u64 = 8 << 20;
/// Large files of one task that are driven at once: where one ends, another one keeps the pool busy.
const DRIVERS: usize = 2;

/// Entries that are recorded, published and acknowledged together.
#[derive(Default)]
pub struct Window {
    /// A row for each entry.
    pub rows: Vec<Row>,
    /// What is to be published, in the order of the rows.
    pub outputs: Vec<Output>,
    /// The rows that each output belongs to, by position; outputs of the same rows follow each other.
    pub output_rows: Vec<Range<usize>>,
    /// Room for outputs that are in memory until they are published.
    pub room: Option<Permit>,
}

impl Window {
    fn push(&mut self, row: Row, outputs: Vec<Output>) {
        self.push_outputs(outputs, 1);
        self.rows.push(row);
    }

    fn push_all(&mut self, rows: Vec<Row>, outputs: Vec<Output>) {
        self.push_outputs(outputs, rows.len());
        self.rows.extend(rows);
    }

    fn push_outputs(&mut self, outputs: Vec<Output>, rows: usize) {
        let positions = self.rows.len()..self.rows.len() + rows;
        self.output_rows.extend(outputs.iter().map(|_| positions.clone()));
        self.outputs.extend(outputs);
    }
}

/// Walks the manifest and fills windows.
pub struct Crew<'c, 't> {
    pub engine: &'c Engine,
    pub bench: &'c Bench<'t>,
    pub places: Places<'t>,
    pub windows: SyncSender<Handed>,
    /// Descriptors that one window may keep open.
    pub open_files: usize,
    /// Bytes of outputs that one window may keep in memory, where the sink has them there.
    pub held_bytes: u64,
}

/// The drivers' door: items in, what came of them out.
struct Drivers {
    items: Sender<Item>,
    staged: Receiver<Staged>,
    busy: usize,
}

/// The window that is being filled.
struct Filling {
    window: Window,
    since: Instant,
    record_bytes: usize,
    /// Descriptors that its outputs and their directories keep open.
    open_files: usize,
    /// Bytes of its outputs.
    held_bytes: u64,
    directory: Option<(u64, u64)>,
    /// Where outputs that stay in memory have their room.
    budget: Arc<Budget>,
}

/// Nobody takes windows any more: the committer has ended.
struct Closed;

impl Crew<'_, '_> {
    /// Stage these entries, given by position and tries so far; ends early when the call is drained.
    pub fn run(mut self, entries: &[(u32, u32)]) -> Result<()> {
        let _working = self.bench.effort.work(Activity::Preparing);
        let (items, queue) = mpsc::channel();
        let (answers, staged) = mpsc::channel();
        let queue = Mutex::new(queue);
        std::thread::scope(|scope| {
            let mut drivers = Drivers { items, staged, busy: 0 };
            let count = self.drivers(entries);
            for number in 0..count {
                self.spawn_driver(scope, (number, count), &queue, answers.clone());
            }
            let mut filling = Filling::new(&self.engine.held);
            // A closed door means that the committer stopped, and knows why.
            let _ = self.walk(entries, &mut drivers, &mut filling);
            Ok(())
        })
    }

    fn spawn_driver<'s>(
        &self,
        scope: &'s Scope<'s, '_>,
        (number, drivers): (usize, usize),
        queue: &'s Mutex<Receiver<Item>>,
        answers: Sender<Staged>,
    ) where
        Self: 's,
    {
        let (engine, bench) = (self.engine, self.bench);
        let drive = move || {
            loop {
                let item = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(item) = item else { return };
                if answers.send(drive(engine, bench, item, drivers)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name(format!("pravah-large-{number}"))
            .spawn_scoped(scope, drive)
            .expect("the system has a thread for a driver");
    }

    /// How many drivers there is something to do for.
    fn drivers(&self, entries: &[(u32, u32)]) -> usize {
        let driven = entries
            .iter()
            .filter(|&&(index, attempts)| self.bench.outputs.lead(index) == index && self.is_driven(index, attempts));
        driven.take(DRIVERS).count().max(1) // what fails in the pool is tried again by a driver
    }

    /// Whether an entry is none of the pool's.
    fn is_driven(&self, index: u32, attempts: u32) -> bool {
        attempts > 0 || !self.bench.is_small(index) || self.always()
    }

    fn walk(&mut self, entries: &[(u32, u32)], drivers: &mut Drivers, filling: &mut Filling) -> Result<(), Closed> {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        let mut batches = Batches::default();
        for &(index, attempts) in entries {
            if self.bench.outputs.lead(index) != index {
                continue; // it goes with the first one of its output
            }
            if self.bench.control.draining() {
                break;
            }
            let Some(item) = self.item(index, attempts, filling)? else { continue };
            if self.is_driven(index, attempts) {
                drivers.send(item);
                continue;
            }
            batch_bytes += self.bench.size_bytes(index);
            batch.push(item);
            if batch.len() >= BATCH_ENTRIES || batch_bytes >= BATCH_BYTES.min(self.bench.rates.in_time(WINDOW_TIME / 2))
            {
                self.hand_over(std::mem::take(&mut batch), &mut batches, drivers, filling)?;
                batch_bytes = 0;
            }
        }
        if !self.bench.control.draining() {
            self.hand_over(batch, &mut batches, drivers, filling)?;
        }
        while let Some(batch) = batches.next() {
            if !self.bench.control.draining() {
                self.stage_batch(batch, drivers, filling)?;
            }
        }
        while drivers.busy > 0 {
            match drivers.receive(WINDOW_TIME) {
                Some(staged) => self.take(staged, drivers, filling)?,
                None => self.flush_if_full(filling)?,
            }
        }
        self.flush(filling)
    }

    /// Make the entry ready to be staged; what needs no work gets its row at once.
    fn item(&mut self, index: u32, attempts: u32, filling: &mut Filling) -> Result<Option<Item>, Closed> {
        let row = match self.bench.verdict(index) {
            Some(row) => row,
            None => match self.place(index, filling)? {
                Ok(place) => return Ok(Some(Item { index, place, attempts, starved: false })),
                Err(NoPlace { sink_full: Some(errno), .. }) => {
                    self.bench.control.sink_is_full(errno);
                    return Ok(None);
                }
                Err(closed) => closed.row(index),
            },
        };
        if self.bench.outputs.are_merged() {
            self.push_all(self.bench.spoiled_by(row), Vec::new(), filling)?;
        } else {
            self.push(row, Vec::new(), filling)?;
        }
        Ok(None)
    }

    /// Open the entry's place. Where descriptors have run out, the window's are given back first.
    fn place(&mut self, index: u32, filling: &mut Filling) -> Result<Result<Arc<Place>, NoPlace>, Closed> {
        for attempt in 1..STARVED_ATTEMPTS {
            match self.places.of(index as usize) {
                Err(closed) if closed.is_starved && !self.bench.control.draining() => {
                    self.flush(filling)?;
                    std::thread::sleep(backoff(attempt));
                }
                answer => return Ok(answer),
            }
        }
        Ok(self.places.of(index as usize))
    }

    /// Stage a batch; where files are far away, ask for its own and stage one that was asked for before.
    fn hand_over(
        &self,
        items: Vec<Item>,
        batches: &mut Batches,
        drivers: &mut Drivers,
        filling: &mut Filling,
    ) -> Result<(), Closed> {
        if !self.bench.is_far() {
            return self.stage_batch(Batch { items, room: None }, drivers, filling);
        }
        let room = self.make_room(self.bench.room_of(&items), batches, drivers, filling)?;
        self.bench.begin_fetching(&items);
        batches.push(Batch { items, room: Some(room) });
        match batches.next_if_enough() {
            Some(batch) => self.stage_batch(batch, drivers, filling),
            None => Ok(()),
        }
    }

    /// Take room for a batch; where there is none, get on with those that have it.
    fn make_room(
        &self,
        bytes: u64,
        batches: &mut Batches,
        drivers: &mut Drivers,
        filling: &mut Filling,
    ) -> Result<Permit, Closed> {
        let held = &self.engine.held;
        loop {
            if let Some(room) = held.try_take(bytes) {
                return Ok(room);
            }
            let Some(batch) = batches.next() else { break };
            self.stage_batch(batch, drivers, filling)?;
        }
        // Whoever waits holds nothing that others wait for: the window's is given back when it is published.
        self.flush(filling)?;
        let _waiting = effort::during(Activity::Memory);
        Ok(held.take(bytes, || self.bench.control.get_on()))
    }

    fn stage_batch(&self, batch: Batch, drivers: &mut Drivers, filling: &mut Filling) -> Result<(), Closed> {
        let (bench, Batch { items, room }) = (self.bench, batch);
        if bench.source.is_remote() {
            bench.await_fetched(&items);
        } else {
            self.fetch_ahead(&items);
        }
        // Asked to drain, the pool gives the rest of the batch up: slow codecs take seconds for it.
        // It takes no permits: what turns out to need one goes to a driver.
        let stage = |item| match bench.control.draining() {
            true => Staged::GivenUp,
            false => confined(|| bench.stage(item, Workers::NONE)),
        };
        let staged: Vec<Staged> = self.engine.pool.install(|| items.into_par_iter().map(stage).collect());
        for staged in staged {
            self.take(staged, drivers, filling)?;
        }
        drop(room); // what is left of it has its room with the window
        while let Some(staged) = drivers.receive(Duration::ZERO) {
            self.take(staged, drivers, filling)?;
        }
        Ok(())
    }

    /// Have the disk look for all files of a batch at once, instead of one for each thread: twice as fast where they
    /// are not in memory (ext4 on a virtual disk, 20 kB files). Where the first one is, so are the others, mostly.
    fn fetch_ahead(&self, items: &[Item]) {
        let name = |item: &Item| self.bench.manifest.name(item.index as usize);
        if items.first().is_some_and(|item| !item.place.source.is_near(name(item))) {
            let _reading = effort::during(Activity::Reading);
            let fetch = |item: &Item| item.place.source.fetch_ahead(name(item));
            self.engine.pool.install(|| items.par_iter().for_each(fetch));
        }
    }

    fn take(&self, staged: Staged, drivers: &mut Drivers, filling: &mut Filling) -> Result<(), Closed> {
        match staged {
            Staged::Ready(row, outputs) => self.push(row, outputs, filling),
            Staged::Merged(rows, outputs) => self.push_all(rows, outputs, filling),
            Staged::Again(item) => {
                if item.starved {
                    self.flush(filling)?; // what waits to be published holds descriptors
                }
                drivers.send(item);
                Ok(())
            }
            Staged::GivenUp => Ok(()),
        }
    }

    fn push(&self, row: Row, outputs: Vec<Output>, filling: &mut Filling) -> Result<(), Closed> {
        filling.push(row, outputs);
        self.flush_if_full(filling)
    }

    fn push_all(&self, rows: Vec<Row>, outputs: Vec<Output>, filling: &mut Filling) -> Result<(), Closed> {
        filling.push_all(rows, outputs);
        self.flush_if_full(filling)
    }

    fn flush_if_full(&self, filling: &mut Filling) -> Result<(), Closed> {
        let window = &filling.window;
        let full = window.rows.len() >= WINDOW_ENTRIES
            || filling.open_files >= self.open_files
            || filling.held_bytes >= self.held_bytes
            || filling.record_bytes >= WINDOW_RECORD_BYTES;
        let due = !window.rows.is_empty() && filling.since.elapsed() >= WINDOW_TIME;
        match (full, due) {
            (true, _) => self.flush(filling),
            (false, true) => self.offer(filling),
            (false, false) => Ok(()),
        }
    }

    /// Hand the window over if the committer waits for one; else it goes on being filled, so that a slow disk holds
    /// up nobody who still has work.
    fn offer(&self, filling: &mut Filling) -> Result<(), Closed> {
        match self.windows.try_send(Handed::Window(std::mem::take(&mut filling.window))) {
            Ok(()) => *filling = Filling::new(&self.engine.held),
            Err(TrySendError::Full(Handed::Window(window))) => filling.window = window,
            Err(_) => return Err(Closed),
        }
        Ok(())
    }

    fn flush(&self, filling: &mut Filling) -> Result<(), Closed> {
        let window = std::mem::replace(filling, Filling::new(&self.engine.held)).window;
        if window.rows.is_empty() {
            return Ok(());
        }
        let _waiting = effort::during(Activity::HandingOver);
        self.windows.send(Handed::Window(window)).map_err(|_| Closed)
    }

    /// Files that are each waited for are no work for the pool, which never waits.
    fn always(&self) -> bool {
        self.bench.plan.sink.as_ref().is_some_and(|sink| sink.durability == Durability::Always)
    }
}

impl Filling {
    fn new(budget: &Arc<Budget>) -> Self {
        Self {
            window: Window::default(),
            since: Instant::now(),
            record_bytes: 0,
            open_files: 0,
            held_bytes: 0,
            directory: None,
            budget: Arc::clone(budget),
        }
    }

    fn push(&mut self, row: Row, outputs: Vec<Output>) {
        self.count(&row, &outputs);
        self.window.push(row, outputs);
    }

    fn push_all(&mut self, rows: Vec<Row>, outputs: Vec<Output>) {
        for (at, row) in rows.iter().enumerate() {
            self.count(row, if at == 0 { &outputs } else { &[] });
        }
        self.window.push_all(rows, outputs);
    }

    fn count(&mut self, row: &Row, outputs: &[Output]) {
        if self.window.rows.is_empty() {
            self.since = Instant::now();
        }
        self.record_bytes += row.records.as_ref().map_or(0, String::len);
        self.record_bytes += if row.parts.is_some() { outputs.len() * PART_BYTES } else { 0 };
        for output in outputs {
            self.held_bytes += output.directory.held_bytes(output);
            let in_memory = output.directory.memory_bytes(output);
            if in_memory > 0 {
                self.window.room.get_or_insert_with(|| self.budget.none()).grow(in_memory);
            }
            let directory = Some(output.directory.id());
            self.open_files += if directory == self.directory { 1 } else { 2 };
            self.directory = directory;
        }
    }
}

impl Drivers {
    fn send(&mut self, item: Item) {
        self.busy += 1;
        self.items.send(item).expect("the drivers live as long as their door");
    }

    fn receive(&mut self, timeout: Duration) -> Option<Staged> {
        let staged = self.staged.recv_timeout(timeout).ok()?;
        self.busy -= 1;
        Some(staged)
    }
}

/// Stage one entry on a thread that may wait.
fn drive(engine: &Engine, bench: &Bench<'_>, item: Item, drivers: usize) -> Staged {
    if bench.control.draining() {
        return Staged::GivenUp;
    }
    if item.attempts > 0 {
        let _waiting = bench.effort.work(Activity::Retrying);
        std::thread::sleep(backoff(item.attempts));
    }
    // One that is alone leaves a quarter to small files, and to other tasks.
    let total = engine.budget.total();
    let share = if drivers == 1 { total / 4 * 3 } else { total / drivers as u64 };
    let blocks = if bench.is_small(item.index) {
        1
    } else {
        blocks_at_once(engine, share, |blocks| bench.need(item.index, blocks))
    };
    let need = bench.need(item.index, blocks).max(SMALL_BYTES);
    let waiting = bench.effort.work(Activity::Memory);
    let _permit = engine.budget.take(need, || bench.control.get_on());
    drop(waiting);
    bench.stage(item, Workers::new(&engine.pool, blocks))
}

/// How many blocks of a file are in work at once: enough that the pool never waits for the driver, as far as a
/// driver's share of the memory goes.
fn blocks_at_once(engine: &Engine, share: u64, need: impl Fn(usize) -> u64) -> usize {
    let most = engine.pool.current_num_threads() + 2;
    (2..=most).rev().find(|&blocks| need(blocks) <= share).unwrap_or(1)
}
