//! What was published from which source: the memory behind `overwrite: changed`.
//!
//! Kept per directory of outputs, apart from jobs, so that a later job over the same source and sink knows what
//! is Pravah's own and still current. A directory may have several blobs; later ones win. However many outputs it
//! has, nobody needs all of them at once: a task gets what concerns its entries ([`Concerning`]), and a job's end puts
//! small blobs together and drops what later ones know better ([`Later`], [`merge`]).

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use arrow_array::{
    Array, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch, UInt8Array, UInt32Array, UInt64Array,
    builder::{BinaryBuilder, Int64Builder, StringDictionaryBuilder, UInt8Builder, UInt32Builder, UInt64Builder},
    cast::AsArray,
    types::{Int32Type, Int64Type, UInt8Type, UInt32Type, UInt64Type},
};
use arrow_schema::ArrowError;

use crate::{
    Error, Result,
    manifest::{Manifest, column, decode, encode},
    outcome::{Identity, SourceFingerprint},
    plan::Plan,
};

/// What is remembered of one published output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Which entry it was made from (see [`entry_key`]); none: remembered before that was.
    pub entry: Option<u64>,
    /// Steps, versions and parameters that made it.
    pub pipeline_hash: Arc<str>,
    /// The source as it was read.
    pub source: SourceFingerprint,
    /// The source was too young when it was read: its times prove nothing.
    pub racy: bool,
    /// What was published.
    pub output: Identity,
    /// How many outputs were made together with it, where a step makes several.
    pub parts: Option<u32>,
}

/// Tell a source's path from that of another one whose output has the same name: 64 bits of BLAKE3, as each is
/// compared with one other only.
pub fn entry_key(source_path: &[u8]) -> u64 {
    let mut key = [0; 8];
    blake3::Hasher::new().update(source_path).finalize_xof().fill(&mut key);
    u64::from_le_bytes(key)
}

/// Encode what is remembered of one directory, by name of the output.
pub fn encode_memories<'m>(memories: impl IntoIterator<Item = (&'m [u8], &'m Memory)>) -> Result<Vec<u8>> {
    let mut name = BinaryBuilder::new();
    let mut hash = StringDictionaryBuilder::<Int32Type>::new();
    let mut racy = UInt8Builder::new();
    let mut entry = UInt64Builder::new();
    let mut parts = UInt32Builder::new();
    let mut unsigned: [UInt64Builder; 5] = Default::default();
    let mut signed: [Int64Builder; 4] = Default::default();
    for (key, memory) in memories {
        name.append_value(key);
        hash.append_value(&memory.pipeline_hash);
        racy.append_value(u8::from(memory.racy));
        entry.append_option(memory.entry);
        parts.append_option(memory.parts);
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
        ("entry", Arc::new(entry.finish())),
        ("parts", Arc::new(parts.finish())),
    ];
    for (column, builder) in UNSIGNED.iter().zip(&mut unsigned) {
        columns.push((column, Arc::new(builder.finish())));
    }
    for (column, builder) in SIGNED.iter().zip(&mut signed) {
        columns.push((column, Arc::new(builder.finish())));
    }
    encode(&RecordBatch::try_from_iter(columns).map_err(damaged)?)
}

