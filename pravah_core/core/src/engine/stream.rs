//! The bytes of one file: read, through the steps, into its target.
//!
//! A small file takes one thread, and so does one of which only parts are looked at. A large one has three at least: one
//! reads and drives the steps, the pool does their
//! blocks, and one writes what comes out, since a disk that is slow to take bytes is no reason not to make more.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::mpsc::{self, Receiver},
    thread,
};

use bytes::{Bytes, BytesMut};

use super::{
    SMALL_BYTES,
    stage::Bench,
    target::{Target, fill, fill_at},
};
use crate::{
    Error, Result,
    effort::{self, Activity},
    memo::Memo,
    naming::ContentHash,
    pipeline::{Failure, Flow, Workers, panicked},
    processors::{Event, PULL_BYTES},
    stores::Reading,
};

/// Bytes that the system is asked to copy at once: a request to drain is seen between two of them.
const TRANSFER_BYTES: u64 = 8 << 20;

/// Bytes read at once from a file that says it is empty: those of procfs do, and are not.
const UNSIZED_BYTES: usize = 4 << 10;

/// Events of at most [`PULL_BYTES`] that wait to be written.
const QUEUED_EVENTS: usize = 4;

/// Bytes that wait to be written, at most: those in the queue, that which is written and that which is handed over.
pub const QUEUED_BYTES: u64 = (QUEUED_EVENTS as u64 + 2) * PULL_BYTES as u64;

/// Pieces of the file that are read ahead of the one that the steps get.
pub const PIECES: u64 = 2;

/// What was read of a file.
#[derive(Default)]
pub struct Read {
    pub bytes: u64,
    /// Of its content, where the output's name tells it.
    pub hash: Option<ContentHash>,
}

