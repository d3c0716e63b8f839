//! What was published from which source: the memory behind `overwrite: changed`.
//!
//! Kept per directory of outputs, apart from jobs, so that a later job over the same source and sink knows what
//! is Pravah's own and still current. A directory may have several blobs; later ones win.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    Array, RecordBatch,
    builder::{BinaryBuilder, Int64Builder, StringDictionaryBuilder, UInt8Builder, UInt64Builder},
    cast::AsArray,
    types::{Int32Type, Int64Type, UInt8Type, UInt64Type},
};

use crate::{
    Error, Result,
    manifest::{column, decode, encode},
    outcome::{Identity, SourceFingerprint},
};

/// What is remembered of one published output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Steps, versions and parameters that made it.
    pub pipeline_hash: String,
    /// The source as it was read.
    pub source: SourceFingerprint,
    /// The source was too young when it was read: its times prove nothing.
    pub racy: bool,
    /// What was published.
    pub output: Identity,
}

/// Encode what is remembered of one directory, by name of the output.
pub fn encode_memories<'m>(memories: impl IntoIterator<Item = (&'m [u8], &'m Memory)>) -> Result<Vec<u8>> {
    let mut name = BinaryBuilder::new();
    let mut hash = StringDictionaryBuilder::<Int32Type>::new();
    let mut racy = UInt8Builder::new();
    let mut unsigned: [UInt64Builder; 5] = Default::default();
    let mut signed: [Int64Builder; 4] = Default::default();
    for (key, memory) in memories {
        name.append_value(key);
        hash.append_value(&memory.pipeline_hash);
        racy.append_value(u8::from(memory.racy));
        let output = &memory.output;
        let values = [memory.source.size_bytes, memory.source.inode, output.device, output.inode, output.size_bytes];
        unsigned.iter_mut().zip(values).for_each(|(builder, value)| builder.append_value(value));
        let values = [memory.source.modified_ns, memory.source.changed_ns, output.modified_ns, output.born_ns];
        signed.iter_mut().zip(values).for_each(|(builder, value)| builder.append_value(value));
    }
    let mut columns: Vec<(&str, Arc<dyn Array>)> = vec![
        ("name", Arc::new(name.finish())),
        ("pipeline_hash", Arc::new(hash.finish())),
        ("racy", Arc::new(racy.finish())),
    ];
    for (column, builder) in UNSIGNED.iter().zip(&mut unsigned) {
        columns.push((column, Arc::new(builder.finish())));
    }
    for (column, builder) in SIGNED.iter().zip(&mut signed) {
        columns.push((column, Arc::new(builder.finish())));
    }
    let batch = RecordBatch::try_from_iter(columns)
        .map_err(|error| Error::DamagedBlob { what: "fingerprints", message: error.to_string() })?;
    encode(&batch)
}

/// Decode a directory's blobs, oldest first; later ones win.
pub fn decode_memories<'b>(blobs: impl IntoIterator<Item = &'b [u8]>) -> Result<HashMap<Vec<u8>, Memory>> {
    let mut memories = HashMap::new();
    for blob in blobs {
        let batch = decode("fingerprints", blob)?;
        for at in 0..batch.num_rows() {
            let (name, memory) = memory(&batch, at)?;
            memories.insert(name, memory);
        }
    }
    Ok(memories)
}

/// Put a directory's blobs, oldest first, together into one.
pub fn merge(blobs: &[&[u8]]) -> Result<Vec<u8>> {
    let memories = decode_memories(blobs.iter().copied())?;
    let mut sorted: Vec<_> = memories.iter().map(|(name, memory)| (name.as_slice(), memory)).collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    encode_memories(sorted)
}

fn memory(batch: &RecordBatch, at: usize) -> Result<(Vec<u8>, Memory)> {
    let unsigned = |name| -> Result<u64> { Ok(column(batch, name)?.as_primitive::<UInt64Type>().value(at)) };
    let signed = |name| -> Result<i64> { Ok(column(batch, name)?.as_primitive::<Int64Type>().value(at)) };
    let hashes = column(batch, "pipeline_hash")?.as_dictionary::<Int32Type>();
    let hash = hashes.values().as_string::<i32>().value(hashes.key(at).unwrap_or_default());
    let memory = Memory {
        pipeline_hash: hash.to_owned(),
        source: SourceFingerprint {
            size_bytes: unsigned("source_size")?,
            modified_ns: signed("source_modified")?,
            changed_ns: signed("source_changed")?,
            inode: unsigned("source_inode")?,
        },
        racy: column(batch, "racy")?.as_primitive::<UInt8Type>().value(at) == 1,
        output: Identity {
            device: unsigned("device")?,
            inode: unsigned("inode")?,
            size_bytes: unsigned("size")?,
            modified_ns: signed("modified")?,
            born_ns: signed("born")?,
        },
    };
    Ok((column(batch, "name")?.as_binary::<i32>().value(at).to_vec(), memory))
}

const UNSIGNED: [&str; 5] = ["source_size", "source_inode", "device", "inode", "size"];
const SIGNED: [&str; 4] = ["source_modified", "source_changed", "modified", "born"];

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(size_bytes: u64) -> Memory {
        Memory {
            pipeline_hash: "abc".into(),
            source: SourceFingerprint { size_bytes, modified_ns: -1, changed_ns: 2, inode: 3 },
            racy: size_bytes == 1,
            output: Identity { device: 4, inode: 5, size_bytes: 6, modified_ns: 7, born_ns: 8 },
        }
    }

    #[test]
    fn merge_of_two_blobs_keeps_the_later_memory() {
        let older = encode_memories([(b"a".as_slice(), &memory(1)), (b"b\xff", &memory(2))]).expect("encodes");
        let newer = encode_memories([(b"a".as_slice(), &memory(9))]).expect("encodes");
        let merged = merge(&[&older, &newer]).expect("merges");
        let memories = decode_memories([merged.as_slice()]).expect("decodes");
        assert_eq!(memories.len(), 2);
        assert_eq!(memories[b"a".as_slice()], memory(9));
        assert_eq!(memories[b"b\xff".as_slice()], memory(2));
    }
}
