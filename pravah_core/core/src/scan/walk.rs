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
    Links, Scanner, Skip, Span,
    descriptors::{Descriptors, Hold},
    directory::Directory,
    listing::Listing,
    names::Names,
    queue::{Brood, Queues, Start, Work},
    read::{Reader, Rules, reason_of_root},
    system::{Halt, stat_root},
};
use crate::{Error, Result};

/// Takes what one thread of a scan finds.
///
/// All parts of a directory, and then its end, come to one visitor, before anything of the next directory. Of one that
/// is read in ranges this holds for each range; its end comes once, behind all of them.
/// A visitor that breaks ends the whole scan.
pub trait Visitor: Send {
    /// Take entries of a directory. A huge directory comes in several parts. The listing may be taken away.
    fn entries(&mut self, directory: &Directory, listing: &mut Listing) -> ControlFlow<()>;

    /// Take note that no more comes of a directory. Not called where the scan was stopped in its middle.
    fn end(&mut self, directory: &Arc<Directory>, end: End) -> ControlFlow<()>;

    /// Take note that no more comes of a range of a directory's names.
    fn end_range(&mut self, _directory: &Arc<Directory>, _span: &Span) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Name the subdirectories to go on with of the directory, or range, that has just ended; then none is begun before.
    /// By default each is read as soon as it is found, so that a huge directory keeps no thread waiting.
    fn chosen(&mut self) -> Option<Names> {
        None
    }

    /// Whether [`Self::chosen`] has something to say.
    fn chooses(&self) -> bool {
        false
    }
}

/// How the reading of a directory ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything in it was handed over.
    Complete,
    /// The same, range by range.
    Ranged,
    /// It can't be opened, or not be read further; roots that are missing too.
    Unreadable(Errno),
    /// It was gone before it could be read: no failure, as a scan a moment later would not have seen it.
    Vanished,
    /// It is one of the directories to skip.
    Skipped,
    /// It lies above itself: a link was followed that leads back to it.
    Loop,
}

/// What a walk begins with.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A directory, to be listed.
    Directory(Arc<Directory>),
    /// Subdirectories of a directory that is not listed itself.
    Below(Arc<Directory>, Names),
    /// Some ranges of a directory's names; local directories are not read so.
    Ranges(Arc<Directory>, Vec<Span>),
}

impl Origin {
    /// Index of the root that it lies below.
    pub(super) fn root(&self) -> usize {
        let (Self::Directory(directory) | Self::Below(directory, _) | Self::Ranges(directory, _)) = self;
        directory.root()
    }

    fn start(self) -> Option<Start> {
        match self {
            Self::Directory(directory) | Self::Ranges(directory, _) => Some(Start::Directory(directory)),
            Self::Below(parent, names) => {
                Brood::new(|| Arc::new(Descriptors::hold_closed(&parent)), names).map(Start::Below)
            }
        }
    }
}

