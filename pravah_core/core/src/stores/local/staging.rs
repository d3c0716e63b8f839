//! A local output while it is written, and what is kept of it until it is published.

use std::{
    any::Any,
    ops::Range,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::{Advice, AtFlags, Gid, Mode, SeekFrom, Timespec, Timestamps, UTIME_OMIT, Uid},
    io::Errno,
};
use xxhash_rust::xxh3::Xxh3;

use super::{IDENTITY, identity, source};
use crate::{
    Error, Result,
    outcome::{Publish, Staged},
    plan::{Preserve, Verify},
    stores::{Attributes, Reading, Staging},
};

/// Bytes of an output that are sent on their way to the disk at once, while more are made: else the disk would have
/// nothing to do until all are waited for.
const WRITE_BACK_BYTES: u64 = 8 << 20;

/// Bytes read back at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What all outputs of a sink have in common while they are written.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    pub verify: Verify,
    pub preserve: Vec<Preserve>,
    /// Each file is waited for by itself.
    pub flush: bool,
    /// Whether anybody waits for what is written.
    pub is_durable: bool,
}

impl Manner {
    fn keeps(&self, what: Preserve) -> bool {
        self.preserve.contains(&what)
    }

    /// The mode that files are created with: nobody sees the content of one whose own mode comes later.
    pub fn creation_mode(&self) -> Mode {
        Mode::from_raw_mode(if self.keeps(Preserve::Mode) { 0o600 } else { 0o666 })
    }
}

/// What a local output keeps until it is published. Dropped before, it takes its temporary away.
pub struct Held {
    /// Open while it has no name, or while it is still to be flushed or read back.
    pub file: Option<OwnedFd>,
    pub named: Option<TemporaryName>,
    /// A link has no content to be flushed.
    pub is_link: bool,
    /// It is another name of a file: a rename over a name of the same file does nothing, and leaves both.
    is_shared: bool,
    /// What is read back must be this.
    expected: Option<Expected>,
    /// Flushes that had failed when it was begun; of a name without content of its own none counts.
    pub failed_flushes: u64,
}

/// What was written: its parts between holes, and the checksum of these.
struct Expected {
    parts: Vec<Range<u64>>,
    checksum: u64,
}

impl Held {
    /// What is kept of a link.
    pub fn link(named: TemporaryName) -> Self {
        Self {
            file: None,
            named: Some(named),
            is_link: true,
            is_shared: false,
            expected: None,
            failed_flushes: u64::MAX,
        }
    }

    /// What is kept of another name of a file.
    pub fn shared(file: Option<OwnedFd>, named: TemporaryName) -> Self {
        Self { file, named: Some(named), is_link: false, is_shared: true, expected: None, failed_flushes: u64::MAX }
    }

    /// The output has its final name.
    pub fn published(&mut self) {
        self.file = None;
        if let Some(mut named) = self.named.take().filter(|_| !self.is_shared) {
            named.directory = None;
        }
    }

    /// Read the output back from the disk, past the cache, and compare it with what was written.
    pub fn verify(&self) -> Result<()> {
        let (Some(file), Some(expected)) = (&self.file, &self.expected) else { return Ok(()) };
        // Only what is on disk can be dropped from the cache.
        rustix::fs::fdatasync(file).map_err(Error::system("flush the output to disk"))?;
        rustix::fs::fadvise(file, 0, None, Advice::DontNeed).map_err(Error::system("read the output back"))?;
        expected.compare(file)
    }

    /// The same, and never again.
    pub fn verify_once(&mut self) -> Result<()> {
        self.verify()?;
        self.expected = None;
        Ok(())
    }
}

impl Expected {
    fn compare(&self, file: &OwnedFd) -> Result<()> {
        let found = checksum(file, &self.parts)?;
        if found == self.checksum {
            return Ok(());
        }
        Err(Error::VerifyFailed(format!("its xxh3 is {found:016x} when read back, {:016x} was written", self.checksum)))
    }
}

/// The checksum of these parts of a file.
pub fn checksum(file: &OwnedFd, parts: &[Range<u64>]) -> Result<u64> {
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    for part in parts {
        let mut at = part.start;
        while at < part.end {
            let wanted = usize::try_from(part.end - at).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES));
            match rustix::io::pread(file, &mut buffer[..wanted], at) {
                Ok(0) => return Err(Error::VerifyFailed(format!("it ends at byte {at}, {} were written", part.end))),
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    at += read as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("read the output back")(errno)),
            }
        }
    }
    Ok(hasher.digest())
}

