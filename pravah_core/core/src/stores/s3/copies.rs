//! Copies that the server makes by itself: no byte of them comes by here.
//!
//! A copy is conditional at both ends: its source has to be the object that was looked at, and its key has to be free
//! or to have what may be replaced. Where a server does not hold copies to the second, the object is copied as the
//! parts of an upload, whose completion is conditional.

use bytes::Bytes;
use http::Method;

use super::{
    objects::{Headers, Only, TAGS},
    place::Place,
    refusal::Refusal,
    signature::encoded_path,
    uploads::{PART_BYTES, Upload},
};

/// The largest object that one request copies (Amazon S3 API reference, CopyObject).
pub const LARGEST_BYTES: u64 = 5 << 30;
/// Bytes of a part that is copied: a server is some seconds busy with it.
const COPIED_PART_BYTES: u64 = 512 << 20;
/// Parts that an upload may have.
const MOST_PARTS: u64 = 10_000;

/// Bytes of the largest object by which that is found out.
const PROBE_BYTES: u64 = 64 << 20;

/// How a server copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copying {
    /// By one request that heeds conditions, up to a size.
    Whole,
    /// By one request that ignores them: only uploads are conditional.
    InParts,
}

impl Copying {
    /// Bytes from which on a copy is worth its requests: three of them, in parts, where reading and putting are two.
    pub fn least_bytes(self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::InParts => PART_BYTES as u64 + 1,
        }
    }
}

/// The code of a refusal that means: the source is another object by now, or gone.
pub const SOURCE_CHANGED: &str = "SourceChanged";

/// An object that is to be copied.
pub struct Copy {
    pub from: Place,
    pub key: String,
    /// Of the source, when it was looked at.
    pub etag: String,
    pub size_bytes: u64,
    /// It gets the tags of the source, whoever may read them.
    keeps_tags: bool,
    /// Parts that are copied and wait to be completed.
    upload: Option<Upload>,
}

impl Copy {
    /// Plan a copy.
    pub fn new(from: Place, key: String, (etag, size_bytes): (String, u64)) -> Self {
        Self { from, key, etag, size_bytes, keeps_tags: false, upload: None }
    }

    /// Have the server give it the tags of its source, where it is made whole; else the headers have to name them.
    pub fn keeping_tags(self) -> Self {
        Self { keeps_tags: true, ..self }
    }

    /// Whether one request makes it.
    pub fn is_whole(&self, to: &Place) -> bool {
        let copying = to.client.abilities.copying(&to.bucket);
        copying == Some(Copying::Whole) && self.size_bytes <= to.client.largest_copy_bytes()
    }

    /// Make the copy, under a key and with its headers, if the condition holds.
    pub async fn run(&mut self, to: &Place, key: &str, headers: &Headers, only: &Only) -> Result<(), Refusal> {
        let answer = match self.is_whole(to) {
            true => whole(self, to, key, headers, only).await,
            false if self.size_bytes == 0 => to.put(key, Bytes::new(), headers.clone(), only).await.map(drop),
            false => self.in_parts(to, key, headers, only).await,
        };
        match answer {
            Err(refusal) if refusal.is_precondition() || refusal.is_missing() => match self.is_unchanged().await? {
                true => Err(refusal),
                false => Err(Refusal::local(SOURCE_CHANGED, "another object has its key".to_owned())),
            },
            answer => answer,
        }
    }

    async fn is_unchanged(&self) -> Result<bool, Refusal> {
        Ok(self.from.head(&self.key).await?.is_some_and(|seen| seen.etag == self.etag))
    }

    async fn in_parts(&mut self, to: &Place, key: &str, headers: &Headers, only: &Only) -> Result<(), Refusal> {
        if self.upload.is_none() {
            let mut upload = Upload::create(to, key, headers.clone()).await?;
            self.copy_parts(&mut upload, to.client.largest_copy_bytes()).await?;
            self.upload = Some(upload);
        }
        match &mut self.upload {
            Some(upload) => upload.complete(only).await,
            None => Ok(()),
        }
    }