/// Run a scan on as many threads as there are visitors; give the visitors back.
pub(super) fn walk<V: Visitor>(scanner: &Scanner, origins: Vec<Origin>, visitors: Vec<V>) -> Result<Vec<V>> {
    let queues = Queues::new(visitors.len(), origins.into_iter().filter_map(Origin::start).collect());
    let walk = &Walk { scanner, queues, descriptors: Descriptors::new(scanner.links), ended: AtomicBool::new(false) };
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
                Work::Start(Start::Directory(directory)) => worker.start(&directory),
                Work::Start(Start::Below(brood)) => {
                    self.queues.push(thread, brood);
                    ControlFlow::Continue(())
                }
                Work::Below(parent, name) => worker.below(parent, name),
            };
            self.queues.finish();
            if flow.is_break() || self.scanner.stop.load(Ordering::Relaxed) {
                self.stop();
            }
        }
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
    fn start(&mut self, directory: &Arc<Directory>) -> ControlFlow<()> {
        match self.walk.descriptors.open(directory) {
            Ok(descriptor) => self.list(directory, descriptor),
            Err(errno) if directory.parent().is_some() => self.visitor.end(directory, failure(errno)),
            Err(Errno::NOTDIR) => self.root_that_is_a_file(directory),
            Err(errno) => self.visitor.end(directory, End::Unreadable(errno)),
        }
    }

    fn root_that_is_a_file(&mut self, root: &Arc<Directory>) -> ControlFlow<()> {
        let mut listing = Listing::default();
        let end = match stat_root(root.name()) {
            Ok((kind, stat)) => {
                let has_sizes = self.walk.scanner.detail == super::Detail::Sizes;
                let name = root.name().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                match reason_of_root(name, (kind, stat), self.walk.scanner.filter_of(root.root())) {
                    Some(reason) => listing.filtered.add(reason),
                    None => listing.push(b"", kind, has_sizes.then_some(stat)),
                }
                End::Complete
            }
            Err(errno) => End::Unreadable(errno),
        };
        if !listing.is_empty() || listing.filtered.total() > 0 {
            self.visitor.entries(root, &mut listing)?;
        }
        self.visitor.end(root, end)
    }

    fn below(&mut self, parent: Arc<Hold>, name: Box<[u8]>) -> ControlFlow<()> {
        let opened = self.walk.descriptors.open_below(&parent, &name);
        let directory = Directory::child_of(&self.walk.scanner.filter, parent.directory(), name);
        drop(parent); // the last of its subdirectories: it is closed here, not after the whole subtree
        match opened {
            Ok(descriptor) => self.list(&directory, descriptor),
            Err(errno) => self.visitor.end(&directory, failure(errno)),
        }
    }

    fn list(&mut self, directory: &Arc<Directory>, descriptor: OwnedFd) -> ControlFlow<()> {
        let walk = self.walk;
        let Scanner { detail, links, skip, stop, .. } = walk.scanner;
        let mut skip_names = Vec::new();
        if !skip.is_empty() || *links == Links::Follow {
            let identity = match fstat(&descriptor) {
                Ok(seen) => identity(&seen),
                Err(errno) => return self.visitor.end(directory, failure(errno)),
            };
            for Skip { name, .. } in skip.iter().filter(|skip| skip.is_at(identity)) {
                match name {
                    None => return self.visitor.end(directory, End::Skipped),
                    Some(name) => skip_names.push(name.as_slice()),
                }
            }
            directory.set_identity(identity);
            if *links == Links::Follow && directory.lies_above_itself() {
                return self.visitor.end(directory, End::Loop);
            }
        }
        let (filter, skip_names) = (walk.scanner.filter_of(directory.root()), skip_names.as_slice());
        let rules = Rules { detail: *detail, filter, links: *links, skip_names };
        let descriptor = Arc::new(descriptor);
        let mut hold: Option<Arc<Hold>> = None;
        let (thread, visitor) = (self.thread, &mut *self.visitor);
        let read = self.reader.read(descriptor.as_fd(), directory, &rules, &mut |listing| {
            let kept = || hold.get_or_insert_with(|| Arc::new(walk.descriptors.hold(directory, &descriptor))).clone();
            if !visitor.chooses()
                && let Some(brood) = Brood::new(kept, Names::of_directories(listing))
            {
                walk.queues.push(thread, brood);
            }
            if stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            visitor.entries(directory, listing)
        });
        let end = match read {
            Ok(()) => End::Complete,
            Err(Halt::Stopped) => return ControlFlow::Break(()),
            Err(Halt::Failed(errno)) => failure(errno),
        };
        self.visitor.end(directory, end)?;
        let kept = || Arc::new(walk.descriptors.hold(directory, &descriptor));
        if let Some(brood) = self.visitor.chosen().and_then(|names| Brood::new(kept, names)) {
            walk.queues.push(thread, brood);
        }
        ControlFlow::Continue(())
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
