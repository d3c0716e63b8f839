//! Every way in which the engine can fail, each with a stable `kind`.
//!
//! The kinds are the same in Python, the API, the command line and the docs.

use std::io;

use rustix::io::Errno;

use crate::memo::Memo;

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with one file, one task or one plan.
///
/// Messages are lower case, without a full stop, and name both values where two disagree.
/// The path is not part of the message: who reports an error knows the entry it belongs to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed; `action` says what was tried ("open the source").
    #[error("can't {action}: {}", errno_text(*.errno))]
    System {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The source changed between the two looks that frame its read.
    #[error("the file changed while it was read: {0}")]
    ChangedWhileRead(String),
    /// Input that a step can't make sense of.
    #[error("{0}")]
    CorruptInput(String),
    /// Input that ends too early.
    #[error("{0}")]
    TruncatedInput(String),
    /// Input that is well-formed, but needs what this build or its limits don't give.
    #[error("{0}")]
    UnsupportedInput(String),
    /// Text that is not UTF-8.
    #[error("{0}")]
    InvalidUtf8(String),
    /// A table without any column.
    #[error("{0}")]
    NoColumns(String),
    /// A row of CSV with more or fewer fields than the first one.
    #[error("{0}")]
    CsvRaggedRow(String),
    /// A quote in CSV that is not closed, or not where its field ends.
    #[error("{0}")]
    CsvBadQuotes(String),
    /// Columns of CSV with one name.
    #[error("{0}")]
    CsvBadHeader(String),
    /// A field of CSV that its column's type can't hold.
    #[error("{0}")]
    CsvBadValue(String),
    /// A line of NDJSON that is no JSON object.
    #[error("{0}")]
    NdjsonBadLine(String),
    /// A value of NDJSON that its column's type can't hold, or that has no column.
    #[error("{0}")]
    NdjsonBadValue(String),
    /// What stands in a JSON array and is no object, or no JSON.
    #[error("{0}")]
    JsonBadElement(String),
    /// A value of a JSON array that its column's type can't hold.
    #[error("{0}")]
    JsonBadValue(String),
    /// A cell of a workbook that its column's type can't hold.
    #[error("{0}")]
    XlsxBadValue(String),
    /// Rows that are not in the order which their file shall tell of.
    #[error("{0}")]
    NotSorted(String),
    /// A workbook without the sheet that is wanted.
    #[error("{0}")]
    NoSuchSheet(String),
    /// A table without the column that a step wants.
    #[error("{0}")]
    NoSuchColumn(String),
    /// The file has to be read once more, with what was found: the engine does that, a few times.
    #[error("the types of its columns are not settled after eight readings; `types` declares them")]
    ReadAgain(Memo),
    /// A stream whose decoder wants more memory than every thread has for one: only the engine sees this, and has the
    /// stream decoded where there is as much.
    #[error("its decoder wants more memory than is had without waiting for it")]
    WindowTooLarge,
    /// The output has to wait under its name, and that is told by what is being read: only the engine sees this, and
    /// reads the file for its name first.
    #[error("its output's name is not known before it has been read")]
    NameNeeded,
    /// Input that is no text, where lines are put together.
    #[error("{0}")]
    NotText(String),
    /// A header line that differs from that of the files before it.
    #[error("{0}")]
    HeaderMismatch(String),
    /// A table whose columns can't be put together with those of the files before it.
    #[error("{0}")]
    ColumnsDiffer(String),
    /// An output of several files that was not made, as one of them failed or is not known.
    #[error("{0}")]
    GroupIncomplete(String),
    /// More outputs of one file than their names can tell apart.
    #[error("{0}")]
    TooManyParts(String),
    /// More files than one output can be made of.
    #[error("{0}")]
    GroupTooLarge(String),
    /// A file that becomes larger than it was allowed to.
    #[error("{0}")]
    DecompressionBudget(String),
    /// `decompress` on something that no known codec has made.
    #[error("{0}")]
    NotCompressed(String),
    /// A stranger's file has the output's name.
    #[error("{0}")]
    OutputExists(String),
    /// A staged output was taken away before it got its name.
    #[error("the staged output was removed by somebody before it was published")]
    TemporaryGone,
    /// What was read back of an output is not what was written.
    #[error("the output is not what was written: {0}")]
    VerifyFailed(String),
    /// A file that is not what a list of checksums says.
    #[error("{0}")]
    ChecksumMismatch(String),
    /// A file that a list of checksums does not have.
    #[error("the manifest `{0}` does not name the file")]
    NotInManifest(String),
    /// A file that a list names, and that is not there.
    #[error("the list names it, and it is not there")]
    SourceMissing,
    /// The output that a source was to make room for is not there as it was published.
    #[error("the output is no longer the file that was published, so the source was kept")]
    OutputChanged,
    /// The sink takes nothing more.
    #[error("the sink is full: {}", errno_text(*.0))]
    SinkFull(Errno),
    /// The output would take the place of its own source.
    #[error("the output would replace its source: it has the same name in the same directory")]
    SourceIsSink,
    /// A template of names that can't be read, or that leads out of the sink.
    #[error("{0}")]
    InvalidTemplate(String),
    /// A template that gives an entry's output no usable name.
    #[error("{0}")]
    InvalidOutputName(String),
    /// A path that the pattern for captured names does not match.
    #[error("the pattern `{pattern}` does not match its path `{path}`")]
    CaptureMismatch {
        /// The pattern.
        pattern: String,
        /// The path, relative to its root.
        path: String,
    },
    /// Two entries of one job would get one output name.
    #[error("{0}")]
    OutputCollision(String),
    /// A name that its store, or the one that it shall go to, can't hold.
    #[error("{0}")]
    UnsupportedName(String),
    /// An object store that did not do what it was asked for.
    #[error("{message}")]
    Store {
        /// The stable kind: `store_unreachable`, `no_such_bucket`, …
        kind: &'static str,
        /// What was asked, of which bucket, and the answer.
        message: String,
        /// Whether the same may succeed soon.
        is_transient: bool,
    },
    /// The output's name is longer than the file system allows.
    #[error("the output's name has {length_bytes} bytes, the file system takes {limit_bytes}")]
    NameTooLong {
        /// The name's length.
        length_bytes: usize,
        /// The file system's limit.
        limit_bytes: usize,
    },
    /// An output that is larger than what the store can hold.
    #[error("the output would have {size_bytes} bytes, and an object has at most {limit_bytes}")]
    OutputTooLarge {
        /// The output's size.
        size_bytes: u64,
        /// The store's limit.
        limit_bytes: u64,
    },
    /// A parameter that its processor does not take.
    #[error("{step}: {message}")]
    InvalidParameter {
        /// The processor's name.
        step: String,
        /// What is wrong, with both values.
        message: String,
    },
    /// A processor that the registry does not have.
    #[error("unknown processor `{0}`")]
    UnknownProcessor(String),
    /// A step panicked; the process lives on.
    #[error("{0}")]
    Panicked(String),
    /// The work was given up on request.
    #[error("cancelled")]
    Cancelled,
    /// A blob of the ledger (manifest, window, fingerprints) that can't be read.
    #[error("damaged {what}: {message}")]
    DamagedBlob {
        /// Which kind of blob.
        what: &'static str,
        /// Why it can't be read.
        message: String,
    },
    /// A plan that contradicts itself; a bug of the caller.
    #[error("invalid plan: {0}")]
    InvalidPlan(String),
}

