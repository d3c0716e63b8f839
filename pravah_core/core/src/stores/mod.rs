//! Stores: where bytes live. A source is read; a sink stages outputs, then publishes them.
//!
//! A store is a folder of its own and one line in [`open_source`] and [`open_sink`]. Publishing is in the store's
//! hands, since each has its own way to make a name appear whole: `stage`, `publish`, `adopt`, `discard`.
//! Stores decide nothing about jobs: what may be replaced is said by the caller.
//!
//! Beyond 500 lines, because these are the traits of one protocol, and are read together.

pub mod local;
mod mixed;
mod null;
pub mod s3;
pub mod synthetic;

use std::{any::Any, ops::Range, sync::Arc, time::Instant};

use crate::{
    Error, Result,
    outcome::{Identity, Publish, SourceFingerprint, Staged},
    plan::{Plan, SinkPlan},
};

/// Where entries are read.
pub trait Source: Send + Sync {
    /// Open a directory, given by the plan's root and the path below it.
    fn open_directory(&self, root: u16, directory: &[u8]) -> Result<Arc<dyn SourceDirectory>>;

    /// Whether files are far away: they are fetched while others are worked on.
    fn is_remote(&self) -> bool {
        false
    }

    /// Bytes that reading a large file keeps beside the piece at hand.
    fn reading_bytes(&self) -> u64 {
        0
    }

    /// Requests that were sent a second time so far, as the answers to the first ones were late.
    fn hedged(&self) -> u64 {
        0
    }

    /// Remove files whose outputs are acknowledged, as they were looked at by `look_to_remove`; says of each how it
    /// went, `changed_while_read` where it is another one by now.
    fn remove_all(&self, files: &[(Arc<dyn SourceDirectory>, &[u8])]) -> Vec<Result<()>> {
        files.iter().map(|(directory, name)| directory.remove(name)).collect()
    }

    /// Whether a far-away file that takes a name between the last look and its removal would go, as far as is known.
    fn removes_weakly(&self) -> bool {
        false
    }
}

/// A directory of a source.
pub trait SourceDirectory: Send + Sync {
    /// Whether its files are far away.
    fn is_remote(&self) -> bool {
        false
    }

    /// Look at a file without opening it.
    fn fingerprint(&self, name: &[u8]) -> Result<SourceFingerprint>;

    /// Open a regular file for reading.
    fn open(&self, name: &[u8]) -> Result<Box<dyn Reading>>;

    /// Open a file that was listed with so many bytes: a large one that is far away need not be asked for whole.
    fn open_listed(&self, name: &[u8], _listed_bytes: u64) -> Result<Box<dyn Reading>> {
        self.open(name)
    }

    /// Whether a file's first bytes can be had without waiting for a disk, as far as that is known.
    fn is_near(&self, name: &[u8]) -> bool;

    /// Look at a file that is then removed, or moved.
    fn look_to_remove(&self, name: &[u8]) -> Result<SourceFingerprint> {
        self.fingerprint(name)
    }

    /// Begin to look at a file, where that takes a while.
    fn look_ahead(&self, _name: &[u8]) {}

    /// Have a file fetched from the disk, without waiting for it.
    fn fetch_ahead(&self, name: &[u8]);

    /// Wait until a file that is fetched ahead is here, or can't be had: whoever opens it waits no more.
    fn await_ahead(&self, _name: &[u8]) {}

    /// Read where a symbolic link leads.
    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>>;

    /// Remove a file whose output is acknowledged.
    fn remove(&self, name: &[u8]) -> Result<()>;

    /// Wait until what was removed from the directory is so on disk, too.
    fn settle(&self) -> Result<()>;

    /// Its permission bits; none: its store knows none.
    fn mode(&self) -> Result<Option<u32>> {
        Ok(None)
    }

    /// Tell directories apart: the same number as [`SinkDirectory::id`] means the same directory.
    fn id(&self) -> Result<(u64, u64)>;

    /// The store's own view of this directory.
    fn as_any(&self) -> &dyn Any;
}

