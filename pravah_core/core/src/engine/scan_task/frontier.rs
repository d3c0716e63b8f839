//! The frontier of a scan: the directories that emitted tasks do not cover yet.
//!
//! It follows what the cutter takes, one directory after the other, each after the one it lies in:
//!
//! - a directory *waits* from the moment its parent was listed until it is listed itself;
//! - it is *at hand* while entries of it lie in the manifest that is being filled;
//! - when that is cut it is covered: with it goes what was left out of it, so that each is counted once.
//!
//! A directory that is listed in ranges of its names waits, is at hand and is covered range by range: what is not
//! taken of it yet waits.
//!
//! What is written with an emission is bounded: the gatherers let only so many directories wait and give the others
//! *away*, to units of their own, and the manifest at hand is cut when it has entries of many directories.

use std::{
    collections::{HashMap, HashSet},
    mem::take,
    sync::Arc,
};

use super::{
    emitter::Pace,
    gather::Found,
    ranged::{Ranged, RangedMarks, StoredRange},
    tree::{Mark, TreeBuilder, address},
    unit::{Beginning, Directories, LookBack, Unit},
};
use crate::{
    Result,
    scan::{Directory, Filtered, Names, Span},
};

/// Directories that wait, are at hand or were given away.
pub struct Frontier {
    /// What the scan began with and has not come to yet, by address.
    singles: HashMap<usize, (Arc<Directory>, Mark)>,
    /// Subdirectories that wait, by the address of the directory they are in.
    waiting: HashMap<usize, Waiting>,
    /// Directories that are listed in ranges, and the ranges that wait, by address.
    ranged: HashMap<usize, Ranged>,
    at_hand: Vec<Listed>,
    /// Bytes of the paths of what is at hand.
    at_hand_bytes: usize,
    /// The directory of the one file that waits for whether there is a second one.
    held: Option<Listed>,
    away: Vec<(Arc<Directory>, Names)>,
    /// How many of these may be emitted in part.
    partly: usize,
    look_back: LookBack,
    /// What was left out of the directories that are covered.
    filtered: Filtered,
    /// What a unit that is given away begins with, in bytes.
    unit_bytes: usize,
}

struct Waiting {
    parent: Arc<Directory>,
    names: HashSet<Box<[u8]>>,
}

/// A directory, or a range of its names, whose entries the cutter has taken.
pub struct Listed {
    directory: Arc<Directory>,
    span: Option<Span>,
    filtered: Filtered,
    path_bytes: usize,
    is_partly: bool,
    /// It could not be read: what is below it is seen to by nobody else.
    is_unread: bool,
}

impl Listed {
    /// What a later holder has to do about it.
    fn mark(&self) -> Mark {
        match (self.is_unread, self.is_partly) {
            (true, _) => Mark::Again,
            (false, true) => Mark::Partly,
            (false, false) => Mark::Listed,
        }
    }
}

/// What became of the entries of a directory, and of those before it.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Tasks that were cut while the directory was taken.
    pub tasks: usize,
    /// Some of its entries lie in the manifest at hand.
    pub is_at_hand: bool,
    /// One file is held back, of this directory or of one before.
    pub holds: bool,
}

impl Frontier {
    /// Begin with all that a unit has to list.
    pub fn new(beginning: &Beginning, pace: &Pace) -> Self {
        let single = |(directory, mark): &(Arc<Directory>, Mark)| (address(directory), (directory.clone(), *mark));
        let mut frontier = Self {
            singles: beginning.singles.iter().map(single).collect(),
            waiting: HashMap::new(),
            ranged: HashMap::new(),
            at_hand: Vec::new(),
            at_hand_bytes: 0,
            held: None,
            away: Vec::new(),
            partly: beginning.singles.iter().filter(|(_, mark)| mark.is_known()).count(),
            look_back: beginning.look_back,
            filtered: beginning.filtered,
            unit_bytes: pace.waiting_bytes / UNITS_IN_ONE,
        };
        for (parent, names) in &beginning.below {
            frontier.wait(parent, names);
        }
        for Ranged { directory, ranges } in &beginning.ranged {
            frontier.partly += ranges.iter().filter(|(_, mark)| mark.is_known()).count();
            let ranged = Ranged { directory: directory.clone(), ranges: ranges.clone() };
            frontier.ranged.insert(address(directory), ranged);
        }
        frontier
    }

