//! The files of one side in the order of their keys, whatever lies between their slashes.
//!
//! A directory comes where `NAME/` would: so `a-b` comes before `a/b`, as object stores list them, and each
//! directory's files follow each other. Directories without files are nothing here, as no store has them.

use std::sync::Arc;

use super::{rules::Rules, tree::Tree};
use crate::{
    Error, Result,
    entry::{Kind, join},
    scan::{Detail, Directory, Filter, Item, LOOK, Listing, Reason, Sieve, closed, fault},
    stores::s3::{Keys, Prefix, split_key},
};

/// What is compared by itself: a file, another thing that is no directory, or a directory that can't be listed.
#[derive(Debug)]
pub struct Leaf {
    pub path: Vec<u8>,
    pub kind: Kind,
    pub size_bytes: u64,
    /// It counts by its size and time, too.
    pub is_wanted: bool,
    /// What went wrong when it was looked at.
    pub failed: Option<(&'static str, String)>,
}

/// Gives leaves, each behind the one before.
pub trait Leaves {
    /// The next leaf; none: that was the last.
    fn next(&mut self) -> Result<Option<Leaf>>;

    /// Take note that nobody wants what lies below a directory: it need not be looked at, and may be given.
    fn pass(&mut self, _directory: &[u8]) {}
}

impl Leaf {
    /// By which it is in order.
    pub fn key(&self) -> Vec<u8> {
        let slash: &[u8] = if self.kind == Kind::Directory { b"/" } else { b"" };
        [&self.path, slash].concat()
    }

    fn of(path: Vec<u8>, listing: &Listing, index: usize, rules: &Rules<'_>) -> Self {
        let listed = listing.get(index);
        let errno = listing.faults().iter().find(|(at, _)| *at as usize == index).map(|(_, errno)| *errno);
        let failed = errno.map(|errno| fault(LOOK, errno)).map(|error| told(&error));
        let is_wanted = failed.is_some() || rules.takes(listed.kind, listed.size_bytes, listed.modified_ns);
        Self { path, kind: listed.kind, size_bytes: listed.size_bytes, is_wanted, failed }
    }
}

fn told(error: &Error) -> (&'static str, String) {
    (error.kind(), error.to_string())
}

/// The leaves of a directory tree; memory is that of the directories on the way to the current one.
pub struct TreeLeaves<'t> {
    tree: &'t Tree,
    rules: &'t Rules<'t>,
    levels: Vec<Level>,
}

struct Level {
    directory: Arc<Directory>,
    listing: Listing,
    /// Indices into the listing, the last in order first.
    left: Vec<usize>,
}

impl<'t> TreeLeaves<'t> {
    /// Begin at the root; fails where that can't be listed.
    pub fn new(tree: &'t Tree, rules: &'t Rules<'t>) -> Result<Self> {
        let root = Directory::root_of(&rules.names, 0, b"");
        let level = Level::read(tree, &root, &rules.names)?;
        Ok(Self { tree, rules, levels: vec![level] })
    }
}

impl Leaves for TreeLeaves<'_> {
    fn next(&mut self) -> Result<Option<Leaf>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(index) = level.left.pop() else {
                self.levels.pop();
                continue;
            };
            let listed = level.listing.get(index);
            let path = join(&level.directory.relative(), listed.name);
            if listed.kind != Kind::Directory {
                return Ok(Some(Leaf::of(path, &level.listing, index, self.rules)));
            }
            let names = &self.rules.names;
            let directory = Directory::child_of(names, &level.directory, listed.name.into());
            match Level::read(self.tree, &directory, names) {
                Ok(level) => self.levels.push(level),
                Err(error) => {
                    let failed = Some(told(&error));
                    return Ok(Some(Leaf { path, kind: Kind::Directory, size_bytes: 0, is_wanted: true, failed }));
                }
            }
        }
        Ok(None)
    }

    fn pass(&mut self, directory: &[u8]) {
        let depth = 1 + directory.iter().filter(|&&byte| byte == b'/').count();
        if self.levels.get(depth).is_some_and(|level| level.directory.relative() == directory) {
            self.levels.truncate(depth);
        }
    }
}

impl Level {
    fn read(tree: &Tree, directory: &Arc<Directory>, filter: &Filter) -> Result<Self> {
        let listing = tree.listing(directory, filter)?;
        let key = |index: &usize| {
            let listed = listing.get(*index);
            let slash: &[u8] = if listed.kind == Kind::Directory { b"/" } else { b"" };
            listed.name.iter().chain(slash).copied()
        };
        let mut left: Vec<usize> = (0..listing.len()).collect();
        left.sort_unstable_by(|one, other| key(other).cmp(key(one)));
        left.dedup_by(|one, other| listing.get(*one).name == listing.get(*other).name); // some file systems repeat names
        Ok(Self { directory: directory.clone(), listing, left })
    }
}

/// The leaves below a prefix; memory is that of a page.
pub struct KeyLeaves<'k> {
    keys: Keys,
    rules: &'k Rules<'k>,
    /// The directories on the way to the last key, each with the reason why it is left out, if it is.
    way: Vec<(Arc<Directory>, Option<Reason>)>,
    /// Leaves of the page at hand, the last in order first.
    left: Vec<Leaf>,
}

impl<'k> KeyLeaves<'k> {
    pub fn new(prefix: &Prefix, rules: &'k Rules<'k>) -> Self {
        let root = Directory::root_of(&rules.names, 0, b"");
        Self { keys: prefix.keys(), rules, way: vec![(root, None)], left: Vec::new() }
    }

    /// Take a page: what the rules leave of it.
    fn take(&mut self, items: Vec<Item>) {
        for item in items {
            let Item::File { name: path, size_bytes, modified_ns, is_path } = item else { continue };
            let (parent, name) = split_key(&path);
            let name = name.to_vec();
            let Some(directory) = self.enter(parent) else { continue };
            let item = Item::File { name, size_bytes, modified_ns, is_path };
            let listing = Sieve::new(&self.rules.names, Detail::Sizes, &directory).sift(vec![item]).listing;
            if !listing.is_empty() {
                self.left.push(Leaf::of(path, &listing, 0, self.rules));
            }
        }
        self.left.reverse();
    }

    /// Go to a directory; none: the rules leave it out.
    fn enter(&mut self, path: &[u8]) -> Option<Arc<Directory>> {
        let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        let known = self.way.iter().skip(1).zip(&names).take_while(|((known, _), name)| known.name() == **name).count();
        self.way.truncate(1 + known);
        for name in &names[known..] {
            let (parent, left_out) = self.way.last()?;
            let directory = Directory::child_of(&self.rules.names, parent, (*name).into());
            let left_out = left_out.or_else(|| closed(&directory, &self.rules.names));
            self.way.push((directory, left_out));
        }
        self.way.last().filter(|(_, left_out)| left_out.is_none()).map(|(directory, _)| directory.clone())
    }
}

impl Leaves for KeyLeaves<'_> {
    fn next(&mut self) -> Result<Option<Leaf>> {
        while self.left.is_empty() {
            let Some(items) = self.keys.next_page()? else { return Ok(None) };
            self.take(items);
        }
        Ok(self.left.pop())
    }
}
