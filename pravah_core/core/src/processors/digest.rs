//! Checksums under way, shared by the steps that compute them.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use xxhash_rust::xxh3::Xxh3;

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
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

/// A digest under way.
pub enum Digest {
    Xxh3(Box<Xxh3>),
    Blake3(Box<blake3::Hasher>),
    Sha256(sha2::Sha256),
    Sha1(sha1::Sha1),
    Md5(md5::Md5),
    Crc64Nvme(crc_fast::Digest),
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] = [Self::Xxh3, Self::Blake3, Self::Sha256, Self::Sha1, Self::Md5, Self::Crc64nvme];

    /// Bytes of a checksum.
    pub fn length_bytes(self) -> usize {
        match self {
            Self::Xxh3 | Self::Crc64nvme => 8,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Blake3 | Self::Sha256 => 32,
        }
    }

    /// The name in parameters and records.
    pub fn name(self) -> &'static str {
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
    /// Begin.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Xxh3 => Self::Xxh3(Box::default()),
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Crc64nvme => Self::Crc64Nvme(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)),
        }
    }

    /// Take the next bytes.
    pub fn update(&mut self, bytes: &Bytes) {
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
    pub fn hex(&self) -> String {
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
    fn test_length_of_each_algorithm_is_that_of_its_checksum() {
        for algorithm in Algorithm::ALL {
            assert_eq!(hex(algorithm, &[b"x"]).len(), 2 * algorithm.length_bytes(), "{}", algorithm.name());
        }
    }

    #[test]
    fn test_checksum_does_not_depend_on_pieces() {
        for algorithm in [Algorithm::Xxh3, Algorithm::Blake3, Algorithm::Sha256, Algorithm::Crc64nvme] {
            assert_eq!(hex(algorithm, &[b"Pra", b"", b"vah"]), hex(algorithm, &[b"Pravah"]));
        }
    }
}