    /// Take note that a directory was listed: what is below it waits, or goes away.
    pub fn list(&mut self, found: &mut Found) -> Listed {
        let (directory, span) = (found.at.clone(), found.span.clone());
        let mark = match &span {
            Some(span) => self.leave_range(&directory, span),
            None => self.leave(&directory),
        };
        self.wait(&directory, &found.below);
        let away = take(&mut found.away);
        if !away.is_empty() {
            self.away.push((directory.clone(), away));
        }
        let (filtered, path_bytes) = (found.filtered, found.path_bytes());
        let (is_partly, is_unread) = (mark.is_known(), found.is_unread);
        Listed { directory, span, filtered, path_bytes, is_partly, is_unread }
    }

    /// Take note of what the cutter made of a directory.
    pub fn take(&mut self, mut listed: Listed, cut: Cut) {
        self.cover(cut.tasks);
        let is_held = cut.holds && self.held.is_none();
        if !cut.holds
            && let Some(held) = self.held.take()
        {
            self.at_hand_bytes += held.path_bytes;
            self.at_hand.push(held);
        }
        if !cut.is_at_hand && !is_held {
            self.end(&listed);
            return;
        }
        if (cut.tasks > 0 || is_held) && !listed.is_partly {
            self.begin_partly(cut.tasks);
            listed.is_partly = true;
        }
        if is_held {
            self.held = Some(listed);
        } else {
            self.at_hand_bytes += listed.path_bytes;
            self.at_hand.push(listed);
        }
    }

    /// Take note that so many tasks were cut: what was at hand is covered.
    pub fn cover(&mut self, tasks: usize) {
        if tasks == 0 {
            return;
        }
        if self.partly == 0 {
            self.look_back = LookBack::default();
        } else if let LookBack::Last(count) = &mut self.look_back {
            *count = count.saturating_add(u32::try_from(tasks).unwrap_or(u32::MAX));
        }
        self.at_hand_bytes = 0;
        for listed in take(&mut self.at_hand) {
            self.end(&listed);
        }
    }

    /// Take note that nothing more comes, and that everything is cut.
    pub fn finish(&mut self) {
        for listed in take(&mut self.at_hand).into_iter().chain(self.held.take()) {
            self.end(&listed);
        }
    }

    /// Whether the manifest at hand should be cut, so that what is written of it stays small.
    pub fn is_wide(&self) -> bool {
        self.at_hand.len() > AT_HAND_DIRECTORIES || self.at_hand_bytes > AT_HAND_BYTES
    }

    /// Whether there are directories for other units.
    pub fn has_units(&self) -> bool {
        !self.away.is_empty()
    }

    /// Take the units of what was given away.
    pub fn take_units(&mut self) -> Result<Vec<Vec<u8>>> {
        let (mut units, mut builder, mut bytes) = (Vec::new(), TreeBuilder::default(), 0);
        for (parent, names) in take(&mut self.away) {
            for name in names.iter() {
                builder.below(&parent, [name], Mark::Whole);
                bytes += cost(name);
                if bytes >= self.unit_bytes {
                    units.push(unit_of(take(&mut builder))?);
                    bytes = 0;
                }
            }
        }
        if bytes > 0 {
            units.push(unit_of(builder)?);
        }
        Ok(units)
    }

    /// What was left out of the directories that are covered.
    pub fn filtered(&self) -> Filtered {
        self.filtered
    }

