//! Reading objects: small ones are fetched ahead and whole, large ones in ranges, several at once.
//!
//! What is read is one object from its first byte to its last: each further range is asked for by the ETag that came
//! with the first. Where another object has the key since, reading begins anew.

use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::{
    objects::Seen,
    place::Place,
    refusal::Refusal,
    runtime::{begin, wait},
};
use crate::{
    Error, Result,
    outcome::SourceFingerprint,
    plan::Plan,
    stores::{Attributes, Reading, Source, SourceDirectory},
};

/// Bytes of a range: as many as a part of an upload has.
const RANGE_BYTES: u64 = 8 << 20;
/// Ranges that are fetched ahead of the one that is read: at Amazon one connection gives some 90 MB/s.
const RANGES_AHEAD: usize = 3;

/// Bytes that reading a large object keeps, at most.
pub const READING_BYTES: u64 = RANGE_BYTES * (RANGES_AHEAD as u64 + 1);

/// The roots of a plan.
pub struct ObjectSource {
    roots: Vec<Place>,
}

impl ObjectSource {
    /// Read below the roots of a plan.
    pub fn open(plan: &Plan) -> Result<Self> {
        Ok(Self { roots: plan.roots.iter().map(|root| Place::of(&root.uri)).collect::<Result<_>>()? })
    }
}

impl Source for ObjectSource {
    fn open_directory(&self, root: u16, directory: &[u8]) -> Result<Arc<dyn SourceDirectory>> {
        let roots = self.roots.len();
        let root = self.roots.get(usize::from(root));
        let root = root.ok_or_else(|| Error::InvalidPlan(format!("root is beyond the {roots} of the plan")))?;
        Ok(Arc::new(ObjectDirectory { place: root.below(directory)?, ahead: Mutex::default() }))
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn reading_bytes(&self) -> u64 {
        READING_BYTES
    }
}

type Got = Result<(Seen, Bytes), Refusal>;
type Fetching = JoinHandle<Got>;

/// A prefix that is read below.
struct ObjectDirectory {
    place: Place,
    /// What was asked for ahead, by name.
    ahead: Mutex<HashMap<Vec<u8>, Ahead>>,
}

enum Ahead {
    OnItsWay(Fetching),
    Here(Box<Got>),
}

impl ObjectDirectory {
    fn ahead(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Ahead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, name: &[u8]) -> String {
        self.place.shown(&String::from_utf8_lossy(name))
    }

    fn failed(&self, name: &[u8], refusal: &Refusal) -> Error {
        if refusal.is_missing() {
            return Error::system("open the source")(Errno::NOENT);
        }
        refusal.error(&format!("read {}", self.shown(name)))
    }

    fn fetch(&self, key: String, range: Range<u64>, etag: Option<String>) -> Fetching {
        let place = self.place.clone();
        begin(async move { place.get(&key, range.start, range.end - range.start, etag.as_deref()).await })
    }
}

impl SourceDirectory for ObjectDirectory {
    fn fingerprint(&self, name: &[u8]) -> Result<SourceFingerprint> {
        let key = self.place.key(name)?;
        let seen = wait(self.place.head(&key)).map_err(|refusal| self.failed(name, &refusal))?;
        seen.map(|seen| fingerprint(&seen)).ok_or_else(|| Error::system("open the source")(Errno::NOENT))
    }

    fn open(&self, name: &[u8]) -> Result<Box<dyn Reading>> {
        let key = self.place.key(name)?;
        let ahead = self.ahead().remove(name);
        let got = match ahead {
            Some(Ahead::Here(got)) => *got,
            Some(Ahead::OnItsWay(fetching)) => arrived(fetching),
            None => wait(self.place.get(&key, 0, RANGE_BYTES, None)),
        };
        let (seen, first) = got.map_err(|refusal| self.failed(name, &refusal))?;
        let shown = self.shown(name);
        let mut object = Object {
            place: self.place.clone(),
            key,
            shown,
            seen,
            at: 0,
            chunk: (0, first),
            coming: VecDeque::new(),
            asked: 0,
        };
        object.asked = object.chunk.1.len() as u64;
        Ok(Box::new(object))
    }

