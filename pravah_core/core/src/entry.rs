//! One listed file: what the scan saw of it, and what identifies its content.

use crate::naming::Naming;

/// What kind of thing a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A regular file: the only kind that steps work on.
    File = 0,
    /// A directory; listed as an entry only where it could not be read.
    Directory = 1,
    /// A symbolic link.
    Symlink = 2,
    /// A named pipe.
    Fifo = 3,
    /// A UNIX socket.
    Socket = 4,
    /// A block or character device.
    Device = 5,
}

impl Kind {
    /// Its name in data for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Device => "device",
        }
    }

    /// The reason under which an entry of this kind is skipped, if it is.
    pub fn skip_reason(self) -> Option<&'static str> {
        match self {
            Self::File | Self::Directory => None,
            other => Some(other.name()),
        }
    }
}

impl TryFrom<u8> for Kind {
    type Error = crate::Error;

    fn try_from(code: u8) -> crate::Result<Self> {
        const KINDS: [Kind; 6] = [Kind::File, Kind::Directory, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::Device];
        KINDS.get(usize::from(code)).copied().ok_or_else(|| crate::Error::DamagedBlob {
            what: "manifest",
            message: format!("kind is {code}, known are 0 to 5"),
        })
    }
}

/// A verdict that the scan already reached: the entry fails without being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable kind of the failure (`permission_denied`, `output_collision`, …).
    pub kind: String,
    /// The message for people.
    pub message: String,
}

/// One entry of a manifest.
///
/// Names are bytes. The full path of the source is `roots[root].path / directory / name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Index into the plan's roots.
    pub root: u16,
    /// Path of its directory relative to the root; empty for the root itself, no slash at either end.
    pub directory: Vec<u8>,
    /// Name within the directory. Empty for a directory that is itself the entry (unreadable root).
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Size when listed, in bytes.
    pub size_bytes: u64,
    /// Modification time when listed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Why it fails without being read, if it does.
    pub problem: Option<Problem>,
    /// What was decided about the name of its output.
    pub naming: Naming,
}

impl Entry {
    /// The modification time that is stored for a directory which could not be read again after its subdirectories
    /// had been found: a later round lists its entries, and nothing below it.
    pub const FOUND_BELOW_NS: i64 = 1;

    /// The path relative to the root: `directory/name`.
    pub fn relative_path(&self) -> Vec<u8> {
        join(&self.directory, &self.name)
    }
}

/// Join two relative paths with a slash, where neither is empty.
pub fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match (parent.is_empty(), name.is_empty()) {
        (true, _) => name.to_vec(),
        (_, true) => parent.to_vec(),
        _ => [parent, b"/", name].concat(),
    }
}
