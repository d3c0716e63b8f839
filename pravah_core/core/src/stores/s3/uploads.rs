//! Objects in parts: begun, sent a few parts at a time, invisible until they are completed, or given up.

use std::{
    collections::VecDeque,
    fmt::Write,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::Utc;
use http::Method;
use tokio::task::JoinHandle;

use super::{
    answers::{Element, header_time_ns, time_ns},
    checksum::checksum,
    client::Request,
    objects::{Headers, Only},
    place::Place,
    refusal::Refusal,
    runtime::{begin, is_network_thread, wait},
};

/// Bytes of a part, and of the largest object that is put whole.
pub const PART_BYTES: usize = 8 << 20;
/// Parts that are on their way at once.
pub const PARTS_AT_ONCE: usize = 4;
/// Parts of one size, after which they grow: 10,000 are allowed, and 5 TB shall fit.
const PARTS_OF_A_SIZE: usize = 2_000;

/// Bytes of the largest upload: five rounds of parts, each of which is four times as large as those of the one before.
pub const LARGEST_UPLOAD_BYTES: u64 = (PART_BYTES * PARTS_OF_A_SIZE * (1 + 4 + 16 + 64 + 256)) as u64;

/// Bytes that an upload keeps, at most, as long as its parts have not grown.
pub const UPLOAD_BYTES: u64 = (PART_BYTES * (PARTS_AT_ONCE + 2)) as u64;

/// Uploads that are given up at once.
const ENDING_AT_ONCE: usize = 256;

/// An upload that is begun.
pub struct Upload {
    place: Place,
    key: String,
    id: String,
    sending: VecDeque<JoinHandle<Result<Part, Refusal>>>,
    parts: Vec<Part>,
    is_ended: bool,
}

struct Part {
    number: usize,
    etag: String,
    checksum: String,
}

impl Upload {
    /// Begin.
    pub fn begin(place: &Place, key: &str, mut headers: Headers) -> Result<Self, Refusal> {
        headers.push(("x-amz-checksum-algorithm".to_owned(), "CRC32C".to_owned()));
        wait(Self::create(place, key, headers))
    }

    /// Begin, without saying by which checksums parts come.
    pub async fn create(place: &Place, key: &str, headers: Headers) -> Result<Self, Refusal> {
        let mut request = place.upload_request(Method::POST, key, vec![("uploads", String::new())]);
        request.headers = headers;
        let asked = Instant::now();
        let answer = place.client.send(&request).await;
        let told = answer.as_ref().ok().and_then(|answer| Element::read(&answer.body));
        let id = told.map(|told| told.text("UploadId").to_owned()).unwrap_or_default();
        let is_only_one = match &answer {
            Ok(answer) => answer.tries == 1 && !id.is_empty(),
            Err(refusal) => !refusal.is_transient(),
        };
        if !is_only_one && abandon_lost(place, key, &id, asked).await.is_err() {
            place.uploads_left.store(true, Ordering::Relaxed);
        }
        answer?;
        if id.is_empty() {
            return Err(Refusal::local("broken", "the server began an upload without an id".to_owned()));
        }
        let (place, key) = (place.clone(), key.to_owned());
        Ok(Self { place, key, id, sending: VecDeque::new(), parts: Vec::new(), is_ended: false })
    }

    /// Bytes that the next part shall have.
    pub fn part_bytes(&self) -> usize {
        let sent = self.parts.len() + self.sending.len();
        PART_BYTES << (2 * (sent / PARTS_OF_A_SIZE)).min(8)
    }

    /// Send a part; waits while enough of them are on their way.
    pub fn send(&mut self, body: Bytes) -> Result<(), Refusal> {
        while self.sending.len() >= PARTS_AT_ONCE {
            wait(self.arrive())?;
        }
        let number = self.parts.len() + self.sending.len() + 1;
        let checksum = checksum(&body);
        let query = vec![("partNumber", number.to_string()), ("uploadId", self.id.clone())];
        let mut request = self.place.upload_request(Method::PUT, &self.key, query);
        request.headers.push(("x-amz-checksum-crc32c".to_owned(), checksum.clone()));
        request.body = body;
        let client = self.place.client.clone();
        self.sending.push_back(begin(async move {
            let answer = client.send(&request).await?;
            Ok(Part { number, etag: answer.header("etag").to_owned(), checksum })
        }));
        Ok(())
    }

    /// Have the server copy a part, which headers name, of so many bytes; waits while enough are on their way.
    pub async fn send_copy(&mut self, headers: Headers, moved_bytes: u64) -> Result<(), Refusal> {
        while self.sending.len() >= PARTS_AT_ONCE {
            self.arrive().await?;
        }
        let number = self.parts.len() + self.sending.len() + 1;
        let query = vec![("partNumber", number.to_string()), ("uploadId", self.id.clone())];
        let request = self.place.upload_request(Method::PUT, &self.key, query);
        let request = Request { headers, moved_bytes, told_by: "CopyPartResult", ..request };
        let client = self.place.client.clone();
        self.sending.push_back(begin(async move {
            let answer = client.send(&request).await?;
            let etag = Element::read(&answer.body).map(|copied| copied.text("ETag").to_owned()).unwrap_or_default();
            Ok(Part { number, etag, checksum: String::new() })
        }));
        Ok(())
    }

    /// Wait until all parts have arrived.
    pub fn settle(&mut self) -> Result<(), Refusal> {
        wait(self.arrive_all())
    }

    /// The same, on a thread of the network's own.
    pub async fn arrive_all(&mut self) -> Result<(), Refusal> {
        while !self.sending.is_empty() {
            self.arrive().await?;
        }
        Ok(())
    }

    async fn arrive(&mut self) -> Result<(), Refusal> {
        let Some(next) = self.sending.pop_front() else { return Ok(()) };
        let part = next.await.unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())))?;
        self.parts.push(part);
        Ok(())
    }

    /// Make an object of the parts.
    pub async fn complete(&mut self, only: &Only) -> Result<(), Refusal> {
        let mut body = String::from("<CompleteMultipartUpload>");
        for Part { number, etag, checksum } in &self.parts {
            let etag = etag.replace('"', "&quot;");
            let _ = write!(body, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>");
            if !checksum.is_empty() {
                let _ = write!(body, "<ChecksumCRC32C>{checksum}</ChecksumCRC32C>");
            }
            body.push_str("</Part>");
        }
        body.push_str("</CompleteMultipartUpload>");
        let query = vec![("uploadId", self.id.clone())];
        let mut request = self.place.upload_request(Method::POST, &self.key, query);
        only.bind(&mut request);
        request.told_by = "CompleteMultipartUploadResult";
        request.body = body.into();
        self.place.client.send(&request).await?;
        self.is_ended = true;
        Ok(())
    }
}

