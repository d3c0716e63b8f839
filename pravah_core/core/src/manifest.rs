//! Manifests: the immutable list of a task's entries, as one compressed Arrow blob.
//!
//! Columns: `root` u16, `directory` (dictionary of bytes), `name` bytes, `kind` u8, `size` u64, `modified` i64,
//! and `problem_kind`, `problem_message` where the scan already reached a verdict; where something was decided about
//! names, `keeps_extension` u8 and `ordinal` u64. An Arrow IPC stream inside one zstd frame; about 15 bytes an entry,
//! as names and times of one directory are alike.
//!
//! A manifest never changes. What is decided about names when everything is listed is a blob of its own
//! ([`Verdicts`]); the ledger hands it out right behind the manifest, and who decodes that sees both.

use std::{collections::HashMap, io::Cursor, sync::Arc};

use arrow_array::{
    Array, BinaryArray, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt8Array, UInt16Array, UInt64Array,
    builder::{
        BinaryBuilder, BinaryDictionaryBuilder, Int64Builder, StringBuilder, UInt8Builder, UInt16Builder, UInt64Builder,
    },
    cast::AsArray,
    types::Int32Type,
};
use arrow_ipc::{reader::StreamReader, writer::StreamWriter};
use arrow_schema::{ArrowError, Schema};

use crate::{
    Error, Result,
    entry::{Entry, Kind, Problem},
    naming::{Named, Naming, part::FIRST_PART, verdicts::Verdicts},
};

/// Gathers entries, then encodes them.
#[derive(Default)]
pub struct ManifestBuilder {
    root: UInt16Builder,
    directory: BinaryDictionaryBuilder<Int32Type>,
    name: BinaryBuilder,
    kind: UInt8Builder,
    size: UInt64Builder,
    modified: Int64Builder,
    problem_kind: StringBuilder,
    problem_message: StringBuilder,
    keeps_extension: UInt8Builder,
    ordinal: UInt64Builder,
    /// Whether anything was decided about names: most manifests do without these columns.
    names_decided: bool,
    size_bytes: u64,
}

impl ManifestBuilder {
    /// Add an entry. Entries of one directory should follow each other: blobs are smaller and tasks faster.
    pub fn push(&mut self, entry: &Entry) -> Result<()> {
        self.root.append_value(entry.root);
        self.directory.append(&entry.directory).map_err(damaged)?;
        self.name.append_value(&entry.name);
        self.kind.append_value(entry.kind as u8);
        self.size.append_value(entry.size_bytes);
        self.modified.append_value(entry.modified_ns);
        self.problem_kind.append_option(entry.problem.as_ref().map(|problem| &problem.kind));
        self.problem_message.append_option(entry.problem.as_ref().map(|problem| &problem.message));
        self.keeps_extension.append_value(u8::from(entry.naming.keeps_extension));
        self.ordinal.append_option(entry.naming.ordinal);
        self.names_decided |= entry.naming != Naming::default();
        self.size_bytes += entry.size_bytes;
        Ok(())
    }

    /// Entries so far.
    pub fn len(&self) -> usize {
        self.kind.values_slice().len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sum of the entries' sizes, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Encode the entries and start anew.
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        self.size_bytes = 0;
        let (kept, ordinal) = (self.keeps_extension.finish(), self.ordinal.finish());
        let mut columns: Vec<(&str, Arc<dyn Array>)> = vec![
            ("root", Arc::new(self.root.finish())),
            ("directory", Arc::new(self.directory.finish())),
            ("name", Arc::new(self.name.finish())),
            ("kind", Arc::new(self.kind.finish())),
            ("size", Arc::new(self.size.finish())),
            ("modified", Arc::new(self.modified.finish())),
            ("problem_kind", Arc::new(self.problem_kind.finish())),
            ("problem_message", Arc::new(self.problem_message.finish())),
        ];
        if std::mem::take(&mut self.names_decided) {
            columns.extend([("keeps_extension", Arc::new(kept) as Arc<dyn Array>), ("ordinal", Arc::new(ordinal))]);
        }
        encode(&RecordBatch::try_from_iter(columns).map_err(damaged)?)
    }
}

