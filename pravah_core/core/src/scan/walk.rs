//! Walks the trees: each thread opens, reads and hands over one directory after the other.

use std::{
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::{
    fs::{Stat, fstat},
    io::Errno,
};

use super::{
    Scanner, Skip,
    descriptors::{Descriptors, Hold},
    directory::Directory,
    listing::Listing,
    queue::{Brood, Queues, Work},
    read::{Reader, Rules},
    system::{Halt, stat_root},
};
use crate::{Error, Result};

/// Takes what one thread of a scan finds.
///
/// All parts of a directory, and then its end, come to one visitor, before anything of the next directory.
/// A visitor that breaks ends the whole scan.
pub trait Visitor: Send {
    /// Take entries of a directory. A huge directory comes in several parts. The listing may be taken away.
    fn entries(&mut self, directory: &Directory, listing: &mut Listing) -> ControlFlow<()>;

    /// Take note that no more comes of a directory. Not called where the scan was stopped in its middle.
    fn end(&mut self, directory: &Directory, end: End) -> ControlFlow<()>;
}

/// How the reading of a directory ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything in it was handed over.
    Complete,
    /// It can't be opened, or not be read further; roots that are missing too.
    Unreadable(Errno),
    /// It was gone before it could be read: no failure, as a scan a moment later would not have seen it.
    Vanished,
    /// It is one of the directories to skip.
    Skipped,
}

/// Run a scan on as many threads as there are visitors; give the visitors back.
pub(super) fn walk<V: Visitor>(scanner: &Scanner, visitors: Vec<V>) -> Result<Vec<V>> {
    let queues = Queues::new(visitors.len(), scanner.roots.len());
    let walk = &Walk { scanner, queues, descriptors: Descriptors::new(), ended: AtomicBool::new(false) };
    thread::scope(|scope| {
        let run = |(number, mut visitor): (usize, V)| {
            move || {
                walk.work(number, &mut visitor);
                visitor
            }
        };
        let spawn = |visitor| thread::Builder::new().name("pravah-scan".into()).spawn_scoped(scope, run(visitor));
        let mut visitors = visitors.into_iter().enumerate();
        let own = visitors.next();
        let others: Vec<_> = match visitors.map(spawn).collect() {
            Ok(others) => others,
            Err(error) => {
                walk.stop();
                return Err(Error::io("start a thread")(error));
            }
        };
        let own = own.map(|visitor| run(visitor)());
        let others =
            others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok(own.into_iter().chain(others).collect())
    })
}

struct Walk<'w> {
    scanner: &'w Scanner,
    queues: Queues,
    descriptors: Descriptors,
    /// Set when a visitor breaks or panics; the caller's own flag is left alone.
    ended: AtomicBool,
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

impl Walk<'_> {
    fn work(&self, thread: usize, visitor: &mut dyn Visitor) {
        let _guard = EndOnPanic(self);
        let mut worker = Worker { walk: self, thread, reader: Reader::new(), visitor };
        while let Some(work) = self.queues.next(thread, &self.ended) {
            let flow = match work {
                Work::Root(root) => worker.root(root),
                Work::Below(parent, name) => worker.below(parent, name),
            };
            self.queues.finish();
            if flow.is_break() || self.scanner.stop.load(Ordering::Relaxed) {
                self.stop();
            }
        }
    }

    fn skip(&self, descriptor: &OwnedFd) -> Result<Option<&Skip>, Errno> {
        let skips = &self.scanner.skip;
        if skips.is_empty() {
            return Ok(None);
        }
        let (device, inode) = identity(&fstat(descriptor)?);
        Ok(skips.iter().find(|skip| (skip.device, skip.inode) == (device, inode)))
    }

    fn stop(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.queues.wake_all();
    }
}

struct Worker<'w, 's> {
    walk: &'w Walk<'s>,
    thread: usize,
    reader: Reader,
    visitor: &'w mut dyn Visitor,
}

impl Worker<'_, '_> {
    fn root(&mut self, root: usize) -> ControlFlow<()> {
        let path = &self.walk.scanner.roots[root];
        let mut directory = Directory::of_root(root, path);
        directory.set_whole(self.walk.scanner.filter.whole(b"", false));
        let directory = Arc::new(directory);
        match self.walk.descriptors.open_root(path) {
            Ok(descriptor) => self.list(&directory, descriptor),
            Err(Errno::NOTDIR) => self.root_that_is_a_file(&directory),
            Err(errno) => self.visitor.end(&directory, End::Unreadable(errno)),
        }
    }

    fn root_that_is_a_file(&mut self, root: &Directory) -> ControlFlow<()> {
        let mut listing = Listing::default();
        let end = match stat_root(root.name()) {
            Ok((kind, stat)) => {
                let has_sizes = self.walk.scanner.detail == super::Detail::Sizes;
                listing.push(b"", kind, has_sizes.then_some(stat));
                End::Complete
            }
            Err(errno) => End::Unreadable(errno),
        };
        if !listing.is_empty() {
            self.visitor.entries(root, &mut listing)?;
        }
        self.visitor.end(root, end)
    }

    fn below(&mut self, parent: Arc<Hold>, name: Box<[u8]>) -> ControlFlow<()> {
        let opened = self.walk.descriptors.open_below(&parent, &name);
        let mut directory = Directory::below(parent.directory(), name);
        drop(parent); // the last of its subdirectories: it is closed here, not after the whole subtree
        let filter = &self.walk.scanner.filter;
        if filter.needs_path() {
            directory.set_whole(filter.whole(&directory.relative(), directory.is_whole()));
        }
        let directory = Arc::new(directory);
        match opened {
            Ok(descriptor) => self.list(&directory, descriptor),
            Err(errno) => self.visitor.end(&directory, failure(errno)),
        }
    }

    fn list(&mut self, directory: &Arc<Directory>, descriptor: OwnedFd) -> ControlFlow<()> {
        let walk = self.walk;
        let skip = match walk.skip(&descriptor) {
            Ok(Some(Skip { name: None, .. })) => return self.visitor.end(directory, End::Skipped),
            Ok(Some(Skip { name, .. })) => name.as_deref(),
            Ok(None) => None,
            Err(errno) => return self.visitor.end(directory, failure(errno)),
        };
        let Scanner { detail, filter, stop, .. } = walk.scanner;
        let rules = Rules { detail: *detail, filter, skip_name: skip };
        let descriptor = Arc::new(descriptor);
        let mut hold: Option<Arc<Hold>> = None;
        let (thread, visitor) = (self.thread, &mut *self.visitor);
        let read = self.reader.read(descriptor.as_fd(), directory, &rules, &mut |listing| {
            let kept = || hold.get_or_insert_with(|| Arc::new(walk.descriptors.hold(directory, &descriptor))).clone();
            if let Some(brood) = Brood::of(listing, kept) {
                walk.queues.push(thread, brood);
            }
            if stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            visitor.entries(directory, listing)
        });
        match read {
            Ok(()) => self.visitor.end(directory, End::Complete),
            Err(Halt::Stopped) => ControlFlow::Break(()),
            Err(Halt::Failed(errno)) => self.visitor.end(directory, failure(errno)),
        }
    }
}

/// Device and inode.
#[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ between systems")]
pub(crate) fn identity(seen: &Stat) -> (u64, u64) {
    (seen.st_dev as u64, seen.st_ino as u64)
}

/// Tell a directory that went away in the meantime, or that something else took the place of, from a failure.
fn failure(errno: Errno) -> End {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => End::Vanished,
        errno => End::Unreadable(errno),
    }
}
