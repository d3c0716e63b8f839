//! What a lister is asked for: the names of a directory, page by page.

use std::{borrow::Cow, cmp::Ordering, fmt};

use rustix::io::Errno;

use crate::Result;

/// Lists directories that are on no local disk.
pub trait Lister: fmt::Debug + Send + Sync {
    /// Whether a root is its own to list; others are on a local disk.
    fn lists(&self, _root: usize) -> bool {
        true
    }

    /// Begin to list a directory.
    fn open(&self, root: usize, directory: &[u8], at: At<'_>) -> Result<Box<dyn Pages>>;

    /// Whether listings of a root can begin behind a name, as far as that is known.
    fn can_begin_at_names(&self, root: usize) -> bool;

    /// Whether a directory is where the job's outputs go.
    fn is_sink(&self, root: usize, directory: &[u8]) -> bool;

    /// The name of the job's one output in a directory, if that is where it goes.
    fn output(&self, _root: usize, _directory: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// Where a listing begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<'a> {
    /// With the first name.
    Beginning,
    /// Behind a name. A store that can't do that begins with the first one.
    After(&'a [u8]),
    /// With all that lies below a name that no directory can have, however deep.
    Below(&'a [u8]),
}

/// The pages of a listing, from where it begins to the directory's end.
pub trait Pages {
    /// Get the next page; not to be called behind the last one.
    fn next(&mut self) -> Result<Page>;
}

/// A page of a listing.
#[derive(Debug)]
pub struct Page {
    /// What is on it, in the order of the names' bytes where it is ordered.
    pub items: Vec<Item>,
    /// No page follows.
    pub is_last: bool,
    /// Names come in the order of their bytes, on this page and behind the one before.
    pub is_ordered: bool,
}

/// What a directory has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A directory, by its name.
    Directory(Vec<u8>),
    /// A file.
    File {
        /// Its name; where it is no path: all that tells it from others below its directory.
        name: Vec<u8>,
        /// Its size in bytes.
        size_bytes: u64,
        /// When it was put there, in nanoseconds since 1970.
        modified_ns: i64,
        /// Whether it can be taken for a path.
        is_path: bool,
    },
    /// A name that no directory can have, with its slash, below which there is something.
    Astray(Vec<u8>),
}

/// What a name has for an error that is no path.
pub const NO_PATH: Errno = Errno::ILSEQ;

impl Page {
    /// The names by which items are in order.
    pub fn names(&self) -> Vec<Cow<'_, [u8]>> {
        self.items.iter().map(Item::sorted_name).collect()
    }

    /// Whether it has names that lie before the one behind which it was to begin.
    pub fn begins_before(&self, after: &[u8]) -> bool {
        // What a directory holds may lie behind the name though its own name does not.
        let is_before = |item: &Item| {
            let name = item.sorted_name();
            *name <= *after && !(name.ends_with(b"/") && after.starts_with(&name))
        };
        self.items.iter().any(is_before)
    }
}

impl Item {
    /// The name by which it is in order: that of a directory ends in a slash.
    pub fn sorted_name(&self) -> Cow<'_, [u8]> {
        match self {
            Self::File { name, .. } | Self::Astray(name) => Cow::Borrowed(name),
            Self::Directory(name) => Cow::Owned([name, b"/".as_slice()].concat()),
        }
    }

    /// Compare the names by which items are in order.
    pub fn order(&self, other: &Self) -> Ordering {
        self.letters().cmp(other.letters())
    }

    fn letters(&self) -> impl Iterator<Item = u8> {
        let (name, slash): (&[u8], &[u8]) = match self {
            Self::File { name, .. } | Self::Astray(name) => (name, b""),
            Self::Directory(name) => (name, b"/"),
        };
        name.iter().chain(slash).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_page_that_begins_where_it_was_not_to_is_known() {
        let file = |name: &str| Item::File { name: name.into(), size_bytes: 0, modified_ns: 0, is_path: true };
        let page = |items| Page { items, is_last: true, is_ordered: true };
        assert!(page(vec![file("a"), file("d")]).begins_before(b"b"));
        assert!(page(vec![file("b")]).begins_before(b"b"));
        assert!(page(vec![Item::Directory(b"a".to_vec())]).begins_before(b"b"));
        assert!(!page(vec![Item::Directory(b"b".to_vec()), file("c")]).begins_before(b"b/m"));
        assert!(!page(Vec::new()).begins_before(b"b"));
    }

    #[test]
    fn test_items_are_in_the_order_of_their_keys() {
        let mut items = [Item::Directory(b"a".to_vec()), Item::Astray(b"/".to_vec()), Item::Directory(b"a-".to_vec())];
        items.sort_by(Item::order);
        let names: Vec<_> = items.iter().map(|item| item.sorted_name().into_owned()).collect();
        assert_eq!(names, [b"/".to_vec(), b"a-/".to_vec(), b"a/".to_vec()]);
    }
}
