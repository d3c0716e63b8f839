//! Two directory trees, and what differs: entries that only one has, and entries that are not the same.
//!
//! - `tree`: one of the two: its directories in order, its files
//! - `content`: threads that compare the contents of files
//!
//! Both trees are walked in step, a directory of each at a time, in bytewise order of their names, and differences are
//! told in that order, whatever finishes first. What only one tree has is told once, a directory without what is in
//! it. Memory grows with the entries of the directories on the way to the current one, not with those of the trees.
//! Nothing is written, and no link is followed but those that name the roots.

mod content;
mod tree;

use std::{cmp::Ordering, collections::VecDeque, ops::ControlFlow, sync::Arc, sync::mpsc::Receiver};

use content::{Comparers, Comparison, Verdict};
use tree::{Level, Tree};

use crate::{
    Error, Result,
    entry::{Kind, join},
    scan::Filter,
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

/// Compare two trees; tell each difference as it is found, in order. A break ends the comparison early.
///
/// Fails where a root is no directory that can be opened.
pub fn diff(
    roots: [&[u8]; 2],
    filter: &Filter,
    by: By,
    threads: usize,
    tell: &mut dyn FnMut(Difference) -> ControlFlow<()>,
) -> Result<Counts> {
    let trees = Arc::new([Tree::open(roots[0])?, Tree::open(roots[1])?]);
    let comparers = Comparers::start(&trees, by, threads)?;
    let mut walk =
        Walk { trees: &trees, filter, by, comparers, waiting: VecDeque::new(), counts: Counts::default(), tell };
    // A break is no failure: what was counted until then is given.
    let _ = walk.run();
    Ok(walk.counts)
}

struct Walk<'w> {
    trees: &'w [Tree; 2],
    filter: &'w Filter,
    by: By,
    comparers: Comparers,
    /// What has been found and not been told yet, in order.
    waiting: VecDeque<Found>,
    counts: Counts,
    tell: &'w mut dyn FnMut(Difference) -> ControlFlow<()>,
}

/// A difference, or a pair of files whose contents are being compared.
enum Found {
    Known(Difference),
    Same,
    Pending(Vec<u8>, Receiver<Verdict>),
}

impl Walk<'_> {
    fn run(&mut self) -> ControlFlow<()> {
        let mut levels = Vec::new();
        self.enter(Vec::new(), None, &mut levels)?;
        while let Some(level) = levels.last_mut() {
            let Some(pair) = level.next() else {
                levels.pop();
                continue;
            };
            let path = join(level.path(), &pair.name);
            match (pair.kinds[0], pair.kinds[1]) {
                (Some(kind), None) => self.found(path, What::OnlyFirst(kind))?,
                (None, Some(kind)) => self.found(path, What::OnlySecond(kind))?,
                (Some(Kind::Directory), Some(Kind::Directory)) => {
                    let parent = Arc::clone(level.directory());
                    self.enter(path, Some((&parent, &pair.name)), &mut levels)?;
                }
                _ if let Some((kind, message)) = pair.failed => self.found(path, What::Failed(kind, message))?,
                (Some(one), Some(other)) if one != other => self.found(path, What::Kind(one, other))?,
                (Some(Kind::File), _) => self.files(path, pair.sizes)?,
                (Some(Kind::Symlink), _) => self.links(path)?,
                _ => self.take(Found::Same)?,
            }
        }
        self.drain(0)
    }

    fn enter(
        &mut self,
        path: Vec<u8>,
        parent: Option<(&Arc<crate::scan::Directory>, &[u8])>,
        levels: &mut Vec<Level>,
    ) -> ControlFlow<()> {
        match Level::read(self.trees, path.clone(), parent, self.filter) {
            Ok(level) => levels.push(level),
            Err(error) => self.found(path, What::Failed(error.kind(), error.to_string()))?,
        }
        ControlFlow::Continue(())
    }

    fn files(&mut self, path: Vec<u8>, sizes: [u64; 2]) -> ControlFlow<()> {
        if sizes[0] != sizes[1] {
            return self.found(path, What::Size(sizes[0], sizes[1]));
        }
        if self.by == By::Size {
            return self.take(Found::Same);
        }
        let (comparison, verdict) = Comparison::new(path.clone());
        self.comparers.send(comparison);
        self.take(Found::Pending(path, verdict))
    }

    fn links(&mut self, path: Vec<u8>) -> ControlFlow<()> {
        match (self.trees[0].read_link(&path), self.trees[1].read_link(&path)) {
            (Ok(one), Ok(other)) if one == other => self.take(Found::Same),
            (Ok(one), Ok(other)) => self.found(path, What::Target(one, other)),
            (Err(error), _) | (_, Err(error)) => self.found(path, What::Failed(error.kind(), error.to_string())),
        }
    }

    fn found(&mut self, path: Vec<u8>, what: What) -> ControlFlow<()> {
        self.take(Found::Known(Difference { path, what }))
    }

    fn take(&mut self, found: Found) -> ControlFlow<()> {
        self.waiting.push_back(found);
        self.drain(WAITING)
    }

    /// Tell what is known, and wait for what is not where more than so much waits.
    fn drain(&mut self, most: usize) -> ControlFlow<()> {
        while let Some(first) = self.waiting.pop_front() {
            let (path, verdict) = match first {
                Found::Same => {
                    self.counts.same += 1;
                    continue;
                }
                Found::Known(difference) => {
                    self.tell(difference)?;
                    continue;
                }
                Found::Pending(path, verdict) => (path, verdict),
            };
            let answer = if self.waiting.len() >= most { verdict.recv().ok() } else { verdict.try_recv().ok() };
            match answer {
                Some(Ok(None)) => self.counts.same += 1,
                Some(Ok(Some(what))) => self.tell(Difference { path, what })?,
                Some(Err(error)) => self.tell(Difference { path, what: failed(&error) })?,
                None if self.waiting.len() >= most => {
                    let lost = Error::Panicked("the comparison panicked".to_owned());
                    self.tell(Difference { path, what: failed(&lost) })?;
                }
                None => {
                    self.waiting.push_front(Found::Pending(path, verdict));
                    break;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn tell(&mut self, difference: Difference) -> ControlFlow<()> {
        *match difference.what {
            What::OnlyFirst(_) => &mut self.counts.only_first,
            What::OnlySecond(_) => &mut self.counts.only_second,
            What::Failed(..) => &mut self.counts.failed,
            _ => &mut self.counts.differing,
        } += 1;
        (self.tell)(difference)
    }
}

fn failed(error: &Error) -> What {
    What::Failed(error.kind(), error.to_string())
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

/// Entries that may wait to be told: enough that threads have work while the oldest pair is still compared.
const WAITING: usize = 1024;