/// The checksum that identifies a link, where inode numbers mean nothing.
pub fn checksum_of_link(target: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(target)
}

/// A temporary name, removed on drop unless it has become the final one.
pub struct TemporaryName {
    pub directory: Option<Arc<OwnedFd>>,
    pub name: String,
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
pub struct LocalStaging {
    pub file: Option<OwnedFd>,
    pub named: Option<TemporaryName>,
    pub number: Option<u32>,
    pub publish: Publish,
    pub keep_open: bool,
    /// Identities hold a checksum, since inode numbers mean nothing here.
    pub identify_by_content: bool,
    pub manner: Arc<Manner>,
    /// Flushes that had failed when it was begun.
    pub failed_flushes: u64,
    pub written: Written,
}

/// What was written so far.
#[derive(Default)]
pub struct Written {
    end_bytes: u64,
    /// What is on its way to the disk ends here.
    sent_bytes: u64,
    parts: Vec<Range<u64>>,
    hasher: Option<Box<Xxh3>>,
}

impl Written {
    /// Begin, with a checksum where one will be asked for.
    pub fn new(summed: bool) -> Self {
        Self { hasher: summed.then(|| Box::new(Xxh3::new())), ..Self::default() }
    }

    fn add(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.grow(bytes.len() as u64);
    }

    fn add_zeros(&mut self, length_bytes: u64) {
        let zeros = vec![0; CHUNK_BYTES];
        let mut left_bytes = length_bytes;
        while left_bytes > 0 {
            let piece_bytes = left_bytes.min(CHUNK_BYTES as u64);
            self.add(&zeros[..piece_bytes as usize]);
            left_bytes -= piece_bytes;
        }
    }

    fn grow(&mut self, length_bytes: u64) {
        let end = self.end_bytes + length_bytes;
        match self.parts.last_mut().filter(|part| part.end == self.end_bytes) {
            Some(part) => part.end = end,
            None => self.parts.push(self.end_bytes..end),
        }
        self.end_bytes = end;
    }
}

impl LocalStaging {
    fn open(&self) -> Result<&OwnedFd> {
        self.file.as_ref().ok_or(Error::Cancelled)
    }

    /// Send what has been written on its way to the disk, once it is enough.
    fn write_back(&mut self) {
        let (from, end) = (self.written.sent_bytes, self.written.end_bytes);
        if end - from >= WRITE_BACK_BYTES && self.manner.is_durable {
            self.written.sent_bytes = end;
            if let Some(file) = &self.file {
                start_write_back(file, from..end);
            }
        }
    }

