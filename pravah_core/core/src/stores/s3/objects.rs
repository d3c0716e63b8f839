//! What is asked of objects: pages of keys, their bytes, a look at one, another one put in its place.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::Method;

use super::{
    answers::{Element, Page, header_time_ns},
    checksum::{ASKED, Comparing, Told, Whole, checksum},
    client::{Answer, Request},
    options::tags_as_query,
    place::Place,
    refusal::Refusal,
    uploads::PART_BYTES,
};
use crate::stores::ObjectAttributes;

/// What a look at an object shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Identifies its content.
    pub etag: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was put there, in nanoseconds since 1970: whole seconds.
    pub modified_ns: i64,
    /// What its owner wrote on it; empty: nothing.
    pub owner: String,
    /// The modification time of the file that it was made from, in nanoseconds since 1970.
    pub file_modified_ns: Option<i64>,
    /// What else it has beside its content.
    pub attributes: Arc<ObjectAttributes>,
    /// Where and how the server keeps it: storage class and encryption, as the headers that ask for them.
    pub placement: Headers,
    /// How many tags it has; none: it was not told, as it has none, or as they may not be read.
    pub tags: Option<usize>,
}

/// What has to hold for an object to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    /// Nothing has the key.
    IfFree,
    /// What has the key is this one, by its ETag.
    InPlaceOf(String),
    /// Nothing: the server holds no write to anything. Nothing of it is sent after this instant.
    Until(Option<Instant>),
}

/// The ETag of no object.
pub const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

impl Only {
    /// What never holds.
    pub fn never() -> Self {
        Self::InPlaceOf(NO_ETAG.to_owned())
    }

    /// Have a request hold to it.
    pub fn bind(&self, request: &mut Request) {
        match self {
            Self::IfFree => request.headers.push(("if-none-match".to_owned(), "*".to_owned())),
            Self::InPlaceOf(etag) => request.headers.push(("if-match".to_owned(), etag.clone())),
            Self::Until(deadline) => request.deadline = *deadline,
        }
    }
}

/// Where an object's owner is named: job, task, token counter and number of the output, as in a temporary's name.
pub const OWNER: &str = "x-amz-meta-pravah";
/// Where the modification time of a file is kept, in seconds, as rclone does.
pub const MTIME: &str = "x-amz-meta-mtime";

/// Where an object's tags are said, as a query.
pub const TAGS: &str = "x-amz-tagging";

impl Place {
    fn request(&self, method: Method, key: &str) -> Request {
        Request { method, bucket: self.bucket.clone(), key: key.to_owned(), ..Request::default() }
    }

    /// Get a page of the keys below a prefix, up to the next slash only, or all of them.
    pub async fn page(&self, prefix: &str, depth: Depth, from: Start<'_>, most: u32) -> Result<Page, Refusal> {
        let mut request = self.request(Method::GET, "");
        request.query = vec![
            ("list-type", "2".to_owned()),
            ("encoding-type", "url".to_owned()),
            ("prefix", prefix.to_owned()),
            ("max-keys", most.to_string()),
        ];
        if depth == Depth::OneLevel {
            request.query.push(("delimiter", "/".to_owned()));
        }
        match from {
            Start::Beginning => {}
            Start::After(key) => request.query.push(("start-after", key.to_owned())),
            Start::Token(token) => request.query.push(("continuation-token", token.to_owned())),
        }
        let answer = self.client.send(&request).await?;
        Page::read(&answer.body)
            .ok_or_else(|| Refusal::local("broken", "the server's listing can't be read".to_owned()))
    }

