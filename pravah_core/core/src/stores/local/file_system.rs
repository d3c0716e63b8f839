//! Kinds of file systems, as far as publishing depends on them.

use std::os::fd::OwnedFd;

use crate::outcome::Identity;

/// What matters of a file system's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// `syncfs` is known to write everything and to report errors (ext4, xfs, btrfs, and tmpfs, which has no disk).
    SyncsWhole,
    /// Inode numbers and devices may change while a file lives (NFS, FUSE, overlay).
    UnstableInodes,
    /// Anything else.
    Other,
}

impl FileSystem {
    /// Find out what a directory lies on.
    pub fn of(directory: &OwnedFd) -> rustix::io::Result<Self> {
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

    /// Whether files on the one of this open file have as many bytes as they say: those of sysfs and configfs say a
    /// page, whatever they hold.
    pub fn sizes_files(file: &OwnedFd) -> bool {
        const SYSFS: u64 = 0x6265_6572;
        const CONFIGFS: u64 = 0x6265_6570;
        let kind = rustix::fs::fstatfs(file).map(|found| u64::try_from(found.f_type).unwrap_or_default());
        !matches!(kind, Ok(SYSFS | CONFIGFS))
    }

    /// Whether `syncfs` stands for an fsync of each file.
    pub fn syncs_whole(self) -> bool {
        self == Self::SyncsWhole
    }

    /// Whether an inode number tells a file as long as it lives.
    pub fn keeps_inodes(self) -> bool {
        self != Self::UnstableInodes
    }

    /// Whether two identities are of one file.
    pub fn same(self, found: &Identity, staged: &Identity) -> bool {
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
