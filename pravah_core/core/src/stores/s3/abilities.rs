//! What servers can and can't, found out once for each bucket of a connection.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::{copies::Copying, objects::Only, place::Place, refusal::Refusal, removals::Removing};

/// What holds off a worker that has lost its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// The server: writes are conditional.
    Strong,
    /// Time alone: the server ignores conditions, or refuses them.
    Weak,
}

/// What is known of a connection's buckets.
#[derive(Default)]
pub struct Abilities {
    /// A server of Amazon's is known.
    is_amazon: bool,
    copying: Mutex<HashMap<String, Copying>>,
    fencing: Mutex<HashMap<String, Fencing>>,
    removing: Mutex<HashMap<String, Removing>>,
    /// Buckets whose listings begin with the first key, whatever is asked for.
    serial: Mutex<HashSet<String>>,
}

impl Abilities {
    /// Begin with what the endpoint tells.
    pub fn new(is_amazon: bool) -> Self {
        Self { is_amazon, ..Self::default() }
    }

    /// How objects of a bucket are copied; none: not known yet.
    pub fn copying(&self, bucket: &str) -> Option<Copying> {
        let known = self.copying.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied();
        known.or_else(|| self.is_amazon.then_some(Copying::Whole))
    }

    /// How objects of a bucket are removed; none: not known yet.
    pub fn removing(&self, bucket: &str) -> Option<Removing> {
        let known = self.removing.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied();
        known.or_else(|| self.is_amazon.then_some(Removing::Together))
    }

    /// Keep what was found out.
    pub fn know_removing(&self, bucket: &str, removing: Removing) {
        self.removing.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.to_owned(), removing);
    }

    /// Whether listings of a bucket can begin behind a key, as far as that is known.
    pub fn begins_at_keys(&self, bucket: &str) -> bool {
        !self.serial.lock().unwrap_or_else(PoisonError::into_inner).contains(bucket)
    }

    /// Keep that listings of a bucket always begin with its first key.
    pub fn know_serial(&self, bucket: &str) {
        self.serial.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.to_owned());
    }

    fn fencing(&self, bucket: &str) -> Option<Fencing> {
        let known = self.fencing.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied();
        known.or_else(|| self.is_amazon.then_some(Fencing::Strong))
    }

    /// Keep what was found out.
    pub fn know_copying(&self, bucket: &str, copying: Copying) {
        self.copying.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.to_owned(), copying);
    }
}

/// Find out whether writes to a bucket are conditional: by one that must fail, as what it is to replace is not there.
///
/// Asked once for each bucket. Only a server that ignores the condition makes anything, and that is removed.
pub async fn find_fencing(place: &Place) -> Result<Fencing, Refusal> {
    let abilities = &place.client.abilities;
    if let Some(known) = abilities.fencing(&place.bucket) {
        return Ok(known);
    }
    let key = place.probe_key();
    let found = match place.put(&key, Bytes::new(), Vec::new(), &Only::never()).await {
        Ok(_) => {
            place.delete(&key).await?;
            Fencing::Weak
        }
        Err(refusal) if refusal.is_precondition() || refusal.is_missing() => Fencing::Strong,
        Err(refusal) if refusal.status == Some(501) => Fencing::Weak,
        Err(refusal) => return Err(refusal),
    };
    abilities.fencing.lock().unwrap_or_else(PoisonError::into_inner).insert(place.bucket.clone(), found);
    Ok(found)
}