    async fn copy_parts(&self, upload: &mut Upload, largest_bytes: u64) -> Result<(), Refusal> {
        let part_bytes = part_bytes(self.size_bytes, largest_bytes);
        for start in (0..self.size_bytes.div_ceil(part_bytes)).map(|number| number * part_bytes) {
            let end = (start + part_bytes).min(self.size_bytes);
            let mut headers = self.source();
            // Of a small object no range can be asked for.
            if end - start < self.size_bytes {
                headers.push(("x-amz-copy-source-range".to_owned(), format!("bytes={start}-{}", end - 1)));
            }
            upload.send_copy(headers, end - start).await?;
        }
        upload.arrive_all().await
    }

    /// The headers that name the source, as it was looked at.
    fn source(&self) -> Headers {
        vec![
            ("x-amz-copy-source".to_owned(), encoded_path(&format!("/{}/{}", self.from.bucket, self.key))),
            ("x-amz-copy-source-if-match".to_owned(), self.etag.clone()),
        ]
    }
}

fn part_bytes(size_bytes: u64, largest_bytes: u64) -> u64 {
    COPIED_PART_BYTES.max(size_bytes.div_ceil(MOST_PARTS)).min(largest_bytes)
}

async fn whole(copy: &Copy, to: &Place, key: &str, headers: &Headers, only: &Only) -> Result<(), Refusal> {
    let mut request = to.upload_request(Method::PUT, key, Vec::new());
    request.headers = headers.iter().filter(|(name, _)| !(copy.keeps_tags && name == TAGS)).cloned().collect();
    request.headers.extend(copy.source());
    request.headers.push(("x-amz-metadata-directive".to_owned(), "REPLACE".to_owned()));
    if !copy.keeps_tags {
        request.headers.push(("x-amz-tagging-directive".to_owned(), "REPLACE".to_owned()));
    }
    only.bind(&mut request);
    request.told_by = "CopyObjectResult";
    request.moved_bytes = copy.size_bytes;
    to.client.send(&request).await.map(drop)
}

/// Find out how a server copies: by a copy that must fail, since what it is to replace is not there.
///
/// Asked once for each bucket. Only a server that ignores the condition makes anything, and that is removed.
pub async fn find_out(from: &Copy, to: &Place) -> Result<Copying, Refusal> {
    if let Some(known) = to.client.abilities.copying(&to.bucket) {
        return Ok(known);
    }
    if from.size_bytes > PROBE_BYTES {
        return Ok(Copying::InParts); // where conditions are ignored, that would be a real copy
    }
    let key = to.probe_key();
    let found = match whole(from, to, &key, &Vec::new(), &Only::never()).await {
        Ok(()) => {
            to.delete(&key).await?;
            Copying::InParts
        }
        Err(refusal) if refusal.is_precondition() || refusal.is_missing() => match from.is_unchanged().await? {
            true => Copying::Whole,
            false => return Ok(Copying::InParts), // it tells nothing
        },
        Err(refusal) if refusal.status == Some(501) || refusal.status == Some(400) => Copying::InParts,
        Err(refusal) => return Err(refusal),
    };
    to.client.abilities.know_copying(&to.bucket, found);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_parts_of_a_copy_are_few_enough_and_no_larger_than_the_server_takes() {
        assert_eq!(part_bytes(6 << 30, LARGEST_BYTES), COPIED_PART_BYTES);
        let largest_object: u64 = 50_000_000_000_000;
        assert!(largest_object.div_ceil(part_bytes(largest_object, LARGEST_BYTES)) <= MOST_PARTS);
        assert!(part_bytes(largest_object, LARGEST_BYTES) <= LARGEST_BYTES);
        assert_eq!(part_bytes(12 << 20, 5 << 20), 5 << 20);
    }
}
