//! Lists directory trees in parallel: names and kinds, and sizes and times where they are asked for.
//!
//! - [`Scanner`]: what is listed, and how; starts everything else
//! - [`remote`]: the same for trees that are on no local disk; [`Lister`] lists them; [`span`]: ranges of names
//! - [`walk`]: threads, stealing of work, one directory after the other; [`Visitor`] takes what they find
//! - [`directory`], [`descriptors`]: where a directory is, and how it is opened however deep it lies
//! - [`read`], [`listing`], [`system`]: the entries of one directory, in flat buffers
//! - [`filter`], [`types`]: gitignore rules, sizes, times and types, and what is never listed
//! - [`glob`]: sources that are globs
//! - [`batches`], [`write`], [`count`], [`totals`]: what comes out, as Arrow, as text, as sums
//!
//! Never follows a symbolic link other than a root that is named by one, unless asked to; never goes up by `..`.

mod batches;
mod count;
mod descriptors;
mod directory;
mod filter;
mod format;
mod glob;
mod listing;
mod names;
mod queue;
mod read;
mod remote;
mod span;
mod system;
mod totals;
mod types;
mod walk;
mod write;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::Result;

pub use batches::{Batches, schema};
pub use count::{Count, Fault};
pub use directory::Directory;
pub use filter::{Filter, FilterRules, Filtered, Reason};
pub use format::Format;
pub use glob::Glob;
pub use listing::{Listed, Listing};
pub use names::Names;
pub use remote::{At, Item, Lister, Page, Pages};
pub use span::Span;
pub use totals::{GroupBy, Total, Totals};
pub use types::Type;
pub use walk::{End, Origin, Visitor};

pub(crate) use count::{LIST, LOOK, fault};
pub(crate) use listing::Stat;
pub(crate) use read::{Rules, closed, list, listing_of, look_at, look_for};
pub(crate) use remote::Sieve;
pub(crate) use walk::identity;

/// How much is learned of each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Name and kind, as the directory has them: no system call per file.
    #[default]
    Names,
    /// Also size and modification time of regular files: one `fstatat` each.
    Sizes,
}

/// What is done with symbolic links below the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// They are listed as links.
    #[default]
    Skip,
    /// What they lead to is listed in their place: under each name that leads there, but never below itself.
    Follow,
}

/// A directory that is left out, or one name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Device of the directory.
    pub device: u64,
    /// Inode of the directory.
    pub inode: u64,
    /// The one name that is left out; none: the whole directory.
    pub name: Option<Vec<u8>>,
}

impl Skip {
    /// Whether it is about the directory with this device and inode.
    pub(crate) fn is_at(&self, identity: (u64, u64)) -> bool {
        (self.device, self.inode) == identity
    }
}

/// A scan of one or more trees, to be started in one of several ways.
///
/// ```no_run
/// use pravah_core::scan::{Detail, Scanner};
/// let count = Scanner::new([b"/usr/share".to_vec()]).detail(Detail::Sizes).count()?;
/// println!("{} files, {} bytes", count.files, count.bytes);
/// # Ok::<(), pravah_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scanner {
    roots: Vec<Vec<u8>>,
    detail: Detail,
    filter: Filter,
    /// The filter of each root, where they differ.
    filters: Vec<Filter>,
    links: Links,
    skip: Vec<Skip>,
    /// Who lists, where nothing is on a local disk.
    lister: Option<Arc<dyn Lister>>,
    threads: usize,
    stop: Arc<AtomicBool>,
}

impl Scanner {
    /// Scan the trees below these directories; a root that is a file is its own only entry, with an empty name.
    pub fn new(roots: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
            detail: Detail::default(),
            filter: Filter::default(),
            filters: Vec::new(),
            links: Links::default(),
            skip: Vec::new(),
            lister: None,
            threads: default_threads(),
            stop: Arc::default(),
        }
    }

    /// Choose how much is learned of each file.
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// List only what these rules leave.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Of each root, in their order, list only what its glob takes; to be called behind [`Self::filter`].
    pub fn globs(mut self, globs: Vec<Option<Glob>>) -> Self {
        if globs.iter().any(Option::is_some) {
            self.filters = globs.into_iter().map(|glob| self.filter.within(glob)).collect();
        }
        self
    }

    /// Choose what is done with symbolic links.
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Leave out these directories.
    pub fn skip(mut self, skip: Vec<Skip>) -> Self {
        self.skip = skip;
        self
    }

    /// Have somebody else list directories; the paths of its roots are then only what those of entries begin with.
    pub fn lister(mut self, lister: Arc<dyn Lister>) -> Self {
        self.lister = Some(lister);
        self.threads(remote::THREADS)
    }

    /// Use this many threads (at least one).
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// End the scan early when this flag is set; what was found by then has been handed over.
    pub fn stop(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// List everything as Arrow batches, pulled by the caller.
    pub fn batches(self) -> Result<Batches> {
        Batches::start(self)
    }

    /// Count what there is.
    pub fn count(&self) -> Result<Count> {
        let counts = self.walk(vec![Count::default(); self.threads])?;
        Ok(Count::sum(counts))
    }

    /// Count what there is in groups.
    pub fn totals(&self, by: GroupBy) -> Result<Totals> {
        totals::totals(self, by)
    }

    /// Write the regular files to a descriptor.
    ///
    /// A reader that closed its end ends the scan early, and is no error.
    pub fn write(&self, descriptor: impl std::os::fd::AsFd, format: Format) -> Result<Count> {
        write::write(self, descriptor.as_fd(), format)
    }

    /// Write everything found to a descriptor as one Arrow IPC stream.
    pub fn write_arrow(&self, descriptor: impl std::os::fd::AsFd) -> Result<Count> {
        batches::write(self.clone().batches()?, descriptor.as_fd())
    }

    /// Hand everything found to visitors, each on a thread of its own.
    pub fn walk<V: Visitor>(&self, visitors: Vec<V>) -> Result<Vec<V>> {
        let root = |(index, path): (usize, &Vec<u8>)| Origin::Directory(Directory::root_of(&self.filter, index, path));
        self.walk_from(self.roots.iter().enumerate().map(root).collect(), visitors)
    }

    /// The same from other places than the roots.
    pub fn walk_from<V: Visitor>(&self, origins: Vec<Origin>, visitors: Vec<V>) -> Result<Vec<V>> {
        let Some(lister) = &self.lister else { return walk::walk(self, origins, visitors) };
        let (remote, local): (Vec<_>, Vec<_>) = origins.into_iter().partition(|origin| lister.lists(origin.root()));
        // One after the other, as each takes what the machine has.
        let visitors = if local.is_empty() { visitors } else { walk::walk(self, local, visitors)? };
        if remote.is_empty() || self.stop.load(Ordering::Relaxed) {
            return Ok(visitors);
        }
        remote::walk(self, &**lister, remote, visitors)
    }

    fn filter_of(&self, root: usize) -> &Filter {
        self.filters.get(root).unwrap_or(&self.filter)
    }

    /// Number of threads that a scan with this scanner uses.
    pub fn thread_count(&self) -> usize {
        self.threads
    }
}

/// Twice the cores, as directories are waited for, between 4 and 8: on two cores 4 threads were a
/// tenth faster than 2, and bfs found little to gain above 8.
fn default_threads() -> usize {
    thread::available_parallelism().map_or(4, |cores| (2 * cores.get()).clamp(4, 8))
}
