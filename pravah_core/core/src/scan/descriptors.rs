//! Opens directories one step below an open one, and bounds how many stay open.
//!
//! A directory stays open while some of its subdirectories are still to be opened. Where too many would, the
//! ones opened longest ago are closed, and opened again, step by step from the nearest open ancestor, when
//! their turn comes. Each step is one name below a descriptor, so no path is ever too long, and no link is followed
//! where links are to be left alone.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    fs::{CWD, Mode, OFlags, fstat, openat},
    io::Errno,
    process::{Resource, getrlimit},
};

use super::{
    Links,
    directory::{Directory, lock},
    walk::identity,
};

/// Keeps directories open, up to a limit.
pub(super) struct Descriptors {
    kept: Mutex<VecDeque<Weak<Directory>>>,
    limit: AtomicUsize,
    links: Links,
}

/// Says that subdirectories of a directory are still to be opened; its descriptor goes with the last of these.
pub(super) struct Hold(Arc<Directory>);

impl Descriptors {
    pub fn new(links: Links) -> Self {
        Self::with_limit(default_limit(), links)
    }

    fn with_limit(limit: usize, links: Links) -> Self {
        Self { kept: Mutex::default(), limit: AtomicUsize::new(limit), links }
    }

    /// Open a root: the one path that is taken as a whole, and the one that may be a link.
    pub fn open_root(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut pieces = pieces(path);
        let first = pieces.next().unwrap_or_default();
        let top = self.retry(|| openat(CWD, first, flags, Mode::empty()))?;
        pieces.try_fold(top, |base, piece| self.retry(|| openat(&base, piece, flags, Mode::empty())))
    }

    /// Open a directory that the scan begins with, by way of its nearest open ancestor.
    pub fn open(&self, directory: &Arc<Directory>) -> Result<OwnedFd, Errno> {
        match directory.parent() {
            None => self.open_root(directory.name()),
            Some(parent) => {
                let parent = self.descriptor(parent)?;
                self.open_step(&parent, directory.name())
            }
        }
    }

    /// Open the subdirectory `name` of a directory.
    pub fn open_below(&self, parent: &Hold, name: &[u8]) -> Result<OwnedFd, Errno> {
        let parent = self.descriptor(&parent.0)?;
        self.open_step(&parent, name)
    }

    /// Keep a directory open until the hold is dropped, or too many are open. A root stays open as long as
    /// anything below it is known: it is where every other directory can be opened from.
    pub fn hold(&self, directory: &Arc<Directory>, descriptor: &Arc<OwnedFd>) -> Hold {
        directory.slot().wanted = true;
        self.keep(directory, descriptor);
        Hold(directory.clone())
    }

    /// Have a directory stay open once it has been opened for one of its subdirectories.
    pub fn hold_closed(directory: &Arc<Directory>) -> Hold {
        directory.slot().wanted = true;
        Hold(directory.clone())
    }

    fn keep(&self, directory: &Arc<Directory>, descriptor: &Arc<OwnedFd>) {
        let mut slot = directory.slot();
        if !slot.wanted {
            return;
        }
        slot.descriptor = Some(descriptor.clone());
        drop(slot);
        if directory.parent().is_some() {
            lock(&self.kept).push_back(Arc::downgrade(directory));
            self.close_beyond(self.limit.load(Ordering::Relaxed));
        }
    }

    /// Where more than `limit` directories are open, close those that were opened longest ago.
    fn close_beyond(&self, limit: usize) {
        let mut kept = lock(&self.kept);
        if kept.len() <= limit {
            return;
        }
        kept.retain(|directory| directory.upgrade().is_some_and(|directory| directory.slot().descriptor.is_some()));
        if kept.len() <= limit {
            return;
        }
        let excess = kept.len() - limit + limit / 4; // some room, so that this is not done for each directory
        let closing: Vec<_> = kept.drain(..excess).collect();
        drop(kept);
        for directory in closing.iter().filter_map(Weak::upgrade) {
            let descriptor = directory.slot().descriptor.take();
            drop(descriptor);
        }
    }

    fn descriptor(&self, directory: &Arc<Directory>) -> Result<Arc<OwnedFd>, Errno> {
        if let Some(descriptor) = &directory.slot().descriptor {
            return Ok(descriptor.clone());
        }
        let (open, mut closed) = nearest_open(directory);
        let mut descriptor = match open {
            Some(open) => open,
            None => self.open_again(closed.pop().unwrap_or(directory))?,
        };
        for directory in closed.into_iter().rev() {
            descriptor = Arc::new(self.open_step(&descriptor, directory.name())?);
            self.recognise(directory, &descriptor)?;
            self.keep(directory, &descriptor);
        }
        Ok(descriptor)
    }

    /// Open a root that the scan did not begin with, and keep it open as others are.
    fn open_again(&self, root: &Directory) -> Result<Arc<OwnedFd>, Errno> {
        let descriptor = Arc::new(self.open_root(root.name())?);
        self.recognise(root, &descriptor)?;
        root.slot().descriptor = Some(descriptor.clone());
        Ok(descriptor)
    }

