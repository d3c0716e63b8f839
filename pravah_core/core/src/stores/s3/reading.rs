//! An object that is read: in ranges, several at once, all of one object by its ETag.

use std::{any::Any, collections::VecDeque, future::Future, ops::Range, sync::Arc};

use bytes::Bytes;
use tokio::task::{JoinError, JoinHandle};

use super::{
    checksum::{Comparing, Whole},
    looks::{Asks, with_tags},
    objects::{First, Seen},
    place::Place,
    publish::identity_of,
    refusal::Refusal,
    runtime::{begin, wait},
};
use crate::{
    Error, Result,
    outcome::{Identity, SourceFingerprint},
    stores::{Attributes, Reading},
};

/// Bytes of a range: as many as a part of an upload has.
const RANGE_BYTES: u64 = 8 << 20;
/// Ranges that are fetched ahead of the one that is read: at Amazon one connection gives some 90 MB/s.
const RANGES_AHEAD: usize = 3;

/// Bytes that reading a large object keeps, at most.
pub const READING_BYTES: u64 = RANGE_BYTES * (RANGES_AHEAD as u64 + 1);

/// What a request for the first bytes of an object gives.
pub type Got = Result<First, Refusal>;
/// First bytes on their way.
pub type Fetching = JoinHandle<Got>;

/// What a request for others gives.
type GotRange = Result<(Seen, Bytes), Refusal>;

/// An object that is read.
pub struct Object {
    place: Place,
    key: String,
    shown: String,
    seen: Seen,
    /// Where reading has come to.
    at: u64,
    /// The range at hand, and where it begins.
    chunk: (u64, Bytes),
    /// Ranges on their way, in order.
    coming: VecDeque<(Range<u64>, JoinHandle<GotRange>)>,
    /// Up to where ranges were asked for.
    asked: u64,
    /// What the whole is compared with once it has been read.
    whole: Whole,
}

impl Object {
    /// Begin with the first bytes that came.
    pub fn new(place: Place, key: String, shown: String, first: First) -> Self {
        let First { seen, bytes, whole } = first;
        let asked = bytes.len() as u64;
        Self { place, key, shown, seen, at: 0, chunk: (0, bytes), coming: VecDeque::new(), asked, whole }
    }

    fn ask(&mut self) {
        while self.coming.len() < RANGES_AHEAD && self.asked < self.seen.size_bytes {
            let range = self.asked..(self.asked + RANGE_BYTES).min(self.seen.size_bytes);
            self.asked = range.end;
            let (place, key, etag, part) =
                (self.place.clone(), self.key.clone(), self.seen.etag.clone(), range.clone());
            let fetching = begin(async move { place.get(&key, part.start, part.end - part.start, Some(&etag)).await });
            self.coming.push_back((range, fetching));
            self.ask_of_whole();
        }
    }

    /// Ask for a checksum of the whole, once it is clear that more is read than the beginning.
    fn ask_of_whole(&mut self) {
        if matches!(self.whole, Whole::NotAsked) {
            let (place, key, etag) = (self.place.clone(), self.key.clone(), self.seen.etag.clone());
            self.whole = Whole::Asked(begin(async move { place.told(&key, Some(&etag)).await }));
        }
    }

    /// Take the next bytes in order into account, and judge the whole by the last ones.
    fn compare(&mut self, end: u64, bytes: &[u8]) -> Result<()> {
        if let Whole::Asked(asking) = &mut self.whole {
            let told = arrived(asking).map_err(|refusal| self.failed(&refusal))?;
            // The first bytes are still those at hand.
            let comparing = Comparing::begin(told).map(|comparing| Box::new(comparing.with(&self.chunk.1)));
            self.whole = Whole::Told(comparing);
        }
        let Whole::Told(Some(comparing)) = &mut self.whole else { return Ok(()) };
        comparing.add(bytes);
        match end == self.seen.size_bytes {
            true => comparing.end().map_err(|refusal| refusal.error(&format!("read {}", self.shown))),
            false => Ok(()),
        }
    }

    fn checked(&self, got: GotRange, range: &Range<u64>) -> Result<Bytes> {
        let (_, bytes) = got.map_err(|refusal| self.failed(&refusal))?;
        if bytes.len() as u64 != range.end - range.start {
            let message = format!("{} bytes were asked for, {} came", range.end - range.start, bytes.len());
            return Err(Refusal::local("broken", message).error(&format!("read {}", self.shown)));
        }
        Ok(bytes)
    }