    fn keep(&self, file: &OwnedFd, attributes: &Attributes) -> Result<()> {
        let keep = Error::system("keep the source's attributes");
        if self.manner.keeps(Preserve::Owner) {
            let (user, group) = (Uid::from_raw(attributes.user), Gid::from_raw(attributes.group));
            match rustix::fs::fchown(file, Some(user), Some(group)) {
                // Only root may give files away; others keep those that are their own, as `cp -p` does.
                Ok(()) | Err(Errno::PERM) => {}
                Err(errno) => return Err(keep(errno)),
            }
        }
        if self.manner.keeps(Preserve::Mode) {
            // The set-id bits stand for the owner: they are kept only where he is.
            let found = rustix::fs::fstat(file).map_err(&keep)?;
            let same_owner = (found.st_uid, found.st_gid) == (attributes.user, attributes.group);
            let bits = if same_owner { 0o7777 } else { 0o1777 };
            rustix::fs::fchmod(file, Mode::from_raw_mode(attributes.mode & bits)).map_err(&keep)?;
        }
        if self.manner.keeps(Preserve::Mtime) {
            let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let times = Timestamps { last_access, last_modification: timespec(attributes.modified_ns) };
            rustix::fs::futimens(file, &times).map_err(&keep)?;
        }
        Ok(())
    }
}

impl Staging for LocalStaging {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.written.add(bytes);
        let file = self.open()?;
        while !bytes.is_empty() {
            match rustix::io::write(file, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("write the output")(errno)),
            }
        }
        self.write_back();
        Ok(())
    }

    fn skip_to(&mut self, offset_bytes: u64) -> Result<()> {
        let file = self.open()?;
        rustix::fs::ftruncate(file, offset_bytes).map_err(Error::system("write the output"))?;
        rustix::fs::seek(file, SeekFrom::Start(offset_bytes)).map_err(Error::system("write the output"))?;
        if self.identify_by_content {
            // Who compares later reads the hole as what it is: zeros.
            self.written.add_zeros(offset_bytes - self.written.end_bytes);
        }
        self.written.end_bytes = offset_bytes;
        Ok(())
    }

    fn copy_from(&mut self, reading: &dyn Reading, length_bytes: u64) -> Result<Option<u64>> {
        let Some(source) = source::descriptor(reading).filter(|_| self.written.hasher.is_none()) else {
            return Ok(None);
        };
        let length = usize::try_from(length_bytes).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, None, self.open()?, None, length) {
            Ok(copied) => {
                self.written.grow(copied as u64);
                self.write_back();
                Ok(Some(copied as u64))
            }
            Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(Error::system("write the output")(errno)),
            // Two file systems, or one that can't; after an I/O error the slow way tells which side it was.
            Err(_) => Ok(None),
        }
    }

    fn finish(mut self: Box<Self>, attributes: Option<&Attributes>) -> Result<(Staged, Box<dyn Any + Send>)> {
        let file = self.file.take().ok_or(Error::Cancelled)?;
        if let Some(attributes) = attributes {
            self.keep(&file, attributes)?;
        }
        if self.manner.flush {
            rustix::fs::fsync(&file).map_err(Error::system("flush the output to disk"))?;
        }
        let stat = rustix::fs::statx(&file, c"", AtFlags::EMPTY_PATH, IDENTITY)
            .map_err(Error::system("look at the output"))?;
        let mut found = identity(&stat);
        if found.size_bytes != self.written.end_bytes {
            let sizes = format!("it has {} bytes, {} were written", found.size_bytes, self.written.end_bytes);
            return Err(Error::VerifyFailed(sizes));
        }
        let parts = std::mem::take(&mut self.written.parts);
        let expected = self.written.hasher.take().map(|hasher| Expected { parts, checksum: hasher.digest() });
        if let Some(expected) = expected.as_ref().filter(|_| self.manner.verify == Verify::Checksum) {
            expected.compare(&file)?;
        }
        if let Some(expected) = expected.as_ref().filter(|_| self.identify_by_content) {
            (found.device, found.inode, found.born_ns) = (0, expected.checksum, 0);
        }
        let staged = Staged { temporary: self.number, publish: self.publish, identity: found };
        let read_back = self.manner.verify == Verify::Content;
        let file = if self.keep_open || read_back { Some(file) } else { close(file)? };
        let expected = expected.filter(|_| read_back);
        let named = self.named.take();
        let held =
            Held { file, named, is_link: false, is_shared: false, expected, failed_flushes: self.failed_flushes };
        Ok((staged, Box::new(held)))
    }
}

/// Have the system begin to write a part of a file to the disk, without waiting for it.
#[cfg(target_os = "linux")]
fn start_write_back(file: &OwnedFd, part: Range<u64>) {
    let offset = |bytes: u64| libc::off64_t::try_from(bytes).unwrap_or(0);
    let (start, length) = (offset(part.start), offset(part.end - part.start));
    // SAFETY: a system call on a descriptor that is open, without pointers. What it could not write is told by the
    // flush that is waited for.
    unsafe { libc::sync_file_range(file.as_raw_fd(), start, length, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Elsewhere the system begins when it likes.
#[cfg(not(target_os = "linux"))]
fn start_write_back(_: &OwnedFd, _: Range<u64>) {}

fn timespec(time_ns: i64) -> Timespec {
    const SECOND_NS: i64 = 1_000_000_000;
    Timespec { tv_sec: time_ns.div_euclid(SECOND_NS), tv_nsec: time_ns.rem_euclid(SECOND_NS) }
}

/// Close a file and hear what `close` has to say: NFS and FUSE report write errors there.
fn close(file: OwnedFd) -> Result<Option<OwnedFd>> {
    use std::os::fd::IntoRawFd;
    // SAFETY: `into_raw_fd` hands over the only owner of this descriptor, and it is not used again.
    unsafe { rustix::io::try_close(file.into_raw_fd()) }.map_err(Error::system("close the output"))?;
    Ok(None)
}

/// Give a nameless file its name.
pub fn link(file: &OwnedFd, directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    // AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH before Linux 6.10, and answers ENOENT without it.
    match rustix::fs::linkat(file, c"", directory, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(rustix::fs::CWD, path, directory, name, AtFlags::SYMLINK_FOLLOW)
        }
        answer => answer,
    }
}
