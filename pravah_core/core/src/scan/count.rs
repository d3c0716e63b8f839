//! Sums of a scan, and what could not be read.

use std::{ops::ControlFlow, sync::Arc};

use rustix::io::Errno;

use super::{
    directory::Directory,
    filter::{Filtered, Reason},
    listing::Listing,
    remote::NO_PATH,
    walk::{End, Visitor},
};
use crate::{Error, entry::Kind};

/// How much a scan found. The roots themselves don't count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Links, pipes, sockets, devices.
    pub other: u64,
    /// Sum of the files' sizes in bytes; zero where sizes were not asked for.
    pub bytes: u64,
    /// What was left out.
    pub filtered: Filtered,
    /// Directories and files that could not be read.
    pub fault_count: u64,
    /// The first of these.
    pub faults: Vec<Fault>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its path, as `find` prints it.
    pub path: Vec<u8>,
    /// What was tried, as an infinitive.
    pub action: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

impl Fault {
    /// The error, with its kind and message.
    pub fn error(&self) -> Error {
        fault(self.action, self.errno)
    }
}

impl Count {
    /// Add up what several threads counted.
    pub fn sum(counts: impl IntoIterator<Item = Self>) -> Self {
        counts.into_iter().fold(Self::default(), |mut sum, count| {
            sum.files += count.files;
            sum.directories += count.directories;
            sum.other += count.other;
            sum.bytes += count.bytes;
            sum.filtered += count.filtered;
            sum.fault_count += count.fault_count;
            sum.faults.extend(count.faults);
            sum.faults.truncate(FAULTS);
            sum
        })
    }

    pub(super) fn take(&mut self, directory: &Directory, listing: &Listing) {
        for kind in listing.kinds() {
            match kind {
                Kind::File => self.files += 1,
                Kind::Directory => self.directories += 1,
                _ => self.other += 1,
            }
        }
        self.bytes += listing.sizes().iter().sum::<u64>();
        self.filtered += listing.filtered;
        for (index, errno) in listing.faults() {
            self.fault(LOOK, *errno, || {
                let mut path = directory.path();
                append_name(&mut path, listing.get(*index as usize).name);
                path
            });
        }
    }

    pub(super) fn take_end(&mut self, directory: &Directory, end: End) {
        match end {
            End::Unreadable(errno) => self.fault(LIST, errno, || directory.path()),
            End::Skipped => self.filtered.add(Reason::Sink),
            End::Loop => self.filtered.add(Reason::Loop),
            End::Complete | End::Ranged | End::Vanished => {}
        }
    }

    fn fault(&mut self, action: &'static str, errno: Errno, path: impl FnOnce() -> Vec<u8>) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS {
            self.faults.push(Fault { path: path(), action, errno });
        }
    }
}

impl Visitor for Count {
    fn entries(&mut self, directory: &Directory, listing: &mut Listing) -> ControlFlow<()> {
        self.take(directory, listing);
        ControlFlow::Continue(())
    }

    fn end(&mut self, directory: &Arc<Directory>, end: End) -> ControlFlow<()> {
        self.take_end(directory, end);
        ControlFlow::Continue(())
    }
}

/// The error of an entry that could not be looked at.
pub(crate) fn fault(action: &'static str, errno: Errno) -> Error {
    match errno {
        NO_PATH => Error::UnsupportedName("its key is no path: a part of it is empty, `.` or `..`".to_owned()),
        errno => Error::System { action, errno },
    }
}

/// Append a name to a directory's path, as `find` joins them. An empty name (a root that is a file) adds nothing.
pub(super) fn append_name(path: &mut Vec<u8>, name: &[u8]) {
    if !name.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// What is tried with a directory, and with an entry whose directory does not tell enough of it.
pub(crate) const LIST: &str = "list the directory";
pub(crate) const LOOK: &str = "look at the file";

/// Faults kept with their paths: enough to see what is wrong, few enough to bound memory.
const FAULTS: usize = 1000;
