//! Reading local files.

use std::{os::fd::OwnedFd, sync::Arc};

use rustix::{
    fs::{AtFlags, Mode, OFlags, StatxFlags},
    io::Errno,
};

use super::{LOOK, identity, nanoseconds, walk};
use crate::{
    Error, Result,
    outcome::SourceFingerprint,
    plan::Plan,
    stores::{Reading, Source, SourceDirectory},
};

/// The roots of a plan, open.
pub struct LocalSource {
    roots: Vec<OwnedFd>,
}

impl LocalSource {
    /// Open the roots of a plan.
    pub fn open(plan: &Plan) -> Result<Self> {
        let open = |root: &crate::plan::Root| walk::open_root(&root.path()?).map_err(Error::system("open the source"));
        Ok(Self { roots: plan.roots.iter().map(open).collect::<Result<_>>()? })
    }
}

impl Source for LocalSource {
    fn open_directory(&self, root: u16, directory: &[u8]) -> Result<Arc<dyn SourceDirectory>> {
        use std::os::fd::AsFd;
        let root = self
            .roots
            .get(usize::from(root))
            .ok_or_else(|| Error::InvalidPlan(format!("root is {root}, the plan has {}", self.roots.len())))?;
        let directory = walk::open_below(root.as_fd(), directory).map_err(Error::system("open the source"))?;
        Ok(Arc::new(LocalDirectory(directory)))
    }
}

struct LocalDirectory(OwnedFd);

impl SourceDirectory for LocalDirectory {
    fn fingerprint(&self, name: &[u8]) -> Result<SourceFingerprint> {
        let stat = rustix::fs::statx(&self.0, name, LOOK, StatxFlags::BASIC_STATS)
            .map_err(Error::system("open the source"))?;
        Ok(fingerprint(&stat))
    }

    fn open(&self, name: &[u8]) -> Result<Box<dyn Reading>> {
        // NONBLOCK: a FIFO that took the file's place since the scan must not hold the worker up.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.0, name, flags | OFlags::NOATIME, Mode::empty()) {
            // NOATIME is the owner's right alone.
            Err(Errno::PERM) => rustix::fs::openat(&self.0, name, flags, Mode::empty()),
            answer => answer,
        }
        .map_err(Error::system("open the source"))?;
        Ok(Box::new(LocalFile(file)))
    }

    fn id(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::statx(&self.0, c"", AtFlags::EMPTY_PATH, StatxFlags::INO)
            .map_err(Error::system("open the source"))?;
        let identity = identity(&stat);
        Ok((identity.device, identity.inode))
    }
}

struct LocalFile(OwnedFd);

impl Reading for LocalFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match rustix::io::read(&self.0, &mut *buffer) {
                Err(Errno::INTR) => {}
                answer => return answer.map_err(Error::system("read the source")),
            }
        }
    }

    fn fingerprint(&self) -> Result<SourceFingerprint> {
        let flags = rustix::fs::AtFlags::EMPTY_PATH;
        let stat = rustix::fs::statx(&self.0, c"", flags, StatxFlags::BASIC_STATS)
            .map_err(Error::system("look at the source"))?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.stx_mode.into());
        if !kind.is_file() {
            return Err(Error::ChangedWhileRead(format!("listed as a regular file, now {kind:?}")));
        }
        Ok(fingerprint(&stat))
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