impl Bench<'_> {
    /// Read the file through the steps into the target.
    pub fn run(
        &self,
        reading: &mut dyn Reading,
        (index, size_bytes): (u32, u64),
        target: &mut Target<'_, '_>,
        (workers, memo): (Workers<'_>, Option<&Memo>),
    ) -> Result<Read, Failure> {
        if size_bytes <= SMALL_BYTES {
            return self.feed(reading, (index, size_bytes), (workers, memo), &mut |event| target.take(event));
        }
        if self.sink.is_none() && self.pipeline.looks() {
            return self.look(reading, (index, size_bytes), target);
        }
        reading.read_through();
        if self.pipeline.passes_bytes() && !self.plan.names_at_run_time() {
            let bytes = self.transfer(reading, size_bytes, target)?;
            return Ok(Read { bytes, hash: None });
        }
        self.write_apart(target, |output| self.feed(reading, (index, size_bytes), (workers, memo), output))
    }

    /// Have another thread write what comes out of some work.
    pub fn write_apart<T, E: From<Error>>(
        &self,
        target: &mut Target<'_, '_>,
        work: impl FnOnce(&mut dyn FnMut(Event) -> Result<()>) -> Result<T, E>,
    ) -> Result<T, E> {
        thread::scope(|scope| {
            let (events, queue) = mpsc::sync_channel(QUEUED_EVENTS);
            let writer = thread::Builder::new()
                .name("pravah-write".to_owned())
                .spawn_scoped(scope, move || self.write(&queue, target))
                .map_err(Error::io("start a thread that writes"))?;
            // The queue closes where writing has failed, and then that is the error.
            let worked = work(&mut |event| {
                effort::now(Activity::Writing);
                events.send(event).or(Err(Error::Cancelled))
            });
            drop(events);
            writer.join().unwrap_or_else(|payload| Err(panicked(payload.as_ref())))?;
            worked
        })
    }

    /// Read only those parts of the file that its steps look at.
    fn look(
        &self,
        reading: &dyn Reading,
        (index, size_bytes): (u32, u64),
        target: &mut Target<'_, '_>,
    ) -> Result<Read, Failure> {
        let mut total = 0;
        let mut read = |range: Range<u64>| {
            effort::now(Activity::Reading);
            let length = range.end - range.start;
            let mut buffer = vec![0; usize::try_from(length).expect("parts of a file are in memory")];
            let filled = fill_at(reading, range.start, &mut buffer)?;
            buffer.truncate(filled);
            total += filled as u64;
            self.rates.read.pass(filled as u64, self.control)?;
            self.control.count_bytes(filled as u64);
            Ok(buffer.into())
        };
        let name = self.manifest.name(index as usize);
        self.pipeline.look((name, size_bytes), &mut read, &mut |event| target.take(event))?;
        Ok(Read { bytes: total, hash: None })
    }

    /// Read a whole file for its content's hash, before it is read for anything else.
    pub fn hash(&self, reading: &mut dyn Reading) -> Result<ContentHash> {
        reading.read_through();
        let (mut hasher, mut buffer) = (Box::<blake3::Hasher>::default(), vec![0; PULL_BYTES]);
        loop {
            effort::now(Activity::Reading);
            let filled = fill(reading, &mut buffer)?;
            if filled == 0 {
                return Ok(*hasher.finalize().as_bytes());
            }
            hasher.update(&buffer[..filled]);
            self.rates.read.pass(filled as u64, self.control)?;
            self.control.get_on();
            if self.control.giving_up() {
                return Err(Error::Cancelled);
            }
        }
    }

    /// Write what comes, until there is no more.
    fn write(&self, queue: &Receiver<Event>, target: &mut Target<'_, '_>) -> Result<()> {
        queue.iter().try_for_each(|event| {
            let _writing = self.effort.work(Activity::Writing);
            target.take(event)
        })
    }

    /// Read the file through the steps.
    fn feed(
        &self,
        reading: &mut dyn Reading,
        (index, size_bytes): (u32, u64),
        (workers, memo): (Workers<'_>, Option<&Memo>),
        output: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<Read, Failure> {
        let mut flow = self.pipeline.open(workers)?;
        if let Some(memo) = memo {
            flow.remember(memo);
        }
        self.pour(&mut flow, reading, (index, size_bytes), output)
    }

    /// Read the file into steps that are open.
    pub fn pour(
        &self,
        flow: &mut Flow<'_>,
        reading: &mut dyn Reading,
        (index, size_bytes): (u32, u64),
        output: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<Read, Failure> {
        let piece_bytes = self.pipeline.piece_bytes();
        let name = Bytes::copy_from_slice(self.manifest.name(index as usize));
        let path = self.pipeline.wants_path().then(|| self.listed_path(index));
        let source_bytes = Some(size_bytes).filter(|size_bytes| *size_bytes > 0);
        flow.feed(Event::Begin { name, size_bytes: Some(size_bytes), source_bytes, path }, output)?;
        let (mut total, mut pieces) = (0, Pieces::default());
        let mut hasher = self.plan.names_at_run_time().then(Box::<blake3::Hasher>::default);
        loop {
            let wanted = match self.rates.read.portion(size_bytes.saturating_sub(total)) {
                0 if size_bytes > 0 => break,
                0 => UNSIZED_BYTES,
                rest => usize::try_from(rest).map_or(piece_bytes, |rest| rest.min(piece_bytes)),
            };
            let mut buffer = pieces.free();
            buffer.resize(wanted, 0);
            effort::now(Activity::Reading);
            let filled = fill(reading, &mut buffer)?;
            if filled == 0 {
                if total < size_bytes && reading.is_sized() {
                    return Err(cut_short(size_bytes, total).into());
                }
                break;
            }
            buffer.truncate(filled);
            total += filled as u64;
            self.rates.read.pass(filled as u64, self.control)?;
            self.control.count_bytes(filled as u64);
            if let Some(hasher) = &mut hasher {
                hasher.update(&buffer);
            }
            flow.feed(Event::Bytes(pieces.lend(buffer)), output)?;
            if size_bytes > SMALL_BYTES && self.control.giving_up() {
                return Err(Error::Cancelled.into());
            }
        }
        flow.feed(Event::End, output)?;
        Ok(Read { bytes: total, hash: hasher.map(|hasher| *hasher.finalize().as_bytes()) })
    }

    /// Copy a large file: by the system where it can, and without its holes, so that sparse files stay sparse.
    fn transfer(&self, reading: &mut dyn Reading, size_bytes: u64, target: &mut Target<'_, '_>) -> Result<u64> {
        let mut at = 0;
        while at < size_bytes {
            let data = reading.seek_data(at)?.unwrap_or(size_bytes..size_bytes);
            if data.start > at {
                at = data.start.min(size_bytes);
                target.skip_to(at)?;
            }
            let end = data.end.min(size_bytes);
            while at < end {
                let portion = self.rates.write.portion(self.rates.read.portion((end - at).min(TRANSFER_BYTES)));
                let copied = target.copy(reading, portion)?;
                if copied == 0 {
                    return Err(cut_short(size_bytes, at));
                }
                at += copied;
                self.control.count_bytes(copied);
                self.rates.read.pass(copied, self.control)?;
                self.rates.write.pass(copied, self.control)?;
                if self.control.giving_up() {
                    return Err(Error::Cancelled);
                }
            }
        }
        Ok(at)
    }
}

/// The error of a file that ends before its size. Another look would not tell: where a read goes wrong without an
/// error, its size is what it was.
fn cut_short(size_bytes: u64, read_bytes: u64) -> Error {
    Error::ChangedWhileRead(format!("it has {size_bytes} bytes, {read_bytes} of them could be read"))
}

/// Pieces of a file that steps hold on to; the memory of those that are done serves for the next ones.
#[derive(Default)]
struct Pieces(VecDeque<Bytes>);

impl Pieces {
    /// Memory for the next piece: that of an earlier one, or none yet.
    fn free(&mut self) -> BytesMut {
        let done = self.0.iter().position(Bytes::is_unique).and_then(|at| self.0.remove(at));
        done.and_then(|piece| piece.try_into_mut().ok()).unwrap_or_default()
    }

    fn lend(&mut self, buffer: BytesMut) -> Bytes {
        let piece = buffer.freeze();
        self.0.push_back(piece.clone());
        piece
    }
}
