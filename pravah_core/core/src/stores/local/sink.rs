//! Publishing local files: whole, under their names, and on disk before anybody says so.
//!
//! Protocol, rules 5 to 8; `faults.md`, publish rules. Outputs that create a name are written without any name
//! (`O_TMPFILE`) where the file system can, so that a kill leaves nothing behind; the others, and those elsewhere,
//! under a temporary name beside their final one.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags},
    io::Errno,
};

use super::{IDENTITY, LOOK, identity, walk};
use crate::{
    Error, Result,
    outcome::{Identity, Publish, Staged},
    plan::{Durability, file_path},
    stores::{Output, Sink, SinkDirectory, Staging, Standing, Temporary},
};

/// From this many directories on, one `syncfs` is cheaper than a flush for each.
const FLUSH_DIRECTORIES: usize = 4;

/// A directory tree that outputs are published into.
pub struct LocalSink {
    root: OwnedFd,
    shared: Arc<Shared>,
    devices: Mutex<HashMap<u64, Device>>,
    settled: Mutex<HashSet<Vec<u8>>>,
}

/// What directories and outputs of one sink have in common.
struct Shared {
    durability: Durability,
    /// Whether files without a name work here; set to false for good by the first refusal.
    nameless: AtomicBool,
}

struct Device {
    /// Opened before anything is written to the device, so that `syncfs` reports every later error.
    handle: OwnedFd,
    kind: FileSystem,
}

impl LocalSink {
    /// Open the sink's directory, and make it and its parents where they are missing.
    pub fn open(uri: &str, durability: Durability) -> Result<Self> {
        let path = file_path(uri)?;
        let slash = walk::open_root(b"/").map_err(Error::system("open the sink"))?;
        let root = make_below(slash, &path).map_err(Error::system("open the sink"))?;
        let shared = Arc::new(Shared { durability, nameless: AtomicBool::new(cfg!(target_os = "linux")) });
        Ok(Self { root, shared, devices: Mutex::default(), settled: Mutex::default() })
    }

    fn directory(&self, handle: OwnedFd) -> Result<LocalDirectory> {
        let look = "look at the sink";
        let stat = rustix::fs::statx(&handle, c"", AtFlags::EMPTY_PATH, IDENTITY).map_err(Error::system(look))?;
        let Identity { device, inode, .. } = identity(&stat);
        let mut devices = lock(&self.devices);
        if let std::collections::hash_map::Entry::Vacant(place) = devices.entry(device) {
            let kind = FileSystem::of(&handle).map_err(Error::system(look))?;
            let handle = rustix::io::fcntl_dupfd_cloexec(&handle, 0).map_err(Error::system(look))?;
            place.insert(Device { handle, kind });
        }
        let kind = devices.get(&device).map_or(FileSystem::Other, |device| device.kind);
        Ok(LocalDirectory { handle: Arc::new(handle), device, inode, kind, shared: Arc::clone(&self.shared) })
    }

    /// Wait until each ancestor's entry is on disk, once a process: that a directory exists proves nothing.
    fn settle_ancestors(&self, directory: &[u8]) -> Result<()> {
        let mut settled = lock(&self.settled);
        let mut at = rustix::io::fcntl_dupfd_cloexec(&self.root, 0).map_err(Error::system("open the sink"))?;
        let mut path = Vec::new();
        for name in walk::names(directory) {
            if settled.insert(path.clone()) {
                rustix::fs::fsync(&at).map_err(Error::system("flush the sink's directory"))?;
            }
            at = rustix::fs::openat(&at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(Error::system("open the sink"))?;
            path = crate::entry::join(&path, name);
        }
        Ok(())
    }
}

impl Sink for LocalSink {
    fn open_directory(&self, directory: &[u8]) -> Result<Arc<dyn SinkDirectory>> {
        let root = rustix::io::fcntl_dupfd_cloexec(&self.root, 0).map_err(Error::system("open the sink"))?;
        let opened =
            self.directory(make_below(root, directory).map_err(Error::system("create the output's directory"))?)?;
        if self.shared.durability != Durability::None && !opened.kind.syncs_whole() {
            self.settle_ancestors(directory)?;
        }
        Ok(Arc::new(opened))
    }