    /// Have a loop of links show below a directory that the scan passes only.
    fn recognise(&self, directory: &Directory, descriptor: &OwnedFd) -> Result<(), Errno> {
        if self.links == Links::Follow {
            directory.set_identity(identity(&fstat(descriptor)?));
        }
        Ok(())
    }

    fn open_step(&self, parent: &impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        let follow = if self.links == Links::Follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | follow;
        self.retry(|| openat(parent, name, flags, Mode::empty()))
    }

    /// Where the process or the machine has no descriptor left, close what is kept and wait for others.
    fn retry(&self, mut open: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
        for attempt in 0..EXHAUSTED_ATTEMPTS {
            match open() {
                Err(Errno::MFILE | Errno::NFILE) => self.shed(attempt),
                result => return result,
            }
        }
        open()
    }

    fn shed(&self, attempt: u32) {
        let limit = self.limit.load(Ordering::Relaxed) / 2;
        self.limit.store(limit, Ordering::Relaxed);
        self.close_beyond(limit);
        if attempt > 0 {
            thread::sleep(EXHAUSTED_PAUSE);
        }
    }
}

impl Hold {
    pub fn directory(&self) -> &Arc<Directory> {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut slot = self.0.slot();
        slot.wanted = false;
        let descriptor = if self.0.parent().is_some() { slot.descriptor.take() } else { None };
        drop(slot);
        drop(descriptor);
    }
}

/// The nearest open directory at or above this one, if there is one, and the closed ones below it, the deepest first.
fn nearest_open(directory: &Arc<Directory>) -> (Option<Arc<OwnedFd>>, Vec<&Arc<Directory>>) {
    let mut closed = Vec::new();
    let mut next = Some(directory);
    while let Some(directory) = next {
        if let Some(descriptor) = &directory.slot().descriptor {
            return (Some(descriptor.clone()), closed);
        }
        closed.push(directory);
        next = directory.parent();
    }
    (None, closed)
}

/// Cut a path into pieces that the kernel takes, each relative to the one before.
fn pieces(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let cut = match rest.len() {
            0 => return None,
            length if length <= PIECE_BYTES => length,
            _ => rest[..PIECE_BYTES].iter().rposition(|&byte| byte == b'/').map_or(rest.len(), |slash| slash + 1),
        };
        let (piece, behind) = rest.split_at(cut);
        let slashes = behind.iter().take_while(|&&byte| byte == b'/').count();
        rest = &behind[slashes..];
        Some(piece)
    })
}

/// Most bytes of a path in one call: PATH_MAX without the closing NUL.
const PIECE_BYTES: usize = 4095;

/// Times that an open is tried again while there is no descriptor left: two seconds in all.
const EXHAUSTED_ATTEMPTS: u32 = 200;

/// Pause between these tries: other threads close a directory every few microseconds.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(10);

/// Most directories kept open: a quarter of what the process may have, as the rest of the engine needs the
/// others; at most 1,024, where opening a chain of 30,000 again costs a directory about 30 steps.
fn default_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / 4).unwrap_or(usize::MAX).clamp(4, 1024)
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;

    use super::*;

    #[test]
    fn test_directory_that_was_closed_is_opened_again_step_by_step() {
        let root = tempfile::tempdir().expect("creates");
        create_dir_all(root.path().join("a/a/a/a/a/a/a/a/last")).expect("creates");
        let descriptors = Descriptors::with_limit(2, Links::Skip);
        let path = root.path().as_os_str().as_encoded_bytes();
        let mut directory = Arc::new(Directory::of_root(0, path));
        let mut descriptor = Arc::new(descriptors.open_root(path).expect("opens"));
        let mut holds = Vec::new();
        for _ in 0..8 {
            holds.push(descriptors.hold(&directory, &descriptor));
            descriptor = Arc::new(descriptors.open_below(&holds[holds.len() - 1], b"a").expect("opens"));
            directory = Arc::new(Directory::below(&directory, b"a".as_slice().into()));
        }
        drop(holds.remove(0)); // the root: still where the others are opened from
        let open = |holds: &[Hold]| holds.iter().filter(|hold| hold.0.slot().descriptor.is_some()).count();
        assert!(open(&holds) <= 2);
        for hold in &holds {
            descriptors.open_below(hold, b"a").expect("opens");
            assert!(open(&holds) <= 2);
        }
        drop(descriptors.open_below(&Hold(directory), b"last").expect("opens"));
    }

    #[test]
    fn test_pieces_of_long_path_fit_the_kernel_and_lose_nothing() {
        let path = format!("/{}", vec!["n".repeat(200); 100].join("///"));
        let pieces: Vec<_> = pieces(path.as_bytes()).collect();
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('/', "");
        assert_eq!(pieces.iter().map(|piece| text(piece)).collect::<String>(), text(path.as_bytes()));
    }
}
