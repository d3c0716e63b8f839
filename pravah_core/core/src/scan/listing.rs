//! Entries of one directory in flat buffers: names back to back, and a number per entry.

use std::ops::Range;

use rustix::io::Errno;

use super::filter::Filtered;
use crate::entry::Kind;

/// Entries of one directory, or of a part of a huge one. Reused: no allocation per entry, nor per directory.
#[derive(Debug, Default, Clone)]
pub struct Listing {
    names: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<Kind>,
    sizes: Vec<u64>,
    modified: Vec<i64>,
    faults: Vec<(u32, Errno)>,
    /// What was left out of this part, by reason.
    pub filtered: Filtered,
}

/// One entry of a [`Listing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'l> {
    /// The name; empty for a root that is no directory.
    pub name: &'l [u8],
    /// What it is.
    pub kind: Kind,
    /// Size in bytes; zero for other kinds than files, and where sizes were not asked for.
    pub size_bytes: u64,
    /// Modification time in nanoseconds since 1970; zero where `size_bytes` is.
    pub modified_ns: i64,
}

/// Size and time of an entry.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Stat {
    pub size_bytes: u64,
    pub modified_ns: i64,
}

impl Listing {
    pub(crate) fn push(&mut self, name: &[u8], kind: Kind, stat: Option<Stat>) {
        self.names.extend_from_slice(name);
        self.ends.push(u32::try_from(self.names.len()).expect("a directory's names stay below 4 GiB"));
        self.kinds.push(kind);
        if let Some(stat) = stat {
            self.sizes.push(stat.size_bytes);
            self.modified.push(stat.modified_ns);
        }
    }

    /// Files of which nothing but the names is known.
    pub(crate) fn of_files(names: &[Vec<u8>]) -> Self {
        let mut listing = Self::default();
        names.iter().for_each(|name| listing.push(name, Kind::File, Some(Stat::default())));
        listing
    }

    pub(super) fn push_fault(&mut self, errno: Errno) {
        self.faults.push((u32::try_from(self.kinds.len() - 1).expect("fewer entries than bytes of names"), errno));
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The entry at `index`.
    pub fn get(&self, index: usize) -> Listed<'_> {
        Listed {
            name: &self.names[self.range(index)],
            kind: self.kinds[index],
            size_bytes: self.sizes.get(index).copied().unwrap_or_default(),
            modified_ns: self.modified.get(index).copied().unwrap_or_default(),
        }
    }

    /// The entries, in the directory's own order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Listed<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// All names back to back.
    pub fn names(&self) -> &[u8] {
        &self.names
    }

    /// Where each name ends in [`Self::names`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The kinds.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The sizes in bytes; empty where they were not asked for.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// The modification times in nanoseconds since 1970; empty where they were not asked for.
    pub fn modified(&self) -> &[i64] {
        &self.modified
    }

    /// Entries whose kind, size or time could not be learned, by index.
    pub fn faults(&self) -> &[(u32, Errno)] {
        &self.faults
    }

    /// Append the entries of another part of the same directory.
    pub fn append(&mut self, part: &Self) {
        let base = u32::try_from(self.names.len()).expect("a directory's names stay below 4 GiB");
        let first = u32::try_from(self.kinds.len()).expect("fewer entries than bytes of names");
        self.names.extend_from_slice(&part.names);
        self.ends.extend(part.ends.iter().map(|end| base + end));
        self.kinds.extend_from_slice(&part.kinds);
        self.sizes.extend_from_slice(&part.sizes);
        self.modified.extend_from_slice(&part.modified);
        self.faults.extend(part.faults.iter().map(|(index, errno)| (first + index, *errno)));
        self.filtered += part.filtered;
    }

    /// Forget all entries, keep the buffers.
    pub fn clear(&mut self) {
        self.names.clear();
        self.ends.clear();
        self.kinds.clear();
        self.sizes.clear();
        self.modified.clear();
        self.faults.clear();
        self.filtered = Filtered::default();
    }

    fn range(&self, index: usize) -> Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start as usize..self.ends[index] as usize
    }
}
