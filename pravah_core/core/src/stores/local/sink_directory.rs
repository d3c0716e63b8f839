//! A directory of outputs: looking, staging, publishing and comparing what stands at their names.

use std::{
    any::Any,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags},
    io::Errno,
};

use super::{
    IDENTITY, LOOK,
    file_system::FileSystem,
    identity,
    sink::{Shared, local},
    staging::{Held, LocalStaging, TemporaryName, Written, checksum, checksum_of_link, link},
};
use crate::{
    Error, Result,
    outcome::{Identity, Publish, Staged},
    plan::{Durability, Verify},
    stores::{Beginning, Output, Removal, SinkDirectory, Staging, Standing, Temporary},
};

/// Bytes of two files that are compared at once.
const COMPARED_BYTES: usize = 256 << 10;

/// A directory of outputs.
pub(super) struct LocalDirectory {
    pub(super) handle: Arc<OwnedFd>,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) kind: FileSystem,
    pub(super) shared: Arc<Shared>,
}

impl LocalDirectory {
    fn keeps_files_open(&self) -> bool {
        self.shared.durability == Durability::Batch && !self.kind.syncs_whole()
    }

    fn temporary_name(&self, temporary: &Temporary) -> TemporaryName {
        TemporaryName { directory: Some(Arc::clone(&self.handle)), name: temporary.name() }
    }

    fn stage_nameless(&self) -> Result<Option<OwnedFd>> {
        if !self.shared.nameless.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.handle, c".", flags, self.shared.manner.creation_mode()) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                self.shared.nameless.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(errno) => Err(Error::system("create the output")(errno)),
        }
    }

    /// The checksum of a file or a link, as it identifies content; none where it is gone.
    fn checksum(&self, name: &[u8], size_bytes: u64) -> Result<Option<u64>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => checksum(&file, std::slice::from_ref(&(0..size_bytes))).map(Some),
            Err(Errno::LOOP) => {
                let target = rustix::fs::readlinkat(&self.handle, name, Vec::new());
                let target = target.map_err(Error::system("look at the output"))?;
                Ok(Some(checksum_of_link(target.as_bytes())))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::system("look at the output")(errno)),
        }
    }

    fn unlink(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::system("remove a temporary")(errno)),
        }
    }

    /// Give a temporary its final name; it may lie in another directory.
    fn rename(&self, named: &TemporaryName, to: &[u8], publish: Publish) -> rustix::io::Result<()> {
        let (directory, from) = (named.directory.as_ref().unwrap_or(&self.handle), &named.name);
        if publish == Publish::Replace {
            return rustix::fs::renameat(directory, from, &self.handle, to);
        }
        match rustix::fs::renameat_with(directory, from, &self.handle, to, RenameFlags::NOREPLACE) {
            // File systems without this flag have links, which never replace either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(directory, from, &self.handle, to, AtFlags::empty())?;
                rustix::fs::unlinkat(directory, from, AtFlags::empty())
            }
            answer => answer,
        }
    }
}

