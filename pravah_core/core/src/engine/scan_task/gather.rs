//! Makes entries of the scanner's finds, on the scanner's threads: a whole directory at a time.

use std::{
    collections::{HashMap, HashSet},
    mem::{swap, take},
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::SyncSender,
    },
};

use super::{
    collisions::{Collision, Collisions},
    frontier::cost,
    known::Known,
    tree::{Mark, address, root_of},
    unit::{Beginning, Marks},
};
use crate::{
    Error, Result,
    engine::Control,
    entry::{Entry, Kind, Problem, join},
    naming::Naming,
    scan::{Directory, End, Filter, Filtered, LIST, LOOK, Listing, Names, Reason, Span, Visitor, fault},
};

/// What is the same for all directories of a scan.
pub struct Rules<'r> {
    pub filter: Filter,
    pub collisions: Collisions<'r>,
    pub known: &'r Known,
    pub room: Room,
    /// What is to be done about the directories that the scan begins with.
    pub marks: Marks,
    /// What has come of directories that are read in ranges and compared as a whole, by address.
    pub gathered: Mutex<HashMap<usize, Listing>>,
    /// Directories without entries are entries themselves.
    pub lists_empty: bool,
    pub control: &'r Control,
}

impl Rules<'_> {
    /// What is to be done about a directory.
    pub fn mark(&self, directory: &Arc<Directory>) -> Mark {
        self.marks.of(directory)
    }

    fn gathered(&self) -> MutexGuard<'_, HashMap<usize, Listing>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for directories that wait: those beyond are given away.
pub struct Room {
    limit: usize,
    taken: AtomicUsize,
}

impl Room {
    /// Room for what a scan begins with, and for as much more as may wait, in bytes.
    pub fn new(beginning: &Beginning, limit: usize) -> Self {
        let singles = beginning.singles.iter().map(|(directory, _)| cost(directory.name())).sum::<usize>();
        let below = beginning.below.iter().flat_map(|(_, names)| names.iter()).map(cost).sum::<usize>();
        let ranged = beginning.ranged.iter().map(|ranged| cost(ranged.directory.name())).sum::<usize>();
        Self { limit, taken: AtomicUsize::new(singles + below + ranged) }
    }

    /// Split subdirectories into those that wait here and those that are given away.
    fn share(&self, names: Names) -> (Names, Names) {
        let wanted: usize = names.iter().map(cost).sum();
        let taken = self.taken.fetch_add(wanted, Ordering::Relaxed);
        let mut left = self.limit.saturating_sub(taken);
        if wanted <= left {
            return (names, Names::default());
        }
        let (mut waiting, mut away, mut returned) = (Names::default(), Names::default(), 0);
        for name in names.iter() {
            if let Some(rest) = left.checked_sub(cost(name)).filter(|_| away.is_empty()) {
                left = rest;
                waiting.push(name);
            } else {
                returned += cost(name);
                away.push(name);
            }
        }
        self.taken.fetch_sub(returned, Ordering::Relaxed);
        (waiting, away)
    }

    fn leave(&self, directory: &Directory) {
        self.taken.fetch_sub(cost(directory.name()), Ordering::Relaxed);
    }
}

/// The new entries of one directory.
pub struct Found {
    /// The directory, or the root that is a file.
    pub at: Arc<Directory>,
    /// The range of its names that these are; none: all.
    pub span: Option<Span>,
    /// Subdirectories that wait from now on.
    pub below: Names,
    /// Subdirectories that are for other units.
    pub away: Names,
    root: u16,
    directory: Vec<u8>,
    listing: Listing,
    /// Indices into the listing, in bytewise order of the names.
    order: Vec<u32>,
    problems: HashMap<u32, Problem>,
    /// Whose outputs keep their sources' extensions.
    kept: HashSet<u32>,
    /// The directory itself, where it could not be read, or is to be made though it is empty.
    itself: Option<Entry>,
    /// It could not be read, so that nobody knows of the subdirectories that wait below it.
    pub is_unread: bool,
    /// What was left out.
    pub filtered: Filtered,
}

impl Found {
    /// Make entries of a whole directory.
    pub fn new(rules: &Rules<'_>, at: &Arc<Directory>, listing: Listing) -> Self {
        Self::marked(rules, at, listing, rules.mark(at))
    }

    /// Make entries of a range of a directory's names.
    fn of_range(rules: &Rules<'_>, at: &Arc<Directory>, listing: Listing, span: &Span) -> Self {
        Self { span: Some(span.clone()), ..Self::marked(rules, at, listing, rules.marks.of_range(at, span)) }
    }

    fn marked(rules: &Rules<'_>, at: &Arc<Directory>, listing: Listing, mark: Mark) -> Self {
        let (root, directory) = (root_of(at), at.relative());
        let mut order: Vec<u32> =
            (0..).zip(listing.kinds()).filter(|(_, k)| **k != Kind::Directory).map(|(i, _)| i).collect();
        let name = |index: &u32| listing.get(*index as usize).name;
        order.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        order.dedup_by(|one, other| name(one) == name(other)); // some file systems repeat what changes while it is read
        rules.control.count_listed(order.len() as u64, listing.sizes().iter().sum());
        let (mut problems, mut kept) = (HashMap::new(), HashSet::new());
        for (index, collision) in rules.collisions.find(root, &directory, &listing) {
            match collision {
                Collision::Fails(problem) => drop(problems.insert(index, problem)),
                Collision::KeepsExtension => drop(kept.insert(index)),
            }
        }
        let looks = listing.faults().iter().map(|(index, errno)| (*index, problem_of(&fault(LOOK, *errno))));
        problems.extend(looks);
        if !rules.known.is_empty() && mark.is_known() {
            order.retain(|index| !rules.known.contains(root, &join(&directory, name(index))));
        }
        let filtered = listing.filtered;
        let (below, away) = (Names::default(), Names::default());
        let (at, span, itself, is_unread) = (at.clone(), None, None, false);
        Self { at, span, below, away, root, directory, listing, order, problems, kept, itself, is_unread, filtered }
    }

