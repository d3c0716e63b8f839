//! An output on its way to its key: in memory while it is small, as parts of an upload from then on.
//!
//! Either way nobody sees it before it is published. It carries its owner's name from the start, so that whoever
//! finds it later can tell whose it is.

use std::{any::Any, mem::take};

use bytes::Bytes;
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::{
    copies::Copy,
    objects::{Headers, OWNER},
    options::Rules,
    place::Place,
    publish::Ending,
    uploads::{PART_BYTES, Upload},
};
use crate::{
    Error, Result,
    outcome::{Identity, Publish, Staged},
    plan::Verify,
    stores::{Attributes, Beginning, Reading, Staging},
};

/// What stands for a device in the identity of an object that names an owner, and of one that doesn't.
const OWNED: u64 = 1;
const STRANGE: u64 = 2;

/// Identify an output before it is published, and as it is found afterwards: by its owner, and by its size.
pub fn identity(owner: &str, size_bytes: u64) -> Identity {
    Identity { device: OWNED, inode: xxh3_64(owner.as_bytes()), size_bytes, modified_ns: 0, born_ns: 0 }
}

/// Identify an object that names no owner.
pub fn identity_of_stranger(etag: &str, size_bytes: u64, modified_ns: i64) -> Identity {
    Identity { device: STRANGE, inode: xxh3_64(etag.as_bytes()), size_bytes, modified_ns, born_ns: 0 }
}

/// An output while it is written.
pub struct ObjectStaging {
    place: Place,
    /// With what an upload is begun; none: its name is not known yet.
    key: Option<(String, Headers)>,
    owner: String,
    publish: Publish,
    number: u32,
    attributes: Option<Attributes>,
    buffer: Vec<u8>,
    upload: Option<Upload>,
    size_bytes: u64,
    /// Of what was written, where it is read back.
    hasher: Option<Box<Xxh3Default>>,
    /// The same, where what has its name may be as good.
    digester: Option<Box<blake3::Hasher>>,
}

/// What is kept of a staged output until it is published.
pub struct Held {
    pub owner: String,
    /// How it is put; none: its name was not known, and tells some of it.
    pub headers: Option<Headers>,
    /// What it keeps of its source, as far as that is not in the headers.
    pub attributes: Option<Attributes>,
    pub content: Content,
    /// Of the content, where it is read back.
    pub hash: Option<u64>,
    /// The same, where what has its name may be as good.
    pub digest: Option<blake3::Hash>,
    /// The publishing that has begun.
    pub ending: Option<JoinHandle<(Content, Ending)>>,
}

/// The bytes of an output, wherever they are.
pub enum Content {
    /// In memory.
    Whole(Bytes),
    /// In parts on the server.
    Parts(Box<Upload>),
    /// In another object on the server.
    Copied(Box<Copy>),
    /// Published, or given up.
    Gone,
}

impl ObjectStaging {
    /// Begin an output.
    pub fn begin(place: &Place, beginning: &Beginning<'_>, rules: &Rules, checks: Checks) -> Result<Self> {
        let owner = beginning.temporary.name();
        let (key, attributes) = if beginning.name.is_empty() {
            (None, beginning.attributes.cloned())
        } else {
            let key = place.key(beginning.name)?;
            let headers = owned_headers(rules, &key, (&owner, beginning.attributes));
            (Some((key, headers)), None)
        };
        Ok(Self {
            key,
            place: place.clone(),
            owner,
            publish: beginning.publish,
            number: beginning.temporary.number,
            attributes,
            buffer: Vec::new(),
            upload: None,
            size_bytes: 0,
            hasher: (checks.verify == Verify::Content).then(Box::default),
            digester: checks.shares_keys.then(Box::default),
        })
    }

    /// Send what there is as a part.
    fn send(&mut self) -> Result<()> {
        let (key, headers) = self.key.as_ref().ok_or(Error::NameNeeded)?;
        let asked = || format!("upload {}", self.place.shown_key(key));
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none
                .insert(Upload::begin(&self.place, key, headers.clone()).map_err(|refusal| refusal.error(&asked()))?),
        };
        let part = Bytes::from(take(&mut self.buffer));
        upload.send(part).map_err(|refusal| refusal.error(&asked()))
    }
}

impl Staging for ObjectStaging {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        if let Some(digester) = &mut self.digester {
            digester.update(bytes);
        }
        while !bytes.is_empty() {
            let most = self.upload.as_ref().map_or(PART_BYTES, Upload::part_bytes);
            if self.buffer.len() >= most {
                self.send()?;
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(most - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = rest;
        }
        Ok(())
    }

    fn leaves_memory(&self, more_bytes: usize) -> bool {
        self.upload.is_none() && self.buffer.len() + more_bytes > PART_BYTES
    }

    /// Objects have no holes.
    fn skip_to(&mut self, offset_bytes: u64) -> Result<()> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        while self.size_bytes < offset_bytes {
            let length =
                usize::try_from(offset_bytes - self.size_bytes).map_or(ZEROS.len(), |rest| rest.min(ZEROS.len()));
            self.write(&ZEROS[..length])?;
        }
        Ok(())
    }

    fn copy_from(&mut self, _: &dyn Reading, _: u64) -> Result<Option<u64>> {
        Ok(None)
    }

    fn finish(mut self: Box<Self>, _: Option<&Attributes>) -> Result<(Staged, Box<dyn Any + Send>)> {
        let content = if self.upload.is_some() {
            self.send()?;
            let mut upload = self.upload.take().ok_or(Error::Cancelled)?;
            let key = self.key.as_ref().map_or("", |(key, _)| key);
            let asked = format!("upload {}", self.place.shown_key(key));
            upload.settle().map_err(|refusal| refusal.error(&asked))?;
            Content::Parts(Box::new(upload))
        } else {
            self.buffer.shrink_to_fit();
            Content::Whole(Bytes::from(take(&mut self.buffer)))
        };
        let identity = identity(&self.owner, self.size_bytes);
        let staged = Staged { temporary: Some(self.number), publish: self.publish, identity };
        let hash = self.hasher.take().map(|hasher| hasher.digest());
        let digest = self.digester.take().map(|digester| digester.finalize());
        let (owner, attributes) = (take(&mut self.owner), self.attributes.take());
        let headers = self.key.take().map(|(_, headers)| headers);
        Ok((staged, Box::new(Held { owner, headers, attributes, content, hash, digest, ending: None })))
    }
}

/// What is to be known of an output's content beside its size.
#[derive(Debug, Clone, Copy)]
pub struct Checks {
    /// How much is proven of it.
    pub verify: Verify,
    /// Keys are told by content, so that what has one may be as good.
    pub shares_keys: bool,
}

/// The headers of a request that makes the object of a key: its owner is named by them.
pub fn owned_headers(rules: &Rules, key: &str, (owner, source): (&str, Option<&Attributes>)) -> Headers {
    let mut headers = rules.headers(key, source);
    headers.push((OWNER.to_owned(), owner.to_owned()));
    headers
}
