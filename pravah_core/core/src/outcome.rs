//! What became of entries: the rows of a window, and how windows are kept in the ledger.
//!
//! A window's blob serves twice. Recorded ahead of publishing, it tells a later holder what may stand at which
//! name; once acknowledged, it is the account of its files. So nothing is written twice, and there is no row per file.

mod columns;
mod parts;

pub use columns::{decode_rows, encode_rows};

use std::sync::Arc;

use crate::{
    Error, Result,
    naming::{ContentHash, Part, part::FIRST_PART},
    processors::RowCounts,
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

impl Publish {
    fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Self::Create),
            2 => Ok(Self::Replace),
            code => Err(damaged(format!("publish is {code}, known are 1 and 2"))),
        }
    }
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

/// One of several outputs of an entry, staged like the only one of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedPart {
    /// Which one it is: its name follows from that.
    pub part: Part,
    /// The output.
    pub staged: Staged,
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
    /// The output that is to be published; none where there is none, or are several.
    pub staged: Option<Staged>,
    /// All outputs, where a step makes several; entries that are made into them together share them.
    pub parts: Option<Arc<[StagedPart]>>,
    /// What inspect steps found: one JSON object a line.
    pub records: Option<String>,
    /// What became of the rows of tables in it.
    pub rows: Option<RowCounts>,
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
            parts: None,
            records: None,
            rows: None,
            hash: None,
        }
    }

    /// An entry that is done; what was read and staged is filled in.
    pub fn done(index: u32) -> Self {
        let reason = Reason { kind: String::new(), step: None, message: String::new() };
        Self { reason: None, ..Self::unread(index, Outcome::Done, reason) }
    }

    /// Its outputs: the one, or all of several.
    pub fn outputs(&self) -> impl Iterator<Item = (&Part, &Staged)> {
        let parts = self.parts.iter().flat_map(|parts| parts.iter()).map(|output| (&output.part, &output.staged));
        self.staged.iter().map(|staged| (&FIRST_PART, staged)).chain(parts)
    }

    /// Whether it has any.
    pub fn has_outputs(&self) -> bool {
        self.outputs().next().is_some()
    }

    /// An entry that is left alone.
    pub fn skipped(index: u32, kind: &str) -> Self {
        Self::unread(index, Outcome::Skipped, Reason { kind: kind.to_owned(), step: None, message: String::new() })
    }
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
            parts: None,
            hash: None,
            rows: Some(RowCounts { input: 9, output: 5, filtered: 1, dropped: 2, quarantined: 1 }),
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
    fn rows_of_several_outputs_decoded_equal_what_was_encoded_and_share_them() {
        let part = |number, temporary, publish| StagedPart {
            part: Part { directory: vec![b'a'; number as usize * 300], number },
            staged: Staged { temporary, publish, identity: Identity { device: 1, inode: 2, ..Identity::default() } },
        };
        let parts: Arc<[StagedPart]> = [part(0, None, Publish::Create), part(1, Some(7), Publish::Replace)].into();
        let with = |index, parts: &Arc<[StagedPart]>| Row {
            staged: None,
            parts: Some(Arc::clone(parts)),
            ..row(index, Outcome::Done)
        };
        let other: Arc<[StagedPart]> = [part(3, Some(8), Publish::Create)].into();
        let rows = vec![with(0, &parts), with(1, &parts), row(2, Outcome::Done), with(3, &parts), with(4, &other)];
        let decoded = decode_rows(&encode_rows(&rows).expect("encodes")).expect("decodes");
        assert_eq!(decoded, rows);
        let shared = |at: usize| decoded[at].parts.as_ref().map(Arc::as_ptr);
        assert_eq!(shared(0), shared(1));
        assert_eq!(rows[0].outputs().count(), 2);
        assert_eq!(rows[2].outputs().count(), 1);
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
