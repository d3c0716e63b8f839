//! Walks trees that are on no local disk: each thread has one directory after the other listed.
//!
//! What is listed, left out and handed over is as in [`super::walk`]; a directory that can't be listed ends the scan,
//! since it is a store that can't be reached, and not a part of a tree.

use std::{
    collections::HashSet,
    fmt,
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread,
};

use rustix::io::Errno;

use super::{
    Detail, Scanner,
    directory::Directory,
    filter::Reason,
    listing::{Listing, Stat},
    names::Names,
    read::reason,
    walk::{End, Origin, Visitor},
};
use crate::{Error, Result, entry::Kind};

/// Lists directories that are on no local disk.
pub trait Lister: fmt::Debug + Send + Sync {
    /// Hand over what a directory has, in parts, until there is no more or nobody wants it.
    fn list(
        &self,
        root: usize,
        directory: &[u8],
        take: &mut dyn FnMut(Vec<Item>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>>;

    /// Whether a directory is where the job's outputs go.
    fn is_sink(&self, root: usize, directory: &[u8]) -> bool;
}

/// What a directory has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A directory, by its name.
    Directory(Vec<u8>),
    /// A file.
    File {
        /// Its name; where it is no path: all that tells it from others below its directory.
        name: Vec<u8>,
        /// Its size in bytes.
        size_bytes: u64,
        /// When it was put there, in nanoseconds since 1970.
        modified_ns: i64,
        /// Whether it can be taken for a path.
        is_path: bool,
    },
}

/// What a name has for an error that is no path.
pub const NO_PATH: Errno = Errno::ILSEQ;

/// Directories that are listed at once: each waits for the server, and takes no CPU.
pub const THREADS: usize = 16;

/// Run a scan on as many threads as there are visitors; give the visitors back.
pub(super) fn walk<V: Visitor>(
    scanner: &Scanner,
    lister: &dyn Lister,
    origins: Vec<Origin>,
    visitors: Vec<V>,
) -> Result<Vec<V>> {
    let walk = Walk { scanner, lister, state: Mutex::new(State::new(origins)), changed: Condvar::new() };
    let visitors = thread::scope(|scope| {
        let run = |mut visitor: V| {
            let walk = &walk;
            move || {
                walk.work(&mut visitor);
                visitor
            }
        };
        let spawn = |visitor| thread::Builder::new().name("pravah-scan".into()).spawn_scoped(scope, run(visitor));
        let threads: Vec<_> =
            visitors.into_iter().map(|visitor| spawn(visitor).map_err(Error::io("start a thread"))).collect();
        let joined = threads.into_iter().map(|thread| match thread {
            Ok(thread) => Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            Err(error) => {
                walk.stop();
                Err(error)
            }
        });
        joined.collect::<Result<Vec<V>>>()
    })?;
    match walk.state().failed.take() {
        Some(error) => Err(error),
        None => Ok(visitors),
    }
}

struct Walk<'w> {
    scanner: &'w Scanner,
    lister: &'w dyn Lister,
    state: Mutex<State>,
    changed: Condvar,
}

/// What waits, and how many threads may find more.
struct State {
    waiting: Vec<Origin>,
    busy: usize,
    ended: bool,
    failed: Option<Error>,
}

impl State {
    fn new(mut origins: Vec<Origin>) -> Self {
        origins.reverse(); // the first is taken first
        Self { waiting: origins, busy: 0, ended: false, failed: None }
    }

    /// Take the next directory; of several below one the last, as the scanner of local trees does.
    fn take(&mut self, scanner: &Scanner) -> Option<Arc<Directory>> {
        match self.waiting.pop()? {
            Origin::Directory(directory) => Some(directory),
            Origin::Below(parent, mut names) => {
                let name = names.pop()?;
                let directory = Directory::child_of(scanner.filter_of(parent.root()), &parent, name);
                if !names.is_empty() {
                    self.waiting.push(Origin::Below(parent, names));
                }
                Some(directory)
            }
        }
    }
}