/// An open source file.
pub trait Reading {
    /// Read on; 0 is the end of the file.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;

    /// Read at an offset, wherever reading has come to; 0 is the end of the file.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Say that it will be read from its beginning to its end, so that more is fetched ahead.
    fn read_through(&self) {}

    /// Whether it has as many bytes as it says, where nobody changes it.
    fn is_sized(&self) -> bool {
        true
    }

    /// Go to the next bytes that are kept, at or behind an offset; none: only a hole is left.
    fn seek_data(&mut self, offset_bytes: u64) -> Result<Option<Range<u64>>>;

    /// What identifies it among what stands at the names of a sink; none: that is looked at again when it is replaced.
    fn standing(&self) -> Option<Identity> {
        None
    }

    /// Look at the open file as it is now: what identifies it, and what its output may keep.
    fn look(&self) -> Result<(SourceFingerprint, Attributes)>;

    /// The store's own view of this file.
    fn as_any(&self) -> &dyn Any;
}

/// What an output may keep of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Modification time, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Permission bits.
    pub mode: u32,
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Names that the file has.
    pub names: u32,
    /// What an object has beside its content; none: it is a file.
    pub object: Option<Arc<ObjectAttributes>>,
}

/// What an object has beside its content, as headers of the request that would make another one like it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectAttributes {
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Its tags, as a query; none: it has none, or they were not asked for.
    pub tags: Option<String>,
}

/// Where sources are moved to once their outputs are acknowledged.
pub trait Keeper {
    /// Move a file out of its directory, to the same name below this one; `output_exists` if the name is taken.
    ///
    /// May be repeated after a kill at any instant.
    fn take(&self, moved: &Moved<'_>) -> Result<()>;

    /// Move several; says of each how it went.
    fn take_all(&self, moves: &[Moved<'_>]) -> Vec<Result<()>> {
        moves.iter().map(|moved| self.take(moved)).collect()
    }

    /// Wait until what was moved here is so on disk, too.
    fn settle(&self) -> Result<()>;
}

/// A file that is moved.
pub struct Moved<'m> {
    /// Where it is.
    pub from: Arc<dyn SourceDirectory>,
    /// Its name, which it keeps.
    pub name: &'m [u8],
    /// The directory that takes it, below the keeper's.
    pub to: Vec<u8>,
    /// A name that is nobody else's: used where it has to be copied.
    pub temporary: String,
}

/// Where outputs are published.
///
/// Life of an output: `stage` → (`make_durable`, the ledger records it) → `publish` → `make_published_durable`
/// → the ledger acknowledges it. After a kill, `adopt` tells whether `publish` had happened.
pub trait Sink: Send + Sync {
    /// Open a directory of outputs, and make it where it is missing.
    fn open_directory(&self, directory: &[u8]) -> Result<Arc<dyn SinkDirectory>>;

    /// The same; what is missing is made with these permission bits, which are those of the last names of the path.
    fn open_directory_like(&self, directory: &[u8], _modes: &[u32]) -> Result<Arc<dyn SinkDirectory>> {
        self.open_directory(directory)
    }

    /// Open a directory of outputs if there is one.
    fn find_directory(&self, directory: &[u8]) -> Result<Option<Arc<dyn SinkDirectory>>>;

    /// Say for which job outputs are published: what earlier attempts of it left is nobody else's.
    fn works_for(&self, _job: &str) {}

    /// Read an output back as it is on disk; `verify_failed` if it is not what was written.
    fn verify(&self, output: &Output) -> Result<()>;

    /// Wait until the staged outputs are on disk. After an error they must be discarded, and staged anew.
    fn make_durable(&self, outputs: &[Output]) -> Result<()>;

    /// Begin to publish outputs of a window, where many can be at once; each is waited for by its own `publish`
    /// (see [`SinkDirectory::is_begun`]).
    ///
    /// They were recorded, under a lease that held, at a certain time.
    fn begin_publish(&self, _outputs: &mut [Output], _recorded: Instant) {}