impl Drop for Upload {
    /// What is not completed is given up: parts cost as much as objects, and nobody sees them.
    fn drop(&mut self) {
        self.sending.drain(..).for_each(|part| part.abort());
        if !self.is_ended {
            let (place, key, id) = (self.place.clone(), self.key.clone(), self.id.clone());
            let aborting = begin(async move {
                // Where this fails, take-over or closing finds it.
                if abort(&place, &key, &id).await.is_err() {
                    place.uploads_left.store(true, Ordering::Relaxed);
                }
            });
            // A thread of the network's must not wait for itself.
            if is_network_thread() {
                return;
            }
            match &self.place.ending {
                None => drop(wait(aborting)),
                Some(ending) => {
                    let mut ending = ending.lock().unwrap_or_else(PoisonError::into_inner);
                    ending.push(aborting);
                    let are_many = ending.len() >= ENDING_AT_ONCE;
                    drop(ending);
                    if are_many {
                        self.place.wait_for_ending();
                    }
                }
            }
        }
    }
}

impl Place {
    /// Wait until uploads are given up that were dropped here, or at places below.
    pub fn wait_for_ending(&self) {
        let Some(ending) = &self.ending else { return };
        let ending = std::mem::take(&mut *ending.lock().unwrap_or_else(PoisonError::into_inner));
        ending.into_iter().for_each(|aborting| drop(wait(aborting)));
    }
}

async fn abort(place: &Place, key: &str, id: &str) -> Result<(), Refusal> {
    let request = place.upload_request(Method::DELETE, key, vec![("uploadId", id.to_owned())]);
    match place.client.send(&request).await {
        Err(refusal) if refusal.status == Some(404) => Ok(()),
        answer => answer.map(drop),
    }
}

/// Give up all uploads of exactly this key that were begun since a time; gives their number.
pub async fn abandon(place: Place, key: String, since_ns: i64) -> Result<usize, Refusal> {
    let (uploads, _) = begun(&place, &key).await?;
    let mut count = 0;
    for upload in uploads.iter().filter(|upload| upload.at_ns >= since_ns) {
        abort(&place, &key, &upload.id).await?;
        count += 1;
    }
    Ok(count)
}

/// Give up what was begun of a key since it was asked for, but for one: their answers did not come, and nobody has
/// their ids.
async fn abandon_lost(place: &Place, key: &str, but: &str, asked: Instant) -> Result<(), Refusal> {
    let (uploads, now_ns) = begun(place, key).await?;
    let since_ns = now_ns - i64::try_from((asked.elapsed() + ROUNDED).as_nanos()).unwrap_or(i64::MAX);
    for upload in uploads.iter().filter(|upload| upload.id != but && upload.at_ns >= since_ns) {
        abort(place, key, &upload.id).await?;
    }
    Ok(())
}

/// By what times of servers differ that are told in whole seconds.
const ROUNDED: Duration = Duration::from_secs(2);

/// An upload that nobody has ended.
pub struct Begun {
    id: String,
    /// By the server's clock, in nanoseconds since 1970.
    at_ns: i64,
}

/// List the uploads of exactly this key; gives the server's time, too.
pub async fn begun(place: &Place, key: &str) -> Result<(Vec<Begun>, i64), Refusal> {
    let query = vec![("uploads", String::new()), ("prefix", key.to_owned())];
    let answer = place.client.send(&place.upload_request(Method::GET, "", query)).await?;
    let listed = Element::read(&answer.body).filter(|listed| listed.is("ListMultipartUploadsResult"));
    let listed = listed.ok_or_else(|| Refusal::local("broken", "the list of uploads can't be read".to_owned()))?;
    let now_ns = header_time_ns(answer.header("date")).or_else(|| Utc::now().timestamp_nanos_opt());
    let of_key = listed.all("Upload").filter(|upload| upload.text("Key") == key);
    let begun = of_key.filter_map(|upload| {
        Some(Begun { id: upload.text("UploadId").to_owned(), at_ns: time_ns(upload.text("Initiated"))? })
    });
    Ok((begun.collect(), now_ns.unwrap_or_default()))
}
