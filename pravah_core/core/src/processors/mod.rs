//! Processors: code that acts on entries, without I/O of its own.
//!
//! One file per processor; its module and its line in [`NATIVE`] are all that a new one needs outside its file.
//! A processor never blocks, never spawns, and its output depends on content, parameters and version only.
//!
//! - `checksum`, `compress`, `convert`, `copy`, `count`, `decompress`, `detect_type`, `extract_headers`,
//!   `filter_rows`, `grep`, `merge`, `sample`, `select`, `split`, `verify`: the processors
//! - `descriptor`: what they say about themselves; `parameters`: how their parameters are read
//! - `block`: work that may be done by any thread; `blocks`: cuts what is pushed at fixed offsets
//! - `file_type`: which type a file is of; `look`: looks at parts of a file instead of all of it
//! - `codecs`: gzip, zstd and the others; `contexts`: codec contexts, reused; `digest`: checksums under way
//! - `column_types`: what columns of text may be; `unpack`: reads through a compression, for processors of formats

mod block;
mod blocks;
mod checksum;
mod codecs;
pub(crate) mod column_types;
mod compress;
mod contexts;
mod convert;
mod copy;
mod count;
mod decompress;
mod descriptor;
mod detect_type;
mod digest;
mod extract_headers;
mod file_type;
mod filter_rows;
mod grep;
mod look;
mod merge;
mod parameters;
mod sample;
mod select;
mod split;
#[cfg(feature = "test-steps")]
mod test_steps;
mod unpack;
mod verify;

use std::ops::AddAssign;

use arrow_array::RecordBatch;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    memo::Memo,
    naming::Part,
    tables::{ReadOptions, WriteOptions},
};

pub use block::{Block, Made, Turn};
pub(crate) use codecs::confined;
pub(crate) use column_types::{Candidates, ColumnType, Tag};
pub use descriptor::{Descriptor, Example, Expected, Sample, Shape, descriptors, descriptors_json};
pub use look::{Halt, LOOK_BYTES, Look, Looked, Parts};
pub use merge::{GroupRule, is_partitioning, is_reducing};
pub use split::is_expanding;
pub(crate) use unpack::Unpacker;

/// What flows through a pipeline.
#[derive(Debug)]
pub enum Event {
    /// A file begins. Its size is known where it comes straight from the store.
    Begin {
        /// Name without directory, as it was listed.
        name: Bytes,
        /// Size in bytes, where it is known.
        size_bytes: Option<u64>,
        /// Size of the entry that it was made from, where there is one and it is known. Through however many steps, no
        /// file may become a bomb of it.
        source_bytes: Option<u64>,
        /// Where it was listed, for steps that ask for it ([`Processor::wants_path`]).
        path: Option<SourcePath>,
    },
    /// The next bytes of the current file.
    Bytes(Bytes),
    /// The next rows of the current file, a table. The first batch tells the columns, and may be empty.
    Table(RecordBatch),
    /// The next part of the current file, which is yet to be made. A pipeline has it made, and passes that on: no step
    /// is pushed a block.
    Block(Block),
    /// A finding of an inspect step, gathered into the job's dataset; other steps never see it.
    Record(Map<String, Value>),
    /// What has become of rows in a step; other steps never see it.
    Rows(RowCounts),
    /// What follows is one of several outputs of the entry: a file with its own beginning and end, and steps behind
    /// the one that makes several work on each as if it had come alone. Other steps never see it.
    Part(Part),
    /// The current file ends.
    End,
}

/// Rows of tables in books of their own: what came in went out, or is in one of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Left out as it was asked for.
    pub filtered: u64,
    /// Bad, and left out.
    pub dropped: u64,
    /// Bad, and kept as records.
    pub quarantined: u64,
}

impl RowCounts {
    /// All counts, in the order of their fields.
    pub fn all(self) -> [u64; 5] {
        [self.input, self.output, self.filtered, self.dropped, self.quarantined]
    }
}

impl From<[u64; 5]> for RowCounts {
    fn from([input, output, filtered, dropped, quarantined]: [u64; 5]) -> Self {
        Self { input, output, filtered, dropped, quarantined }
    }
}

impl AddAssign for RowCounts {
    fn add_assign(&mut self, other: Self) {
        let (mine, others) = (self.all(), other.all());
        *self = Self::from(std::array::from_fn(|at| mine[at] + others[at]));
    }
}

/// Where a file was listed.
#[derive(Debug, Clone)]
pub struct SourcePath {
    whole: Bytes,
    root_bytes: usize,
}

impl SourcePath {
    /// A path, of which so many bytes at its beginning are that of the root.
    pub fn new(whole: Vec<u8>, root_bytes: usize) -> Self {
        Self { whole: whole.into(), root_bytes }
    }

    /// The whole path.
    pub fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// The path relative to its root.
    pub fn relative(&self) -> &[u8] {
        let below = &self.whole[self.root_bytes.min(self.whole.len())..];
        below.strip_prefix(b"/").unwrap_or(below)
    }
}