    fn find_directory(&self, directory: &[u8]) -> Result<Option<Arc<dyn SinkDirectory>>> {
        match walk::open_within(self.root.as_fd(), directory) {
            Ok(handle) => Ok(Some(Arc::new(self.directory(handle)?))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(Error::system("open the output's directory")(errno)),
        }
    }

    fn make_durable(&self, outputs: &[Output]) -> Result<()> {
        if self.shared.durability != Durability::Batch {
            return Ok(()); // `none` waits for nothing; `always` has waited for each file
        }
        let devices = lock(&self.devices);
        let mut synced = HashSet::new();
        for output in outputs {
            let directory = local(&*output.directory)?;
            match devices.get(&directory.device) {
                Some(device) if device.kind.syncs_whole() => {
                    if synced.insert(directory.device) {
                        rustix::fs::syncfs(&device.handle).map_err(Error::system("flush the outputs to disk"))?;
                    }
                }
                _ => {
                    let held = output.held.downcast_ref::<Held>().and_then(|held| held.file.as_ref());
                    let file = held.ok_or_else(|| Error::InvalidPlan("an output to flush is closed".into()))?;
                    rustix::fs::fsync(file).map_err(Error::system("flush the output to disk"))?;
                }
            }
        }
        Ok(())
    }

    fn make_published_durable(&self, directories: &[Arc<dyn SinkDirectory>]) -> Result<()> {
        if self.shared.durability == Durability::None {
            return Ok(());
        }
        let devices = lock(&self.devices);
        let mut by_device: HashMap<u64, Vec<&LocalDirectory>> = HashMap::new();
        for directory in directories {
            let directory = local(&**directory)?;
            by_device.entry(directory.device).or_default().push(directory);
        }
        for (device, directories) in by_device {
            match devices.get(&device) {
                Some(device) if device.kind.syncs_whole() && directories.len() > FLUSH_DIRECTORIES => {
                    rustix::fs::syncfs(&device.handle).map_err(Error::system("flush the names to disk"))?;
                }
                _ => {
                    for directory in directories {
                        rustix::fs::fsync(&directory.handle).map_err(Error::system("flush the names to disk"))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn open_files_per_output(&self) -> usize {
        1
    }
}

/// A directory of outputs.
struct LocalDirectory {
    handle: Arc<OwnedFd>,
    device: u64,
    inode: u64,
    kind: FileSystem,
    shared: Arc<Shared>,
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
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.handle, c".", flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                self.shared.nameless.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(errno) => Err(Error::system("create the output")(errno)),
        }
    }

    fn unlink(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::system("remove a temporary")(errno)),
        }
    }

    fn rename(&self, from: &str, to: &[u8], publish: Publish) -> rustix::io::Result<()> {
        if publish == Publish::Replace {
            return rustix::fs::renameat(&self.handle, from, &self.handle, to);
        }
        match rustix::fs::renameat_with(&self.handle, from, &self.handle, to, RenameFlags::NOREPLACE) {
            // File systems without this flag have links, which never replace either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(&self.handle, from, &self.handle, to, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.handle, from, AtFlags::empty())
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

    fn stage(&self, temporary: &Temporary, publish: Publish) -> Result<Box<dyn Staging>> {
        let nameless = if publish == Publish::Create { self.stage_nameless()? } else { None };
        let (file, named) = match nameless {
            Some(file) => (file, false),
            None => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&self.handle, temporary.name(), flags, Mode::from_raw_mode(0o666))
                    .map_err(Error::system("create the output"))?;
                (file, true)
            }
        };
        Ok(Box::new(LocalStaging {
            file: Some(file),
            named: named.then(|| self.temporary_name(temporary)),
            number: named.then_some(temporary.number),
            publish,
            keep_open: !named || self.keeps_files_open(),
            flush: self.shared.durability == Durability::Always,
        }))
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
                self.rename(&output.temporary.name(), &output.name, publish)
            }
        };
        answer.map_err(Error::system("publish the output"))?;
        held.published();
        Ok(())
    }

    fn same(&self, found: &Identity, remembered: &Identity) -> bool {
        self.kind.same(found, remembered)
    }

