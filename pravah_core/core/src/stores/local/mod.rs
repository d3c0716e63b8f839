//! The local directory tree, as source and sink.
//!
//! All work is relative to open directories, so that paths of any length work and a directory that is renamed or
//! replaced in the middle leads nowhere else. Names are bytes.

mod file_system;
mod keeper;
mod sink;
mod sink_directory;
mod source;
mod staging;
mod walk;

pub use keeper::LocalKeeper;
pub use sink::LocalSink;
pub use source::LocalSource;

pub(crate) use source::LocalDirectory;
pub(crate) use walk::{open_below, open_directory, open_root};

use rustix::fs::{AtFlags, Statx, StatxFlags};

use crate::outcome::Identity;

/// What [`identity`] asks the kernel for.
const IDENTITY: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// Never follow the last link, never ask a server to sync first.
const LOOK: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::STATX_DONT_SYNC);

fn identity(stat: &Statx) -> Identity {
    let born = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    Identity {
        device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        size_bytes: stat.stx_size,
        modified_ns: nanoseconds(stat.stx_mtime),
        born_ns: if born { nanoseconds(stat.stx_btime) } else { 0 },
    }
}

fn nanoseconds(time: rustix::fs::StatxTimestamp) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(i64::from(time.tv_nsec))
}
