//! Tries what a job would need of a prefix, one after the other, and leaves nothing behind.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;

use super::{
    objects::{Depth, Only, Start},
    place::Place,
    refusal::Refusal,
    runtime::wait,
    uploads::begun,
};
use crate::{Error, Result};

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// What: `list`, `put`, `get`, `conditional`, `uploads`, `delete`.
    pub what: &'static str,
    /// The kind of the error; none: it went well.
    pub kind: Option<String>,
    /// What came of it.
    pub text: String,
    /// What it took, in seconds.
    pub duration_s: f64,
}

/// How a store is.
#[derive(Debug, Serialize)]
pub struct Checkup {
    /// Where it is.
    pub endpoint: String,
    /// Where the keys were found.
    pub origin: String,
    /// What was tried, in order.
    pub tried: Vec<Tried>,
}

/// Bytes that are put and read back: enough for a figure of the link, and soon there.
const BODY_BYTES: usize = 4 << 20;

/// Try listing, putting, reading, a put that must fail, looking for uploads, and removing.
pub fn check(uri: &str) -> Result<Checkup> {
    let place = Place::of(uri)?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let key = place.key(format!(".pravah-doctor-{}-{time}", std::process::id()).as_bytes())?;
    let mut checkup = Checkup { endpoint: place.client.endpoint(), origin: place.client.origin(), tried: Vec::new() };
    let body = Bytes::from(vec![0x5a; BODY_BYTES]);
    let page = checkup.attempt("list", &place, || {
        wait(place.page(&place.key_prefix(), Depth::AllLevels, Start::Beginning, 1))
            .map(|_| "the prefix can be listed".to_owned())
    });
    if !page {
        return Ok(checkup);
    }
    let put = checkup.attempt("put", &place, || {
        let put = |only| wait(place.put(&key, body.clone(), Vec::new(), &only));
        let put = put(Only::IfFree).or_else(|refusal| match refusal.status {
            Some(501) => put(Only::Until(None)), // jobs do without conditions, too
            _ => Err(refusal),
        });
        put.map(|_| "objects can be put, with CRC32C".to_owned())
    });
    if !put {
        return Ok(checkup);
    }
    checkup.attempt("get", &place, || {
        let (_, found) = wait(place.get(&key, 0, BODY_BYTES as u64, None))?;
        match found == body {
            true => Ok("objects can be read, and are what was put".to_owned()),
            false => Err(Refusal::local("BadDigest", format!("{} bytes were put, {} came", body.len(), found.len()))),
        }
    });
    checkup.attempt("conditional", &place, || match wait(place.put(&key, Bytes::new(), Vec::new(), &Only::IfFree)) {
        Err(refusal) if refusal.is_precondition() => Ok("writes are conditional".to_owned()),
        Err(refusal) if refusal.status == Some(501) => {
            Err(Refusal::local("weak_fencing", "the server refuses If-None-Match: weak fencing".to_owned()))
        }
        Err(refusal) => Err(refusal),
        Ok(_) => Err(Refusal::local("weak_fencing", "the server ignores If-None-Match: weak fencing".to_owned())),
    });
    checkup.attempt("uploads", &place, || {
        wait(begun(&place, &key)).map(|_| "uploads that stopped workers had begun can be looked for".to_owned())
    });
    checkup.attempt("delete", &place, || wait(place.delete(&key)).map(|()| "objects can be removed".to_owned()));
    Ok(checkup)
}

impl Checkup {
    fn attempt(&mut self, what: &'static str, place: &Place, work: impl FnOnce() -> Result<String, Refusal>) -> bool {
        let begun = Instant::now();
        let answer = work();
        let (kind, text) = match answer {
            Ok(text) => (None, text),
            Err(refusal) => {
                let error: Error = refusal.error(&format!("{what} {}", place.shown("")));
                (Some(error.kind().to_owned()), error.to_string())
            }
        };
        let went_well = kind.is_none();
        self.tried.push(Tried { what, kind, text, duration_s: begun.elapsed().as_secs_f64() });
        went_well
    }
}
