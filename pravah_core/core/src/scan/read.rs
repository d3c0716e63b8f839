//! Reads the entries of one open directory: `getdents64` with a large buffer on Linux, `readdir` elsewhere.

use std::{ffi::CStr, ops::ControlFlow, os::fd::BorrowedFd};

use rustix::{
    fs::{AtFlags, FileType},
    io::Errno,
};

use super::{
    Detail,
    directory::Directory,
    filter::{Filter, Reason, is_own},
    listing::{Listing, Stat},
};
use crate::entry::Kind;

/// What decides which entries of a directory are listed, and how.
pub(super) struct Rules<'r> {
    pub detail: Detail,
    pub filter: &'r Filter,
    /// The one name that is left out of this directory, if there is one.
    pub skip_name: Option<&'r [u8]>,
}

/// Where a directory's entries go: a full or last part of them at a time.
pub(super) type Emit<'e> = dyn FnMut(&mut Listing) -> ControlFlow<()> + 'e;

/// Why reading ended before the directory's end.
pub(super) enum Halt {
    /// The receiver wants no more.
    Stopped,
    /// The directory can't be read further.
    Failed(Errno),
}

/// Buffers for reading, reused from directory to directory.
pub(super) struct Reader {
    source: source::Buffer,
    listing: Listing,
    path: Vec<u8>,
}

impl Reader {
    pub fn new() -> Self {
        Self { source: source::buffer(), listing: Listing::default(), path: Vec::new() }
    }

    /// Read a directory, and hand its entries over in parts; what was read before a failure too.
    pub fn read(
        &mut self,
        descriptor: BorrowedFd<'_>,
        directory: &Directory,
        rules: &Rules<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<(), Halt> {
        self.listing.clear();
        self.path.clear();
        if rules.filter.needs_path() {
            directory.append_relative(&mut self.path);
        }
        let whole = directory.is_whole();
        let mut sieve = Sieve { descriptor, rules, whole, listing: &mut self.listing, path: &mut self.path };
        let ended = source::for_each(descriptor, &mut self.source, &mut |name, file_type, more_at_hand| {
            sieve.take(name, file_type);
            if more_at_hand || sieve.listing.len() < PART_ENTRIES {
                return ControlFlow::Continue(());
            }
            hand_over(sieve.listing, emit)
        });
        if hand_over(&mut self.listing, emit).is_break() {
            return Err(Halt::Stopped);
        }
        ended
    }
}

fn hand_over(listing: &mut Listing, emit: &mut Emit<'_>) -> ControlFlow<()> {
    if listing.is_empty() && listing.filtered.total() == 0 {
        return ControlFlow::Continue(());
    }
    let flow = emit(listing);
    listing.clear();
    flow
}

/// Takes what is to be listed, and leaves out what is not.
struct Sieve<'s> {
    descriptor: BorrowedFd<'s>,
    rules: &'s Rules<'s>,
    whole: bool,
    listing: &'s mut Listing,
    path: &'s mut Vec<u8>,
}

