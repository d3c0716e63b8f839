//! What has been handed over already of directories that were emitted in part.

use crate::{Result, entry::join, manifest::Manifest, pipeline::Pipeline};

/// A set of entries, 16 bytes each, whatever the lengths of their paths.
///
/// Entries are told apart by 128 bits of BLAKE3 over root and path. Among 10^9 entries two share them with a
/// probability of 10^-21, far below that of a disk that reads a wrong bit, and nobody can make two that do
/// without 2^64 work; so a hit is not looked at a second time.
#[derive(Debug, Default)]
pub struct Known {
    hashes: Vec<u128>,
}

impl Known {
    /// Read the manifests that were handed over; with a pipeline, the names of its outputs beside them are known, too.
    pub fn read(manifests: &[&[u8]], outputs_of: Option<&Pipeline>) -> Result<Self> {
        let mut known = Self::default();
        for blob in manifests {
            let manifest = Manifest::decode(blob)?;
            for index in 0..manifest.len() {
                let path = join(manifest.directory(index), manifest.name(index));
                known.hashes.push(hash(manifest.root(index), &path));
                if let Some(pipeline) = outputs_of {
                    let output = join(manifest.directory(index), &pipeline.output_name(manifest.name(index)));
                    known.hashes.push(hash(manifest.root(index), &output));
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
}

fn hash(root: u16, path: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&root.to_le_bytes());
    hasher.update(path);
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    u128::from_le_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entry::{Entry, Kind},
        manifest::ManifestBuilder,
        naming::Naming,
        plan::StepConfig,
    };

    #[test]
    fn read_in_place_knows_the_outputs_beside_their_sources() {
        let (directory, name) = (b"d".to_vec(), b"a".to_vec());
        let (root, kind, naming) = (0, Kind::File, Naming::default());
        let entry = Entry { root, directory, name, kind, size_bytes: 0, modified_ns: 0, problem: None, naming };
        let mut builder = ManifestBuilder::default();
        builder.push(&entry).expect("pushes");
        let manifest = builder.finish().expect("encodes");
        let step = StepConfig { name: "compress".into(), params: serde_json::Map::new() };
        let pipeline = Pipeline::new(&[step]).expect("builds");
        let known = |outputs_of| Known::read(&[&manifest], outputs_of).expect("reads");
        assert!(known(None).contains(0, b"d/a") && !known(None).contains(0, b"d/a.zst"));
        assert!(known(Some(&pipeline)).contains(0, b"d/a") && known(Some(&pipeline)).contains(0, b"d/a.zst"));
    }
}
