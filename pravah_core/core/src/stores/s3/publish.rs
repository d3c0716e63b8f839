//! An output gets its key: by one request that holds only while the key is free, or has what was looked at.
//!
//! Answers get lost, and so do workers. So where the condition does not hold, the object that is there is looked at:
//! with our own owner's name it is this output, put by a request whose answer was lost; of an earlier lease of the
//! same job (what has one key in a job is of one entry), it came late, and is replaced; of a later lease, it is we who
//! are late; anything else is for `overwrite` to decide. Where keys are told by content, two entries of a job may come
//! to one, and nothing is replaced.
//!
//! Where a server ignores conditions, the key is looked at before, and nothing is sent once the lease may have ended.

use std::time::Instant;

use bytes::Bytes;

use super::{
    abilities::Fencing,
    objects::{Headers, Only, Seen},
    place::Place,
    refusal::Refusal,
    staging::{Content, identity, identity_of_stranger},
};
use crate::{
    outcome::{Identity, Publish},
    stores::PREFIX,
};

/// How it ended.
#[derive(Debug)]
pub enum Ending {
    /// The output has its key.
    Published,
    /// Something else has it.
    Taken,
    /// The upload is gone.
    Gone,
    /// What is there is not what was put.
    Unequal(String),
    /// The server refused.
    Refused(Refusal),
}

/// An output that is to be published.
pub struct Publishing {
    pub place: Place,
    pub key: String,
    pub owner: String,
    pub headers: Headers,
    /// Keys are told by content: what has one need not be of the same entry.
    pub shares_keys: bool,
    pub how: Publish,
    /// What may be replaced, and nothing that came after it; none: whatever has the key.
    pub replaces: Option<Identity>,
    pub size_bytes: u64,
    /// None: nobody could tell.
    pub fencing: Option<Fencing>,
    /// When the last request has to be over, where the lease may end and the server does not see to it.
    pub deadline: Option<Instant>,
    /// Of the content, where it is read back.
    pub hash: Option<u64>,
}

/// How often the key is looked at again, where others put objects there at the same time.
const ROUNDS: usize = 8;

/// Identify what was found.
pub fn identity_of(seen: &Seen) -> Identity {
    match seen.owner.as_str() {
        "" => identity_of_stranger(&seen.etag, seen.size_bytes, seen.modified_ns),
        owner => Identity { modified_ns: seen.modified_ns, ..identity(owner, seen.size_bytes) },
    }
}

/// Whether two identities are of one object; times are the server's.
pub fn is_same(found: &Identity, remembered: &Identity) -> bool {
    let key = |identity: &Identity| (identity.device, identity.inode, identity.size_bytes);
    key(found) == key(remembered)
}

impl Publishing {
    /// Publish; gives back what is still to be dealt with.
    pub async fn run(self, mut content: Content) -> (Content, Ending) {
        let ending = self.attempt(&mut content).await.unwrap_or_else(Ending::Refused);
        if matches!(ending, Ending::Published) {
            content = Content::Gone;
        }
        (content, ending)
    }

    async fn attempt(&self, content: &mut Content) -> Result<Ending, Refusal> {
        let looks_first = self.how == Publish::Replace || self.fencing != Some(Fencing::Strong);
        let mut found = if looks_first { self.place.head(&self.key).await? } else { None };
        for _ in 0..ROUNDS {
            let only = match &found {
                None => Only::IfFree,
                Some(seen) if self.is_mine(seen) => return self.read_back().await,
                // Somebody has the lease now, and has published already.
                Some(_) if self.shares_keys => return Ok(Ending::Taken),
                Some(seen) if Owner::of(&seen.owner).is_some_and(|theirs| theirs.is_after(&self.owner)) => {
                    return Ok(Ending::Gone);
                }
                Some(seen) if self.may_replace(seen) => Only::InPlaceOf(seen.etag.clone()),
                Some(_) => return Ok(Ending::Taken),
            };
            let only = if self.fencing == Some(Fencing::Weak) { Only::Until(self.deadline) } else { only };
            let Err(refusal) = self.send(content, &only).await else { return self.read_back().await };
            // Completed by a request whose answer was lost, or given up by whoever has the task now.
            if refusal.code == "NoSuchUpload" {
                let seen = self.place.head(&self.key).await?;
                return match seen.is_some_and(|seen| self.is_mine(&seen)) {
                    true => self.read_back().await,
                    // Whoever looked for uploads of a dead worker may have had the same content.
                    false if self.shares_keys => Err(refusal),
                    false => Ok(Ending::Gone),
                };
            }
            let is_gone = refusal.is_missing() && !matches!(only, Only::IfFree);
            if !refusal.is_precondition() && !is_gone {
                return Err(refusal);
            }
            found = self.place.head(&self.key).await?;
        }
        Ok(Ending::Taken)
    }