impl Sieve<'_> {
    fn take(&mut self, name: &CStr, file_type: FileType) {
        let bytes = name.to_bytes();
        if bytes == b"." || bytes == b".." {
            return;
        }
        let Some((kind, seen)) = self.kind(name, file_type) else { return };
        if let Some(reason) = self.reason(bytes, kind) {
            return self.listing.filtered.add(reason);
        }
        match (self.rules.detail, kind) {
            (Detail::Names, _) => self.listing.push(bytes, kind, None),
            (Detail::Sizes, Kind::File) => self.push_file(name, seen),
            (Detail::Sizes, _) => self.listing.push(bytes, kind, Some(Stat::default())),
        }
        if let Some(Err(errno)) = seen.filter(|_| self.rules.detail == Detail::Names || kind != Kind::File) {
            self.listing.push_fault(errno);
        }
    }

    /// The kind; where the file system does not tell, by a look at the file. None: it has vanished.
    fn kind(&self, name: &CStr, file_type: FileType) -> Option<(Kind, Option<Result<Stat, Errno>>)> {
        if let Some(kind) = kind_of(file_type) {
            return Some((kind, None));
        }
        match stat_of(self.descriptor, name) {
            Ok((kind, stat)) => Some((kind, Some(Ok(stat)))),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(errno) => Some((Kind::File, Some(Err(errno)))),
        }
    }

    fn push_file(&mut self, name: &CStr, seen: Option<Result<Stat, Errno>>) {
        let looked = match seen {
            Some(Ok(stat)) => Ok((Kind::File, stat)),
            Some(Err(errno)) => Err(errno),
            None => stat_of(self.descriptor, name),
        };
        match looked {
            // A directory that took the file's place was not there when the scan came by.
            Err(Errno::NOENT | Errno::NOTDIR) | Ok((Kind::Directory, _)) => {}
            Ok((Kind::File, stat)) => self.listing.push(name.to_bytes(), Kind::File, Some(stat)),
            Ok((kind, _)) => self.listing.push(name.to_bytes(), kind, Some(Stat::default())),
            Err(errno) => {
                self.listing.push(name.to_bytes(), Kind::File, Some(Stat::default()));
                self.listing.push_fault(errno);
            }
        }
    }

    fn reason(&mut self, name: &[u8], kind: Kind) -> Option<Reason> {
        if is_own(name, kind) {
            return Some(Reason::Own);
        }
        if self.rules.skip_name == Some(name) {
            return Some(Reason::Sink);
        }
        if !self.rules.filter.needs_path() {
            return None;
        }
        let length = self.path.len();
        if length > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        let reason = self.rules.filter.judge(self.path, kind, self.whole);
        self.path.truncate(length);
        reason
    }
}

