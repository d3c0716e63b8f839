//! Lists entries without files, for measuring; see the store of that name.

use std::{
    ops::Range,
    sync::{Arc, mpsc::SyncSender},
};

use super::gather::{Found, Rules};
use crate::{
    entry::Kind,
    plan::Plan,
    scan::{Directory, Listing, Names, Origin, Stat},
    stores::synthetic::{entries_of, stat},
};

/// Entries of one directory.
const DIRECTORY_ENTRIES: u64 = 100;

/// Directories of one directory of the root, so that a frontier has as many names as that of a real tree.
const BLOCK_DIRECTORIES: u64 = 1000;

/// List what a walk would, directory by directory, until nobody listens any more.
pub fn send(plan: &Plan, rules: &Rules<'_>, origin: Origin, sender: &SyncSender<Found>) {
    let below = |parent: &Arc<Directory>, names: &Names| -> Vec<Arc<Directory>> {
        let mut names: Vec<&[u8]> = names.iter().collect();
        names.reverse(); // the first is taken first
        names.into_iter().map(|name| Directory::child_of(&rules.filter, parent, name.into())).collect()
    };
    let mut waiting = match origin {
        Origin::Directory(directory) | Origin::Ranges(directory, _) => vec![directory],
        Origin::Below(parent, names) => below(&parent, &names),
    };
    while let Some(directory) = waiting.pop() {
        let Some(entries) = plan.roots.get(directory.root()).and_then(entries_of) else { return };
        let (names, listing) = contents(&directory, entries);
        let mut found = Found::new(rules, &directory, listing);
        if rules.mark(&directory).descends() {
            waiting.extend(below(&directory, &names));
            found.below = names;
        }
        if sender.send(found).is_err() {
            return;
        }
    }
}

/// The root has blocks, a block has directories, and a directory has entries.
fn contents(directory: &Directory, entries: u64) -> (Names, Listing) {
    let directories = entries.div_ceil(DIRECTORY_ENTRIES);
    let number = std::str::from_utf8(directory.name()).ok().and_then(|name| name.get(1..)?.parse().ok()).unwrap_or(0);
    let (mut names, mut listing) = (Names::default(), Listing::default());
    match directory.depth() {
        0 => {
            (0..directories.div_ceil(BLOCK_DIRECTORIES)).for_each(|block| names.push(format!("b{block:04}").as_bytes()))
        }
        1 => part(number, BLOCK_DIRECTORIES, directories).for_each(|each| names.push(format!("d{each:07}").as_bytes())),
        _ => {
            for each in part(number, DIRECTORY_ENTRIES, entries) {
                let (size_bytes, modified_ns) = stat(each);
                listing.push(format!("{each:09}").as_bytes(), Kind::File, Some(Stat { size_bytes, modified_ns }));
            }
        }
    }
    (names, listing)
}

/// The numbers of one part of so many.
fn part(number: u64, size: u64, all: u64) -> Range<u64> {
    number * size..all.min((number + 1) * size)
}