    async fn send(&self, content: &mut Content, only: &Only) -> Result<(), Refusal> {
        match content {
            Content::Whole(bytes) => {
                self.place.put(&self.key, bytes.clone(), self.headers.clone(), only).await.map(drop)
            }
            Content::Parts(upload) => upload.complete(only).await,
            Content::Copied(copy) => copy.run(&self.place, &self.key, &self.headers, only).await,
            Content::Gone => Err(Refusal::local("NoSuchUpload", String::new())),
        }
    }

    fn is_mine(&self, seen: &Seen) -> bool {
        seen.owner == self.owner && seen.size_bytes == self.size_bytes
    }

    fn may_replace(&self, seen: &Seen) -> bool {
        is_of_job(&seen.owner, &self.owner)
            || (self.how == Publish::Replace
                && self.replaces.is_none_or(|replaced| is_same(&identity_of(seen), &replaced)))
    }

    /// Read the object, where that is wanted, and see whether it is what was put.
    async fn read_back(&self) -> Result<Ending, Refusal> {
        let Some(expected) = self.hash else { return Ok(Ending::Published) };
        let (mut hasher, mut found_bytes) = (xxhash_rust::xxh3::Xxh3Default::new(), 0);
        let each = |seen: &Seen, bytes: &Bytes| {
            hasher.update(bytes);
            found_bytes = seen.size_bytes;
            self.is_mine(seen)
        };
        if !self.place.read_through(&self.key, each).await? {
            let put_bytes = self.size_bytes;
            return Ok(Ending::Unequal(format!("{put_bytes} bytes were put, {found_bytes} are there")));
        }
        let found = hasher.digest();
        Ok(if found == expected {
            Ending::Published
        } else {
            Ending::Unequal(format!("its xxh3 is {found:016x}, that of what was put {expected:016x}"))
        })
    }
}

/// Whether an owner's name is that of another output of one's own job.
pub fn is_of_job(other: &str, own: &str) -> bool {
    job_of(own).is_some_and(|own| job_of(other) == Some(own))
}

fn job_of(owner: &str) -> Option<&str> {
    owner.strip_prefix(PREFIX)?.split('-').next()
}

/// Which attempt an object is of: `.pravah-JOB-TASK-COUNTER-N`.
struct Owner<'o> {
    job: &'o str,
    /// Task and token counter; a part of a task that became one of its own has a higher number.
    attempt: (u64, u64),
}

impl<'o> Owner<'o> {
    fn of(name: &'o str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let job = parts.next()?;
        Some(Self { job, attempt: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?) })
    }

    /// Whether it came by a later lease of the same job than another one.
    fn is_after(&self, other: &str) -> bool {
        Owner::of(other).is_some_and(|other| self.job == other.job && self.attempt > other.attempt)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn test_owners_of_one_job_are_told_from_others() {
        assert!(is_of_job(".pravah-01AB-1-2-3", ".pravah-01AB-7-1-1"));
        assert!(!is_of_job(".pravah-01AC-1-2-3", ".pravah-01AB-1-2-3"));
        assert!(!is_of_job("", ".pravah-01AB-1-2-3") && !is_of_job("", ""));
    }

    #[test]
    fn test_later_leases_are_told_by_task_and_counter() {
        let is_after = |one: &str, other: &str| Owner::of(one).is_some_and(|one| one.is_after(other));
        assert!(is_after(".pravah-j-1-3-1", ".pravah-j-1-2-9") && is_after(".pravah-j-2-1-1", ".pravah-j-1-9-1"));
        assert!(!is_after(".pravah-j-1-2-9", ".pravah-j-1-2-1") && !is_after(".pravah-k-9-9-1", ".pravah-j-1-1-1"));
        assert!(!is_after("theirs", ".pravah-j-1-1-1") && !is_after(".pravah-j-1-1-1", ""));
    }

    #[test]
    fn test_objects_are_the_same_by_owner_and_size_or_by_etag() {
        let seen = Seen {
            etag: "e".to_owned(),
            size_bytes: 3,
            modified_ns: 5,
            owner: ".pravah-j-1-1-1".to_owned(),
            file_modified_ns: None,
            attributes: Arc::default(),
            placement: Vec::new(),
            tags: None,
        };
        assert!(is_same(&identity_of(&seen), &identity(".pravah-j-1-1-1", 3)));
        assert!(!is_same(&identity_of(&seen), &identity(".pravah-j-1-2-1", 3)));
        let strange = Seen { owner: String::new(), ..seen };
        assert!(!is_same(&identity_of(&strange), &identity("", 3)));
        assert!(is_same(&identity_of(&strange), &identity_of_stranger("e", 3, 99)));
    }
}
