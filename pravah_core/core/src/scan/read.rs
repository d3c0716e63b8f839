//! Reads one open directory: asks for its entries, leaves out what the rules say, looks at files where sizes are wanted.

use std::{
    ffi::{CStr, CString},
    ops::ControlFlow,
    os::fd::BorrowedFd,
};

use rustix::{fs::FileType, io::Errno};

use super::{
    Detail, Links,
    directory::Directory,
    filter::{Filter, Reason, is_own},
    listing::{Listing, Stat},
    system::{self, Halt, kind_of},
};
use crate::entry::Kind;

/// What decides which entries of a directory are listed, and how.
pub(crate) struct Rules<'r> {
    pub detail: Detail,
    pub filter: &'r Filter,
    pub links: Links,
    /// Names that are left out of this directory.
    pub skip_names: &'r [&'r [u8]],
}

/// Where a directory's entries go: a full or last part of them at a time.
pub(super) type Emit<'e> = dyn FnMut(&mut Listing) -> ControlFlow<()> + 'e;

/// Buffers for reading, reused from directory to directory.
pub(super) struct Reader {
    buffer: system::Buffer,
    listing: Listing,
    path: Vec<u8>,
}

impl Reader {
    pub fn new() -> Self {
        Self { buffer: system::buffer(), listing: Listing::default(), path: Vec::new() }
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
        let (whole, depth) = (directory.is_whole(), directory.depth() + 1);
        let mut sieve = Sieve { descriptor, rules, whole, depth, listing: &mut self.listing, path: &mut self.path };
        let ended = system::for_each(descriptor, &mut self.buffer, &mut |name, file_type, more_at_hand| {
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

/// What a look at an entry has shown.
type Look = Result<(Kind, Stat), Errno>;

/// Takes what is to be listed, and leaves out what is not.
struct Sieve<'s> {
    descriptor: BorrowedFd<'s>,
    rules: &'s Rules<'s>,
    whole: bool,
    /// Directories on the way to what is in this one, the root counted.
    depth: usize,
    listing: &'s mut Listing,
    path: &'s mut Vec<u8>,
}

impl Sieve<'_> {
    fn take(&mut self, name: &CStr, file_type: FileType) {
        let bytes = name.to_bytes();
        if bytes == b"." || bytes == b".." {
            return;
        }
        let descriptor = self.descriptor;
        let look = || system::stat(descriptor, name);
        // Some file systems (XFS without ftype, NFS, FUSE) don't tell kinds.
        let looked = (file_type == FileType::Unknown).then(look);
        let kind = match (kind_of(file_type), &looked) {
            (Some(kind), _) => kind,
            (None, Some(Ok((kind, _)))) => *kind,
            (None, _) => Kind::File, // reported below, with what went wrong, unless it is gone
        };
        let (kind, looked) = self.follow(name, kind, looked);
        let with_sizes = self.rules.detail == Detail::Sizes;
        let filter = self.rules.filter;
        if let Some(reason) = self.reason(bytes, kind) {
            return self.listing.filtered.add(reason);
        }
        let is_looked_at = kind == Kind::File && (with_sizes || filter.needs_look());
        let looked = if is_looked_at { looked.or_else(|| Some(look())) } else { looked };
        let (kind, stat, fault) = match looked {
            None => (kind, Stat::default(), None),
            // A directory that took a file's place was not there when the scan came by.
            Some(Ok((Kind::Directory, _))) if kind != Kind::Directory => return,
            Some(Ok((Kind::File, stat))) => match filter.judge_look(stat.size_bytes, stat.modified_ns) {
                Some(reason) => return self.listing.filtered.add(reason),
                None => (Kind::File, stat, None),
            },
            Some(Ok((kind, stat))) => (kind, stat, None),
            Some(Err(Errno::NOENT | Errno::NOTDIR)) => return,
            Some(Err(errno)) => (kind, Stat::default(), Some(errno)),
        };
        self.listing.push(bytes, kind, with_sizes.then_some(stat));
        if let Some(errno) = fault {
            self.listing.push_fault(errno);
        }
    }

    /// Take what a link leads to in its place, where links are followed. One that leads nowhere stays a link.
    fn follow(&self, name: &CStr, kind: Kind, looked: Option<Look>) -> (Kind, Option<Look>) {
        if kind != Kind::Symlink || self.rules.links == Links::Skip {
            return (kind, looked);
        }
        match system::stat_target(self.descriptor, name) {
            Ok((kind, stat)) => (kind, Some(Ok((kind, stat)))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => (kind, looked),
            Err(errno) => (kind, Some(Err(errno))),
        }
    }

    fn reason(&mut self, name: &[u8], kind: Kind) -> Option<Reason> {
        if self.rules.skip_names.contains(&name) && !is_own(name, kind) {
            return Some(Reason::Sink);
        }
        reason(self.rules.filter, (self.whole, self.depth), self.path, (name, kind))
    }
}

/// Why an entry of a directory is left out by its name, if it is. `path` is that of the directory; `whole` and
/// `depth` say whether that is included as a whole, and how many directories lead to what is in it.
pub(super) fn reason(
    filter: &Filter,
    (whole, depth): (bool, usize),
    path: &mut Vec<u8>,
    (name, kind): (&[u8], Kind),
) -> Option<Reason> {
    if is_own(name, kind) {
        return Some(Reason::Own);
    }
    if let Some(reason) = filter.judge_name(name, kind, depth) {
        return Some(reason);
    }
    if !filter.needs_path() {
        return None;
    }
    let length = path.len();
    if length > 0 {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    let reason = filter.judge(path, kind, whole);
    path.truncate(length);
    reason
}

/// List a whole directory with sizes, in its own order.
pub(crate) fn list(descriptor: BorrowedFd<'_>, directory: &Directory, filter: &Filter) -> Result<Listing, Errno> {
    let rules = Rules { detail: Detail::Sizes, filter, links: Links::Skip, skip_names: &[] };
    let mut listing = Listing::default();
    let read = Reader::new().read(descriptor, directory, &rules, &mut |part| {
        listing.append(part);
        ControlFlow::Continue(())
    });
    match read {
        Err(Halt::Failed(errno)) => Err(errno),
        Ok(()) | Err(Halt::Stopped) => Ok(listing),
    }
}

/// Look for entries of a directory, as if it held nothing else; give those that are not there apart.
pub(crate) fn look_for(
    descriptor: BorrowedFd<'_>,
    directory: &Directory,
    names: &[Vec<u8>],
    rules: &Rules<'_>,
) -> (Listing, Vec<Vec<u8>>) {
    let (mut listing, mut path, mut missing) = (Listing::default(), directory.relative(), Vec::new());
    let (whole, depth) = (directory.is_whole(), directory.depth() + 1);
    for name in names {
        let before = (listing.len(), listing.filtered.total());
        let mut sieve = Sieve { descriptor, rules, whole, depth, listing: &mut listing, path: &mut path };
        // A name that holds a NUL is that of nothing.
        if let Ok(text) = CString::new(name.as_slice()) {
            sieve.take(&text, FileType::Unknown);
        }
        if (listing.len(), listing.filtered.total()) == before {
            missing.push(name.clone());
        }
    }
    (listing, missing)
}

/// Why nothing below a directory is listed, if the rules leave it out, or one above it.
pub(crate) fn closed(directory: &Directory, filter: &Filter) -> Option<Reason> {
    let mut next = Some(directory);
    while let Some(directory) = next.filter(|directory| directory.parent().is_some()) {
        if is_own(directory.name(), Kind::Directory) {
            return Some(Reason::Own);
        }
        let by_path = || filter.judge(&directory.relative(), Kind::Directory, false);
        if let Some(reason) = filter.judge_name(directory.name(), Kind::Directory, directory.depth()).or_else(by_path) {
            return Some(reason);
        }
        next = directory.parent().map(AsRef::as_ref);
    }
    None
}

/// List one file of which all is known, as if its directory held nothing else.
pub(crate) fn listing_of(name: &[u8], (size_bytes, modified_ns): (u64, i64), filter: &Filter) -> Listing {
    let mut listing = Listing::default();
    let by_path = || filter.judge(name, Kind::File, false);
    match filter.judge_name(name, Kind::File, 1).or_else(by_path).or_else(|| filter.judge_look(size_bytes, modified_ns))
    {
        Some(reason) => listing.filtered.add(reason),
        None => listing.push(name, Kind::File, Some(Stat { size_bytes, modified_ns })),
    }
    listing
}

/// List one file that was named by itself, as if its directory held nothing else.
pub(crate) fn look_at(path: &[u8], name: &[u8], filter: &Filter) -> Result<Listing, Errno> {
    let (kind, stat) = system::stat_root(path)?;
    let mut listing = Listing::default();
    match reason_of_root(name, (kind, stat), filter) {
        _ if kind == Kind::Directory => return Err(Errno::ISDIR),
        Some(reason) => listing.filtered.add(reason),
        None => listing.push(name, kind, Some(stat)),
    }
    Ok(listing)
}

/// Why a root that is no directory is left out, if it is.
pub(super) fn reason_of_root(name: &[u8], (kind, stat): (Kind, Stat), filter: &Filter) -> Option<Reason> {
    let of_look = || filter.judge_look(stat.size_bytes, stat.modified_ns).filter(|_| kind == Kind::File);
    let own = is_own(name, kind).then_some(Reason::Own);
    own.or_else(|| filter.judge_name(name, kind, 1)).or_else(|| filter.judge(name, kind, false)).or_else(of_look)
}

/// A directory with more entries than this is handed over in parts: about 300 kB of names each.
const PART_ENTRIES: usize = 8192;

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd};

    use super::*;

    #[test]
    fn test_kind_that_the_directory_does_not_tell_is_looked_up() {
        let root = tempfile::tempdir().expect("creates");
        fs::write(root.path().join("file"), b"123").expect("writes");
        fs::create_dir(root.path().join("directory")).expect("creates");
        std::os::unix::fs::symlink("file", root.path().join("link")).expect("links");
        let opened = fs::File::open(root.path()).expect("opens");
        for detail in [Detail::Names, Detail::Sizes] {
            let rules = &Rules { detail, filter: &Filter::default(), links: Links::Skip, skip_names: &[] };
            let (listing, path) = (&mut Listing::default(), &mut Vec::new());
            let mut sieve = Sieve { descriptor: opened.as_fd(), rules, whole: false, depth: 1, listing, path };
            for name in [c".", c"..", c"file", c"directory", c"link", c"gone"] {
                sieve.take(name, FileType::Unknown);
            }
            assert_eq!(listing.kinds(), [Kind::File, Kind::Directory, Kind::Symlink]);
            assert_eq!(listing.sizes(), if detail == Detail::Sizes { [3, 0, 0].as_slice() } else { &[] });
            assert_eq!(listing.faults(), []);
        }
    }

    #[test]
    fn test_file_that_became_a_directory_or_went_away_is_not_listed() {
        let root = tempfile::tempdir().expect("creates");
        fs::create_dir(root.path().join("directory")).expect("creates");
        let opened = fs::File::open(root.path()).expect("opens");
        let rules = &Rules { detail: Detail::Sizes, filter: &Filter::default(), links: Links::Skip, skip_names: &[] };
        let (listing, path) = (&mut Listing::default(), &mut Vec::new());
        let mut sieve = Sieve { descriptor: opened.as_fd(), rules, whole: false, depth: 1, listing, path };
        sieve.take(c"directory", FileType::RegularFile);
        sieve.take(c"gone", FileType::RegularFile);
        assert!(listing.is_empty());
    }
}
