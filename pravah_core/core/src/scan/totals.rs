//! Totals of files and bytes, by extension or by directory, gathered while the scan goes on.
//!
//! Memory grows with the number of groups, never with that of files, and the number of groups is bounded: once there
//! are [`GROUPS`] of them, the files of further ones are counted together, in one group without a name.

use std::{
    collections::{BTreeMap, HashMap},
    ops::{AddAssign, ControlFlow},
    sync::Arc,
};

use super::{
    Scanner,
    count::Count,
    directory::Directory,
    listing::Listing,
    types::compound_extension,
    walk::{End, Visitor},
};
use crate::{Result, entry::Kind};

/// What files have in common that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The extension in lower case, with the one before it where it tells a compression (`csv.gz`); may be empty.
    Extension,
    /// The directory at most so many levels below the root, as `find ROOT` prints it.
    Directory {
        /// Levels below the root: 1 for the root's own directories.
        depth: usize,
    },
}

/// Files of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Regular files.
    pub files: u64,
    /// Sum of their sizes in bytes; zero where sizes were not asked for.
    pub bytes: u64,
}

/// The totals of a scan.
#[derive(Debug, Default)]
pub struct Totals {
    /// Each group that has files, by its name.
    pub groups: BTreeMap<Vec<u8>, Total>,
    /// Files of all groups for which there was no room.
    pub others: Total,
    /// What the scan counted in all.
    pub count: Count,
}

/// Groups with a total of their own: more than a person reads, and about 10 MB.
const GROUPS: usize = 65_536;

pub(super) fn totals(scanner: &Scanner, by: GroupBy) -> Result<Totals> {
    let visitors = (0..scanner.threads).map(|_| Grouper::new(by)).collect();
    Ok(scanner.walk(visitors)?.into_iter().fold(Totals::default(), Totals::with))
}

impl Totals {
    fn with(mut self, grouper: Grouper) -> Self {
        self.others += grouper.others;
        for (name, total) in grouper.groups {
            if let Some(known) = self.groups.get_mut(&name) {
                *known += total;
            } else if self.groups.len() < GROUPS {
                self.groups.insert(name, total);
            } else {
                self.others += total;
            }
        }
        self.count = Count::sum([self.count, grouper.count]);
        self
    }
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// Groups what one thread finds.
struct Grouper {
    by: GroupBy,
    groups: HashMap<Vec<u8>, Total>,
    others: Total,
    name: Vec<u8>,
    count: Count,
}

impl Grouper {
    fn new(by: GroupBy) -> Self {
        Self { by, groups: HashMap::new(), others: Total::default(), name: Vec::new(), count: Count::default() }
    }

    /// Add files to the group that is named by `self.name`.
    fn add(&mut self, total: Total) {
        if let Some(known) = self.groups.get_mut(&self.name) {
            *known += total;
        } else if self.groups.len() < GROUPS {
            self.groups.insert(self.name.clone(), total);
        } else {
            self.others += total;
        }
    }
}

impl Visitor for Grouper {
    fn entries(&mut self, directory: &Directory, listing: &mut Listing) -> ControlFlow<()> {
        self.count.take(directory, listing);
        let files = listing.iter().filter(|listed| listed.kind == Kind::File);
        match self.by {
            GroupBy::Extension => files.for_each(|file| {
                self.name.clear();
                let root_name = if file.name.is_empty() { directory.name() } else { file.name };
                self.name.extend_from_slice(compound_extension(root_name).unwrap_or_default());
                self.name.make_ascii_lowercase();
                self.add(Total { files: 1, bytes: file.size_bytes });
            }),
            GroupBy::Directory { depth } => {
                let mut total = Total::default();
                files.for_each(|file| total += Total { files: 1, bytes: file.size_bytes });
                if total.files > 0 {
                    self.name.clear();
                    directory.append_path_to_depth(&mut self.name, depth);
                    self.add(total);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, directory: &Arc<Directory>, end: End) -> ControlFlow<()> {
        self.count.take_end(directory, end);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouper(names: impl Iterator<Item = String>) -> Grouper {
        let mut grouper = Grouper::new(GroupBy::Extension);
        for name in names {
            grouper.name = name.into_bytes();
            grouper.add(Total { files: 1, bytes: 10 });
        }
        grouper
    }

    #[test]
    fn test_groups_beyond_the_bound_are_counted_together() {
        let names = |from: usize| (from..from + GROUPS / 2 + 5).map(|number| number.to_string());
        let totals = [grouper(names(0)), grouper(names(GROUPS))].into_iter().fold(Totals::default(), Totals::with);
        assert_eq!(totals.groups.len(), GROUPS);
        assert_eq!(totals.others, Total { files: 10, bytes: 100 });
        let one = grouper((0..GROUPS + 3).map(|number| number.to_string()));
        assert_eq!((one.groups.len(), one.others.files), (GROUPS, 3));
    }
}
