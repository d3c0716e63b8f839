//! Publishing local files: whole, under their names, and on disk before anybody says so.
//!
//! Protocol, rules 5 to 8; `faults.md`, publish rules. Outputs that create a name are written without any name
//! (`O_TMPFILE`) where the file system can, so that a kill leaves nothing behind; the others, and those elsewhere,
//! under a temporary name beside their final one.

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, FileType, Mode},
    io::Errno,
};

use super::{
    IDENTITY,
    file_system::FileSystem,
    identity,
    sink_directory::LocalDirectory,
    staging::{Held, Manner},
    walk,
};
use crate::{
    Error, Result,
    entry::join,
    outcome::Identity,
    plan::{Durability, Preserve, SinkPlan, file_path},
    scan::Links,
    stores::{Output, Sink, SinkDirectory, Temporaries},
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
pub(super) struct Shared {
    pub(super) durability: Durability,
    pub(super) manner: Arc<Manner>,
    /// Links below the sink are the user's own and are followed, unless those of sources are kept here: through one of
    /// these, outputs would land wherever somebody else has said.
    pub(super) links: Links,
    /// Whether files without a name work here; set to false for good by the first refusal.
    pub(super) nameless: AtomicBool,
    pub(super) flushes: FailedFlushes,
}

/// Flushes of whole file systems that failed.
///
/// The kernel tells of an error once, and marks what it concerns clean: it may be of any output that was begun before,
/// also of one whose own window is flushed later, and well.
#[derive(Default)]
pub(super) struct FailedFlushes {
    count: AtomicU64,
    /// The error of the last one.
    errno: AtomicI32,
}

impl FailedFlushes {
    /// How many there were so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn add(&self, errno: Errno) {
        self.errno.store(errno.raw_os_error(), Ordering::Release);
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn last(&self) -> Errno {
        Errno::from_raw_os_error(self.errno.load(Ordering::Acquire))
    }
}

struct Device {
    /// Opened before anything is written to the device, so that `syncfs` reports every later error.
    handle: OwnedFd,
    kind: FileSystem,
}

impl LocalSink {
    /// Open the sink's directory, and make it and its parents where they are missing.
    pub fn open(plan: &SinkPlan, temporaries: Temporaries) -> Result<Self> {
        let path = file_path(&plan.uri)?;
        let slash = walk::open_root(b"/").map_err(Error::system("open the sink"))?;
        let root = make_below(slash, &path, Links::Follow, &[]).map_err(Error::system("open the sink"))?;
        let (durability, verify, preserve) = (plan.durability, plan.verify, plan.preserve.clone());
        let (flush, is_durable) = (durability == Durability::Always, durability != Durability::None);
        let manner = Arc::new(Manner { verify, preserve, flush, is_durable });
        let links = if plan.preserves(Preserve::Links) { Links::Skip } else { Links::Follow };
        let nameless = cfg!(target_os = "linux") && temporaries == Temporaries::Nameless;
        let shared = Arc::new(Shared {
            durability,
            manner,
            links,
            nameless: AtomicBool::new(nameless),
            flushes: FailedFlushes::default(),
        });
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
            at = walk::open_directory(self.shared.links, at.as_fd(), name).map_err(Error::system("open the sink"))?;
            path = join(&path, name);
        }
        Ok(())
    }

    /// The error of a directory that can't be made: a link that is not followed is something that stands there.
    fn not_made(&self, directory: &[u8], errno: Errno) -> Error {
        match self.link_on(directory).filter(|_| self.shared.links == Links::Skip) {
            Some(link) => Error::OutputExists(format!(
                "`{}` in the sink is a link, where a directory is needed: with `preserve: links` none is followed",
                String::from_utf8_lossy(&link)
            )),
            None => Error::system("create the output's directory")(errno),
        }
    }

    /// The first link on the way to a directory.
    fn link_on(&self, directory: &[u8]) -> Option<Vec<u8>> {
        let (mut at, mut path) = (rustix::io::fcntl_dupfd_cloexec(&self.root, 0).ok()?, Vec::new());
        for name in walk::names(directory) {
            path = join(&path, name);
            let found = rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            if FileType::from_raw_mode(found.st_mode).is_symlink() {
                return Some(path);
            }
            at = walk::open_below(at.as_fd(), name).ok()?;
        }
        None
    }
}

impl Sink for LocalSink {
    fn open_directory(&self, directory: &[u8]) -> Result<Arc<dyn SinkDirectory>> {
        self.open_directory_like(directory, &[])
    }

    fn open_directory_like(&self, directory: &[u8], modes: &[u32]) -> Result<Arc<dyn SinkDirectory>> {
        let root = rustix::io::fcntl_dupfd_cloexec(&self.root, 0).map_err(Error::system("open the sink"))?;
        let made = make_below(root, directory, self.shared.links, modes);
        let made = made.map_err(|errno| self.not_made(directory, errno))?;
        let opened = self.directory(made)?;
        if self.shared.durability != Durability::None && !opened.kind.syncs_whole() {
            self.settle_ancestors(directory)?;
        }
        Ok(Arc::new(opened))
    }