impl Error {
    /// The stable snake_case name of this error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::System { errno, .. } => errno_kind(*errno),
            Self::ChangedWhileRead(_) => "changed_while_read",
            Self::CorruptInput(_) => "corrupt_input",
            Self::TruncatedInput(_) => "truncated_input",
            Self::UnsupportedInput(_) => "unsupported_input",
            Self::InvalidUtf8(_) => "invalid_utf8",
            Self::NoColumns(_) => "no_columns",
            Self::CsvRaggedRow(_) => "csv_ragged_row",
            Self::CsvBadQuotes(_) => "csv_bad_quotes",
            Self::CsvBadHeader(_) => "csv_bad_header",
            Self::CsvBadValue(_) => "csv_bad_value",
            Self::NdjsonBadLine(_) => "ndjson_bad_line",
            Self::NdjsonBadValue(_) => "ndjson_bad_value",
            Self::JsonBadElement(_) => "json_bad_element",
            Self::JsonBadValue(_) => "json_bad_value",
            Self::XlsxBadValue(_) => "xlsx_bad_value",
            Self::NotSorted(_) => "not_sorted",
            Self::NoSuchSheet(_) => "no_such_sheet",
            Self::NoSuchColumn(_) => "no_such_column",
            Self::ReadAgain(_) => "read_again",
            Self::WindowTooLarge => errno_kind(Errno::NOMEM),
            Self::NotText(_) => "not_text",
            Self::HeaderMismatch(_) => "header_mismatch",
            Self::ColumnsDiffer(_) => "columns_differ",
            Self::GroupIncomplete(_) => "group_incomplete",
            Self::TooManyParts(_) => "too_many_parts",
            Self::GroupTooLarge(_) => "group_too_large",
            Self::DecompressionBudget(_) => "decompression_budget",
            Self::NotCompressed(_) => "not_compressed",
            Self::OutputExists(_) => "output_exists",
            Self::TemporaryGone => "temporary_gone",
            Self::VerifyFailed(_) => "verify_failed",
            Self::ChecksumMismatch(_) => "checksum_mismatch",
            Self::NotInManifest(_) => "not_in_manifest",
            Self::SourceMissing => "source_missing",
            Self::OutputChanged => "output_changed",
            Self::SinkFull(_) => "sink_full",
            Self::SourceIsSink => "source_is_sink",
            Self::InvalidTemplate(_) => "invalid_template",
            Self::InvalidOutputName(_) => "invalid_output_name",
            Self::CaptureMismatch { .. } => "capture_mismatch",
            Self::OutputCollision(_) => "output_collision",
            Self::UnsupportedName(_) => "unsupported_name",
            Self::Store { kind, .. } => kind,
            Self::NameTooLong { .. } => "name_too_long",
            Self::OutputTooLarge { .. } => "output_too_large",
            Self::InvalidParameter { .. } => "invalid_parameter",
            Self::UnknownProcessor(_) => "unknown_processor",
            Self::Panicked(_) => "processor_panicked",
            Self::Cancelled => "cancelled",
            Self::DamagedBlob { .. } => "damaged_blob",
            Self::InvalidPlan(_) | Self::NameNeeded => "invalid_plan",
        }
    }

    /// Tell whether the same work may succeed when it is tried again soon.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ChangedWhileRead(_) | Self::TemporaryGone => true,
            Self::Store { is_transient, .. } => *is_transient,
            Self::System { errno, .. } => matches!(
                *errno,
                Errno::IO | Errno::AGAIN | Errno::STALE | Errno::TIMEDOUT | Errno::NFILE | Errno::MFILE | Errno::NOMEM
            ),
            _ => false,
        }
    }

    /// The answer of a sink that has no room left, which the next file would meet as well.
    pub fn sink_full(&self) -> Option<Errno> {
        match self {
            Self::System { errno, .. } if matches!(*errno, Errno::NOSPC | Errno::DQUOT) => Some(*errno),
            _ => None,
        }
    }

    /// Tell whether descriptors have run out: others give theirs back when their window is published.
    pub fn is_starved(&self) -> bool {
        matches!(self, Self::System { errno, .. } if matches!(*errno, Errno::MFILE | Errno::NFILE))
    }

    /// Tell whether the source is gone rather than bad.
    pub fn is_vanished(&self) -> bool {
        matches!(self, Self::System { action: "open the source", errno } if matches!(*errno, Errno::NOENT | Errno::NOTDIR))
    }

    /// Make an error of a failed system call.
    pub fn system(action: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System { action, errno }
    }

    /// Make an error of a failed call of the standard library.
    pub fn io(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::System { action, errno: Errno::from_io_error(&error).unwrap_or(Errno::IO) }
    }
}

fn errno_kind(errno: Errno) -> &'static str {
    match errno {
        Errno::ACCESS | Errno::PERM => "permission_denied",
        Errno::NOENT => "not_found",
        Errno::ROFS => "read_only_filesystem",
        Errno::NOSPC => "no_space",
        Errno::DQUOT => "quota_exceeded",
        Errno::FBIG => "file_too_big",
        Errno::NAMETOOLONG => "name_too_long",
        Errno::LOOP => "link_loop",
        Errno::NOTDIR => "not_a_directory",
        Errno::ISDIR => "is_a_directory",
        Errno::MFILE | Errno::NFILE => "too_many_open_files",
        Errno::NOMEM => "out_of_memory",
        Errno::EXIST => "output_exists",
        _ => "io_error",
    }
}

fn errno_text(errno: Errno) -> String {
    if errno == Errno::LOOP {
        // The system speaks of too many links: for us, who follow none there, one is too many.
        return format!("a part of the path is a link, and links are not followed (errno {})", errno.raw_os_error());
    }
    let text = io::Error::from(errno).to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = plain.chars();
    let lower: String = letters.next().map(|c| c.to_lowercase().chain(letters).collect()).unwrap_or_default();
    format!("{lower} (errno {})", errno.raw_os_error())
}
