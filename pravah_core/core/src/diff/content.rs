//! Threads that compare the contents of files of equal size, one pair after the other.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use super::{By, What, tree::Tree};
use crate::{Error, Result, engine::fill, stores::Reading};

/// What came of a comparison; none: the same.
pub type Verdict = Result<Option<What>>;

/// A pair of files to compare.
pub struct Comparison {
    path: Vec<u8>,
    answer: Sender<Verdict>,
}

impl Comparison {
    /// Ask for a pair, by its path in both trees; the answer comes to the receiver.
    pub fn new(path: Vec<u8>) -> (Self, Receiver<Verdict>) {
        let (answer, verdict) = channel();
        (Self { path, answer }, verdict)
    }
}

/// The threads; they end when this is dropped and what was sent is done.
pub struct Comparers(SyncSender<Comparison>);

impl Comparers {
    /// Start so many threads; none where no content is compared.
    pub fn start(trees: &Arc<[Tree; 2]>, by: By, threads: usize) -> Result<Self> {
        let (sender, comparisons) = sync_channel::<Comparison>(threads);
        let comparisons = Arc::new(Mutex::new(comparisons));
        for _ in 0..if by == By::Size { 0 } else { threads.max(1) } {
            let (trees, comparisons) = (Arc::clone(trees), Arc::clone(&comparisons));
            let work = move || {
                let mut buffers = [vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]];
                while let Some(comparison) = next(&comparisons) {
                    // Whoever asked may have gone: there is nobody to tell.
                    let _ = comparison.answer.send(compare(&trees, &comparison.path, by, &mut buffers));
                }
            };
            thread::Builder::new().name("pravah-diff".into()).spawn(work).map_err(Error::io("start a thread"))?;
        }
        Ok(Self(sender))
    }

    /// Have a pair compared. Where the threads are gone its answer never comes, which its receiver sees.
    pub fn send(&self, comparison: Comparison) {
        let _ = self.0.send(comparison);
    }
}

fn next(comparisons: &Mutex<Receiver<Comparison>>) -> Option<Comparison> {
    comparisons.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn compare(trees: &[Tree; 2], path: &[u8], by: By, buffers: &mut [Vec<u8>; 2]) -> Verdict {
    let mut files = [trees[0].file(path)?, trees[1].file(path)?];
    if by == By::Checksum {
        let [one, other] = &mut files;
        let checksums = [checksum(&mut **one, &mut buffers[0])?, checksum(&mut **other, &mut buffers[0])?];
        let [first, second] = checksums;
        return Ok((first != second).then(|| What::Checksum(first.to_hex().to_string(), second.to_hex().to_string())));
    }
    let mut offset_bytes = 0;
    loop {
        let [one, other] = &mut files;
        let lengths = [fill(&mut **one, &mut buffers[0])?, fill(&mut **other, &mut buffers[1])?];
        let (first, second) = (&buffers[0][..lengths[0]], &buffers[1][..lengths[1]]);
        if first != second {
            let same = first.iter().zip(second).take_while(|(one, other)| one == other).count();
            return Ok(Some(What::Content(offset_bytes + same as u64)));
        }
        if lengths[0] == 0 {
            return Ok(None);
        }
        offset_bytes += lengths[0] as u64;
    }
}

fn checksum(file: &mut dyn Reading, buffer: &mut [u8]) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    loop {
        match fill(file, buffer)? {
            0 => return Ok(hasher.finalize()),
            length => hasher.update(&buffer[..length]),
        };
    }
}

/// Bytes read of a file at once: as much as the engine reads, where a system call does not count.
const CHUNK_BYTES: usize = 1 << 20;
