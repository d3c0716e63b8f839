//! Checksums of objects, as headers tell them: sent with what is put, compared with what comes.

use base64::{Engine, prelude::BASE64_STANDARD};
use crc_fast::{CrcAlgorithm, Digest};
use tokio::task::JoinHandle;

use super::{
    client::Answer,
    refusal::{DAMAGED, Refusal},
};

/// Has a server tell what it knows of a whole object; of a range nobody knows anything.
pub const ASKED: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

/// What may be told, and is quick to compute; that which Amazon adds by itself comes first.
const TOLD: [(&str, &str, CrcAlgorithm); 3] = [
    ("crc64nvme", "x-amz-checksum-crc64nvme", CrcAlgorithm::Crc64Nvme),
    ("crc32c", "x-amz-checksum-crc32c", CrcAlgorithm::Crc32Iscsi),
    ("crc32", "x-amz-checksum-crc32", CrcAlgorithm::Crc32IsoHdlc),
];

/// The CRC32C of some bytes, as headers have it.
pub fn checksum(bytes: &[u8]) -> String {
    written(CrcAlgorithm::Crc32Iscsi, crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// What is known of a whole object that is read.
pub enum Whole {
    /// Nobody has asked: a range of it came, and servers tell nothing with that.
    NotAsked,
    /// What was asked is on its way.
    Asked(JoinHandle<Result<Vec<Told>, Refusal>>),
    /// What the server tells; none: nothing that what comes could be compared with, or that is done.
    Told(Option<Box<Comparing>>),
}

/// What a server tells of a whole object.
#[derive(Debug, Clone)]
pub struct Told {
    /// What the checksum is called: `crc64nvme`.
    pub name: &'static str,
    /// The checksum, in base64.
    pub value: String,
    algorithm: CrcAlgorithm,
}

impl Told {
    /// All that is told.
    pub fn all(answer: &Answer) -> Vec<Self> {
        let told = TOLD.into_iter().map(|(name, header, algorithm)| {
            let value = answer.header(header).to_owned();
            Self { name, value, algorithm }
        });
        // One that is made of the checksums of parts tells nothing without their borders.
        told.filter(|told| !told.value.is_empty() && !told.value.contains('-')).collect()
    }

    /// Begin to compute the same of other bytes.
    pub fn begin(&self) -> Sum {
        Sum { algorithm: self.algorithm, digest: Digest::new(self.algorithm) }
    }
}

/// A checksum of the bytes that have come so far.
pub struct Sum {
    algorithm: CrcAlgorithm,
    digest: Digest,
}

impl Sum {
    /// Take the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum, in base64.
    pub fn value(&self) -> String {
        written(self.algorithm, self.digest.finalize())
    }
}

/// What a server tells of a whole object, and the checksum of what has come of it so far.
pub struct Comparing {
    told: Told,
    sum: Sum,
}

impl Comparing {
    /// Begin with the first that is told; none: nothing is by which the whole could be known.
    pub fn begin(told: Vec<Told>) -> Option<Self> {
        let told = told.into_iter().next()?;
        Some(Self { sum: told.begin(), told })
    }

    /// Begin with these bytes.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        self.add(bytes);
        self
    }

    /// Take the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.sum.add(bytes);
    }

    /// Compare, now that all bytes have come.
    pub fn end(&self) -> Result<(), Refusal> {
        let (Told { name, value, .. }, came) = (&self.told, self.sum.value());
        match came == *value {
            true => Ok(()),
            false => Err(Refusal::local(DAMAGED, format!("its {name} is {value}, that of what came {came}"))),
        }
    }
}

fn written(algorithm: CrcAlgorithm, crc: u64) -> String {
    match algorithm {
        CrcAlgorithm::Crc64Nvme => BASE64_STANDARD.encode(crc.to_be_bytes()),
        _ => BASE64_STANDARD.encode(u32::try_from(crc).unwrap_or_default().to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn told(header: &'static str, value: &'static str) -> Vec<Told> {
        let headers = HeaderMap::from_iter([(header.parse().expect("a name"), value.parse().expect("a value"))]);
        Told::all(&Answer { headers, body: bytes::Bytes::new(), tries: 1 })
    }

    #[test]
    fn test_checksum_is_crc32c_in_base64() {
        assert_eq!(checksum(b"123456789"), "4waSgw=="); // E3069283, RFC 3720's check value
    }

    #[test]
    fn test_bytes_in_pieces_are_compared_with_what_is_told_of_the_whole() {
        // Check values of the catalogue of parametrised CRC algorithms, in base64.
        for (header, value) in [
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
            ("x-amz-checksum-crc32c", "4waSgw=="),
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ] {
            let mut comparing = Comparing::begin(told(header, value)).expect("is told");
            comparing.add(b"1234");
            assert_eq!(comparing.end().expect_err("is not all").code, DAMAGED);
            comparing.add(b"56789");
            comparing.end().expect("is the same");
        }
    }

    #[test]
    fn test_checksum_of_parts_checksums_is_no_checksum_of_the_whole() {
        assert!(Comparing::begin(told("x-amz-checksum-crc32c", "4waSgw==-3")).is_none());
        assert!(Comparing::begin(told("x-amz-checksum-sha256", "4waSgw==")).is_none());
    }
}