    /// Write down what a later holder of the unit has to go on with.
    pub fn encode(&self, first_file: Option<&[u8]>) -> Result<Vec<u8>> {
        let mut builder = TreeBuilder::default();
        for (directory, mark) in self.singles.values() {
            builder.mark(directory, *mark);
        }
        for waiting in self.waiting.values() {
            let mut names: Vec<&[u8]> = waiting.names.iter().map(AsRef::as_ref).collect();
            names.sort_unstable(); // they compress better, and lie on the disk more or less so
            builder.below(&waiting.parent, names, Mark::Whole);
        }
        let mut ranges = Vec::new();
        for Ranged { directory, ranges: waiting } in self.ranged.values() {
            let node = builder.node(directory);
            ranges.extend(waiting.iter().map(|(span, mark)| StoredRange::new(node, span, *mark)));
        }
        for listed in self.at_hand.iter().chain(&self.held) {
            match &listed.span {
                Some(span) => ranges.push(StoredRange::new(builder.node(&listed.directory), span, listed.mark())),
                None => builder.mark(&listed.directory, listed.mark()),
            }
        }
        let left_out = self.filtered.iter().filter(|(_, count)| *count > 0);
        let look_back = if self.partly == 0 { LookBack::default() } else { self.look_back };
        let unit = Unit::Directories(Directories {
            tree: builder.finish(),
            ranges,
            filtered: left_out.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            look_back,
            first_file: first_file.map(<[u8]>::to_vec),
        });
        unit.encode()
    }

    fn wait(&mut self, parent: &Arc<Directory>, names: &Names) {
        if names.is_empty() {
            return;
        }
        let waiting = Waiting { parent: parent.clone(), names: HashSet::with_capacity(names.len()) };
        let waiting = self.waiting.entry(address(parent)).or_insert(waiting);
        waiting.names.extend(names.iter().map(Box::from));
    }

    /// A directory waits no more; give what was to be done about it.
    fn leave(&mut self, directory: &Arc<Directory>) -> Mark {
        if let Some((_, mark)) = self.singles.remove(&address(directory)) {
            return mark;
        }
        if let Some(parent) = directory.parent().map(address)
            && let Some(waiting) = self.waiting.get_mut(&parent)
        {
            waiting.names.remove(directory.name());
            if waiting.names.is_empty() {
                self.waiting.remove(&parent);
            }
        }
        Mark::Whole
    }

    /// A range of a directory's names waits no more; give what was to be done about it.
    fn leave_range(&mut self, directory: &Arc<Directory>, span: &Span) -> Mark {
        if !self.ranged.contains_key(&address(directory)) {
            let ranges = RangedMarks::whole(self.leave(directory));
            self.ranged.insert(address(directory), Ranged { directory: directory.clone(), ranges });
        }
        let Some(ranged) = self.ranged.get_mut(&address(directory)) else { return Mark::Whole };
        let (mark, left) = ranged.ranges.take(span).unwrap_or((Mark::Whole, 0));
        if ranged.ranges.is_empty() {
            self.ranged.remove(&address(directory));
        }
        // What lay in one range that is known lies in so many more now.
        self.partly += if mark.is_known() { left } else { 0 };
        mark
    }

    fn begin_partly(&mut self, tasks: usize) {
        if self.partly == 0 {
            self.look_back = LookBack::Last(u32::try_from(tasks).unwrap_or(u32::MAX));
        }
        self.partly += 1;
    }

    fn end(&mut self, listed: &Listed) {
        self.filtered += listed.filtered;
        self.partly -= usize::from(listed.is_partly);
    }
}

/// What a directory that waits adds to a frontier, about, in bytes.
pub fn cost(name: &[u8]) -> usize {
    name.len() + 16
}

fn unit_of(builder: TreeBuilder) -> Result<Vec<u8>> {
    Unit::Directories(Directories { tree: builder.finish(), ..Directories::default() }).encode()
}

/// How much smaller a unit begins than it may become: it has room for what it finds, and a huge directory makes many.
const UNITS_IN_ONE: usize = 4;

/// Directories in the manifest at hand, and bytes of their paths, from which on it is cut with an emission.
const AT_HAND_DIRECTORIES: usize = 256;
const AT_HAND_BYTES: usize = 256 << 10;
