//! Lists entries without files, for measuring; see the store of that name.

use std::sync::mpsc::SyncSender;

use super::gather::{Found, Rules};
use crate::{
    entry::Kind,
    scan::{Listing, Stat},
    stores::synthetic::stat,
};

/// Entries of one directory.
const DIRECTORY_ENTRIES: u64 = 100;

/// List so many entries of a root, directory by directory, until nobody listens any more.
pub fn send(rules: &Rules<'_>, root: u16, entries: u64, sender: &SyncSender<Found>) {
    for first in (0..entries).step_by(DIRECTORY_ENTRIES as usize) {
        let mut listing = Listing::default();
        for number in first..entries.min(first + DIRECTORY_ENTRIES) {
            let (size_bytes, modified_ns) = stat(number);
            listing.push(format!("{number:09}").as_bytes(), Kind::File, Some(Stat { size_bytes, modified_ns }));
        }
        let directory = format!("d{:07}", first / DIRECTORY_ENTRIES).into_bytes();
        if sender.send(Found::new(rules, root, directory, listing)).is_err() {
            return;
        }
    }
}
