//! Names back to back: of the subdirectories that wait to be read, half a million in some directories.

use std::collections::HashSet;

use super::listing::Listing;
use crate::entry::Kind;

/// Names of subdirectories of one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    /// The directories of a listing, each once: some file systems repeat what changes while it is read.
    pub fn of_directories(listing: &Listing) -> Self {
        let (mut names, mut known) = (Self::default(), HashSet::new());
        let directories = listing.iter().filter(|listed| listed.kind == Kind::Directory);
        for name in directories.map(|listed| listed.name).filter(|name| known.insert(*name)) {
            names.push(name);
        }
        names
    }

    /// Append a name.
    pub fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The names, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Take the last one away.
    pub(super) fn pop(&mut self) -> Option<Box<[u8]>> {
        self.ends.pop()?;
        let start = self.ends.last().copied().unwrap_or(0);
        Some(self.bytes.split_off(start).into_boxed_slice())
    }

    /// Take the first half away; all of it where there is only one.
    pub(super) fn split(&mut self) -> Self {
        let count = self.ends.len().div_ceil(2);
        let cut = count.checked_sub(1).map_or(0, |last| self.ends[last]);
        let bytes = self.bytes.drain(..cut).collect();
        let ends = self.ends.drain(..count).collect();
        self.ends.iter_mut().for_each(|end| *end -= cut);
        Self { bytes, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_directory_that_is_listed_twice_is_one_name() {
        let mut listing = Listing::default();
        for (name, kind) in [("b", Kind::Directory), ("a", Kind::File), ("a", Kind::Directory), ("b", Kind::Directory)]
        {
            listing.push(name.as_bytes(), kind, None);
        }
        assert_eq!(Names::of_directories(&listing).iter().collect::<Vec<_>>(), [b"b", b"a"]);
    }

    #[test]
    fn test_names_split_and_popped_are_each_given_once() {
        let mut names = Names::default();
        for name in ["a", "bc", "", "d", "efg"] {
            names.push(name.as_bytes());
        }
        let mut half = names.split();
        assert_eq!(half.iter().collect::<Vec<_>>(), [b"a".as_slice(), b"bc", b""]);
        assert_eq!(names.iter().collect::<Vec<_>>(), [b"d".as_slice(), b"efg"]);
        assert_eq!(names.pop().as_deref(), Some(b"efg".as_slice()));
        assert_eq!(names.split().len(), 1);
        assert!(names.is_empty() && names.pop().is_none());
        assert_eq!(half.pop().as_deref(), Some(b"".as_slice()));
    }
}