    fn adopt(&self, name: &[u8], staged: &Staged) -> Result<bool> {
        Ok(match self.look(name)? {
            Standing::File(found) => self.same(&found, &staged.identity),
            Standing::Free | Standing::Directory => false,
        })
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

/// What a local output keeps until it is published. Dropped before, it takes its temporary away.
struct Held {
    /// Open while it has no name, or while it is still to be flushed by itself.
    file: Option<OwnedFd>,
    named: Option<TemporaryName>,
}

impl Held {
    fn published(&mut self) {
        self.file = None;
        if let Some(mut named) = self.named.take() {
            named.directory = None;
        }
    }
}

/// A temporary name, removed on drop unless it has become the final one.
struct TemporaryName {
    directory: Option<Arc<OwnedFd>>,
    name: String,
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            // What can't be removed now is looked for by the next holder and at closing.
            let _ = rustix::fs::unlinkat(directory, &self.name, AtFlags::empty());
        }
    }
}

/// A local output while it is written.
struct LocalStaging {
    file: Option<OwnedFd>,
    named: Option<TemporaryName>,
    number: Option<u32>,
    publish: Publish,
    keep_open: bool,
    flush: bool,
}

impl Staging for LocalStaging {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let file = self.file.as_ref().ok_or(Error::Cancelled)?;
        while !bytes.is_empty() {
            match rustix::io::write(file, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("write the output")(errno)),
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(Staged, Box<dyn Any + Send>)> {
        let file = self.file.take().ok_or(Error::Cancelled)?;
        if self.flush {
            rustix::fs::fsync(&file).map_err(Error::system("flush the output to disk"))?;
        }
        let stat = rustix::fs::statx(&file, c"", AtFlags::EMPTY_PATH, IDENTITY)
            .map_err(Error::system("look at the output"))?;
        let staged = Staged { temporary: self.number, publish: self.publish, identity: identity(&stat) };
        let file = if self.keep_open { Some(file) } else { close(file)? };
        Ok((staged, Box::new(Held { file, named: self.named.take() })))
    }
}

/// Close a file and hear what `close` has to say: NFS and FUSE report write errors there.
fn close(file: OwnedFd) -> Result<Option<OwnedFd>> {
    use std::os::fd::IntoRawFd;
    // SAFETY: `into_raw_fd` hands over the only owner of this descriptor, and it is not used again.
    unsafe { rustix::io::try_close(file.into_raw_fd()) }.map_err(Error::system("close the output"))?;
    Ok(None)
}

/// Give a nameless file its name.
fn link(file: &OwnedFd, directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    // AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH before Linux 6.10, and answers ENOENT without it.
    match rustix::fs::linkat(file, c"", directory, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(rustix::fs::CWD, path, directory, name, AtFlags::SYMLINK_FOLLOW)
        }
        answer => answer,
    }
}

/// Open a directory below `at`, making what is missing. Links are followed: the sink is the user's own.
fn make_below(at: OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    match walk::open_within(at.as_fd(), path) {
        Err(Errno::NOENT) => walk::names(path).try_fold(at, |at, name| {
            match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            rustix::fs::openat(&at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        }),
        answer => answer,
    }
}

/// What matters of a file system's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    /// `syncfs` is known to write everything and to report errors (ext4, xfs, btrfs, and tmpfs, which has no disk).
    SyncsWhole,
    /// Inode numbers and devices may change while a file lives (NFS, FUSE, overlay).
    UnstableInodes,
    /// Anything else.
    Other,
}

impl FileSystem {
    fn of(directory: &OwnedFd) -> rustix::io::Result<Self> {
        const EXT4: u64 = 0xEF53;
        const XFS: u64 = 0x5846_5342;
        const BTRFS: u64 = 0x9123_683E;
        const TMPFS: u64 = 0x0102_1994;
        const NFS: u64 = 0x6969;
        const FUSE: u64 = 0x6573_5546;
        const OVERLAY: u64 = 0x794C_7630;
        let kind = u64::try_from(rustix::fs::fstatfs(directory)?.f_type).unwrap_or_default();
        Ok(match kind {
            EXT4 | XFS | BTRFS | TMPFS if reports_sync_errors() => Self::SyncsWhole,
            NFS | FUSE | OVERLAY => Self::UnstableInodes,
            _ => Self::Other,
        })
    }

    fn syncs_whole(self) -> bool {
        self == Self::SyncsWhole
    }

    fn same(self, found: &Identity, staged: &Identity) -> bool {
        if self == Self::UnstableInodes {
            return (found.size_bytes, found.modified_ns) == (staged.size_bytes, staged.modified_ns);
        }
        found == staged
    }
}

/// `syncfs` reports write-back errors since Linux 5.8.
fn reports_sync_errors() -> bool {
    let system = rustix::system::uname();
    let mut release = system.release().to_str().unwrap_or_default().split(['.', '-']).map(str::parse::<u32>);
    match (release.next(), release.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 8),
        _ => false,
    }
}

fn local(directory: &dyn SinkDirectory) -> Result<&LocalDirectory> {
    directory
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Error::InvalidPlan("an output's directory belongs to another store".into()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