impl SinkDirectory for LocalDirectory {
    fn look(&self, name: &[u8]) -> Result<Standing> {
        match rustix::fs::statx(&self.handle, name, LOOK, IDENTITY) {
            Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()).is_dir() => Ok(Standing::Directory),
            Ok(stat) => Ok(Standing::File(identity(&stat))),
            Err(Errno::NOENT) => Ok(Standing::Free),
            Err(errno) => Err(Error::system("look at the output")(errno)),
        }
    }

    fn stage(&self, beginning: &Beginning<'_>) -> Result<Box<dyn Staging>> {
        let Beginning { temporary, publish, .. } = *beginning;
        let failed_flushes = self.shared.flushes.count();
        let nameless = if publish == Publish::Create { self.stage_nameless()? } else { None };
        let (file, named) = match nameless {
            Some(file) => (file, false),
            None => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mode = self.shared.manner.creation_mode();
                let file = rustix::fs::openat(&self.handle, temporary.name(), flags, mode)
                    .map_err(Error::system("create the output"))?;
                (file, true)
            }
        };
        let identify_by_content = !self.kind.keeps_inodes();
        let summed = identify_by_content || self.shared.manner.verify != Verify::Size;
        Ok(Box::new(LocalStaging {
            file: Some(file),
            named: named.then(|| self.temporary_name(temporary)),
            number: named.then_some(temporary.number),
            publish,
            keep_open: !named || self.keeps_files_open(),
            identify_by_content,
            manner: Arc::clone(&self.shared.manner),
            failed_flushes,
            written: Written::new(summed),
        }))
    }

    fn stage_link(
        &self,
        temporary: &Temporary,
        publish: Publish,
        target: &[u8],
    ) -> Result<(Staged, Box<dyn Any + Send>)> {
        let name = temporary.name();
        rustix::fs::symlinkat(target, &self.handle, &name).map_err(Error::system("create the output"))?;
        let held = Held::link(self.temporary_name(temporary));
        let stat =
            rustix::fs::statx(&self.handle, &name, LOOK, IDENTITY).map_err(Error::system("look at the output"))?;
        let mut found = identity(&stat);
        if !self.kind.keeps_inodes() {
            (found.device, found.inode, found.born_ns) = (0, checksum_of_link(target), 0);
        }
        Ok((Staged { temporary: Some(temporary.number), publish, identity: found }, Box::new(held)))
    }

    fn stage_shared(
        &self,
        temporary: &Temporary,
        publish: Publish,
        (directory, shared): (&dyn SinkDirectory, &str),
    ) -> Result<Option<(Staged, Box<dyn Any + Send>)>> {
        let (from, name) = (local(directory)?, temporary.name());
        match rustix::fs::linkat(&from.handle, shared, &self.handle, &name, AtFlags::empty()) {
            Ok(()) => {}
            // Not shared yet; on another file system, or with as many names as it can have: a file of its own.
            Err(Errno::NOENT | Errno::XDEV | Errno::MLINK) => return Ok(None),
            Err(errno) => return Err(Error::system("create the output")(errno)),
        }
        let named = self.temporary_name(temporary);
        let look = "look at the output";
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, &name, flags, Mode::empty()).map_err(Error::system(look))?;
        let stat = rustix::fs::statx(&file, c"", AtFlags::EMPTY_PATH, IDENTITY).map_err(Error::system(look))?;
        let mut found = identity(&stat);
        if !self.kind.keeps_inodes() {
            let content = checksum(&file, std::slice::from_ref(&(0..found.size_bytes)))?;
            (found.device, found.inode, found.born_ns) = (0, content, 0);
        }
        let file = self.keeps_files_open().then_some(file);
        let staged = Staged { temporary: Some(temporary.number), publish, identity: found };
        Ok(Some((staged, Box::new(Held::shared(file, named)))))
    }

    fn share(&self, output: &mut Output, (directory, shared): (&dyn SinkDirectory, &str)) -> Result<bool> {
        let to = local(directory)?;
        if let Some(held) = output.held.downcast_mut::<Held>() {
            held.verify_once()?;
        }
        let failed = Error::system("share the output");
        let held = output.held.downcast_ref::<Held>().filter(|held| held.named.is_none());
        let linked = if let Some(file) = held.and_then(|held| held.file.as_ref()) {
            rustix::fs::fsync(file).map_err(Error::system("flush the output to disk"))?;
            link(file, &to.handle, shared.as_bytes())
        } else {
            let (name, flags) = (output.temporary.name(), OFlags::RDONLY | OFlags::CLOEXEC);
            let file = rustix::fs::openat(&self.handle, &name, flags, Mode::empty()).map_err(&failed)?;
            // Others rely on it from now on, also after a power cut.
            rustix::fs::fsync(&file).map_err(Error::system("flush the output to disk"))?;
            rustix::fs::linkat(&self.handle, &name, &to.handle, shared, AtFlags::empty())
        };
        match linked {
            Ok(()) | Err(Errno::XDEV) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn publish(&self, output: &mut Output, publish: Publish) -> Result<()> {
        let held = output.held.downcast_mut::<Held>();
        let held = held.ok_or_else(|| Error::InvalidPlan("an output was published or discarded before".into()))?;
        let answer = match (&held.file, publish) {
            (Some(file), Publish::Create) if held.named.is_none() => link(file, &self.handle, &output.name),
            (file, _) => {
                if let (Some(file), None) = (file, &held.named) {
                    let named = self.temporary_name(&output.temporary);
                    link(file, &self.handle, named.name.as_bytes()).map_err(Error::system("publish the output"))?;
                    held.named = Some(named);
                }
                let beside = self.temporary_name(&output.temporary);
                self.rename(held.named.as_ref().unwrap_or(&beside), &output.name, publish)
            }
        };
        match answer {
            Ok(()) => {
                held.published();
                Ok(())
            }
            // It, or the directory that it lies in: in both cases nothing can be published any more.
            Err(Errno::NOENT) => Err(Error::TemporaryGone),
            Err(errno) => Err(Error::system("publish the output")(errno)),
        }
    }

    fn same(&self, found: &Identity, remembered: &Identity) -> bool {
        self.kind.same(found, remembered)
    }

    fn adopt(&self, name: &[u8], staged: &Staged) -> Result<bool> {
        Ok(match self.look(name)? {
            Standing::File(found) if self.kind.keeps_inodes() => self.same(&found, &staged.identity),
            Standing::File(found) if found.size_bytes != staged.identity.size_bytes => false,
            Standing::File(found) => self.checksum(name, found.size_bytes)? == Some(staged.identity.inode),
            Standing::Free | Standing::Directory => false,
        })
    }

    fn has_equal(&self, output: &Output) -> Result<bool> {
        let size_bytes = output.staged.identity.size_bytes;
        if !matches!(self.look(&output.name)?, Standing::File(found) if found.size_bytes == size_bytes) {
            return Ok(false);
        }
        let held = output.held.downcast_ref::<Held>();
        let look = Error::system("compare the output with what has its name");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let there = match rustix::fs::openat(&self.handle, output.name.as_slice(), flags, Mode::empty()) {
            Ok(there) => there,
            Err(Errno::LOOP) if held.is_some_and(|held| held.is_link) => {
                let staged = self.checksum(output.temporary.name().as_bytes(), size_bytes)?;
                return Ok(staged.is_some() && self.checksum(&output.name, size_bytes)? == staged);
            }
            Err(Errno::LOOP | Errno::NOENT | Errno::NXIO) => return Ok(false),
            Err(errno) => return Err(look(errno)),
        };
        let mine = match (held.and_then(|held| held.file.as_ref()), held.and_then(|held| held.named.as_ref())) {
            (Some(file), _) => rustix::io::fcntl_dupfd_cloexec(file, 0).map_err(&look)?,
            (None, Some(named)) => {
                let directory = named.directory.as_ref().unwrap_or(&self.handle);
                match rustix::fs::openat(directory, &named.name, flags, Mode::empty()) {
                    Ok(mine) => mine,
                    Err(Errno::LOOP | Errno::NOENT) => return Ok(false),
                    Err(errno) => return Err(look(errno)),
                }
            }
            (None, None) => return Ok(false),
        };
        equal(&there, &mine).map_err(look)
    }

    fn begin_removing(&self, name: &[u8], staged: &Staged) -> Result<Removal> {
        let is_there = self.adopt(name, staged)?;
        if is_there {
            rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()).map_err(Error::system("remove the output"))?;
        }
        Ok(Box::new(move || Ok(is_there)))
    }

    fn discard(&self, output: &mut Output) {
        output.held = Box::new(()); // a temporary name goes with what held it
    }

    fn sweep(&self, temporary: &Temporary) -> Result<usize> {
        let mut removed = 0;
        let listed = rustix::fs::Dir::read_from(&self.handle).map_err(Error::system("list the output's directory"))?;
        for entry in listed {
            let entry = entry.map_err(Error::system("list the output's directory"))?;
            if let Ok(name) = entry.file_name().to_str()
                && temporary.is_earlier(name.as_bytes())
            {
                self.unlink(name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn id(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Compare two files, byte for byte.
fn equal(one: &OwnedFd, other: &OwnedFd) -> rustix::io::Result<bool> {
    let (found, mine) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::RegularFile
        || found.st_size != mine.st_size
    {
        return Ok(false);
    }
    let mut buffers = [vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]];
    let mut offset = 0;
    loop {
        let [left, right] = &mut buffers;
        let read = [read_full(one, left, offset)?, read_full(other, right, offset)?];
        if read[0] != read[1] || left[..read[0]] != right[..read[1]] {
            return Ok(false);
        }
        if read[0] == 0 {
            return Ok(true);
        }
        offset += read[0] as u64;
    }
}

fn read_full(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> rustix::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