    /// Wait until the names in these directories are on disk.
    fn make_published_durable(&self, directories: &[Arc<dyn SinkDirectory>]) -> Result<()>;

    /// Descriptors that one staged output keeps open until it is published.
    fn open_files_per_output(&self) -> usize;

    /// Bytes that writing a large output keeps beside the piece at hand.
    fn staging_bytes(&self) -> u64 {
        0
    }

    /// Whether small outputs are kept in memory until they are published.
    fn holds_outputs(&self) -> bool {
        false
    }

    /// Whether an output that leaves memory does so under its final name, as nothing is renamed here. Directories are
    /// no more than parts of names then.
    fn names_first(&self) -> bool {
        false
    }

    /// Most bytes of an output; none: there is no bound of the store's own.
    fn largest_bytes(&self) -> Option<u64> {
        None
    }

    /// Whether nothing but time holds off a worker that has lost its lease.
    fn is_weakly_fenced(&self) -> bool {
        false
    }

    /// Whether something that was begun could not be given up: closing looks for it.
    fn has_left_uploads(&self) -> bool {
        false
    }

    /// Find out whether the store copies files of a source by itself, by one of them, and from how many bytes on that
    /// is worth it; none: it can't.
    fn copies_from(&self, _from: &dyn SourceDirectory, _name: &[u8]) -> Option<u64> {
        None
    }

    /// Give up what dead attempts have begun of these outputs since a time (nanoseconds since 1970), where that is
    /// found by their names only; gives its number.
    fn abandon(&self, _names: &[Vec<u8>], _since_ns: i64) -> Result<usize> {
        Ok(0)
    }
}

/// An output that is begun.
pub struct Beginning<'b> {
    /// Its temporary name.
    pub temporary: &'b Temporary,
    /// How it will get its name.
    pub publish: Publish,
    /// Its final name; empty where that is not known yet.
    pub name: &'b [u8],
    /// What it will keep of its source, where that is known.
    pub attributes: Option<&'b Attributes>,
}

/// A directory of a sink.
pub trait SinkDirectory: Send + Sync {
    /// Look at what has this name.
    fn look(&self, name: &[u8]) -> Result<Standing>;

    /// Begin to look at what has this name, where that takes a while; whoever looks at it then waits less.
    fn look_ahead(&self, _name: &[u8]) {}

    /// The same for what is likely to be there.
    fn ask_ahead(&self, _name: &[u8]) {}

