//! Where a directory lies: its name and its parent, from which its path is put together when it is wanted.
//!
//! No path is kept, so that a chain of 30,000 nested directories takes memory for 30,000 names, not for
//! 30,000 paths of up to a megabyte each.

use std::{
    fmt,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::filter::Filter;

/// A directory that the scan has come to.
pub struct Directory {
    parent: Option<Arc<Directory>>,
    root: usize,
    name: Box<[u8]>,
    depth: usize,
    /// Length of the path relative to the root, in bytes.
    length: usize,
    whole: bool,
    /// Device and inode, once it was opened and where links are followed: by them a loop shows.
    identity: OnceLock<(u64, u64)>,
    pub(super) slot: Mutex<Slot>,
}

/// The open descriptor of a directory, as long as it is kept.
#[derive(Default)]
pub(super) struct Slot {
    pub descriptor: Option<Arc<OwnedFd>>,
    /// Some of its subdirectories have not been opened yet.
    pub wanted: bool,
}

impl Directory {
    pub(super) fn of_root(root: usize, path: &[u8]) -> Self {
        Self {
            parent: None,
            root,
            name: path.into(),
            depth: 0,
            length: 0,
            whole: false,
            identity: OnceLock::new(),
            slot: Mutex::default(),
        }
    }

    pub(super) fn below(parent: &Arc<Directory>, name: Box<[u8]>) -> Self {
        let slash = usize::from(parent.length > 0);
        Self {
            parent: Some(parent.clone()),
            root: parent.root,
            depth: parent.depth + 1,
            length: parent.length + slash + name.len(),
            name,
            whole: parent.whole,
            identity: OnceLock::new(),
            slot: Mutex::default(),
        }
    }

    /// A root that a scan with this filter begins with.
    pub(crate) fn root_of(filter: &Filter, root: usize, path: &[u8]) -> Arc<Self> {
        let mut directory = Self::of_root(root, path);
        directory.whole = filter.whole(b"", false);
        Arc::new(directory)
    }

    /// A directory below another one, as this filter sees it.
    pub(crate) fn child_of(filter: &Filter, parent: &Arc<Self>, name: Box<[u8]>) -> Arc<Self> {
        let mut directory = Self::below(parent, name);
        if filter.needs_path() {
            directory.whole = filter.whole(&directory.relative(), directory.whole);
        }
        Arc::new(directory)
    }

    /// Index of the root that it is below, or that it is.
    pub fn root(&self) -> usize {
        self.root
    }

    /// Its name in its parent; of a root: the path that was given.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The directory that it is in; none for a root.
    pub fn parent(&self) -> Option<&Arc<Directory>> {
        self.parent.as_ref()
    }

    /// Append its path relative to its root: empty for the root, no slash at either end. Cost: its depth.
    pub fn append_relative(&self, path: &mut Vec<u8>) {
        let start = path.len();
        path.resize(start + self.length, b'/');
        let (mut directory, mut end) = (self, path.len());
        while let Some(parent) = &directory.parent {
            path[end - directory.name.len()..end].copy_from_slice(&directory.name);
            end = start + parent.length;
            directory = parent;
        }
    }

    /// Its path relative to its root.
    pub fn relative(&self) -> Vec<u8> {
        let mut path = Vec::new();
        self.append_relative(&mut path);
        path
    }

    /// Append its path as `find ROOT` prints it: the root as it was given, and below it the relative path.
    pub fn append_path(&self, path: &mut Vec<u8>) {
        let root = self.root_path();
        path.extend_from_slice(root);
        if self.length > 0 {
            if !root.ends_with(b"/") {
                path.push(b'/');
            }
            self.append_relative(path);
        }
    }

    /// Append its path as `find ROOT` prints it, or that of the directory above it that is so many levels deep.
    pub(super) fn append_path_to_depth(&self, path: &mut Vec<u8>, depth: usize) {
        let mut directory = self;
        while directory.depth > depth
            && let Some(parent) = &directory.parent
        {
            directory = parent;
        }
        directory.append_path(path);
    }

    /// Its path as `find ROOT` prints it.
    pub fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        self.append_path(&mut path);
        path
    }

    /// The number of directories above it, up to its root.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether an `include` rule took it, or a directory above it, as a whole.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Take note of device and inode.
    pub(super) fn set_identity(&self, identity: (u64, u64)) {
        // Who opens it again finds the same, or what took its place: the first answer stands.
        let _ = self.identity.set(identity);
    }

    /// Whether a directory above it is the same one. Cost: its depth.
    pub(super) fn lies_above_itself(&self) -> bool {
        let mut above = self.parent.as_ref();
        while let Some(directory) = above {
            if directory.identity.get().is_some_and(|identity| self.identity.get() == Some(identity)) {
                return true;
            }
            above = directory.parent.as_ref();
        }
        false
    }

    pub(super) fn slot(&self) -> MutexGuard<'_, Slot> {
        lock(&self.slot)
    }

    /// The path of its root, as it was given.
    pub(crate) fn root_path(&self) -> &[u8] {
        let mut directory = self;
        while let Some(parent) = &directory.parent {
            directory = parent;
        }
        &directory.name
    }
}

impl Drop for Directory {
    /// Drop the chain of parents in a loop: by recursion, 30,000 levels overflow the stack.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut directory) = next.and_then(Arc::into_inner) {
            next = directory.parent.take();
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({})", String::from_utf8_lossy(&self.path()))
    }
}

/// Lock; a thread that panicked while it held the lock left nothing half-done behind in this module.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_path_of_nested_directory_is_what_find_prints() {
        for (root, expected) in [("data", "data/a/b"), ("data/", "data/a/b"), ("/", "/a/b"), ("d//", "d//a/b")] {
            let top = Arc::new(Directory::of_root(0, root.as_bytes()));
            let a = Arc::new(Directory::below(&top, b"a".as_slice().into()));
            let b = Directory::below(&a, b"b".as_slice().into());
            assert_eq!(top.path(), root.as_bytes());
            assert_eq!(top.relative(), b"");
            assert_eq!(b.path(), expected.as_bytes());
            assert_eq!(b.relative(), b"a/b");
        }
    }

    #[test]
    fn test_drop_of_long_chain_needs_no_deep_stack() {
        let mut directory = Arc::new(Directory::of_root(0, b"/"));
        for _ in 0..200_000 {
            directory = Arc::new(Directory::below(&directory, b"d".as_slice().into()));
        }
        assert_eq!(directory.relative().len(), 399_999);
    }
}
