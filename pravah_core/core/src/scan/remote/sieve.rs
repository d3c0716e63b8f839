//! Takes what is to be listed of a page, and leaves out what is not.

use std::collections::HashSet;

use super::{Item, NO_PATH};
use crate::{
    entry::Kind,
    scan::{
        Detail,
        directory::Directory,
        filter::{Filter, Reason},
        listing::{Listing, Stat},
        names::Names,
        read::reason,
    },
};

/// Sifts the items of one directory, or of one range of it.
pub struct Sieve<'s> {
    filter: &'s Filter,
    detail: Detail,
    directory: &'s Directory,
    path: Vec<u8>,
    /// The name of the job's own output, which is none of its sources.
    output: Option<Vec<u8>>,
    /// Directories that have come: each is gone into once, whatever a server repeats.
    known: HashSet<Vec<u8>>,
}

/// What is left of some items.
#[derive(Default)]
pub struct Sifted {
    /// Files and directories.
    pub listing: Listing,
    /// Directories to go into.
    pub names: Names,
    /// Names that no directory can have, below which there is something.
    pub astray: Vec<Vec<u8>>,
}

impl<'s> Sieve<'s> {
    pub fn new(filter: &'s Filter, detail: Detail, directory: &'s Directory) -> Self {
        Self { filter, detail, directory, path: directory.relative(), output: None, known: HashSet::new() }
    }

    /// Leave out the job's own output, where it goes to this directory.
    pub fn without(self, output: Option<Vec<u8>>) -> Self {
        Self { output, ..self }
    }

    pub fn sift(&mut self, items: Vec<Item>) -> Sifted {
        let (mut sifted, with_sizes) = (Sifted::default(), self.detail == Detail::Sizes);
        let Sifted { listing, names, astray } = &mut sifted;
        for item in items {
            match item {
                Item::Astray(name) => astray.push(name),
                Item::Directory(name) => {
                    if let Some(reason) = self.reason(&name, Kind::Directory) {
                        listing.filtered.add(reason);
                    } else if self.known.insert(name.clone()) {
                        names.push(&name);
                        listing.push(&name, Kind::Directory, with_sizes.then(Stat::default));
                    }
                }
                Item::File { name, size_bytes, modified_ns, is_path } => {
                    // An object may have the name of its directory, and nothing behind it.
                    let name = if name.is_empty() { b"/".to_vec() } else { name };
                    let filter = self.filter;
                    let by_look = || filter.judge_look(size_bytes, modified_ns);
                    if let Some(reason) = self.reason(&name, Kind::File).or_else(by_look) {
                        listing.filtered.add(reason);
                        continue;
                    }
                    listing.push(&name, Kind::File, with_sizes.then_some(Stat { size_bytes, modified_ns }));
                    if !is_path {
                        listing.push_fault(NO_PATH);
                    }
                }
            }
        }
        sifted
    }

    /// Why a name of the directory is left out, if it is.
    pub fn reason(&mut self, name: &[u8], kind: Kind) -> Option<Reason> {
        if kind == Kind::File && self.output.as_deref() == Some(name) {
            return Some(Reason::Sink);
        }
        reason(self.filter, (self.directory.is_whole(), self.directory.depth() + 1), &mut self.path, (name, kind))
    }
}