    /// Begin an output. It is invisible under its final name until it is published.
    fn stage(&self, beginning: &Beginning<'_>) -> Result<Box<dyn Staging>>;

    /// Have the store itself copy a file, once it is published; none: it can't.
    fn stage_copy(
        &self,
        _beginning: &Beginning<'_>,
        _from: &dyn SourceDirectory,
        _name: &[u8],
    ) -> Result<Option<Copied>> {
        Ok(None)
    }

    /// Stage a symbolic link.
    fn stage_link(
        &self,
        temporary: &Temporary,
        publish: Publish,
        target: &[u8],
    ) -> Result<(Staged, Box<dyn Any + Send>)>;

    /// Stage another name of a file that was shared; none where there is no such file.
    fn stage_shared(
        &self,
        _temporary: &Temporary,
        _publish: Publish,
        _shared: (&dyn SinkDirectory, &str),
    ) -> Result<Option<(Staged, Box<dyn Any + Send>)>> {
        Ok(None)
    }

    /// Let others stage names of a staged output, by this name in another directory; false if another one is there.
    /// Where outputs are verified it is before: its other names have nothing of their own to be verified by.
    fn share(&self, _output: &mut Output, _shared: (&dyn SinkDirectory, &str)) -> Result<bool> {
        Ok(true)
    }

    /// Give an output its final name; `output_exists` if `Create` finds the name taken, `temporary_gone` if somebody
    /// has removed what was staged.
    fn publish(&self, output: &mut Output, publish: Publish) -> Result<()>;

    /// Tell whether its publishing has begun, so that it may have its name.
    fn is_begun(&self, _output: &Output) -> bool {
        false
    }

    /// Tell whether what an output shall replace is what was looked at, so that nothing that came later is lost.
    fn is_still(&self, output: &Output) -> Result<bool> {
        let Some(seen) = &output.replaces else { return Ok(true) };
        let found = self.look(&output.name)?;
        Ok(matches!(found, Standing::File(found) if self.same(&found, seen)))
    }

    /// Tell whether a file that was found is the one that is remembered.
    fn same(&self, found: &Identity, remembered: &Identity) -> bool;

    /// Tell whether the file at this name is the one that was staged: its publishing had come about.
    fn adopt(&self, name: &[u8], staged: &Staged) -> Result<bool>;

    /// What stands at a name, where this job has published it under a lease that it has lost since.
    fn left_there(&self, _name: &[u8]) -> Result<Option<Identity>> {
        Ok(None)
    }

    /// Tell whether what stands at a staged output's name is equal to it, byte for byte.
    fn has_equal(&self, output: &Output) -> Result<bool>;

    /// Begin to remove a published output, if it is the one that was staged.
    fn begin_removing(&self, name: &[u8], staged: &Staged) -> Result<Removal>;

    /// Remove a staged output that will not be published.
    fn discard(&self, output: &mut Output);

    /// Remove the temporaries of a task's earlier attempts; gives their number.
    fn sweep(&self, temporary: &Temporary) -> Result<usize>;

    /// Most bytes of a name; none: names have no bound of their own.
    fn longest_name(&self) -> Option<usize> {
        Some(NAME_BYTES)
    }

    /// Tell directories apart.
    fn id(&self) -> (u64, u64);

    /// What a staged output counts for, where a window holds so many bytes at most.
    fn held_bytes(&self, output: &Output) -> u64 {
        output.staged.identity.size_bytes
    }

    /// Bytes of a staged output that are in memory until it is published.
    fn memory_bytes(&self, _output: &Output) -> u64 {
        0
    }

    /// Have a staged output wait elsewhere than in memory; it has its name.
    fn leave_memory(&self, _output: &mut Output) -> Result<()> {
        Ok(())
    }

    /// The store's own view of this directory.
    fn as_any(&self) -> &dyn Any;
}

/// Waits until an output is removed; tells whether it was there.
pub type Removal = Box<dyn FnOnce() -> Result<bool>>;

/// A copy that the store will make.
pub struct Copied {
    /// The file that is copied, and no other.
    pub source: SourceFingerprint,
    /// The copy.
    pub staged: Staged,
    /// What the store keeps of it until it is published.
    pub held: Box<dyn Any + Send>,
}

/// NAME_MAX of every file system of Linux that counts names in bytes.
pub(crate) const NAME_BYTES: usize = 255;

/// An output while it is written.
pub trait Staging: Send {
    /// Append bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Whether it leaves memory with so many bytes more: from then on something of it is found by its name only.
    fn leaves_memory(&self, _more_bytes: usize) -> bool {
        false
    }

    /// Leave a hole up to an offset.
    fn skip_to(&mut self, offset_bytes: u64) -> Result<()>;

    /// Have the system append the next bytes of a source, at most so many; none where it can't.
    fn copy_from(&mut self, reading: &dyn Reading, length_bytes: u64) -> Result<Option<u64>>;

    /// All is written: what was staged, and what the store keeps of it until it is published.
    fn finish(self: Box<Self>, attributes: Option<&Attributes>) -> Result<(Staged, Box<dyn Any + Send>)>;
}

/// A staged output on its way to its name.
pub struct Output {
    /// Where it is staged, and published.
    pub directory: Arc<dyn SinkDirectory>,
    /// The directory that it is published in, where that is another one: it is made when the ledger knows of it.
    pub into: Option<Vec<u8>>,
    /// Its final name.
    pub name: Vec<u8>,
    /// Its temporary name.
    pub temporary: Temporary,
    /// What identifies it.
    pub staged: Staged,
    /// What had its name when that was decided to be replaced; none: whatever stands there.
    pub replaces: Option<Identity>,
    /// What the store keeps of it (an open file, an upload).
    pub held: Box<dyn Any + Send>,
}

impl Output {
    /// Give it its final name; `output_exists` if `Create` finds the name taken.
    pub fn publish(&mut self, publish: Publish) -> Result<()> {
        let directory = Arc::clone(&self.directory);
        directory.publish(self, publish)
    }

