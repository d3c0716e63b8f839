//! The rows of a window as Arrow columns, one blob for all of them.

use std::sync::Arc;

use arrow_array::{
    Array, BinaryArray, Int64Array, RecordBatch, StringArray, UInt8Array, UInt32Array, UInt64Array,
    builder::{
        BinaryBuilder, Int64Builder, StringBuilder, StringDictionaryBuilder, UInt8Builder, UInt32Builder, UInt64Builder,
    },
    cast::AsArray,
    types::Int32Type,
};
use arrow_schema::ArrowError;

use super::{
    Identity, Outcome, Publish, Reason, Row, SourceFingerprint, Staged, damaged,
    parts::{Parts, PartsColumn},
};
use crate::{
    Result,
    manifest::{column, decode, encode},
    naming::ContentHash,
    processors::RowCounts,
};

/// Encode the rows of a window.
pub fn encode_rows(rows: &[Row]) -> Result<Vec<u8>> {
    let mut columns = Columns::default();
    for row in rows {
        columns.push(row)?;
    }
    encode(&columns.finish()?)
}

/// Decode the rows of a window.
pub fn decode_rows(blob: &[u8]) -> Result<Vec<Row>> {
    let batch = decode("window", blob)?;
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let columns = Decoded::new(&batch)?;
    let mut parts = Parts::of(&batch);
    (0..batch.num_rows()).map(|at| Ok(Row { parts: parts.get(at)?, ..columns.row(at)? })).collect()
}

#[derive(Default)]
struct Columns {
    index: UInt32Builder,
    outcome: UInt8Builder,
    kind: StringDictionaryBuilder<Int32Type>,
    step: StringDictionaryBuilder<Int32Type>,
    message: StringBuilder,
    bytes_in: UInt64Builder,
    bytes_out: UInt64Builder,
    duration: UInt32Builder,
    attempts: UInt8Builder,
    source_size: UInt64Builder,
    source_modified: Int64Builder,
    source_changed: Int64Builder,
    source_inode: UInt64Builder,
    racy: UInt8Builder,
    temporary: UInt32Builder,
    publish: UInt8Builder,
    device: UInt64Builder,
    inode: UInt64Builder,
    size: UInt64Builder,
    modified: Int64Builder,
    born: Int64Builder,
    records: StringBuilder,
    rows: BinaryBuilder,
    has_rows: bool,
    parts: PartsColumn,
    hash: BinaryBuilder,
    has_hashes: bool,
}