/// Look at a file itself, never at what it links to.
fn stat_of(directory: BorrowedFd<'_>, name: &CStr) -> Result<(Kind, Stat), Errno> {
    source::stat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Look at a root that is no directory; a link is followed, as it was named.
#[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ between systems")]
pub(super) fn stat_root(path: &[u8]) -> Result<(Kind, Stat), Errno> {
    let seen = rustix::fs::stat(path)?;
    let kind = kind_of(FileType::from_raw_mode(seen.st_mode)).unwrap_or(Kind::File);
    if kind != Kind::File {
        return Ok((kind, Stat::default()));
    }
    let modified_ns = nanoseconds(seen.st_mtime as i64, seen.st_mtime_nsec as i64);
    Ok((kind, Stat { size_bytes: u64::try_from(seen.st_size).unwrap_or_default(), modified_ns }))
}

/// List one file that was named by itself, as if its directory held nothing else.
pub(crate) fn look_at(path: &[u8], name: &[u8], filter: &Filter) -> Result<Listing, Errno> {
    let (kind, stat) = stat_root(path)?;
    let mut listing = Listing::default();
    match filter.judge(name, kind, false) {
        _ if kind == Kind::Directory => return Err(Errno::ISDIR),
        _ if is_own(name, kind) => listing.filtered.add(Reason::Own),
        Some(reason) => listing.filtered.add(reason),
        None => listing.push(name, kind, Some(stat)),
    }
    Ok(listing)
}

fn kind_of(file_type: FileType) -> Option<Kind> {
    match file_type {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Fifo => Some(Kind::Fifo),
        FileType::Socket => Some(Kind::Socket),
        FileType::CharacterDevice | FileType::BlockDevice => Some(Kind::Device),
        FileType::Unknown => None,
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// A directory with more entries than this is handed over in parts: about 300 kB of names each.
const PART_ENTRIES: usize = 8192;

#[cfg(target_os = "linux")]
use linux as source;
#[cfg(not(target_os = "linux"))]
use portable as source;

/// `getdents64` and `statx`, without the C library between.
#[cfg(target_os = "linux")]
mod linux {
    use std::mem::MaybeUninit;

    use rustix::fs::{RawDir, StatxFlags, statx};

    use super::*;

    pub type Buffer = Vec<MaybeUninit<u8>>;

    /// 64 KiB: a directory of 100 entries in one call, one of 10,000 in few; larger ones gained nothing.
    pub fn buffer() -> Buffer {
        vec![MaybeUninit::uninit(); 64 << 10]
    }

    pub fn for_each(
        descriptor: BorrowedFd<'_>,
        buffer: &mut Buffer,
        take: &mut dyn FnMut(&CStr, FileType, bool) -> ControlFlow<()>,
    ) -> Result<(), Halt> {
        let mut entries = RawDir::new(descriptor, buffer);
        loop {
            let more_at_hand = !entries.is_buffer_empty();
            let Some(entry) = entries.next() else { return Ok(()) };
            let entry = entry.map_err(Halt::Failed)?;
            if take(entry.file_name(), entry.file_type(), more_at_hand).is_break() {
                return Err(Halt::Stopped);
            }
        }
    }

    pub fn stat(directory: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(Kind, Stat), Errno> {
        let wanted = StatxFlags::TYPE | StatxFlags::SIZE | StatxFlags::MTIME;
        let seen = statx(directory, name, flags, wanted)?;
        let kind = kind_of(FileType::from_raw_mode(seen.stx_mode.into())).unwrap_or(Kind::File);
        let modified_ns = nanoseconds(seen.stx_mtime.tv_sec, seen.stx_mtime.tv_nsec.into());
        Ok((kind, Stat { size_bytes: seen.stx_size, modified_ns }))
    }
}

/// What every Unix has; tested on Linux too.
#[cfg(any(not(target_os = "linux"), test))]
mod portable {
    use rustix::fs::{Dir, statat};

    use super::*;

    #[cfg(not(target_os = "linux"))]
    pub type Buffer = ();

    #[cfg(not(target_os = "linux"))]
    pub fn buffer() -> Buffer {}

    pub fn for_each<B>(
        descriptor: BorrowedFd<'_>,
        _buffer: &mut B,
        take: &mut dyn FnMut(&CStr, FileType, bool) -> ControlFlow<()>,
    ) -> Result<(), Halt> {
        let entries = Dir::read_from(descriptor).map_err(Halt::Failed)?;
        for entry in entries {
            let entry = entry.map_err(Halt::Failed)?;
            if take(entry.file_name(), entry.file_type(), false).is_break() {
                return Err(Halt::Stopped);
            }
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ between systems")]
    pub fn stat(directory: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(Kind, Stat), Errno> {
        let seen = statat(directory, name, flags)?;
        let kind = kind_of(FileType::from_raw_mode(seen.st_mode as _)).unwrap_or(Kind::File);
        let modified_ns = nanoseconds(seen.st_mtime as i64, seen.st_mtime_nsec as i64);
        Ok((kind, Stat { size_bytes: u64::try_from(seen.st_size).unwrap_or_default(), modified_ns }))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn test_portable_reading_equals_the_linux_one() {
        let directory = File::open("/usr/bin").expect("opens");
        let mut sets = [BTreeSet::new(), BTreeSet::new()];
        let [first, second] = &mut sets;
        let gather = |set: &mut BTreeSet<_>, name: &CStr, file_type: FileType| {
            set.insert((name.to_owned(), kind_of(file_type).map(|kind| kind as u8)));
            ControlFlow::Continue(())
        };
        let taken = source::for_each(directory.as_fd(), &mut source::buffer(), &mut |n, t, _| gather(first, n, t));
        assert!(taken.is_ok());
        let directory = File::open("/usr/bin").expect("opens");
        assert!(portable::for_each(directory.as_fd(), &mut (), &mut |n, t, _| gather(second, n, t)).is_ok());
        assert_eq!(sets[0], sets[1]);
        assert!(sets[0].len() > 10);
    }

    #[test]
    fn test_portable_stat_equals_the_linux_one() {
        let directory = File::open("/usr").expect("opens");
        for name in [c"bin", c"lib", c"share"] {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let (kind, stat) = source::stat(directory.as_fd(), name, flags).expect("looks");
            let (other_kind, other) = portable::stat(directory.as_fd(), name, flags).expect("looks");
            assert_eq!((kind, stat.size_bytes, stat.modified_ns), (other_kind, other.size_bytes, other.modified_ns));
        }
    }
}
