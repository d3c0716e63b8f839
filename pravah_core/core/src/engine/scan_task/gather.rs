//! Makes entries of the scanner's finds, on the scanner's threads: a whole directory at a time.

use std::{
    collections::HashMap,
    mem::{swap, take},
    ops::ControlFlow,
    sync::mpsc::SyncSender,
};

use super::{collisions::Collisions, known::Known};
use crate::{
    Error, Result,
    engine::Control,
    entry::{Entry, Kind, Problem, join},
    scan::{Directory, End, Filter, Filtered, LIST, LOOK, Listing, Reason, Visitor},
};

/// What is the same for all directories of a scan.
pub struct Rules<'r> {
    pub filter: Filter,
    pub collisions: Collisions<'r>,
    pub known: &'r Known,
    /// Directories without entries are entries themselves.
    pub lists_empty: bool,
    pub control: &'r Control,
}

/// The new entries of one directory.
#[derive(Default)]
pub struct Found {
    root: u16,
    directory: Vec<u8>,
    listing: Listing,
    /// Indices into the listing, in bytewise order of the names.
    order: Vec<u32>,
    problems: HashMap<u32, Problem>,
    /// The directory itself, where it could not be read, or is to be made though it is empty.
    itself: Option<Entry>,
    /// What was left out.
    pub filtered: Filtered,
}

impl Found {
    /// Make entries of a whole directory.
    pub fn new(rules: &Rules<'_>, root: u16, directory: Vec<u8>, listing: Listing) -> Self {
        let mut order: Vec<u32> =
            (0..).zip(listing.kinds()).filter(|(_, k)| **k != Kind::Directory).map(|(i, _)| i).collect();
        let name = |index: &u32| listing.get(*index as usize).name;
        order.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        order.dedup_by(|one, other| name(one) == name(other)); // some file systems repeat what changes while it is read
        rules.control.count_listed(order.len() as u64, listing.sizes().iter().sum());
        let mut problems: HashMap<u32, Problem> = rules.collisions.find(&listing).into_iter().collect();
        let looks = listing.faults().iter().map(|(index, errno)| (*index, problem_of(&Error::system(LOOK)(*errno))));
        problems.extend(looks);
        if !rules.known.is_empty() {
            order.retain(|index| !rules.known.contains(root, &join(&directory, name(index))));
        }
        let filtered = listing.filtered;
        Self { root, directory, listing, order, problems, itself: None, filtered }
    }

    /// Give all its entries this verdict.
    pub fn fail(&mut self, problem: &Problem) {
        self.problems.extend(self.order.iter().map(|index| (*index, problem.clone())));
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.order.len() + usize::from(self.itself.is_some())
    }

    /// Give the entries, one after the other, in bytewise order of their names.
    pub fn for_each(mut self, mut take: impl FnMut(&Entry) -> Result<()>) -> Result<()> {
        let (root, directory, name) = (self.root, self.directory, Vec::new());
        let mut entry = Entry { root, directory, name, kind: Kind::File, size_bytes: 0, modified_ns: 0, problem: None };
        for index in self.order {
            let listed = self.listing.get(index as usize);
            entry.name.clear();
            entry.name.extend_from_slice(listed.name);
            entry.kind = listed.kind;
            entry.size_bytes = listed.size_bytes;
            entry.modified_ns = listed.modified_ns;
            entry.problem = self.problems.remove(&index);
            take(&entry)?;
        }
        self.itself.iter().try_for_each(take)
    }
}

/// Takes what one thread of the scanner finds, and sends it on by directories.
pub struct Gatherer<'g> {
    rules: &'g Rules<'g>,
    /// The plan's root of each root of the scanner.
    roots: &'g [u16],
    listing: Listing,
    sender: SyncSender<Found>,
}

impl<'g> Gatherer<'g> {
    pub fn new(rules: &'g Rules<'g>, roots: &'g [u16], sender: SyncSender<Found>) -> Self {
        Self { rules, roots, listing: Listing::default(), sender }
    }
}

impl Visitor for Gatherer<'_> {
    fn entries(&mut self, _directory: &Directory, listing: &mut Listing) -> ControlFlow<()> {
        if self.listing.is_empty() && self.listing.filtered.total() == 0 {
            swap(&mut self.listing, listing);
        } else {
            self.listing.append(listing);
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, directory: &Directory, end: End) -> ControlFlow<()> {
        let root = self.roots[directory.root()];
        let is_empty = self.listing.is_empty() && self.listing.filtered.total() == 0;
        let mut found = Found::new(self.rules, root, directory.relative(), take(&mut self.listing));
        match end {
            End::Complete if is_empty && self.rules.lists_empty && directory.parent().is_some() => {
                let itself = itself(root, directory, None);
                found.itself = (!self.rules.known.contains(root, &itself.relative_path())).then_some(itself);
            }
            End::Complete | End::Vanished => {}
            End::Skipped => found.filtered.add(Reason::Sink),
            End::Loop => found.filtered.add(Reason::Loop),
            End::Unreadable(errno) => {
                let itself = itself(root, directory, Some(problem_of(&Error::system(LIST)(errno))));
                found.itself = (!self.rules.known.contains(root, &itself.relative_path())).then_some(itself);
            }
        }
        if found.len() == 0 && found.filtered.total() == 0 {
            return ControlFlow::Continue(());
        }
        if self.sender.send(found).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn itself(root: u16, directory: &Directory, problem: Option<Problem>) -> Entry {
    let (parent, name) = match directory.parent() {
        Some(parent) => (parent.relative(), directory.name().to_vec()),
        None => (Vec::new(), Vec::new()),
    };
    Entry { root, directory: parent, name, kind: Kind::Directory, size_bytes: 0, modified_ns: 0, problem }
}

fn problem_of(error: &Error) -> Problem {
    Problem { kind: error.kind().to_owned(), message: error.to_string() }
}