impl Columns {
    fn push(&mut self, row: &Row) -> Result<()> {
        let reason = row.reason.as_ref();
        self.index.append_value(row.index);
        self.outcome.append_value(row.outcome as u8);
        self.kind.append_option(reason.map(|reason| &reason.kind));
        self.step.append_option(reason.and_then(|reason| reason.step.as_ref()));
        self.message.append_option(reason.map(|reason| &reason.message).filter(|message| !message.is_empty()));
        self.bytes_in.append_value(row.bytes_in);
        self.bytes_out.append_value(row.bytes_out);
        self.duration.append_value(row.duration_us);
        self.attempts.append_value(u8::try_from(row.attempts).unwrap_or(u8::MAX));
        self.source_size.append_option(row.source.map(|source| source.size_bytes));
        self.source_modified.append_option(row.source.map(|source| source.modified_ns));
        self.source_changed.append_option(row.source.map(|source| source.changed_ns));
        self.source_inode.append_option(row.source.map(|source| source.inode));
        self.racy.append_value(u8::from(row.racy) | u8::from(row.several_names) << 1);
        self.temporary.append_option(row.staged.and_then(|staged| staged.temporary));
        self.publish.append_option(row.staged.map(|staged| staged.publish as u8));
        let identity = row.staged.map(|staged| staged.identity);
        self.device.append_option(identity.map(|identity| identity.device));
        self.inode.append_option(identity.map(|identity| identity.inode));
        self.size.append_option(identity.map(|identity| identity.size_bytes));
        self.modified.append_option(identity.map(|identity| identity.modified_ns));
        self.born.append_option(identity.map(|identity| identity.born_ns));
        self.records.append_option(row.records.as_ref());
        self.rows.append_option(row.rows.map(packed));
        self.has_rows |= row.rows.is_some();
        self.parts.push(row.parts.as_ref());
        self.hash.append_option(row.hash);
        self.has_hashes |= row.hash.is_some();
        Ok(())
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let mut columns: Vec<(&str, Arc<dyn Array>, bool)> = vec![
            ("index", Arc::new(self.index.finish()), false),
            ("outcome", Arc::new(self.outcome.finish()), false),
            ("kind", Arc::new(self.kind.finish()), true),
            ("step", Arc::new(self.step.finish()), true),
            ("message", Arc::new(self.message.finish()), true),
            ("bytes_in", Arc::new(self.bytes_in.finish()), false),
            ("bytes_out", Arc::new(self.bytes_out.finish()), false),
            ("duration", Arc::new(self.duration.finish()), false),
            ("attempts", Arc::new(self.attempts.finish()), false),
            ("source_size", Arc::new(self.source_size.finish()), true),
            ("source_modified", Arc::new(self.source_modified.finish()), true),
            ("source_changed", Arc::new(self.source_changed.finish()), true),
            ("source_inode", Arc::new(self.source_inode.finish()), true),
            ("racy", Arc::new(self.racy.finish()), false),
            ("temporary", Arc::new(self.temporary.finish()), true),
            ("publish", Arc::new(self.publish.finish()), true),
            ("device", Arc::new(self.device.finish()), true),
            ("inode", Arc::new(self.inode.finish()), true),
            ("size", Arc::new(self.size.finish()), true),
            ("modified", Arc::new(self.modified.finish()), true),
            ("born", Arc::new(self.born.finish()), true),
            ("records", Arc::new(self.records.finish()), true),
        ];
        if self.has_rows {
            columns.push(("rows", Arc::new(self.rows.finish()), true));
        }
        if let Some(parts) = self.parts.finish() {
            columns.push(("parts", Arc::new(parts), true));
        }
        if self.has_hashes {
            columns.push(("hash", Arc::new(self.hash.finish()), true));
        }
        RecordBatch::try_from_iter_with_nullable(columns).map_err(|error: ArrowError| damaged(error.to_string()))
    }
}

/// The columns of a window, looked up once for all of its rows.
struct Decoded<'b> {
    index: &'b UInt32Array,
    outcome: &'b UInt8Array,
    kinds: StringArray,
    steps: StringArray,
    message: &'b StringArray,
    bytes_in: &'b UInt64Array,
    bytes_out: &'b UInt64Array,
    duration: &'b UInt32Array,
    attempts: &'b UInt8Array,
    source_size: &'b UInt64Array,
    source_modified: &'b Int64Array,
    source_changed: &'b Int64Array,
    source_inode: &'b UInt64Array,
    flags: &'b UInt8Array,
    temporary: &'b UInt32Array,
    publish: &'b UInt8Array,
    device: &'b UInt64Array,
    inode: &'b UInt64Array,
    size: &'b UInt64Array,
    modified: &'b Int64Array,
    born: &'b Int64Array,
    records: &'b StringArray,
    /// Only where tables were read.
    rows: Option<&'b BinaryArray>,
    /// Only where outputs are named by their contents.
    hashes: Option<&'b BinaryArray>,
}

