//! Moving sources away once their outputs are acknowledged (`source.after`).
//!
//! Never over a file that stands there: within a file system by a rename that refuses, across two by a copy that is
//! on disk and compared before the source goes. A kill at any instant leaves the source, or the file at its new
//! place, or both; repeated, the move comes to its end.

use std::{
    collections::BTreeSet,
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT},
    io::Errno,
};

use super::{sink::make_below, source::LocalDirectory, walk};
use crate::{
    Error, Result,
    plan::file_path,
    scan::Links,
    stores::{Keeper, Moved},
};

const MOVE: &str = "move the source";
const CHUNK_BYTES: usize = 1 << 20;

/// A directory that sources are moved below.
pub struct LocalKeeper {
    root: OwnedFd,
    /// Directories whose new names are not certain to be on disk. A file that was renamed is in one place or the
    /// other after a power cut, so that these wait for each other.
    touched: Mutex<BTreeSet<Vec<u8>>>,
}

impl LocalKeeper {
    /// Open the directory, and make it where it is missing.
    pub fn open(uri: &str) -> Result<Self> {
        let slash = walk::open_root(b"/").map_err(Error::system("open the place to move to"))?;
        let root = make_below(slash, &file_path(uri)?, Links::Follow, &[])
            .map_err(Error::system("open the place to move to"))?;
        Ok(Self { root, touched: Mutex::default() })
    }
}

impl Keeper for LocalKeeper {
    fn take(&self, moved: &Moved<'_>) -> Result<()> {
        let Moved { name, to, temporary, .. } = moved;
        let from = moved.from.as_any().downcast_ref::<LocalDirectory>();
        let LocalDirectory { descriptor: from, .. } =
            from.ok_or_else(|| Error::InvalidPlan("a source of another store".into()))?;
        let root = rustix::io::fcntl_dupfd_cloexec(&self.root, 0).map_err(Error::system(MOVE))?;
        let (path, to) =
            (to, make_below(root, to, Links::Follow, &[]).map_err(Error::system("open the place to move to"))?);
        let id = |at: &OwnedFd| rustix::fs::fstat(at).map(|found| (found.st_dev, found.st_ino));
        if id(from).map_err(Error::system(MOVE))? == id(&to).map_err(Error::system(MOVE))? {
            return Err(Error::OutputExists("the source is already where it was to be moved to".into()));
        }
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_vec());
        match rename(from, &to, name) {
            Ok(()) => return Ok(()),
            Err(Errno::XDEV) => place_copy(from, &to, name, temporary)?,
            // After a kill the copy may stand there already, or the second name of the same file.
            Err(Errno::EXIST) if same_content(from, &to, name)? => {}
            Err(Errno::EXIST) => return Err(taken()),
            Err(errno) => return Err(Error::system(MOVE)(errno)),
        }
        self.settle()?;
        remove(from, name)
    }

    fn settle(&self) -> Result<()> {
        let flush = Error::system("flush the names of moved sources");
        for path in std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner)) {
            let mut at = rustix::io::fcntl_dupfd_cloexec(&self.root, 0).map_err(&flush)?;
            rustix::fs::fsync(&at).map_err(&flush)?;
            for name in walk::names(&path) {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                at = rustix::fs::openat(&at, name, flags, Mode::empty()).map_err(&flush)?;
                rustix::fs::fsync(&at).map_err(&flush)?;
            }
        }
        Ok(())
    }
}

fn taken() -> Error {
    Error::OutputExists("another file stands where the source was to be moved to".into())
}

fn rename(from: &OwnedFd, to: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::linkat(from, name, to, name, AtFlags::empty())?;
            rustix::fs::unlinkat(from, name, AtFlags::empty())
        }
        answer => answer,
    }
}

fn remove(from: &OwnedFd, name: &[u8]) -> Result<()> {
    rustix::fs::unlinkat(from, name, AtFlags::empty()).map_err(Error::system("remove the source"))
}

/// Copy a file, with its times, mode and owner, and give it its name when it is on disk and equal.
fn place_copy(from: &OwnedFd, to: &OwnedFd, name: &[u8], temporary: &str) -> Result<()> {
    let failed = Error::system(MOVE);
    match rustix::fs::unlinkat(to, temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {} // of a move that was killed
        Err(errno) => return Err(failed(errno)),
    }
    let source = open(from, name)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let copy = rustix::fs::openat(to, temporary, flags, Mode::from_raw_mode(0o600)).map_err(&failed)?;
    let placed = fill(&source, &copy).and_then(|()| {
        if !equal(&source, &copy)? {
            return Err(Error::VerifyFailed("the copy differs from the source".into()));
        }
        match rustix::fs::renameat_with(to, temporary, to, name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(to, temporary, to, name, AtFlags::empty())
            }
            answer => answer,
        }
        .or_else(|errno| match errno {
            Errno::EXIST if same_content(from, to, name)? => Ok(()),
            Errno::EXIST => Err(taken()),
            errno => Err(failed(errno)),
        })
    });
    // Whatever came of it, the temporary is needed no more; renamed, it is gone.
    let _ = rustix::fs::unlinkat(to, temporary, AtFlags::empty());
    placed
}

fn open(at: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).map_err(Error::system(MOVE))
}

fn fill(source: &OwnedFd, copy: &OwnedFd) -> Result<()> {
    let failed = Error::system(MOVE);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        let read = read_at(source, &mut buffer, at)?;
        if read == 0 {
            break;
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            match rustix::io::write(copy, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        at += read as u64;
    }
    let found = rustix::fs::fstat(source).map_err(&failed)?;
    let owner = (rustix::fs::Uid::from_raw(found.st_uid), rustix::fs::Gid::from_raw(found.st_gid));
    // Others than root keep what they can, as `mv` does.
    let _ = rustix::fs::fchown(copy, Some(owner.0), Some(owner.1));
    rustix::fs::fchmod(copy, Mode::from_raw_mode(found.st_mode & 0o1777)).map_err(&failed)?;
    let last_modification =
        Timespec { tv_sec: found.st_mtime, tv_nsec: i64::try_from(found.st_mtime_nsec).unwrap_or(0) };
    let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification };
    rustix::fs::futimens(copy, &times).map_err(&failed)?;
    rustix::fs::fsync(copy).map_err(Error::system("flush the moved source to disk"))
}

/// Whether the file at the new place has the content of the source.
fn same_content(from: &OwnedFd, to: &OwnedFd, name: &[u8]) -> Result<bool> {
    let stat =
        |at: &OwnedFd| rustix::fs::statat(at.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::system(MOVE));
    let (source, target) = (stat(from)?, stat(to)?);
    let is_file = rustix::fs::FileType::from_raw_mode(target.st_mode).is_file();
    // A stranger's file may be equal by chance, but hardly with the same modification time.
    let times = (source.st_mtime, source.st_mtime_nsec) == (target.st_mtime, target.st_mtime_nsec);
    if !is_file || !times || source.st_size != target.st_size {
        return Ok(false);
    }
    equal(&open(from, name)?, &open(to, name)?)
}

fn equal(one: &OwnedFd, other: &OwnedFd) -> Result<bool> {
    let (mut first, mut second) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut at = 0;
    loop {
        let (read, also) = (read_at(one, &mut first, at)?, read_at(other, &mut second, at)?);
        if first[..read] != second[..also] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        at += read as u64;
    }
}

/// Read until the buffer is full or the file ends.
fn read_at(file: &OwnedFd, buffer: &mut [u8], at: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system(MOVE)(errno)),
        }
    }
    Ok(filled)
}
