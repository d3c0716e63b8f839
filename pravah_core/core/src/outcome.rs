//! What became of entries: the rows of a window, and how windows are kept in the ledger.
//!
//! A window's blob serves twice. Recorded ahead of publishing, it tells a later holder what may stand at which
//! name; once acknowledged, it is the account of its files. So nothing is written twice, and there is no row per file.

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

use crate::{
    Error, Result,
    manifest::{column, decode, encode},
    naming::ContentHash,
};

/// What became of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Published, or read where nothing is published.
    Done = 0,
    /// Left alone, for a reason.
    Skipped = 1,
    /// Failed, with an error.
    Failed = 2,
    /// Gone when it was its turn.
    Vanished = 3,
    /// Killed the process that worked on it.
    Poisoned = 4,
    /// In amendments only: the window does not acknowledge this entry, it is done again.
    Redo = 5,
    /// A later round took the entry into a task of its own: this task counts it no longer.
    Moved = 6,
}

impl Outcome {
    /// The word for it in reports and wire forms.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Vanished => "vanished",
            Self::Poisoned => "poisoned",
            Self::Redo | Self::Moved => "remaining",
        }
    }

    fn from_code(code: u8) -> Result<Self> {
        const ALL: [Outcome; 7] = [
            Outcome::Done,
            Outcome::Skipped,
            Outcome::Failed,
            Outcome::Vanished,
            Outcome::Poisoned,
            Outcome::Redo,
            Outcome::Moved,
        ];
        ALL.get(usize::from(code)).copied().ok_or_else(|| damaged(format!("outcome is {code}, known are 0 to 6")))
    }
}

/// What identifies the content of a source: equal before and after a read, or the read does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceFingerprint {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Modification time, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Time of the last change of the inode, in nanoseconds since 1970.
    pub changed_ns: i64,
    /// Inode number.
    pub inode: u64,
}

/// What identifies a file that Pravah wrote, before and after its rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Modification time, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Birth time, in nanoseconds since 1970; 0 where the file system keeps none.
    pub born_ns: i64,
}

/// How an output gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Publish {
    /// Only if nothing has the name.
    Create = 1,
    /// In place of what has the name.
    Replace = 2,
}

/// An output that waits under a temporary name, or under none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staged {
    /// The last part of the temporary's name; none: the file has no name yet.
    pub temporary: Option<u32>,
    /// How it gets its name.
    pub publish: Publish,
    /// What identifies it.
    pub identity: Identity,
}

/// Why an entry was skipped, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable word: `unchanged`, `symlink`, … or an error's kind.
    pub kind: String,
    /// The step that failed; none where the store did.
    pub step: Option<String>,
    /// For people; empty for skipped entries.
    pub message: String,
}

/// One entry's line in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Position in the task's manifest.
    pub index: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where it is not done.
    pub reason: Option<Reason>,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes of the output.
    pub bytes_out: u64,
    /// Time spent on it, in microseconds.
    pub duration_us: u32,
    /// Tries it took.
    pub attempts: u32,
    /// The source as it was read; none where it was not.
    pub source: Option<SourceFingerprint>,
    /// The source was so young when it was read that its times prove nothing (see [`RACY_NS`]).
    pub racy: bool,
    /// The source had several names: when another one is removed, its inode changes, and nothing of its content.
    pub several_names: bool,
    /// The output that is to be published; none where there is none.
    pub staged: Option<Staged>,
    /// What inspect steps found: one JSON object a line.
    pub records: Option<String>,
    /// The hash of its content, where the output's name tells it.
    pub hash: Option<ContentHash>,
}

/// Times within this many nanoseconds of a read may not change with the content (protocol, rule 23).
pub const RACY_NS: i64 = 2_000_000_000;

impl Row {
    /// An entry that ended without being read.
    pub fn unread(index: u32, outcome: Outcome, reason: Reason) -> Self {
        Self {
            index,
            outcome,
            reason: Some(reason),
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
            attempts: 0,
            source: None,
            racy: false,
            several_names: false,
            staged: None,
            records: None,
            hash: None,
        }
    }

    /// An entry that is done; what was read and staged is filled in.
    pub fn done(index: u32) -> Self {
        let reason = Reason { kind: String::new(), step: None, message: String::new() };
        Self { reason: None, ..Self::unread(index, Outcome::Done, reason) }
    }

    /// An entry that is left alone.
    pub fn skipped(index: u32, kind: &str) -> Self {
        Self::unread(index, Outcome::Skipped, Reason { kind: kind.to_owned(), step: None, message: String::new() })
    }
}

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
    (0..batch.num_rows()).map(|at| columns.row(at)).collect()
}

/// A window as the ledger keeps it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The rows as they were recorded, before publishing.
    pub blob: Vec<u8>,
    /// Rows that publishing changed.
    pub amendments: Option<Vec<u8>>,
    /// Whether its entries count.
    pub acknowledged: bool,
}

impl Recorded {
    /// The rows that count: amended, and without those that are done again.
    pub fn rows(&self) -> Result<Vec<Row>> {
        let mut rows = decode_rows(&self.blob)?;
        if let Some(amendments) = &self.amendments {
            let amended = decode_rows(amendments)?;
            let mut by_index: std::collections::HashMap<u32, Row> =
                amended.into_iter().map(|row| (row.index, row)).collect();
            for row in &mut rows {
                if let Some(amendment) = by_index.remove(&row.index) {
                    *row = amendment;
                }
            }
        }
        rows.retain(|row| row.outcome != Outcome::Redo);
        Ok(rows)
    }
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
            records: text(self.records, at),
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
        let publish = match self.publish.value(at) {
            1 => Publish::Create,
            2 => Publish::Replace,
            code => return Err(damaged(format!("publish is {code}, known are 1 and 2"))),
        };
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

fn damaged(message: String) -> Error {
    Error::DamagedBlob { what: "window", message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: u32, outcome: Outcome) -> Row {
        Row {
            index,
            outcome,
            reason: Some(Reason { kind: "io_error".into(), step: Some("copy".into()), message: "x".into() }),
            bytes_in: 5,
            bytes_out: 6,
            duration_us: 7,
            attempts: 2,
            source: Some(SourceFingerprint { size_bytes: 5, modified_ns: -3, changed_ns: 4, inode: 9 }),
            racy: true,
            several_names: true,
            staged: Some(Staged {
                temporary: None,
                publish: Publish::Replace,
                identity: Identity { device: 1, inode: 2, size_bytes: 6, modified_ns: 3, born_ns: 0 },
            }),
            hash: None,
            records: Some("{}".into()),
        }
    }

    #[test]
    fn rows_decoded_equal_what_was_encoded() {
        let rows = vec![row(3, Outcome::Done), Row::skipped(4, "symlink"), row(9, Outcome::Failed)];
        assert_eq!(decode_rows(&encode_rows(&rows).expect("encodes")).expect("decodes"), rows);
        assert_eq!(decode_rows(&encode_rows(&[]).expect("encodes")).expect("decodes"), []);
    }

    #[test]
    fn recorded_with_amendments_replaces_rows_and_drops_those_done_again() {
        let recorded = Recorded {
            blob: encode_rows(&[row(0, Outcome::Done), row(1, Outcome::Done), row(2, Outcome::Done)]).expect("encodes"),
            amendments: Some(encode_rows(&[row(1, Outcome::Failed), row(2, Outcome::Redo)]).expect("encodes")),
            acknowledged: true,
        };
        assert_eq!(recorded.rows().expect("reads"), [row(0, Outcome::Done), row(1, Outcome::Failed)]);
    }
}