    /// Bytes of the directory's path, and of the names at which a range of it begins and ends.
    pub fn path_bytes(&self) -> usize {
        let borders = self.span.iter().flat_map(|span| [&span.after, &span.end]).flatten();
        self.directory.len() + borders.map(|border| border.len()).sum::<usize>()
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
        let (kind, naming) = (Kind::File, Naming::default());
        let mut entry = Entry { root, directory, name, kind, size_bytes: 0, modified_ns: 0, problem: None, naming };
        for index in self.order {
            let listed = self.listing.get(index as usize);
            entry.name.clear();
            entry.name.extend_from_slice(listed.name);
            entry.kind = listed.kind;
            entry.size_bytes = listed.size_bytes;
            entry.modified_ns = listed.modified_ns;
            entry.problem = self.problems.remove(&index);
            entry.naming.keeps_extension = self.kept.contains(&index);
            take(&entry)?;
        }
        self.itself.iter().try_for_each(take)
    }
}

/// Takes what one thread of the scanner finds, and sends it on by directories.
pub struct Gatherer<'g> {
    rules: &'g Rules<'g>,
    listing: Listing,
    /// Subdirectories of the directory that has just ended.
    chosen: Names,
    sender: SyncSender<Found>,
}

impl<'g> Gatherer<'g> {
    pub fn new(rules: &'g Rules<'g>, sender: SyncSender<Found>) -> Self {
        Self { rules, listing: Listing::default(), chosen: Names::default(), sender }
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

    /// Hand a range over as it comes, where its names need not be compared with those of others.
    fn end_range(&mut self, directory: &Arc<Directory>, span: &Span) -> ControlFlow<()> {
        let listing = take(&mut self.listing);
        if self.rules.collisions.compares_directories() {
            self.rules.gathered().entry(address(directory)).or_default().append(&listing);
            return ControlFlow::Continue(());
        }
        let (mut waiting, mut away) = (Names::default(), Names::default());
        if self.rules.marks.of_range(directory, span).descends() {
            (waiting, away) = self.rules.room.share(Names::of_directories(&listing));
        }
        let mut found = Found::of_range(self.rules, directory, listing, span);
        self.chosen = waiting.clone();
        (found.below, found.away) = (waiting, away);
        if self.sender.send(found).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Nothing is gone on with before the directory was handed over: the frontier sees it first.
    fn end(&mut self, directory: &Arc<Directory>, mut end: End) -> ControlFlow<()> {
        if end == End::Ranged {
            let Some(gathered) = self.rules.gathered().remove(&address(directory)) else {
                self.rules.room.leave(directory);
                return ControlFlow::Continue(());
            };
            (self.listing, end) = (gathered, End::Complete);
        }
        let is_empty = self.listing.is_empty() && self.listing.filtered.total() == 0;
        let (mut waiting, mut away) = (Names::default(), Names::default());
        if end == End::Complete && self.rules.mark(directory).descends() {
            (waiting, away) = self.rules.room.share(Names::of_directories(&self.listing));
        }
        self.rules.room.leave(directory);
        let mut found = Found::new(self.rules, directory, take(&mut self.listing));
        match end {
            End::Complete if is_empty && self.rules.lists_empty && directory.parent().is_some() => {
                found.itself = Some(itself(directory, None));
            }
            End::Complete | End::Ranged | End::Vanished => {}
            End::Skipped => found.filtered.add(Reason::Sink),
            End::Loop => found.filtered.add(Reason::Loop),
            // What was left out of it is counted when it has been read to its end, and so is what lies below it.
            End::Unreadable(errno) => {
                found.filtered = Filtered::default();
                let mut itself = itself(directory, Some(problem_of(&Error::system(LIST)(errno))));
                found.is_unread = self.rules.mark(directory).descends();
                if !found.is_unread {
                    itself.modified_ns = Entry::FOUND_BELOW_NS;
                }
                found.itself = Some(itself);
            }
        }
        self.chosen = waiting.clone();
        (found.below, found.away) = (waiting, away);
        if self.sender.send(found).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn chosen(&mut self) -> Option<Names> {
        Some(take(&mut self.chosen))
    }

    fn chooses(&self) -> bool {
        true
    }
}

fn itself(directory: &Directory, problem: Option<Problem>) -> Entry {
    let (parent, name) = match directory.parent() {
        Some(parent) => (parent.relative(), directory.name().to_vec()),
        None => (Vec::new(), Vec::new()),
    };
    let (root, kind, naming) = (root_of(directory), Kind::Directory, Naming::default());
    Entry { root, directory: parent, name, kind, size_bytes: 0, modified_ns: 0, problem, naming }
}

/// The verdict that an error makes.
pub fn problem_of(error: &Error) -> Problem {
    Problem { kind: error.kind().to_owned(), message: error.to_string() }
}
