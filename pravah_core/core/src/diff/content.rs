//! Threads that compare the contents of files of equal size, one pair after the other.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use super::{By, What};
use crate::{
    Error, Result,
    engine::fill,
    stores::{
        Reading,
        s3::{Prefix, Told},
    },
};

/// Where the contents of one side are.
pub trait Contents: Send + Sync {
    /// Open a file.
    fn file(&self, path: &[u8]) -> Result<Box<dyn Reading>>;

    /// What is known of a file's content without reading it.
    fn told(&self, _path: &[u8]) -> Result<Vec<Told>> {
        Ok(Vec::new())
    }
}

impl Contents for Prefix {
    fn file(&self, path: &[u8]) -> Result<Box<dyn Reading>> {
        self.open(path)
    }

    fn told(&self, path: &[u8]) -> Result<Vec<Told>> {
        Self::told(self, path)
    }
}

/// What came of a comparison; none: the same.
pub type Verdict = Result<Option<What>>;

/// A pair of files to compare.
pub struct Comparison {
    path: Vec<u8>,
    answer: Sender<Verdict>,
}

impl Comparison {
    /// Ask for a pair, by its path on both sides; the answer comes to the receiver.
    pub fn new(path: Vec<u8>) -> (Self, Receiver<Verdict>) {
        let (answer, verdict) = channel();
        (Self { path, answer }, verdict)
    }
}

/// The threads; they end when this is dropped and what was sent is done.
pub struct Comparers(SyncSender<Comparison>);

impl Comparers {
    /// Start so many threads; none where no content is compared.
    pub fn start(sides: &[Arc<dyn Contents>; 2], by: By, threads: usize) -> Result<Self> {
        let (sender, comparisons) = sync_channel::<Comparison>(threads);
        let comparisons = Arc::new(Mutex::new(comparisons));
        for _ in 0..if by == By::Size { 0 } else { threads.max(1) } {
            let (sides, comparisons) = (sides.clone(), Arc::clone(&comparisons));
            let work = move || {
                let mut buffers = [vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]];
                while let Some(comparison) = next(&comparisons) {
                    // Whoever asked may have gone: there is nobody to tell.
                    let _ = comparison.answer.send(compare(&sides, &comparison.path, by, &mut buffers));
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

fn compare(sides: &[Arc<dyn Contents>; 2], path: &[u8], by: By, buffers: &mut [Vec<u8>; 2]) -> Verdict {
    if by == By::Checksum {
        let sums = match told_sums(sides, path, &mut buffers[0])? {
            Some(sums) => sums,
            None => [hash(&*sides[0], path, &mut buffers[0])?, hash(&*sides[1], path, &mut buffers[0])?],
        };
        let [first, second] = sums;
        return Ok((first != second).then_some(What::Checksum(first, second)));
    }
    let mut files = [sides[0].file(path)?, sides[1].file(path)?];
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

/// The checksums of two files by the algorithm of one that is told of either; none: nothing is told.
///
/// Of the other file it is computed, where its own store does not tell it too.
fn told_sums(sides: &[Arc<dyn Contents>; 2], path: &[u8], buffer: &mut [u8]) -> Result<Option<[String; 2]>> {
    let all = [sides[0].told(path)?, sides[1].told(path)?];
    let is_of = |told: &&Told, others: &[Told]| others.iter().any(|other| other.name == told.name);
    let both = all[0].iter().find(|told| is_of(told, &all[1]));
    let Some(told) = both.or_else(|| all[0].first()).or_else(|| all[1].first()) else { return Ok(None) };
    let mut sum_of = |side: usize| -> Result<String> {
        let known = all[side].iter().find(|known| known.name == told.name).map(|known| known.value.clone());
        let value = known.map_or_else(|| compute(told, &*sides[side], path, buffer), Ok)?;
        Ok(format!("{}:{value}", told.name))
    };
    Ok(Some([sum_of(0)?, sum_of(1)?]))
}

fn compute(told: &Told, side: &dyn Contents, path: &[u8], buffer: &mut [u8]) -> Result<String> {
    let (mut file, mut sum) = (side.file(path)?, told.begin());
    loop {
        match fill(&mut *file, buffer)? {
            0 => return Ok(sum.value()),
            length => sum.add(&buffer[..length]),
        }
    }
}

fn hash(side: &dyn Contents, path: &[u8], buffer: &mut [u8]) -> Result<String> {
    let (mut file, mut hasher) = (side.file(path)?, blake3::Hasher::new());
    loop {
        match fill(&mut *file, buffer)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            length => hasher.update(&buffer[..length]),
        };
    }
}

/// Bytes read of a file at once: as much as the engine reads, where a system call does not count.
const CHUNK_BYTES: usize = 1 << 20;