    fn find_directory(&self, directory: &[u8]) -> Result<Option<Arc<dyn SinkDirectory>>> {
        match walk::open_directory(self.shared.links, self.root.as_fd(), directory) {
            Ok(handle) => Ok(Some(Arc::new(self.directory(handle)?))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(Errno::LOOP) if self.shared.links == Links::Skip => Ok(None),
            Err(errno) => Err(Error::system("open the output's directory")(errno)),
        }
    }

    fn verify(&self, output: &Output) -> Result<()> {
        output.held.downcast_ref::<Held>().map_or(Ok(()), Held::verify)
    }

    fn make_durable(&self, outputs: &[Output]) -> Result<()> {
        if self.shared.durability != Durability::Batch {
            return Ok(()); // `none` waits for nothing; `always` has waited for each file
        }
        let flushes = &self.shared.flushes;
        let failed = Error::system("flush the outputs to disk");
        let mut held = outputs.iter().filter_map(|output| output.held.downcast_ref::<Held>());
        if held.any(|held| held.failed_flushes < flushes.count()) {
            return Err(failed(flushes.last()));
        }
        let devices = lock(&self.devices);
        let mut synced = HashSet::new();
        for output in outputs {
            let directory = local(&*output.directory)?;
            match devices.get(&directory.device) {
                Some(device) if device.kind.syncs_whole() => {
                    if synced.insert(directory.device) {
                        rustix::fs::syncfs(&device.handle).map_err(|errno| {
                            flushes.add(errno);
                            failed(errno)
                        })?;
                    }
                }
                _ if output.held.downcast_ref::<Held>().is_some_and(|held| held.is_link) => {}
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
                    rustix::fs::syncfs(&device.handle).map_err(Error::system("flush the names in the sink to disk"))?;
                }
                _ => {
                    for directory in directories {
                        rustix::fs::fsync(&directory.handle)
                            .map_err(Error::system("flush the names in the sink to disk"))?;
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

/// Open a directory below `at`, making what is missing; the last names of the path have these permission bits then, as
/// far as they are told.
pub fn make_below(at: OwnedFd, path: &[u8], links: Links, modes: &[u32]) -> rustix::io::Result<OwnedFd> {
    match walk::open_directory(links, at.as_fd(), path) {
        Err(Errno::NOENT) => {
            let untold = walk::names(path).count().saturating_sub(modes.len());
            let modes = std::iter::repeat_n(None, untold).chain(modes.iter().copied().map(Some));
            walk::names(path).zip(modes).try_fold(at, |at, (name, mode)| open_or_make(&at, name, links, mode))
        }
        answer => answer,
    }
}

fn open_or_make(at: &OwnedFd, name: &[u8], links: Links, mode: Option<u32>) -> rustix::io::Result<OwnedFd> {
    // Whoever owns it can always get in, as outputs are still to be written there.
    let bits = mode.map_or(0o777, |mode| mode & 0o777 | 0o700);
    let is_new = match rustix::fs::mkdirat(at, name, Mode::from_raw_mode(bits)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(errno),
    };
    let made = walk::open_directory(links, at.as_fd(), name)?;
    if is_new && mode.is_some() {
        // Past the umask; what it has inherited from the directory around it stays.
        let inherited = rustix::fs::fstat(&made)?.st_mode & 0o7000;
        rustix::fs::fchmod(&made, Mode::from_raw_mode(inherited | bits))?;
    }
    Ok(made)
}

pub(super) fn local(directory: &dyn SinkDirectory) -> Result<&LocalDirectory> {
    directory
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Error::InvalidPlan("an output's directory belongs to another store".into()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::Publish,
        plan::{OnCollision, Overwrite, Verify},
        stores::{Beginning, Temporary},
    };

    #[test]
    fn test_output_that_was_begun_before_a_flush_failed_is_not_durable_by_a_later_one() {
        let directory = tempfile::tempdir().expect("makes a directory");
        let plan = SinkPlan {
            uri: format!("file://{}", directory.path().display()),
            only: None,
            path: None,
            on_collision: OnCollision::Fail,
            overwrite: Overwrite::Changed,
            durability: Durability::Batch,
            verify: Verify::Size,
            preserve: Vec::new(),
            s3: None,
        };
        let sink = LocalSink::open(&plan, Temporaries::Named).expect("opens");
        let into = sink.open_directory(b"").expect("opens");
        let begin = |number| {
            let temporary = Temporary { task: Temporary::task_prefix("JOB", 1), counter: 1, number };
            let beginning =
                Beginning { temporary: &temporary, publish: Publish::Create, name: b"name", attributes: None };
            let mut staging = into.stage(&beginning).expect("begins");
            staging.write(b"content").expect("writes");
            (staging, temporary)
        };
        let finish = |(staging, temporary): (Box<dyn crate::stores::Staging>, Temporary)| {
            let (staged, held) = staging.finish(None).expect("ends");
            let (directory, name) = (Arc::clone(&into), b"name".to_vec());
            Output { directory, into: None, name, temporary, staged, replaces: None, held }
        };
        let under_way = begin(1);
        sink.shared.flushes.add(Errno::IO);
        let before = finish(under_way);
        let refused = sink.make_durable(&[before]).expect_err("is refused");
        assert!(matches!(refused, Error::System { errno: Errno::IO, .. }), "{refused}");
        let behind = finish(begin(2));
        sink.make_durable(&[behind]).expect("is durable");
    }
}