    fn is_near(&self, name: &[u8]) -> bool {
        matches!(self.ahead().get(name), Some(Ahead::Here(_)))
    }

    fn fetch_ahead(&self, name: &[u8]) {
        // A key that can't be has its error when it is opened.
        if let Ok(key) = self.place.key(name) {
            let fetching = self.fetch(key, 0..RANGE_BYTES, None);
            self.ahead().insert(name.to_vec(), Ahead::OnItsWay(fetching));
        }
    }

    fn await_ahead(&self, name: &[u8]) {
        let ahead = self.ahead().remove(name);
        let got = match ahead {
            Some(Ahead::OnItsWay(fetching)) => Box::new(arrived(fetching)),
            Some(Ahead::Here(got)) => got,
            None => return,
        };
        self.ahead().insert(name.to_vec(), Ahead::Here(got));
    }

    fn read_link(&self, _: &[u8]) -> Result<Vec<u8>> {
        Err(Error::system("open the source")(Errno::INVAL))
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        let key = self.place.key(name)?;
        let asked = || format!("remove {}", self.shown(name));
        wait(self.place.delete(&key)).map_err(|refusal| refusal.error(&asked()))
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn id(&self) -> Result<(u64, u64)> {
        Ok(self.place.id())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for ObjectDirectory {
    /// What nobody will read need not come.
    fn drop(&mut self) {
        for (_, ahead) in self.ahead().drain() {
            if let Ahead::OnItsWay(fetching) = ahead {
                fetching.abort();
            }
        }
    }
}

/// An object that is read.
struct Object {
    place: Place,
    key: String,
    shown: String,
    seen: Seen,
    /// Where reading has come to.
    at: u64,
    /// The range at hand, and where it begins.
    chunk: (u64, Bytes),
    /// Ranges on their way, in order.
    coming: VecDeque<(Range<u64>, Fetching)>,
    /// Up to where ranges were asked for.
    asked: u64,
}

impl Object {
    fn ask(&mut self) {
        while self.coming.len() < RANGES_AHEAD && self.asked < self.seen.size_bytes {
            let range = self.asked..(self.asked + RANGE_BYTES).min(self.seen.size_bytes);
            self.asked = range.end;
            let (place, key, etag, part) =
                (self.place.clone(), self.key.clone(), self.seen.etag.clone(), range.clone());
            let fetching = begin(async move { place.get(&key, part.start, part.end - part.start, Some(&etag)).await });
            self.coming.push_back((range, fetching));
        }
    }

    fn checked(&self, got: Got, range: &Range<u64>) -> Result<Bytes> {
        let (_, bytes) = got.map_err(|refusal| match refusal.is_precondition() || refusal.is_missing() {
            true => Error::ChangedWhileRead("another object has its key".to_owned()),
            false => refusal.error(&format!("read {}", self.shown)),
        })?;
        if bytes.len() as u64 != range.end - range.start {
            let message = format!("{} bytes were asked for, {} came", range.end - range.start, bytes.len());
            return Err(Refusal::local("broken", message).error(&format!("read {}", self.shown)));
        }
        Ok(bytes)
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

    fn seek_data(&mut self, offset_bytes: u64) -> Result<Option<Range<u64>>> {
        Ok(Some(offset_bytes..u64::MAX))
    }

    fn look(&self) -> Result<(SourceFingerprint, Attributes)> {
        let modified_ns = self.seen.file_modified_ns.unwrap_or(self.seen.modified_ns);
        Ok((fingerprint(&self.seen), Attributes { modified_ns, mode: 0o644, user: 0, group: 0, names: 1 }))
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
    }
}

fn arrived(fetching: Fetching) -> Got {
    wait(fetching).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())))
}

/// What identifies an object: its ETag, which servers derive from content or version. Times of theirs are not ours,
/// and don't prove anything that the ETag does not.
fn fingerprint(seen: &Seen) -> SourceFingerprint {
    let inode = xxhash_rust::xxh3::xxh3_64(seen.etag.as_bytes());
    SourceFingerprint { size_bytes: seen.size_bytes, modified_ns: seen.modified_ns, changed_ns: 0, inode }
}