    /// Look at an object; none: nothing has the key.
    pub async fn head(&self, key: &str) -> Result<Option<Seen>, Refusal> {
        match self.client.send(&self.request(Method::HEAD, key)).await {
            Ok(answer) => Ok(Some(seen(&answer, answer.header("content-length").parse().unwrap_or_default()))),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// A request for what an object holds, which may be sent a second time.
    fn get_request(&self, key: &str) -> Request {
        Request { hedged: Some(Arc::clone(&self.hedged)), ..self.request(Method::GET, key) }
    }

    /// Get the first bytes of an object, all where these are enough, and what it is; of a whole one servers tell a
    /// checksum, with which what came is compared.
    pub async fn get_first(&self, key: &str, most_bytes: usize) -> Result<First, Refusal> {
        let mut request = self.get_request(key);
        request.headers.push((ASKED.0.to_owned(), ASKED.1.to_owned()));
        request.most_bytes = Some(most_bytes);
        let answer = self.client.send(&request).await?;
        let size_bytes = match answer.header("content-length").parse() {
            Ok(size_bytes) => size_bytes,
            Err(_) if answer.body.len() < most_bytes => answer.body.len() as u64,
            Err(_) => {
                let (seen, bytes) = self.get(key, 0, most_bytes as u64, None).await?;
                return Ok(First { seen, bytes, whole: Whole::NotAsked });
            }
        };
        let mut comparing = Comparing::begin(Told::all(&answer));
        comparing.iter_mut().for_each(|comparing| comparing.add(&answer.body));
        if answer.body.len() as u64 == size_bytes {
            comparing.take().map_or(Ok(()), |comparing| comparing.end())?;
        }
        Ok(First { seen: seen(&answer, size_bytes), bytes: answer.body, whole: Whole::Told(comparing.map(Box::new)) })
    }

    /// Get so many bytes of an object, and what it is; only of the one with this ETag, where one is given.
    pub async fn get(&self, key: &str, from: u64, length: u64, etag: Option<&str>) -> Result<(Seen, Bytes), Refusal> {
        let length = length.max(1);
        let mut request = self.get_request(key);
        request.headers.push(("range".to_owned(), format!("bytes={from}-{}", from + length - 1)));
        if let Some(etag) = etag {
            request.headers.push(("if-match".to_owned(), etag.to_owned()));
        }
        // A server that ignores ranges gives all there is.
        request.most_bytes = usize::try_from(length).ok();
        match self.client.send(&request).await {
            Ok(answer) => {
                is_of(&answer, etag)?;
                let (given, whole) = answer.header("content-range").rsplit_once('/').unwrap_or_default();
                if given.is_empty() && from > 0 {
                    return Err(Refusal::local("broken", "the server gives no ranges of objects".to_owned()));
                }
                let start = given.strip_prefix("bytes ").and_then(|range| range.split_once('-')?.0.parse::<u64>().ok());
                if !given.is_empty() && start != Some(from) {
                    let message = format!("a range from byte {from} on was asked for, `{given}` came");
                    return Err(Refusal::local("broken", message));
                }
                let whole = if given.is_empty() { answer.header("content-length") } else { whole };
                Ok((seen(&answer, whole.parse().unwrap_or(answer.body.len() as u64)), answer.body))
            }
            // An empty object has no first byte.
            Err(refusal) if refusal.status == Some(416) => {
                let missing = || Refusal { status: Some(404), ..Refusal::local("NoSuchKey", String::new()) };
                Ok((self.head(key).await?.ok_or_else(missing)?, Bytes::new()))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Read an object from its first byte to its last, a part at a time; false where `each` gives up, or it ends early.
    pub async fn read_through(&self, key: &str, mut each: impl FnMut(&Seen, &Bytes) -> bool) -> Result<bool, Refusal> {
        let (mut at, mut etag) = (0, None::<String>);
        loop {
            let (seen, bytes) = self.get(key, at, PART_BYTES as u64, etag.as_deref()).await?;
            if !each(&seen, &bytes) {
                return Ok(false);
            }
            at += bytes.len() as u64;
            if at >= seen.size_bytes || bytes.is_empty() {
                return Ok(at == seen.size_bytes);
            }
            etag = Some(seen.etag);
        }
    }

    /// Ask what is told of an object's whole content; only of the one with this ETag, where one is given.
    pub async fn told(&self, key: &str, etag: Option<&str>) -> Result<Vec<Told>, Refusal> {
        let mut request = self.request(Method::HEAD, key);
        request.headers.push((ASKED.0.to_owned(), ASKED.1.to_owned()));
        if let Some(etag) = etag {
            request.headers.push(("if-match".to_owned(), etag.to_owned()));
        }
        let answer = self.client.send(&request).await?;
        is_of(&answer, etag)?;
        Ok(Told::all(&answer))
    }

    /// Ask for an object's tags, as a header gives them.
    pub async fn tags(&self, key: &str) -> Result<Option<String>, Refusal> {
        let request = Request { query: vec![("tagging", String::new())], ..self.request(Method::GET, key) };
        let answer = self.client.send(&request).await?;
        let unread = || Refusal::local("broken", "the object's tags can't be read".to_owned());
        let tagging = Element::read(&answer.body).ok_or_else(unread)?;
        let tags = tagging.all("TagSet").flat_map(|set| set.all("Tag"));
        Ok(tags_as_query(tags.map(|tag| (tag.text("Key"), tag.text("Value")))))
    }

    /// Put an object; gives its ETag.
    pub async fn put(&self, key: &str, body: Bytes, headers: Headers, only: &Only) -> Result<String, Refusal> {
        let mut request = self.request(Method::PUT, key);
        request.headers = headers;
        only.bind(&mut request);
        request.headers.push(("x-amz-checksum-crc32c".to_owned(), checksum(&body)));
        request.body = body;
        let answer = self.client.send(&request).await?;
        Ok(answer.header("etag").to_owned())
    }

    /// Remove an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), Refusal> {
        match self.client.send(&self.request(Method::DELETE, key)).await {
            Err(refusal) if refusal.is_missing() => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// A request about an upload.
    pub(super) fn upload_request(&self, method: Method, key: &str, query: Vec<(&'static str, String)>) -> Request {
        Request { query, ..self.request(method, key) }
    }
}

/// The first bytes of an object.
pub struct First {
    pub seen: Seen,
    pub bytes: Bytes,
    /// What the rest is to be compared with.
    pub whole: Whole,
}

/// How far down a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// To the next slash.
    OneLevel,
    /// To all keys.
    AllLevels,
}

/// Where a page of a listing begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'f> {
    /// With the first key.
    Beginning,
    /// Behind a key, whether it is there or not.
    After(&'f str),
    /// Where the page ended that gave the token.
    Token(&'f str),
}

/// Names, in lower case, and values.
pub type Headers = Vec<(String, String)>;

/// See that an answer is of the object that was asked for by its ETag: some servers ignore `If-Match` where they read.
fn is_of(answer: &Answer, etag: Option<&str>) -> Result<(), Refusal> {
    let found = answer.header("etag");
    match etag.is_some_and(|etag| !etag.is_empty() && !found.is_empty() && etag != found) {
        true => Err(Refusal::precondition()),
        false => Ok(()),
    }
}

fn seen(answer: &Answer, size_bytes: u64) -> Seen {
    Seen {
        etag: answer.header("etag").to_owned(),
        size_bytes,
        modified_ns: header_time_ns(answer.header("last-modified")).unwrap_or_default(),
        owner: answer.header(OWNER).to_owned(),
        file_modified_ns: file_time_ns(answer.header(MTIME)),
        attributes: Arc::new(ObjectAttributes { headers: attributes(answer), tags: None }),
        placement: placement(answer),
        tags: answer.header("x-amz-tagging-count").parse().ok(),
    }
}

/// Headers that another object like this one would be made with, beside those of the owner.
fn attributes(answer: &Answer) -> Headers {
    const KEPT: [&str; 5] =
        ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type"];
    let is_kept =
        |name: &str| KEPT.contains(&name) || (name.starts_with("x-amz-meta-") && ![OWNER, MTIME].contains(&name));
    let kept = answer.headers.iter().filter(|(name, _)| is_kept(name.as_str()));
    // Others' clients write metadata as it is, and that need not be ASCII.
    kept.filter_map(|(name, value)| Some((name.as_str().to_owned(), str::from_utf8(value.as_bytes()).ok()?.to_owned())))
        .collect()
}

fn placement(answer: &Answer) -> Headers {
    const NAMES: [&str; 3] =
        ["x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"];
    let said = NAMES.into_iter().map(|name| (name.to_owned(), answer.header(name).to_owned()));
    said.filter(|(_, value)| !value.is_empty()).collect()
}

/// Read seconds and their fraction.
fn file_time_ns(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(if is_negative { -nanoseconds } else { nanoseconds })
}

/// Write a time as seconds and their fraction.
pub fn file_time(time_ns: i64) -> String {
    let sign = if time_ns < 0 { "-" } else { "" };
    let time_ns = time_ns.unsigned_abs();
    format!("{sign}{}.{:09}", time_ns / 1_000_000_000, time_ns % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_file_times_come_back_as_they_were_written() {
        for time_ns in [0, 1, -1, -1_500_000_000, 1_767_323_045_006_000_007] {
            assert_eq!(file_time_ns(&file_time(time_ns)), Some(time_ns));
        }
        assert_eq!(file_time_ns("1700000000.25"), Some(1_700_000_000_250_000_000));
        assert_eq!(file_time_ns("1700000000"), Some(1_700_000_000_000_000_000));
        assert_eq!(file_time_ns("soon"), None);
    }
}
