//! `checksum`: digests the bytes that pass through; one record a file.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Digest as _;
use xxhash_rust::xxh3::Xxh3;

use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    parameters::{self, parse},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "checksum", describe, build };

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// What is computed. xxh3 and crc64nvme find damage; blake3 and sha256 also withstand forgery.
    #[serde(default)]
    #[schemars(extend("default" = "xxh3"))]
    algorithm: Algorithm,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Algorithm {
    /// XXH3, 64 bits, seed 0; what `xxhsum -H3` prints
    #[default]
    Xxh3,
    /// BLAKE3, 256 bits; what `b3sum` prints
    Blake3,
    /// SHA-256; what `sha256sum` prints
    Sha256,
    /// SHA-1; what `sha1sum` prints, for lists that were made with it: it does not withstand forgery
    Sha1,
    /// MD5; what `md5sum` prints, for lists that were made with it: it does not withstand forgery
    Md5,
    /// CRC-64/NVME, 64 bits; the checksum that S3 keeps of objects
    Crc64nvme,
}

struct Checksum(Algorithm);

struct ChecksumStep {
    algorithm: Algorithm,
    digest: Digest,
    size_bytes: u64,
    record: Option<Event>,
    passing: Option<Event>,
}

/// A digest under way.
enum Digest {
    Xxh3(Box<Xxh3>),
    Blake3(Box<blake3::Hasher>),
    Sha256(sha2::Sha256),
    Sha1(sha1::Sha1),
    Md5(md5::Md5),
    Crc64Nvme(crc_fast::Digest),
}

fn describe() -> Descriptor {
    Descriptor {
        name: "checksum",
        version: 1,
        summary: "compute a checksum of each file",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: Some("algorithm"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            example("checksum", "gives the XXH3 of each file", Map::new(), "xxh3", "78af5f94892f3950"),
            example(
                "checksum:sha256",
                "gives what `sha256sum` prints",
                Map::from_iter([("algorithm".to_owned(), json!("sha256"))]),
                "sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            example(
                "checksum:md5",
                "gives what `md5sum` prints",
                Map::from_iter([("algorithm".to_owned(), json!("md5"))]),
                "md5",
                "900150983cd24fb0d6963f7d28e17f72",
            ),
            example(
                "checksum:sha1",
                "gives what `sha1sum` prints",
                Map::from_iter([("algorithm".to_owned(), json!("sha1"))]),
                "sha1",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
        ],
    }
}

/// An example whose file is `abc`, the usual test vector.
fn example(
    step: &'static str,
    explains: &'static str,
    params: Map<String, Value>,
    algorithm: &str,
    checksum: &str,
) -> Example {
    let record = json!({"algorithm": algorithm, "checksum": checksum, "size_bytes": 3});
    let expected = Expected::File { name: "abc.txt", content: Sample::Text("abc"), records: vec![record] };
    Example { step, params, explains, name: "abc.txt", input: Sample::Text("abc"), expected }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { algorithm } = parse(NATIVE.name, params)?;
    Ok(Box::new(Checksum(algorithm)))
}

impl Processor for Checksum {
    fn need(&self, _size_bytes: u64) -> u64 {
        // The largest state is that of BLAKE3, just below 2 kB.
        2 << 10
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        let digest = Digest::new(self.0);
        Ok(Box::new(ChecksumStep { algorithm: self.0, digest, size_bytes: 0, record: None, passing: None }))
    }
}

impl Step for ChecksumStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Bytes(bytes) => {
                self.digest.update(bytes);
                self.size_bytes += bytes.len() as u64;
            }
            Event::End => self.record = Some(self.record()),
            _ => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.record.take().or_else(|| self.passing.take()))
    }
}

impl ChecksumStep {
    fn record(&self) -> Event {
        Event::Record(Map::from_iter([
            ("algorithm".to_owned(), json!(self.algorithm.name())),
            ("checksum".to_owned(), json!(self.digest.hex())),
            ("size_bytes".to_owned(), json!(self.size_bytes)),
        ]))
    }
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Xxh3 => "xxh3",
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
            Self::Crc64nvme => "crc64nvme",
        }
    }
}

impl Digest {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Xxh3 => Self::Xxh3(Box::default()),
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Crc64nvme => Self::Crc64Nvme(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)),
        }
    }

    fn update(&mut self, bytes: &Bytes) {
        match self {
            Self::Xxh3(digest) => digest.update(bytes),
            Self::Blake3(digest) => {
                digest.update(bytes);
            }
            Self::Sha256(digest) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Md5(digest) => digest.update(bytes),
            Self::Crc64Nvme(digest) => digest.update(bytes),
        }
    }

    /// Lower-case hexadecimal of what has been digested so far.
    fn hex(&self) -> String {
        match self {
            Self::Xxh3(digest) => format!("{:016x}", digest.digest()),
            Self::Blake3(digest) => digest.finalize().to_hex().to_string(),
            Self::Sha256(digest) => hex(&digest.clone().finalize()),
            Self::Sha1(digest) => hex(&digest.clone().finalize()),
            Self::Md5(digest) => hex(&digest.clone().finalize()),
            Self::Crc64Nvme(digest) => format!("{:016x}", digest.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(algorithm: Algorithm, pieces: &[&'static [u8]]) -> String {
        let mut digest = Digest::new(algorithm);
        pieces.iter().for_each(|piece| digest.update(&Bytes::from_static(piece)));
        digest.hex()
    }

    #[test]
    fn test_checksum_of_check_values_is_as_published() {
        // CRC catalogue (reveng): CRC-64/NVME of "123456789"; XXH3, BLAKE3 and SHA-256 of nothing.
        assert_eq!(hex(Algorithm::Crc64nvme, &[b"123456789"]), "ae8b14860a799888");
        assert_eq!(hex(Algorithm::Xxh3, &[]), "2d06800538d394c2");
        assert_eq!(hex(Algorithm::Blake3, &[]), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!(hex(Algorithm::Sha256, &[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn test_checksum_does_not_depend_on_pieces() {
        for algorithm in [Algorithm::Xxh3, Algorithm::Blake3, Algorithm::Sha256, Algorithm::Crc64nvme] {
            assert_eq!(hex(algorithm, &[b"Pra", b"", b"vah"]), hex(algorithm, &[b"Pravah"]));
        }
    }
}
