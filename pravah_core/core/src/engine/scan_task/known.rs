//! What an earlier attempt of a scan, which was killed, has handed over already.

use crate::{
    Result,
    entry::{Kind, join},
    manifest::Manifest,
};

/// A set of entries, 16 bytes each, whatever the lengths of their paths.
///
/// Entries are told apart by 128 bits of BLAKE3 over root and path. Among 10^9 entries two share them with a
/// probability of 10^-21, far below that of a disk that reads a wrong bit, and nobody can make two that do
/// without 2^64 work; so a hit is not looked at a second time.
#[derive(Debug, Default)]
pub struct Known {
    hashes: Vec<u128>,
    first_file: Option<Vec<u8>>,
}

impl Known {
    /// Read the manifests that were handed over.
    pub fn read(manifests: &[&[u8]]) -> Result<Self> {
        let mut known = Self::default();
        for blob in manifests {
            let manifest = Manifest::decode(blob)?;
            for index in 0..manifest.len() {
                let path = join(manifest.directory(index), manifest.name(index));
                known.hashes.push(hash(manifest.root(index), &path));
                if known.first_file.is_none() && manifest.kind(index)? == Kind::File {
                    known.first_file = Some(path);
                }
            }
        }
        known.hashes.sort_unstable();
        Ok(known)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether an entry was handed over, by its path relative to its root.
    pub fn contains(&self, root: u16, path: &[u8]) -> bool {
        !self.is_empty() && self.hashes.binary_search(&hash(root, path)).is_ok()
    }

    /// The path of one regular file among the entries, if there is one.
    pub fn first_file(&self) -> Option<&[u8]> {
        self.first_file.as_deref()
    }
}

fn hash(root: u16, path: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&root.to_le_bytes());
    hasher.update(path);
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    u128::from_le_bytes(half)
}
