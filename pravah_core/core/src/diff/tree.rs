//! One of two trees: directories as sorted listings, read in step with those of the other one.

use std::{
    cmp::Ordering,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use super::{content::Contents, rules::Rules, side};
use crate::{
    Error, Result,
    entry::Kind,
    scan::{Directory, Filter, LIST, LOOK, Listing, list},
    stores::{
        Reading, SourceDirectory,
        local::{LocalDirectory, open_below, open_root},
    },
};

/// A tree, by its open root.
pub struct Tree(OwnedFd);

impl Tree {
    /// Open the root, which may be named by a link.
    pub fn open(path: &[u8]) -> Result<Self> {
        open_root(path).map(Self).map_err(Error::system("open the directory"))
    }

    /// Read where a link leads.
    pub fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let (directory, name) = split(path);
        self.directory(directory)?.read_link(name)
    }

    fn directory(&self, path: &[u8]) -> Result<LocalDirectory> {
        open_below(self.0.as_fd(), path).map(LocalDirectory::of).map_err(Error::system("open the directory"))
    }

    /// List a directory, in its own order.
    pub fn listing(&self, directory: &Directory, filter: &Filter) -> Result<Listing> {
        let opened = open_below(self.0.as_fd(), &directory.relative()).map_err(Error::system(LIST))?;
        list(opened.as_fd(), directory, filter).map_err(Error::system(LIST))
    }
}

impl Contents for Tree {
    fn file(&self, path: &[u8]) -> Result<Box<dyn Reading>> {
        let (directory, name) = split(path);
        self.directory(directory)?.open(name)
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// A directory of both trees.
pub struct Level {
    directory: Arc<Directory>,
    path: Vec<u8>,
    sides: [Side; 2],
}

/// One name, and what it stands for in either tree.
pub struct Pair {
    pub name: Vec<u8>,
    pub kinds: [Option<Kind>; 2],
    pub sizes: [u64; 2],
    /// It counts on one side at least.
    pub is_wanted: bool,
    /// What went wrong when it was looked at.
    pub failed: Option<(&'static str, String)>,
}

impl Level {
    /// Read a directory that both trees have; none has a parent where it is the root.
    pub fn read(
        trees: [&Tree; 2],
        path: Vec<u8>,
        parent: Option<(&Arc<Directory>, &[u8])>,
        filter: &Filter,
    ) -> Result<Self> {
        let directory = match parent {
            Some((parent, name)) => Directory::child_of(filter, parent, name.into()),
            None => Directory::root_of(filter, 0, b""),
        };
        let list = |tree: &Tree| tree.listing(&directory, filter).map(Side::new);
        let sides = [list(trees[0])?, list(trees[1])?];
        Ok(Self { directory, path, sides })
    }

    /// The next name, in bytewise order.
    pub fn next(&mut self, rules: &Rules<'_>) -> Option<Pair> {
        let order = side(self.sides[0].name(), self.sides[1].name())?;
        let [first, second] = &mut self.sides;
        let name = if order == Ordering::Greater { second.name() } else { first.name() }.unwrap_or_default().to_vec();
        let one = (order != Ordering::Greater).then(|| first.take()).flatten();
        let other = (order != Ordering::Less).then(|| second.take()).flatten();
        let taken = || [&one, &other].into_iter().flatten();
        let failed = taken().find_map(|taken| taken.failed.clone());
        let is_wanted = failed.is_some() || taken().any(|it| rules.takes(it.kind, it.size_bytes, it.modified_ns));
        let kind = |taken: &Option<Taken>| taken.as_ref().map(|taken| taken.kind);
        let size = |taken: &Option<Taken>| taken.as_ref().map_or(0, |taken| taken.size_bytes);
        Some(Pair { name, kinds: [kind(&one), kind(&other)], sizes: [size(&one), size(&other)], is_wanted, failed })
    }

    /// Where it lies.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Its path relative to the roots.
    pub fn path(&self) -> &[u8] {
        &self.path
    }
}

/// A directory of one tree, in bytewise order of names, up to where it has been compared.
struct Side {
    listing: Listing,
    order: Vec<u32>,
    at: usize,
}

struct Taken {
    kind: Kind,
    size_bytes: u64,
    modified_ns: i64,
    failed: Option<(&'static str, String)>,
}

impl Side {
    fn new(listing: Listing) -> Self {
        let mut order: Vec<u32> = (0..).take(listing.len()).collect();
        let name = |index: &u32| listing.get(*index as usize).name;
        order.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        order.dedup_by(|one, other| name(one) == name(other)); // some file systems repeat what changes meanwhile
        Self { listing, order, at: 0 }
    }

    fn name(&self) -> Option<&[u8]> {
        self.order.get(self.at).map(|&index| self.listing.get(index as usize).name)
    }

    fn take(&mut self) -> Option<Taken> {
        let index = *self.order.get(self.at)?;
        self.at += 1;
        let listed = self.listing.get(index as usize);
        let errno = self.listing.faults().iter().find(|(at, _)| *at == index).map(|(_, errno)| *errno);
        let failed = errno.map(|errno| Error::system(LOOK)(errno)).map(|error| (error.kind(), error.to_string()));
        let (kind, size_bytes, modified_ns) = (listed.kind, listed.size_bytes, listed.modified_ns);
        Some(Taken { kind, size_bytes, modified_ns, failed })
    }
}