/// What a step works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// The bytes of files.
    Bytes,
    /// The rows of tables: a pipeline reads and writes the files.
    Table,
}

/// A configured processor: parsed parameters, immutable, shared by all threads.
pub trait Processor: Send + Sync {
    /// Peak bytes that one file of `size_bytes` takes with so many [`Block`]s in work at once, beside the buffers of
    /// the store.
    ///
    /// Counts codec contexts too, although a thread uses them again for its next file.
    fn need(&self, size_bytes: u64, blocks: u64) -> u64;

    /// The same for a file of this name, where that tells more.
    fn need_of(&self, _name: &[u8], size_bytes: u64, blocks: u64) -> u64 {
        self.need(size_bytes, blocks)
    }

    /// Bytes of a large file that it likes to be pushed at once: so that blocks need not be put together.
    fn piece_bytes(&self) -> usize {
        PULL_BYTES
    }

    /// Most bytes that come out when `size_bytes` go in; the next step's need follows from it.
    fn output_bound(&self, size_bytes: u64) -> u64 {
        size_bytes
    }

    /// Read what all files need, before the first one: the only place where a processor does I/O.
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// Whether its steps ask where a file was listed.
    fn wants_path(&self) -> bool {
        false
    }

    /// How it looks at parts of a file, if it need not see all of it; it finds the same as its steps do, or more.
    ///
    /// Asked where nothing is made of the file's bytes. What it holds is within [`Self::need`].
    fn look(&self) -> Option<&dyn Look> {
        None
    }

    /// What its steps work on.
    fn payload(&self) -> Payload {
        Payload::Bytes
    }

    /// How tables and their files turn into each other where this step stands; none: as their names tell. A step that
    /// says so does nothing else.
    fn converts(&self) -> Option<(&ReadOptions, &WriteOptions)> {
        None
    }

    /// Start on one file.
    fn open(&self) -> Result<Box<dyn Step>>;

    /// Name the output of an input that is called `name`.
    fn output_name(&self, name: &[u8]) -> Vec<u8> {
        name.to_vec()
    }

    /// Whether it neither changes nor looks at what passes through it.
    fn passes_bytes(&self) -> bool {
        false
    }

    /// Whether two names of one directory can get one output name.
    fn names_can_collide(&self) -> bool {
        false
    }

    /// Whether one of its steps gives several files for one ([`Event::Part`]).
    fn expands(&self) -> bool {
        false
    }

    /// Whether one of its steps takes several files, and gives one.
    fn reduces(&self) -> bool {
        false
    }
}

/// The work on one file: events are pushed in, and pulled out until there is none.
///
/// After each `push` the caller pulls until `None`. A pull yields at most [`PULL_BYTES`] (a step that
/// passes its input on: the pieces it got), so neither a bomb nor a slow sink is ever met inside a call.
/// Work that can be split inside a file is given as [`Event::Block`]s instead of being done in the call.
/// After an error, or after `End` has been pulled, a step is only dropped.
pub trait Step: Send {
    /// Know what an earlier reading of this file has found, before the file begins.
    fn remember(&mut self, _memo: &Memo) {}

    /// Take the next event.
    fn push(&mut self, event: Event) -> Result<()>;

    /// Give the next event; none: more input is wanted.
    fn pull(&mut self) -> Result<Option<Event>>;

    /// All files have come: what a step that takes several is told behind the last `End`, instead of being dropped.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Most bytes that one [`Step::pull`] yields.
pub const PULL_BYTES: usize = 1 << 20;

/// A native processor: its name, its descriptor and how it is built.
pub struct Native {
    /// The name in specs; the descriptor has the same.
    pub name: &'static str,
    /// Describe it.
    pub describe: fn() -> Descriptor,
    /// Build it; parameters that it does not take are [`Error::InvalidParameter`].
    pub build: Build,
}

/// Builds a processor from the parameters of a step.
pub type Build = fn(&Map<String, Value>) -> Result<Box<dyn Processor>>;

/// Every native processor, by name.
pub const NATIVE: &[Native] = &[
    checksum::NATIVE,
    compress::NATIVE,
    convert::NATIVE,
    copy::NATIVE,
    count::NATIVE,
    decompress::NATIVE,
    detect_type::NATIVE,
    extract_headers::NATIVE,
    filter_rows::NATIVE,
    grep::NATIVE,
    merge::NATIVE,
    sample::NATIVE,
    select::NATIVE,
    split::NATIVE,
    verify::NATIVE,
];

/// Build a processor by its name.
pub fn build(name: &str, params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    #[cfg(feature = "test-steps")]
    if name == test_steps::NATIVE.name {
        return (test_steps::NATIVE.build)(params);
    }
    NATIVE
        .iter()
        .find(|native| native.name == name)
        .ok_or_else(|| Error::UnknownProcessor(name.to_owned()))
        .and_then(|native| (native.build)(params))
}