/// A decoded manifest.
pub struct Manifest {
    root: UInt16Array,
    directory: DictionaryArray<Int32Type>,
    directories: BinaryArray,
    name: BinaryArray,
    kind: UInt8Array,
    size: UInt64Array,
    modified: Int64Array,
    problem_kind: StringArray,
    problem_message: StringArray,
    naming: Option<(UInt8Array, UInt64Array)>,
    verdicts: Verdicts,
}

impl Manifest {
    /// Decode a blob that [`ManifestBuilder::finish`] made, perhaps with verdicts behind it.
    pub fn decode(blob: &[u8]) -> Result<Self> {
        let batches = decode_all("manifest", blob)?;
        let batch = batches.first().ok_or_else(|| missing_column("root"))?.clone();
        let naming = match (batch.column_by_name("keeps_extension"), batch.column_by_name("ordinal")) {
            (Some(kept), Some(ordinal)) => Some((kept.as_primitive().clone(), ordinal.as_primitive().clone())),
            _ => None,
        };
        let directory = column(&batch, "directory")?.as_dictionary::<Int32Type>().clone();
        let directories = directory.values().as_binary::<i32>().clone();
        Ok(Self {
            root: column(&batch, "root")?.as_primitive().clone(),
            directory,
            directories,
            name: column(&batch, "name")?.as_binary().clone(),
            kind: column(&batch, "kind")?.as_primitive().clone(),
            size: column(&batch, "size")?.as_primitive().clone(),
            modified: column(&batch, "modified")?.as_primitive().clone(),
            problem_kind: column(&batch, "problem_kind")?.as_string().clone(),
            problem_message: column(&batch, "problem_message")?.as_string().clone(),
            naming,
            verdicts: Verdicts::read(batches.get(1))?,
        })
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.name.is_empty()
    }

    /// The entry at `index`, copied out.
    pub fn entry(&self, index: usize) -> Result<Entry> {
        Ok(Entry {
            root: self.root.value(index),
            directory: self.directory(index).to_vec(),
            name: self.name(index).to_vec(),
            kind: self.kind(index)?,
            size_bytes: self.size.value(index),
            modified_ns: self.modified.value(index),
            problem: self.problem(index),
            naming: self.naming(index),
        })
    }

    /// The verdict that was reached on the entry at `index`, by the scan or by the comparison of names, if any.
    pub fn problem(&self, index: usize) -> Option<Problem> {
        let listed = self.problem_kind.is_valid(index).then(|| Problem {
            kind: self.problem_kind.value(index).to_owned(),
            message: self.problem_message.value(index).to_owned(),
        });
        listed.or_else(|| self.verdicts.of(index).and_then(|verdict| verdict.problem.clone()))
    }

    /// What names the output of the entry at `index`.
    pub fn named(&self, index: usize) -> Named<'_> {
        Named {
            root: self.root(index),
            directory: self.directory(index),
            name: self.name(index),
            modified_ns: self.modified.value(index),
            naming: self.naming(index),
            hash: None,
            part: &FIRST_PART,
        }
    }

    fn naming(&self, index: usize) -> Naming {
        if let Some(verdict) = self.verdicts.of(index) {
            return verdict.naming;
        }
        self.naming.as_ref().map_or_else(Naming::default, |(kept, ordinal)| Naming {
            keeps_extension: kept.value(index) == 1,
            ordinal: ordinal.is_valid(index).then(|| ordinal.value(index)),
        })
    }

    /// All entries in order, copied out one at a time.
    pub fn iter(&self) -> impl Iterator<Item = Result<Entry>> + '_ {
        (0..self.len()).map(|index| self.entry(index))
    }

    /// Index into the plan's roots of the entry at `index`.
    pub fn root(&self, index: usize) -> u16 {
        self.root.value(index)
    }

    /// The directory of the entry at `index`, relative to its root.
    pub fn directory(&self, index: usize) -> &[u8] {
        self.directories.value(self.directory_id(index))
    }

    /// A small number that is equal for entries of one directory name.
    pub fn directory_id(&self, index: usize) -> usize {
        usize::try_from(self.directory.keys().value(index)).unwrap_or_default()
    }

    /// The name of the entry at `index`.
    pub fn name(&self, index: usize) -> &[u8] {
        self.name.value(index)
    }

    /// The kind of the entry at `index`.
    pub fn kind(&self, index: usize) -> Result<Kind> {
        Kind::try_from(self.kind.value(index))
    }

    /// Size in bytes of the entry at `index`, when it was listed.
    pub fn size_bytes(&self, index: usize) -> u64 {
        self.size.value(index)
    }

    /// The distinct directories, as (root, path relative to the root), in order of first use.
    pub fn directories(&self) -> Vec<(u16, Vec<u8>)> {
        let mut seen = HashMap::new();
        let mut directories = Vec::new();
        for index in 0..self.len() {
            let key = (self.root(index), self.directory_id(index));
            if seen.insert(key, ()).is_none() {
                directories.push((key.0, self.directory(index).to_vec()));
            }
        }
        directories
    }
}

