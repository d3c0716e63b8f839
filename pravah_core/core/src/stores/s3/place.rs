//! Where objects are: `s3://bucket/prefix`, or `s3+NAME://bucket/prefix` on a connection of that name.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use percent_encoding::percent_decode_str;
use tokio::task::JoinHandle;

use super::{client::Client, connection};
use crate::{Error, Result, entry::join, stores::PREFIX};

/// A prefix of a bucket, as if it were a directory.
#[derive(Clone)]
pub struct Place {
    /// Who speaks to the server.
    pub client: Arc<Client>,
    /// The bucket's name.
    pub bucket: String,
    /// Without a slash at its end; empty for the whole bucket.
    pub prefix: String,
    /// Requests for what objects hold that were sent a second time, here and at places below.
    pub hedged: Arc<AtomicU64>,
    /// Whether an upload may be left that could not be given up, here or at places below.
    pub uploads_left: Arc<AtomicBool>,
    /// Uploads that are being given up, here or at places below; none: whoever drops one waits.
    pub ending: Option<Arc<Mutex<Vec<JoinHandle<()>>>>>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(""))
    }
}

/// Whether a URI is of a place in an object store.
pub fn is_object_uri(uri: &str) -> bool {
    uri.split_once("://").is_some_and(|(scheme, _)| scheme == "s3" || scheme.starts_with("s3+"))
}

impl Place {
    /// Read a URI.
    pub fn of(uri: &str) -> Result<Self> {
        let refused = || Error::InvalidPlan(format!("`{uri}` names no bucket"));
        let (scheme, rest) = uri.split_once("://").filter(|_| is_object_uri(uri)).ok_or_else(refused)?;
        let name = scheme.strip_prefix("s3+").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refused());
        }
        let prefix = percent_decode_str(prefix).decode_utf8().map_err(|_| refused())?;
        let prefix = prefix.strip_suffix('/').unwrap_or(&prefix).to_owned();
        let (client, bucket) = (connection::client(name)?, bucket.to_owned());
        let (hedged, uploads_left) = Default::default();
        Ok(Self { client, bucket, prefix, hedged, uploads_left, ending: None })
    }

    /// The place of a directory below this one.
    pub fn below(&self, directory: &[u8]) -> Result<Self> {
        let prefix = if directory.is_empty() { self.prefix.clone() } else { self.key(directory)? };
        Ok(Self { prefix, ..self.clone() })
    }

    /// The key of a name below this place.
    pub fn key(&self, name: &[u8]) -> Result<String> {
        let key = String::from_utf8(join(self.prefix.as_bytes(), name));
        let key = key.map_err(|_| Error::UnsupportedName("the name is not UTF-8, and keys are".to_owned()))?;
        if key.len() > KEY_BYTES {
            return Err(Error::NameTooLong { length_bytes: key.len(), limit_bytes: KEY_BYTES });
        }
        Ok(key)
    }

    /// A key below this place that nothing has, and that no listing shows as an entry.
    pub fn probe_key(&self) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        format!("{}{time}-{process}-{number}", self.probes())
    }

    /// What the keys of probes begin with.
    pub fn probes(&self) -> String {
        format!("{}_pravah/{PREFIX}probe-", self.key_prefix())
    }

    /// What all keys below this place begin with.
    pub fn key_prefix(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) }
    }

    /// Tell places apart.
    pub fn id(&self) -> (u64, u64) {
        let text = format!("{}/{}/{}", self.client.endpoint(), self.bucket, self.prefix);
        (OBJECTS, xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }

    /// The URI of something below this place, for people.
    pub fn shown(&self, name: &str) -> String {
        let path = join(self.prefix.as_bytes(), name.as_bytes());
        self.shown_key(&String::from_utf8_lossy(&path))
    }

    /// The URI of a key of the bucket, for people.
    pub fn shown_key(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

/// Why a key can't be taken for a path, if it can't: what is written under such a name would lie elsewhere.
pub fn is_no_path(relative: impl AsRef<[u8]>) -> bool {
    relative.as_ref().split(|&byte| byte == b'/').any(|part| matches!(part, b"" | b"." | b".."))
}

/// Tell the directory of a path from the name there; of a key that is no path the directory as far as it is one.
pub fn split_key(relative: &[u8]) -> (&[u8], &[u8]) {
    let is_path = !is_no_path(relative);
    let slashes = relative.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    match slashes.take_while(|&at| is_path || !is_no_path(&relative[..at])).last() {
        Some(slash) => (&relative[..slash], &relative[slash + 1..]),
        None => (b"", relative),
    }
}

/// The longest key (Amazon S3 user guide, "Naming objects").
pub const KEY_BYTES: usize = 1_024;

/// What stands for a device where places are told apart: no device number is so large.
const OBJECTS: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_keys_that_are_no_paths_are_known() {
        for key in ["a//b", "/a", "a/", "..", "a/../b", "./a", ""] {
            assert!(is_no_path(key), "{key}");
        }
        for key in ["a", "a/b", "...", "a/.b", "a b"] {
            assert!(!is_no_path(key), "{key}");
        }
    }

    #[test]
    fn test_keys_are_split_behind_the_last_directory_that_is_one() {
        for (key, parent, name) in [
            ("a", "", "a"),
            ("a/b/c.d", "a/b", "c.d"),
            ("/a", "", "/a"),
            ("a//b/c", "a", "/b/c"),
            ("a/b//", "a/b", "/"),
            ("./a", "", "./a"),
            ("a/.", "a", "."),
            ("/", "", "/"),
        ] {
            assert_eq!(split_key(key.as_bytes()), (parent.as_bytes(), name.as_bytes()), "{key}");
        }
    }

    #[test]
    fn test_uris_of_objects_are_told_by_their_scheme() {
        assert!(is_object_uri("s3://b/k") && is_object_uri("s3+lab://b"));
        assert!(!is_object_uri("file:///s3://b") && !is_object_uri("s3x://b") && !is_object_uri("null:"));
    }
}