impl Walk<'_> {
    fn work(&self, visitor: &mut dyn Visitor) {
        while let Some(directory) = self.next() {
            let _guard = EndOnPanic(self);
            let listed = self.list(&directory, visitor);
            let is_stopped = self.scanner.stop.load(Ordering::Relaxed);
            let mut state = self.state();
            state.busy -= 1;
            match listed {
                Err(error) => {
                    state.ended = true;
                    state.failed.get_or_insert(error);
                }
                Ok(flow) => state.ended |= flow.is_break() || is_stopped,
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Wait for a directory; none: everything is listed, or the scan is to end.
    fn next(&self) -> Option<Arc<Directory>> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(directory) = state.take(self.scanner) {
                state.busy += 1;
                return Some(directory);
            }
            if state.busy == 0 && state.waiting.is_empty() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn list(&self, directory: &Arc<Directory>, visitor: &mut dyn Visitor) -> Result<ControlFlow<()>> {
        let path = directory.relative();
        if self.lister.is_sink(directory.root(), &path) {
            return Ok(visitor.end(directory, End::Skipped));
        }
        let mut sieve = Sieve { scanner: self.scanner, directory, path: path.clone(), known: HashSet::new() };
        let flow = self.lister.list(directory.root(), &path, &mut |items| {
            let (mut listing, names) = sieve.take(items);
            if !visitor.chooses() {
                self.push(directory, names);
            }
            if self.scanner.stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            if listing.is_empty() && listing.filtered.total() == 0 {
                return ControlFlow::Continue(());
            }
            visitor.entries(directory, &mut listing)
        })?;
        if flow.is_break() || visitor.end(directory, End::Complete).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if let Some(names) = visitor.chosen() {
            self.push(directory, names);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn push(&self, parent: &Arc<Directory>, names: Names) {
        if !names.is_empty() {
            self.state().waiting.push(Origin::Below(Arc::clone(parent), names));
            self.changed.notify_all();
        }
    }

    fn stop(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the scan if its thread panics, so that the others don't wait for it.
struct EndOnPanic<'w, 's>(&'w Walk<'s>);

impl Drop for EndOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Takes what is to be listed of a directory, and leaves out what is not.
struct Sieve<'s> {
    scanner: &'s Scanner,
    directory: &'s Directory,
    path: Vec<u8>,
    /// Directories that have come: each is gone into once, whatever a server repeats.
    known: HashSet<Vec<u8>>,
}

impl Sieve<'_> {
    fn take(&mut self, items: Vec<Item>) -> (Listing, Names) {
        let (mut listing, mut names) = (Listing::default(), Names::default());
        let with_sizes = self.scanner.detail == Detail::Sizes;
        for item in items {
            match item {
                Item::Directory(name) => {
                    if let Some(reason) = self.reason(&name, Kind::Directory) {
                        listing.filtered.add(reason);
                    } else if self.known.insert(name.clone()) {
                        names.push(&name);
                        listing.push(&name, Kind::Directory, with_sizes.then(Stat::default));
                    }
                }
                Item::File { name, size_bytes, modified_ns, is_path } => {
                    let filter = self.scanner.filter_of(self.directory.root());
                    let by_look = || filter.judge_look(size_bytes, modified_ns);
                    if let Some(reason) = self.reason(&name, Kind::File).or_else(by_look) {
                        listing.filtered.add(reason);
                        continue;
                    }
                    listing.push(&name, Kind::File, with_sizes.then_some(Stat { size_bytes, modified_ns }));
                    if !is_path {
                        listing.push_fault(NO_PATH);
                    }
                }
            }
        }
        (listing, names)
    }

    fn reason(&mut self, name: &[u8], kind: Kind) -> Option<Reason> {
        let filter = self.scanner.filter_of(self.directory.root());
        reason(filter, (self.directory.is_whole(), self.directory.depth() + 1), &mut self.path, (name, kind))
    }
}