/// Encode a batch as one Arrow IPC stream in one zstd frame.
pub(crate) fn encode(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(damaged)?;
    writer.write(batch).map_err(damaged)?;
    let stream = writer.into_inner().map_err(damaged)?;
    zstd::bulk::compress(&stream, LEVEL).map_err(Error::io("compress a blob of the ledger"))
}

/// Decode what [`encode`] made.
pub(crate) fn decode(what: &'static str, blob: &[u8]) -> Result<RecordBatch> {
    let batch = decode_all(what, blob)?.into_iter().next();
    Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::new(Schema::empty()))))
}

/// Decode several results of [`encode`], one right behind the other.
pub(crate) fn decode_all(what: &'static str, blob: &[u8]) -> Result<Vec<RecordBatch>> {
    let damaged = |message: String| Error::DamagedBlob { what, message };
    let stream = zstd::stream::decode_all(blob).map_err(|error| damaged(error.to_string()))?;
    let (mut batches, mut cursor) = (Vec::new(), Cursor::new(stream.as_slice()));
    while cursor.position() < stream.len() as u64 {
        let mut reader = StreamReader::try_new(&mut cursor, None).map_err(|error| damaged(error.to_string()))?;
        if let Some(batch) = reader.next() {
            batches.push(batch.map_err(|error| damaged(error.to_string()))?);
            // The end of its stream, which the next one begins behind.
            reader.next().map_or(Ok(()), |rest| rest.map(drop)).map_err(|error| damaged(error.to_string()))?;
        }
    }
    Ok(batches)
}

pub(crate) fn column<'b>(batch: &'b RecordBatch, name: &'static str) -> Result<&'b Arc<dyn Array>> {
    batch.column_by_name(name).ok_or_else(|| missing_column(name))
}

fn missing_column(name: &str) -> Error {
    Error::DamagedBlob { what: "blob", message: format!("no column `{name}`") }
}

fn damaged(error: ArrowError) -> Error {
    Error::DamagedBlob { what: "blob", message: error.to_string() }
}

/// zstd level of ledger blobs: the default of the library; blobs are written once and rarely read.
const LEVEL: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_decoded_equals_what_was_pushed() {
        let entries = [
            Entry {
                root: 0,
                directory: b"a/b".to_vec(),
                name: b"na\xffme\n".to_vec(),
                kind: Kind::File,
                size_bytes: u64::MAX,
                modified_ns: -1,
                problem: None,
                naming: Naming { keeps_extension: true, ordinal: None },
            },
            Entry {
                root: 1,
                directory: Vec::new(),
                name: Vec::new(),
                kind: Kind::Directory,
                size_bytes: 0,
                modified_ns: i64::MAX,
                problem: Some(Problem { kind: "permission_denied".into(), message: "can't open".into() }),
                naming: Naming { keeps_extension: false, ordinal: Some(u64::MAX) },
            },
        ];
        let mut builder = ManifestBuilder::default();
        for entry in &entries[..1] {
            builder.push(entry).expect("pushes");
        }
        builder.push(&entries[1]).expect("pushes");
        assert_eq!(builder.len(), 2);
        let manifest = Manifest::decode(&builder.finish().expect("encodes")).expect("decodes");
        let decoded: Vec<Entry> = manifest.iter().collect::<Result<_>>().expect("reads");
        assert_eq!(decoded, entries);
        assert_eq!(manifest.directories(), [(0, b"a/b".to_vec()), (1, Vec::new())]);
    }
}
