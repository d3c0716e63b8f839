//! The limit: directories of a tree read with as few instructions around the system calls as can be.

use std::{
    ffi::OsStr,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxFlags, openat, statx};

/// Whether each file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Its name only.
    Names,
    /// Its size, by `statx`.
    Sizes,
}

/// Count the entries below a directory. Subdirectories of the root are dealt out to the threads, one at a time.
pub fn count(root: &OsStr, threads: usize, look: Look) -> u64 {
    let total = AtomicU64::new(0);
    let mut subdirectories = Vec::new();
    let root = open(CWD, root.as_encoded_bytes());
    total.fetch_add(read(&root, look, &mut buffer(), &mut subdirectories), Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = buffer();
                while let Some(name) = subdirectories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let count = tree(&open(&root, name), look, &mut buffer);
                    total.fetch_add(count, Ordering::Relaxed);
                }
            });
        }
    });
    total.into_inner()
}

fn tree(directory: &OwnedFd, look: Look, buffer: &mut [MaybeUninit<u8>]) -> u64 {
    let mut below = Vec::new();
    let count = read(directory, look, buffer, &mut below);
    below.iter().fold(count, |count, name| count + tree(&open(directory, name), look, buffer))
}

fn read(directory: &OwnedFd, look: Look, buffer: &mut [MaybeUninit<u8>], below: &mut Vec<Vec<u8>>) -> u64 {
    let mut count = 0;
    let mut entries = RawDir::new(directory, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.expect("reads");
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        count += 1;
        if entry.file_type() == FileType::Directory {
            below.push(name.to_vec());
        } else if look == Look::Sizes {
            let wanted = StatxFlags::TYPE | StatxFlags::SIZE | StatxFlags::MTIME;
            statx(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW, wanted).expect("looks");
        }
    }
    count
}

fn open(parent: impl std::os::fd::AsFd, name: &[u8]) -> OwnedFd {
    openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("opens")
}

fn buffer() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); 64 << 10]
}
