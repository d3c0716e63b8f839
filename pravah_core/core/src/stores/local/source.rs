//! Reading local files.

use std::{
    any::Any,
    io::IoSliceMut,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::{Advice, AtFlags, Mode, OFlags, SeekFrom, StatxFlags},
    io::{Errno, ReadWriteFlags},
};

use super::{LOOK, file_system::FileSystem, identity, nanoseconds, walk};
use crate::{
    Error, Result,
    outcome::SourceFingerprint,
    plan::Plan,
    scan::Links,
    stores::{Attributes, Reading, Source, SourceDirectory},
};

/// The roots of a plan, open.
pub struct LocalSource {
    roots: Vec<OwnedFd>,
    links: Links,
}

impl LocalSource {
    /// Open the roots of a plan.
    pub fn open(plan: &Plan) -> Result<Self> {
        let open = |root: &crate::plan::Root| walk::open_root(&root.path()?).map_err(Error::system("open the source"));
        Ok(Self { roots: plan.roots.iter().map(open).collect::<Result<_>>()?, links: plan.links() })
    }
}

impl Source for LocalSource {
    fn open_directory(&self, root: u16, directory: &[u8]) -> Result<Arc<dyn SourceDirectory>> {
        let root = self
            .roots
            .get(usize::from(root))
            .ok_or_else(|| Error::InvalidPlan(format!("root is {root}, the plan has {}", self.roots.len())))?;
        let opened = walk::open_directory(self.links, root.as_fd(), directory);
        let descriptor = opened.map_err(Error::system("open the source"))?;
        Ok(Arc::new(LocalDirectory { descriptor, links: self.links }))
    }
}

/// A directory of a source.
pub struct LocalDirectory {
    /// The open directory.
    pub descriptor: OwnedFd,
    links: Links,
}

impl LocalDirectory {
    /// A directory whose links are left alone.
    pub fn of(descriptor: OwnedFd) -> Self {
        Self { descriptor, links: Links::Skip }
    }

    fn open_file(&self, name: &[u8]) -> rustix::io::Result<OwnedFd> {
        // NONBLOCK: a FIFO that took the file's place since the scan must not hold the worker up.
        let follow = if self.links == Links::Follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | follow;
        match rustix::fs::openat(&self.descriptor, name, flags | OFlags::NOATIME, Mode::empty()) {
            // NOATIME is the owner's right alone.
            Err(Errno::PERM) => rustix::fs::openat(&self.descriptor, name, flags, Mode::empty()),
            answer => answer,
        }
    }
}

impl SourceDirectory for LocalDirectory {
    fn fingerprint(&self, name: &[u8]) -> Result<SourceFingerprint> {
        let look = if self.links == Links::Follow { LOOK.difference(AtFlags::SYMLINK_NOFOLLOW) } else { LOOK };
        let stat = rustix::fs::statx(&self.descriptor, name, look, StatxFlags::BASIC_STATS)
            .map_err(Error::system("open the source"))?;
        Ok(fingerprint(&stat))
    }

    fn open(&self, name: &[u8]) -> Result<Box<dyn Reading>> {
        Ok(Box::new(LocalFile(self.open_file(name).map_err(Error::system("open the source"))?)))
    }

    fn is_near(&self, name: &[u8]) -> bool {
        let Ok(file) = self.open_file(name) else { return true };
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        rustix::io::preadv2(&file, buffers, 0, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
    }

    fn fetch_ahead(&self, name: &[u8]) {
        if let Ok(file) = self.open_file(name) {
            // Where it is refused the file is read when its turn comes.
            let _ = rustix::fs::fadvise(&file, 0, None, Advice::WillNeed);
        }
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>> {
        let target =
            rustix::fs::readlinkat(&self.descriptor, name, Vec::new()).map_err(Error::system("open the source"))?;
        Ok(target.into_bytes())
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::system("remove the source")(errno)),
        }
    }

    fn settle(&self) -> Result<()> {
        rustix::fs::fsync(&self.descriptor).map_err(Error::system("flush the source's directory"))
    }

    fn mode(&self) -> Result<Option<u32>> {
        let stat = rustix::fs::fstat(&self.descriptor).map_err(Error::system("open the source"))?;
        Ok(Some(stat.st_mode & 0o7777))
    }

    fn id(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::statx(&self.descriptor, c"", AtFlags::EMPTY_PATH, StatxFlags::INO)
            .map_err(Error::system("open the source"))?;
        let identity = identity(&stat);
        Ok((identity.device, identity.inode))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct LocalFile(OwnedFd);

/// The descriptor of an open local file.
pub fn descriptor(reading: &dyn Reading) -> Option<BorrowedFd<'_>> {
    reading.as_any().downcast_ref::<LocalFile>().map(|file| file.0.as_fd())
}

impl Reading for LocalFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match rustix::io::read(&self.0, &mut *buffer) {
                Err(Errno::INTR) => {}
                answer => return answer.map_err(Error::system("read the source")),
            }
        }
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match rustix::io::pread(&self.0, &mut *buffer, offset_bytes) {
                Err(Errno::INTR) => {}
                answer => return answer.map_err(Error::system("read the source")),
            }
        }
    }

    /// Half the time and half the CPU time for a file that is not in memory (ext4 on a virtual disk, 254 MB): Linux
    /// fetches twice as much at once. Asking for parts of it ahead (`WILLNEED`) gained nothing.
    fn read_through(&self) {
        // Where it is refused the file is read as it comes.
        let _ = rustix::fs::fadvise(&self.0, 0, None, Advice::Sequential);
    }

    fn is_sized(&self) -> bool {
        FileSystem::sizes_files(&self.0)
    }

    fn seek_data(&mut self, offset_bytes: u64) -> Result<Option<Range<u64>>> {
        let seek = |to| rustix::fs::seek(&self.0, to);
        let failed = Error::system("read the source");
        let start = match seek(SeekFrom::Data(offset_bytes)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                seek(SeekFrom::Start(offset_bytes)).map_err(&failed)?;
                return Ok(Some(offset_bytes..u64::MAX)); // a file system that knows no holes
            }
            Err(errno) => return Err(failed(errno)),
        };
        let end = seek(SeekFrom::Hole(start)).map_err(&failed)?;
        seek(SeekFrom::Start(start)).map_err(&failed)?;
        Ok(Some(start..end))
    }

    fn look(&self) -> Result<(SourceFingerprint, Attributes)> {
        let stat = rustix::fs::statx(&self.0, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
            .map_err(Error::system("look at the source"))?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.stx_mode.into());
        if !kind.is_file() {
            return Err(Error::ChangedWhileRead(format!("listed as a regular file, now {kind:?}")));
        }
        let attributes = Attributes {
            modified_ns: nanoseconds(stat.stx_mtime),
            mode: u32::from(stat.stx_mode) & 0o7777,
            user: stat.stx_uid,
            group: stat.stx_gid,
            names: stat.stx_nlink,
            object: None,
        };
        Ok((fingerprint(&stat), attributes))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn fingerprint(stat: &rustix::fs::Statx) -> SourceFingerprint {
    SourceFingerprint {
        size_bytes: stat.stx_size,
        modified_ns: nanoseconds(stat.stx_mtime),
        changed_ns: nanoseconds(stat.stx_ctime),
        inode: stat.stx_ino,
    }
}
