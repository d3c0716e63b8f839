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
    key: String,
    owner: String,
    publish: Publish,
    number: u32,
    headers: Headers,
    buffer: Vec<u8>,
    upload: Option<Upload>,
    size_bytes: u64,
    /// Of what was written, where it is read back.
    hasher: Option<Box<Xxh3Default>>,
}

/// What is kept of a staged output until it is published.
pub struct Held {
    pub owner: String,
    pub headers: Headers,
    pub content: Content,
    /// Of the content, where it is read back.
    pub hash: Option<u64>,
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
    pub fn begin(place: &Place, beginning: &Beginning<'_>, rules: &Rules, verify: Verify) -> Result<Self> {
        let (owner, key) = (beginning.temporary.name(), place.key(beginning.name)?);
        let mut headers = rules.headers(&key, beginning.attributes);
        headers.push((OWNER.to_owned(), owner.clone()));
        Ok(Self {
            key,
            place: place.clone(),
            owner,
            publish: beginning.publish,
            number: beginning.temporary.number,
            headers,
            buffer: Vec::new(),
            upload: None,
            size_bytes: 0,
            hasher: (verify == Verify::Content).then(Box::default),
        })
    }

    /// Send what there is as a part.
    fn send(&mut self) -> Result<()> {
        let asked = || format!("upload {}", self.place.shown_key(&self.key));
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(
                Upload::begin(&self.place, &self.key, self.headers.clone())
                    .map_err(|refusal| refusal.error(&asked()))?,
            ),
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
            let asked = format!("upload {}", self.place.shown_key(&self.key));
            upload.settle().map_err(|refusal| refusal.error(&asked))?;
            Content::Parts(Box::new(upload))
        } else {
            self.buffer.shrink_to_fit();
            Content::Whole(Bytes::from(take(&mut self.buffer)))
        };
        let identity = identity(&self.owner, self.size_bytes);
        let staged = Staged { temporary: Some(self.number), publish: self.publish, identity };
        let hash = self.hasher.take().map(|hasher| hasher.digest());
        let (owner, headers) = (take(&mut self.owner), take(&mut self.headers));
        Ok((staged, Box::new(Held { owner, headers, content, hash, ending: None })))
    }
}