impl<'b> Decoded<'b> {
    fn new(batch: &'b RecordBatch) -> Result<Self> {
        let column = |name| column(batch, name);
        let plain = |name| -> Result<StringArray> {
            let dictionary = column(name)?.as_dictionary::<Int32Type>();
            let values = dictionary.values().as_string::<i32>();
            Ok(dictionary.keys().iter().map(|key| key.map(|key| values.value(key as usize).to_owned())).collect())
        };
        Ok(Self {
            index: column("index")?.as_primitive(),
            outcome: column("outcome")?.as_primitive(),
            kinds: plain("kind")?,
            steps: plain("step")?,
            message: column("message")?.as_string(),
            bytes_in: column("bytes_in")?.as_primitive(),
            bytes_out: column("bytes_out")?.as_primitive(),
            duration: column("duration")?.as_primitive(),
            attempts: column("attempts")?.as_primitive(),
            source_size: column("source_size")?.as_primitive(),
            source_modified: column("source_modified")?.as_primitive(),
            source_changed: column("source_changed")?.as_primitive(),
            source_inode: column("source_inode")?.as_primitive(),
            flags: column("racy")?.as_primitive(),
            temporary: column("temporary")?.as_primitive(),
            publish: column("publish")?.as_primitive(),
            device: column("device")?.as_primitive(),
            inode: column("inode")?.as_primitive(),
            size: column("size")?.as_primitive(),
            modified: column("modified")?.as_primitive(),
            born: column("born")?.as_primitive(),
            records: column("records")?.as_string(),
            rows: batch.column_by_name("rows").map(|rows| rows.as_binary()),
            hashes: batch.column_by_name("hash").map(|hashes| hashes.as_binary()),
        })
    }

    fn row(&self, at: usize) -> Result<Row> {
        let flags = self.flags.value(at);
        Ok(Row {
            index: self.index.value(at),
            outcome: Outcome::from_code(self.outcome.value(at))?,
            reason: self.reason(at),
            bytes_in: self.bytes_in.value(at),
            bytes_out: self.bytes_out.value(at),
            duration_us: self.duration.value(at),
            attempts: u32::from(self.attempts.value(at)),
            source: self.source(at),
            racy: flags & 1 != 0,
            several_names: flags & 2 != 0,
            staged: self.staged(at)?,
            parts: None,
            records: text(self.records, at),
            rows: self.rows.filter(|rows| rows.is_valid(at)).map(|rows| unpacked(rows.value(at))).transpose()?,
            hash: self.hash(at)?,
        })
    }

    fn reason(&self, at: usize) -> Option<Reason> {
        let (step, message) = (text(&self.steps, at), text(self.message, at).unwrap_or_default());
        text(&self.kinds, at).map(|kind| Reason { kind, step, message })
    }

    fn source(&self, at: usize) -> Option<SourceFingerprint> {
        self.source_size.is_valid(at).then(|| SourceFingerprint {
            size_bytes: self.source_size.value(at),
            modified_ns: self.source_modified.value(at),
            changed_ns: self.source_changed.value(at),
            inode: self.source_inode.value(at),
        })
    }

    fn hash(&self, at: usize) -> Result<Option<ContentHash>> {
        let hashed = self.hashes.filter(|hashes| hashes.is_valid(at));
        let hash = hashed.map(|hashes| ContentHash::try_from(hashes.value(at)));
        hash.transpose().map_err(|_| damaged("a hash has 32 bytes".into()))
    }

    fn staged(&self, at: usize) -> Result<Option<Staged>> {
        if self.publish.is_null(at) {
            return Ok(None);
        }
        let publish = Publish::from_code(self.publish.value(at))?;
        let identity = Identity {
            device: self.device.value(at),
            inode: self.inode.value(at),
            size_bytes: self.size.value(at),
            modified_ns: self.modified.value(at),
            born_ns: self.born.value(at),
        };
        let temporary = self.temporary.is_valid(at).then(|| self.temporary.value(at));
        Ok(Some(Staged { temporary, publish, identity }))
    }
}

fn text(array: &StringArray, at: usize) -> Option<String> {
    array.is_valid(at).then(|| array.value(at).to_owned())
}

/// Counts of rows, eight bytes each.
fn packed(counts: RowCounts) -> [u8; 40] {
    let mut bytes = [0; 40];
    for (place, count) in bytes.chunks_exact_mut(8).zip(counts.all()) {
        place.copy_from_slice(&count.to_le_bytes());
    }
    bytes
}

fn unpacked(bytes: &[u8]) -> Result<RowCounts> {
    let mut counts = [0; 5];
    if bytes.len() != 40 {
        return Err(damaged(format!("counts of rows have {} bytes, 40 are expected", bytes.len())));
    }
    for (count, place) in counts.iter_mut().zip(bytes.chunks_exact(8)) {
        *count = u64::from_le_bytes(place.try_into().unwrap_or_default());
    }
    Ok(RowCounts::from(counts))
}