    /// Remove it: it will not be published.
    pub fn discard(&mut self) {
        let directory = Arc::clone(&self.directory);
        directory.discard(self);
    }
}

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Free,
    /// A file, or a link.
    File(Identity),
    /// A directory.
    Directory,
}

/// The name of a temporary: `.pravah-<job>-<task>-<token counter>-<n>`, whatever the length of the final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Temporary {
    /// The task that stages it: `.pravah-<job>-<task>-`.
    pub task: Arc<str>,
    /// The counter of the token under which it is staged.
    pub counter: u64,
    /// Its number within the attempt.
    pub number: u32,
}

impl Temporary {
    /// The beginning of the names of a task's temporaries.
    pub fn task_prefix(job: &str, task: i64) -> Arc<str> {
        format!("{PREFIX}{job}-{task}-").into()
    }

    /// The beginning of the names of all temporaries of a job; what follows is a number and a dash, as after a task's.
    pub fn job_prefix(job: &str) -> Arc<str> {
        format!("{PREFIX}{job}-").into()
    }

    /// The whole name.
    pub fn name(&self) -> String {
        format!("{}{}-{}", self.task, self.counter, self.number)
    }

    /// Whether `name` is a temporary of an earlier attempt of the same task.
    pub fn is_earlier(&self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return false };
        let counter = name.strip_prefix(&*self.task).and_then(|rest| rest.split_once('-')).map(|(counter, _)| counter);
        counter.and_then(|counter| counter.parse::<u64>().ok()).is_some_and(|counter| counter < self.counter)
    }
}

/// How every temporary's name begins; such names are never listed as entries.
pub const PREFIX: &str = ".pravah-";

/// Open the source of a plan.
pub fn open_source(plan: &Plan) -> Result<Box<dyn Source>> {
    if plan.roots.iter().any(|root| synthetic::entries_of(root).is_some()) {
        return Ok(Box::new(synthetic::SyntheticSource));
    }
    match plan.roots.iter().filter(|root| s3::is_object_uri(&root.uri)).count() {
        0 => Ok(Box::new(local::LocalSource::open(plan)?)),
        count if count == plan.roots.len() => Ok(Box::new(s3::ObjectSource::open(plan)?)),
        _ => Ok(Box::new(mixed::MixedSource::open(plan)?)),
    }
}

/// Whether outputs may be staged in files without a name.
///
/// Under leases that expire they may not: whoever takes over removes names, so that a late publish finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporaries {
    /// Each has a name.
    Named,
    /// They need none, where the file system can do without.
    Nameless,
}

/// Open the place that a plan moves its sources to.
pub fn open_keeper(uri: &str) -> Result<Box<dyn Keeper>> {
    if s3::is_object_uri(uri) {
        return Ok(Box::new(s3::ObjectKeeper::open(uri)?));
    }
    Ok(Box::new(local::LocalKeeper::open(uri)?))
}

/// Open the sink of a plan.
pub fn open_sink(sink: &SinkPlan, temporaries: Temporaries) -> Result<Box<dyn Sink>> {
    match sink.uri.split_once(':') {
        Some(("file", _)) => Ok(Box::new(local::LocalSink::open(sink, temporaries)?)),
        _ if s3::is_object_uri(&sink.uri) => Ok(Box::new(s3::ObjectSink::open(sink, temporaries)?)),
        Some(("null", _)) => Ok(Box::new(null::NullSink)),
        _ => Err(Error::InvalidPlan(format!("no store for the sink `{}`", sink.uri))),
    }
}
