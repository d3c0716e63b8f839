//! Two directory trees, or prefixes of object stores, and what differs: entries that only one side has, and entries
//! that are not the same.
//!
//! - `tree`: one of two trees: its directories in order, its files
//! - `keyed`, `leaves`: two sides of which one is a prefix at least, by their keys
//! - `rules`: which entries count
//! - `content`: threads that compare the contents of files
//! - `teller`: what is found, told in order
//!
//! Two trees are walked in step, a directory of each at a time, in bytewise order of their names; two sides with a
//! prefix are merged in bytewise order of whole paths, which is that of object stores. Differences are told in that
//! order, whatever finishes first. What only one side has is told once, a directory without what is in it. Memory
//! grows with the entries of the directories on the way to the current one, not with those of the trees. Nothing is
//! written, and no link is followed but those that name the roots.

mod content;
mod keyed;
mod leaves;
mod rules;
mod teller;
mod tree;

use std::{cmp::Ordering, ops::ControlFlow, sync::Arc};

use content::{Comparers, Contents};
use leaves::{KeyLeaves, Leaves, TreeLeaves};
use rules::Rules;
use teller::{Teller, failed};
use tree::{Level, Tree};

use crate::{
    Result,
    entry::{Kind, join},
    scan::{Directory, Filter},
    stores::s3::{Prefix, is_object_uri},
};

/// What makes two files of one name the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Their sizes; no file is read.
    Size,
    /// Their BLAKE3 checksums.
    Checksum,
    /// Every byte; each pair of files is read up to the first difference.
    Content,
}

/// Something that is not the same in both trees.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path relative to the roots.
    pub path: Vec<u8>,
    /// In what way it differs.
    pub what: What,
}

/// In what way something differs; of two values the first is that of the first tree.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// Only the first tree has it.
    OnlyFirst(Kind),
    /// Only the second tree has it.
    OnlySecond(Kind),
    /// It is not the same kind of thing.
    Kind(Kind, Kind),
    /// The sizes of two files, in bytes.
    Size(u64, u64),
    /// The checksums of two files of equal size, in hexadecimal.
    Checksum(String, String),
    /// The offset of the first byte that differs.
    Content(u64),
    /// Where two links lead.
    Target(Vec<u8>, Vec<u8>),
    /// It can't be compared; the kind of the error and its message.
    Failed(&'static str, String),
}

/// How much was compared.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Entries that are the same in both trees; directories count by what is in them.
    pub same: u64,
    /// Entries that only the first has.
    pub only_first: u64,
    /// Entries that only the second has.
    pub only_second: u64,
    /// Entries that differ.
    pub differing: u64,
    /// Entries that could not be compared.
    pub failed: u64,
}

/// Compare two sides, paths or URIs as people write them; tell each difference as it is found, in order. A break ends
/// the comparison early.
///
/// Fails where a root is no directory that can be opened, or a prefix can't be listed.
pub fn diff(
    roots: [&[u8]; 2],
    filter: &Filter,
    by: By,
    threads: usize,
    tell: &mut dyn FnMut(Difference) -> ControlFlow<()>,
) -> Result<Counts> {
    let places = [Place::open(roots[0])?, Place::open(roots[1])?];
    let contents = [places[0].contents(), places[1].contents()];
    let rules = &Rules::new(filter);
    if let [Place::Tree(first), Place::Tree(second)] = &places {
        let mut teller = Teller::new(by, Comparers::start(&contents, by, threads)?, tell);
        // A break is no failure: what was counted until then is given.
        let _ = Walk { trees: [first, second], rules, teller: &mut teller }.run();
        return Ok(teller.counts());
    }
    let mut teller = Teller::new(by, Comparers::start(&contents, by, threads.max(REMOTE_THREADS))?, tell);
    keyed::diff(places[0].leaves(rules)?, places[1].leaves(rules)?, &mut teller)?;
    Ok(teller.counts())
}

/// Threads that compare contents which are far away, and wait for them more than they compute: each keeps up to 64 MiB
/// of two large objects.
const REMOTE_THREADS: usize = 8;

/// One side.
enum Place {
    Tree(Arc<Tree>),
    Prefix(Arc<Prefix>),
}