/// Decode a directory's blobs, oldest first; later ones win.
pub fn decode_memories<'b>(blobs: impl IntoIterator<Item = &'b [u8]>) -> Result<HashMap<Vec<u8>, Memory>> {
    let mut memories = HashMap::new();
    for blob in blobs {
        let batch = decode("fingerprints", blob)?;
        let columns = Columns::of(&batch)?;
        memories.extend((0..batch.num_rows()).map(|at| columns.memory(at)));
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

/// Which memories concern a task: those of its entries, of a directory that may have millions of outputs.
pub struct Concerning {
    /// By the keys of their entries; none: all, as outputs are made of several entries, or several of one.
    entries: Option<HashSet<u64>>,
    /// By their own names, too, where outputs take the places of entries and are entries the next time.
    names: HashSet<Vec<u8>>,
}

impl Concerning {
    /// Those of a manifest's entries.
    pub fn of(plan: &Plan, manifest: &[u8]) -> Result<Self> {
        if plan.reduces() || plan.expands() {
            return Ok(Self { entries: None, names: HashSet::new() });
        }
        let manifest = Manifest::decode(manifest)?;
        let all = 0..manifest.len();
        let path = |at| plan.source_path(manifest.root(at), manifest.directory(at), manifest.name(at));
        Ok(Self {
            entries: Some(all.clone().map(|at| entry_key(&path(at))).collect()),
            names: all.filter(|_| plan.in_place).map(|at| manifest.name(at).to_vec()).collect(),
        })
    }

    /// The part of a blob that concerns them; empty: nothing in it does.
    pub fn part(&self, blob: &[u8]) -> Result<Vec<u8>> {
        let Some(entries) = &self.entries else { return Ok(blob.to_vec()) };
        let batch = decode("fingerprints", blob)?;
        let Some(keys) = batch.column_by_name("entry") else { return Ok(blob.to_vec()) };
        let (keys, names) = (keys.as_primitive::<UInt64Type>(), column(&batch, "name")?.as_binary::<i32>());
        let by_entry = |key: Option<u64>| key.is_none_or(|key| entries.contains(&key));
        kept(
            blob,
            &batch,
            (0..names.len())
                .map(|at| by_entry(keys.is_valid(at).then(|| keys.value(at))) || self.names.contains(names.value(at))),
        )
    }
}

/// Names in a directory of outputs that later blobs remember: what earlier ones say of them is worth nothing.
#[derive(Default)]
pub struct Later {
    /// By 64 bits of a hash: 10 million names take 150 MB. Two that meet cost one of them its memory, no more.
    names: HashSet<u64>,
    hasher: RandomState,
}

impl Later {
    /// What a blob remembers of other names than those after it; empty: nothing. Blobs come the latest first.
    pub fn rest(&mut self, blob: &[u8]) -> Result<Vec<u8>> {
        let batch = decode("fingerprints", blob)?;
        let names = column(&batch, "name")?.as_binary::<i32>();
        let mut is_new = vec![false; names.len()];
        for at in (0..names.len()).rev() {
            is_new[at] = self.names.insert(self.hasher.hash_one(names.value(at)));
        }
        kept(blob, &batch, is_new.into_iter())
    }
}

/// The rows of a blob that are to be kept, as a blob; empty: none is.
fn kept(blob: &[u8], batch: &RecordBatch, keep: impl Iterator<Item = bool>) -> Result<Vec<u8>> {
    let keep: BooleanArray = keep.map(Some).collect();
    match keep.true_count() {
        0 => Ok(Vec::new()),
        count if count == batch.num_rows() => Ok(blob.to_vec()),
        _ => encode(&arrow_select::filter::filter_record_batch(batch, &keep).map_err(damaged)?),
    }
}

/// The columns of a blob, looked up once: a large directory has as many rows as files.
struct Columns<'b> {
    name: &'b BinaryArray,
    hash: &'b Int32Array,
    hashes: Vec<Arc<str>>,
    racy: &'b UInt8Array,
    entry: Option<&'b UInt64Array>,
    parts: Option<&'b UInt32Array>,
    unsigned: [&'b UInt64Array; 5],
    signed: [&'b Int64Array; 4],
}

impl<'b> Columns<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Self> {
        let unsigned = |name| -> Result<_> { Ok(column(batch, name)?.as_primitive::<UInt64Type>()) };
        let signed = |name| -> Result<_> { Ok(column(batch, name)?.as_primitive::<Int64Type>()) };
        let hash = column(batch, "pipeline_hash")?.as_dictionary::<Int32Type>();
        let [size, inode, device, output_inode, output_size] = UNSIGNED;
        let [modified, changed, output_modified, born] = SIGNED;
        Ok(Self {
            name: column(batch, "name")?.as_binary(),
            hash: hash.keys(),
            hashes: hash.values().as_string::<i32>().iter().map(|hash| hash.unwrap_or_default().into()).collect(),
            racy: column(batch, "racy")?.as_primitive::<UInt8Type>(),
            entry: batch.column_by_name("entry").map(|array| array.as_primitive::<UInt64Type>()),
            parts: batch.column_by_name("parts").map(|array| array.as_primitive::<UInt32Type>()),
            unsigned: [
                unsigned(size)?,
                unsigned(inode)?,
                unsigned(device)?,
                unsigned(output_inode)?,
                unsigned(output_size)?,
            ],
            signed: [signed(modified)?, signed(changed)?, signed(output_modified)?, signed(born)?],
        })
    }

    fn memory(&self, at: usize) -> (Vec<u8>, Memory) {
        let [size_bytes, inode, device, output_inode, output_size_bytes] = self.unsigned.map(|array| array.value(at));
        let [modified_ns, changed_ns, output_modified_ns, born_ns] = self.signed.map(|array| array.value(at));
        let memory = Memory {
            entry: self.entry.filter(|array| array.is_valid(at)).map(|array| array.value(at)),
            pipeline_hash: Arc::clone(&self.hashes[self.hash.value(at) as usize]),
            source: SourceFingerprint { size_bytes, modified_ns, changed_ns, inode },
            racy: self.racy.value(at) == 1,
            output: Identity {
                device,
                inode: output_inode,
                size_bytes: output_size_bytes,
                modified_ns: output_modified_ns,
                born_ns,
            },
            parts: self.parts.filter(|array| array.is_valid(at)).map(|array| array.value(at)),
        };
        (self.name.value(at).to_vec(), memory)
    }
}

fn damaged(error: ArrowError) -> Error {
    Error::DamagedBlob { what: "fingerprints", message: error.to_string() }
}

const UNSIGNED: [&str; 5] = ["source_size", "source_inode", "device", "inode", "size"];
const SIGNED: [&str; 4] = ["source_modified", "source_changed", "modified", "born"];

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(size_bytes: u64) -> Memory {
        Memory {
            entry: (size_bytes != 2).then_some(size_bytes + 1),
            pipeline_hash: "abc".into(),
            source: SourceFingerprint { size_bytes, modified_ns: -1, changed_ns: 2, inode: 3 },
            racy: size_bytes == 1,
            output: Identity { device: 4, inode: 5, size_bytes: 6, modified_ns: 7, born_ns: 8 },
            parts: (size_bytes == 9).then_some(3),
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

    #[test]
    fn rest_of_an_earlier_blob_is_what_later_ones_do_not_know() {
        let older = encode_memories([(b"a".as_slice(), &memory(1)), (b"b", &memory(2)), (b"b", &memory(3))]);
        let newer = encode_memories([(b"a".as_slice(), &memory(9))]).expect("encodes");
        let older = older.expect("encodes");
        let mut later = Later::default();
        assert_eq!(later.rest(&newer).expect("reads"), newer);
        let rest = later.rest(&older).expect("reads");
        assert_eq!(decode_memories([rest.as_slice()]).expect("decodes"), [(b"b".to_vec(), memory(3))].into());
        assert_eq!(later.rest(&older).expect("reads"), b"");
    }

    #[test]
    fn part_of_a_blob_is_what_was_made_of_the_entries_or_of_nobody_knows_which() {
        let blob = encode_memories([(b"a".as_slice(), &memory(1)), (b"b", &memory(2)), (b"c", &memory(3))]);
        let blob = blob.expect("encodes");
        let of = |keys: &[u64]| Concerning { entries: Some(keys.iter().copied().collect()), names: HashSet::new() };
        let names = |part: &[u8]| {
            let memories = decode_memories([part]).expect("decodes");
            let mut names: Vec<_> = memories.into_keys().collect();
            names.sort();
            names.concat()
        };
        assert_eq!(names(&of(&[4]).part(&blob).expect("reads")), b"bc");
        assert_eq!(of(&[2, 4]).part(&blob).expect("reads"), blob);
        let known = encode_memories([(b"a".as_slice(), &memory(1))]).expect("encodes");
        assert_eq!(of(&[4]).part(&known).expect("reads"), b"");
        let all = Concerning { entries: None, names: HashSet::new() };
        assert_eq!(all.part(&known).expect("reads"), known);
        let in_place = Concerning { entries: Some(HashSet::new()), names: [b"a".to_vec()].into() };
        assert_eq!(in_place.part(&known).expect("reads"), known);
    }
}