    fn failed(&self, refusal: &Refusal) -> Error {
        match refusal.is_precondition() || refusal.is_missing() {
            true => Error::ChangedWhileRead("another object has its key".to_owned()),
            false => refusal.error(&format!("read {}", self.shown)),
        }
    }
}

impl Reading for Object {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.at >= self.seen.size_bytes {
            return Ok(0);
        }
        let mut within = usize::try_from(self.at - self.chunk.0).unwrap_or(usize::MAX);
        if within >= self.chunk.1.len() {
            self.ask();
            let Some((range, fetching)) = self.coming.pop_front() else { return Ok(0) };
            let bytes = self.checked(arrived(fetching), &range)?;
            self.compare(range.end, &bytes)?;
            (self.chunk, within) = ((range.start, bytes), 0);
        }
        self.ask_if_long();
        let length = buffer.len().min(self.chunk.1.len() - within);
        buffer[..length].copy_from_slice(&self.chunk.1[within..within + length]);
        self.at += length as u64;
        Ok(length)
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
        let end = (offset_bytes + buffer.len() as u64).min(self.seen.size_bytes);
        if offset_bytes >= end {
            return Ok(0);
        }
        let (start, chunk) = &self.chunk;
        let length = usize::try_from(end - offset_bytes).unwrap_or(usize::MAX);
        if *start <= offset_bytes && end <= start + chunk.len() as u64 {
            let within = usize::try_from(offset_bytes - start).unwrap_or(usize::MAX);
            buffer[..length].copy_from_slice(&chunk[within..within + length]);
            return Ok(length);
        }
        let got = wait(self.place.get(&self.key, offset_bytes, end - offset_bytes, Some(&self.seen.etag)));
        let bytes = self.checked(got, &(offset_bytes..end))?;
        buffer[..length].copy_from_slice(&bytes);
        Ok(length)
    }

    fn standing(&self) -> Option<Identity> {
        Some(identity_of(&self.seen))
    }

    fn seek_data(&mut self, offset_bytes: u64) -> Result<Option<Range<u64>>> {
        Ok(Some(offset_bytes..u64::MAX))
    }

    fn look(&self) -> Result<(SourceFingerprint, Attributes)> {
        Ok((fingerprint(&self.seen), attributes(&self.seen)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Object {
    /// Have more fetched while this is worked on: nothing waits for a reader who only looks at the beginning.
    fn ask_if_long(&mut self) {
        if self.at > 0 {
            self.ask();
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.coming.drain(..).for_each(|(_, fetching)| fetching.abort());
        if let Whole::Asked(asking) = &self.whole {
            asking.abort();
        }
    }
}

/// Get the first bytes of an object, and what is asked of it beside them: all of a small one, and a range of what was
/// listed as larger, since an answer that is cut off costs its line.
pub async fn first_range(place: Place, key: String, listed_bytes: u64, asks: Asks) -> Got {
    let mut first = None;
    if listed_bytes > RANGE_BYTES {
        let (seen, bytes) = place.get(&key, 0, RANGE_BYTES, None).await?;
        // One that has shrunk since comes whole, with its checksum.
        first = (seen.size_bytes > RANGE_BYTES).then_some(First { seen, bytes, whole: Whole::NotAsked });
    }
    let first = match first {
        Some(first) => first,
        None => place.get_first(&key, RANGE_BYTES as usize).await?,
    };
    Ok(First { seen: with_tags(&place, &key, first.seen, asks).await?, ..first })
}

/// Wait for bytes.
pub fn arrived<T>(fetching: impl Future<Output = Result<Result<T, Refusal>, JoinError>>) -> Result<T, Refusal> {
    wait(fetching).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())))
}

/// What an output may keep of an object.
pub fn attributes(seen: &Seen) -> Attributes {
    let modified_ns = seen.file_modified_ns.unwrap_or(seen.modified_ns);
    let object = Some(Arc::clone(&seen.attributes));
    Attributes { modified_ns, mode: 0o644, user: 0, group: 0, names: 1, object }
}

/// What identifies an object: its ETag, which servers derive from content or version. Times of theirs are not ours,
/// and don't prove anything that the ETag does not.
pub fn fingerprint(seen: &Seen) -> SourceFingerprint {
    let inode = xxhash_rust::xxh3::xxh3_64(seen.etag.as_bytes());
    SourceFingerprint { size_bytes: seen.size_bytes, modified_ns: seen.modified_ns, changed_ns: 0, inode }
}