impl Place {
    fn open(root: &[u8]) -> Result<Self> {
        match str::from_utf8(root) {
            Ok(uri) if is_object_uri(uri) => Ok(Self::Prefix(Arc::new(Prefix::of_path(uri)?))),
            _ => Ok(Self::Tree(Arc::new(Tree::open(root)?))),
        }
    }

    fn contents(&self) -> Arc<dyn Contents> {
        match self {
            Self::Tree(tree) => tree.clone(),
            Self::Prefix(prefix) => prefix.clone(),
        }
    }

    fn leaves<'p>(&'p self, rules: &'p Rules<'p>) -> Result<Box<dyn Leaves + 'p>> {
        match self {
            Self::Tree(tree) => Ok(Box::new(TreeLeaves::new(tree, rules)?)),
            Self::Prefix(prefix) => Ok(Box::new(KeyLeaves::new(prefix, rules))),
        }
    }
}

struct Walk<'w, 't> {
    trees: [&'w Tree; 2],
    rules: &'w Rules<'w>,
    teller: &'w mut Teller<'t>,
}

impl Walk<'_, '_> {
    fn run(&mut self) -> ControlFlow<()> {
        let mut levels = Vec::new();
        self.enter(Vec::new(), None, &mut levels)?;
        while let Some(level) = levels.last_mut() {
            let Some(pair) = level.next(self.rules) else {
                levels.pop();
                continue;
            };
            let path = join(level.path(), &pair.name);
            match (pair.kinds[0], pair.kinds[1]) {
                _ if !pair.is_wanted => {}
                (Some(kind), None) if self.counts(0, level, &pair.name, kind) => {
                    self.teller.found(path, What::OnlyFirst(kind))?;
                }
                (None, Some(kind)) if self.counts(1, level, &pair.name, kind) => {
                    self.teller.found(path, What::OnlySecond(kind))?;
                }
                (_, None) | (None, _) => {}
                (Some(Kind::Directory), Some(Kind::Directory)) => {
                    let parent = Arc::clone(level.directory());
                    self.enter(path, Some((&parent, &pair.name)), &mut levels)?;
                }
                _ if let Some((kind, message)) = pair.failed => self.teller.found(path, What::Failed(kind, message))?,
                (Some(one), Some(other)) if one != other => self.teller.found(path, What::Kind(one, other))?,
                (Some(Kind::File), _) => self.teller.files(path, pair.sizes)?,
                (Some(Kind::Symlink), _) => self.links(path)?,
                _ => self.teller.same()?,
            }
        }
        self.teller.drain(0)
    }

    fn enter(
        &mut self,
        path: Vec<u8>,
        parent: Option<(&Arc<Directory>, &[u8])>,
        levels: &mut Vec<Level>,
    ) -> ControlFlow<()> {
        match Level::read(self.trees, path.clone(), parent, &self.rules.names) {
            Ok(level) => levels.push(level),
            Err(error) => self.teller.found(path, failed(&error))?,
        }
        ControlFlow::Continue(())
    }

    /// Whether what only one side has is told: a directory where something in it counts, if only some files do.
    fn counts(&self, number: usize, level: &Level, name: &[u8], kind: Kind) -> bool {
        let filter = self.rules.all;
        if kind != Kind::Directory || !filter.picks_files() {
            return true;
        }
        let mut left = vec![Directory::child_of(filter, level.directory(), name.into())];
        while let Some(directory) = left.pop() {
            // What can't be listed may hold anything.
            let Ok(listing) = self.trees[number].listing(&directory, filter) else { return true };
            if listing.kinds().iter().any(|kind| *kind != Kind::Directory) {
                return true;
            }
            left.extend(listing.iter().map(|listed| Directory::child_of(filter, &directory, listed.name.into())));
        }
        false
    }

    fn links(&mut self, path: Vec<u8>) -> ControlFlow<()> {
        match (self.trees[0].read_link(&path), self.trees[1].read_link(&path)) {
            (Ok(one), Ok(other)) if one == other => self.teller.same(),
            (Ok(one), Ok(other)) => self.teller.found(path, What::Target(one, other)),
            (Err(error), _) | (_, Err(error)) => self.teller.found(path, failed(&error)),
        }
    }
}

/// One name in two sorted listings.
fn side(one: Option<&[u8]>, other: Option<&[u8]>) -> Option<Ordering> {
    match (one, other) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(one), Some(other)) => Some(one.cmp(other)),
    }
}
