//! Two sides of which one is a prefix at least: their leaves merged by their keys.
//!
//! Memory does not grow with their number. What only one side has is told once, a directory without what is in it,
//! where the other side has nothing below it.

use std::{cmp::Ordering, ops::ControlFlow};

use super::{
    What,
    leaves::{Leaf, Leaves},
    side,
    teller::Teller,
};
use crate::{Result, entry::Kind};

/// Tell what differs; fails where a side can't be listed.
pub fn diff(first: Box<dyn Leaves + '_>, second: Box<dyn Leaves + '_>, teller: &mut Teller<'_>) -> Result<()> {
    let mut merge = Merge { sides: [Side::new(first)?, Side::new(second)?], teller };
    // A break is no failure: what was told until then is counted.
    while let Some(order) = side(merge.sides[0].key(), merge.sides[1].key()) {
        if merge.take(order)?.is_break() {
            return Ok(());
        }
    }
    let _ = merge.teller.drain(0);
    Ok(())
}

/// One side, up to where it has been compared.
struct Side<'s> {
    leaves: Box<dyn Leaves + 's>,
    /// The leaf at hand, and its key.
    at_hand: Option<(Vec<u8>, Leaf)>,
    /// The key of the one before.
    before: Vec<u8>,
}

struct Merge<'m, 's, 't> {
    sides: [Side<'s>; 2],
    teller: &'m mut Teller<'t>,
}

impl Merge<'_, '_, '_> {
    fn take(&mut self, order: Ordering) -> Result<ControlFlow<()>> {
        let [first, second] = &mut self.sides;
        let (one, other) = match order {
            Ordering::Equal => (first.take()?, second.take()?),
            Ordering::Less => return self.only(0),
            Ordering::Greater => return self.only(1),
        };
        let (Some(one), Some(other)) = (one, other) else { return Ok(ControlFlow::Continue(())) };
        Ok(self.pair(one, other))
    }

    fn pair(&mut self, one: Leaf, other: Leaf) -> ControlFlow<()> {
        if let Some((kind, message)) = one.failed.or(other.failed) {
            return self.teller.found(one.path, What::Failed(kind, message));
        }
        match (one.kind, other.kind) {
            _ if !one.is_wanted && !other.is_wanted => ControlFlow::Continue(()),
            (Kind::File, Kind::File) => self.teller.files(one.path, [one.size_bytes, other.size_bytes]),
            (first, second) => self.teller.found(one.path, What::Kind(first, second)),
        }
    }

    /// Take a leaf that only one side has, or all of a directory that only one side has.
    fn only(&mut self, number: usize) -> Result<ControlFlow<()>> {
        let what = [What::OnlyFirst, What::OnlySecond][number];
        let [first, second] = &mut self.sides;
        let (own, other) = if number == 0 { (first, second) } else { (second, first) };
        let Some((key, leaf)) = own.at_hand.take() else { return Ok(ControlFlow::Continue(())) };
        if let (Kind::Directory, Some((kind, message))) = (leaf.kind, leaf.failed) {
            // What is in it is not known, so what the other side has there can't be told from it.
            own.before = key;
            own.next()?;
            other.pass(&leaf.path)?;
            return Ok(self.teller.found(leaf.path, What::Failed(kind, message)));
        }
        if !leaf.is_wanted {
            own.before = key;
            own.next()?;
            return Ok(ControlFlow::Continue(()));
        }
        let slashes = leaf.path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let alone = slashes.filter(|&at| at > 0).find(|&at| !other.has_below(&leaf.path[..=at]));
        own.before = key;
        let Some(slash) = alone else {
            own.next()?;
            return Ok(self.teller.found(leaf.path, what(leaf.kind)));
        };
        own.next_behind(&leaf.path[..slash])?;
        Ok(self.teller.found(leaf.path[..slash].to_vec(), what(Kind::Directory)))
    }
}

impl<'s> Side<'s> {
    fn new(leaves: Box<dyn Leaves + 's>) -> Result<Self> {
        let mut side = Self { leaves, at_hand: None, before: Vec::new() };
        side.next()?;
        Ok(side)
    }

    fn key(&self) -> Option<&[u8]> {
        self.at_hand.as_ref().map(|(key, _)| key.as_slice())
    }

    /// Take the leaf at hand, and go to the next.
    fn take(&mut self) -> Result<Option<Leaf>> {
        let Some((key, leaf)) = self.at_hand.take() else { return Ok(None) };
        self.before = key;
        self.next()?;
        Ok(Some(leaf))
    }

    fn next(&mut self) -> Result<()> {
        self.at_hand = self.leaves.next()?.map(|leaf| (leaf.key(), leaf));
        Ok(())
    }

    /// Whether it has anything below a directory, given with its slash: what is there lies side by side in order.
    fn has_below(&self, directory: &[u8]) -> bool {
        self.before.starts_with(directory) || self.key().is_some_and(|key| key.starts_with(directory))
    }

    /// Go behind all that lies below a directory.
    fn pass(&mut self, directory: &[u8]) -> Result<()> {
        let below = [directory, b"/"].concat();
        if let Some((key, _)) = self.at_hand.take_if(|(key, _)| key.starts_with(&below)) {
            self.before = key;
            self.next_behind(directory)?;
        }
        Ok(())
    }

    /// Go to the next leaf that does not lie below a directory.
    fn next_behind(&mut self, directory: &[u8]) -> Result<()> {
        let below = [directory, b"/"].concat();
        self.leaves.pass(directory);
        self.next()?;
        while self.key().is_some_and(|key| key.starts_with(&below)) {
            self.next()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Error,
        diff::{
            By, Difference,
            content::{Comparers, Contents},
        },
        stores::Reading,
    };

    /// Leaves that are given, by their keys: one that ends in a slash is a directory that can't be listed.
    struct Given(Vec<String>);

    impl Given {
        fn of(keys: &[&str]) -> Box<dyn Leaves> {
            Box::new(Self(keys.iter().rev().map(|key| (*key).to_owned()).collect()))
        }
    }

    impl Leaves for Given {
        fn next(&mut self) -> Result<Option<Leaf>> {
            let Some(key) = self.0.pop() else { return Ok(None) };
            let unlisted = key.strip_suffix('/').map(|path| (path.to_owned(), Kind::Directory));
            let (path, kind) = unlisted.unwrap_or((key, Kind::File));
            let failed = (kind == Kind::Directory).then(|| ("permission_denied", String::new()));
            Ok(Some(Leaf { path: path.into(), kind, size_bytes: 0, is_wanted: true, failed }))
        }
    }

    struct Unread;

    impl Contents for Unread {
        fn file(&self, _: &[u8]) -> Result<Box<dyn Reading>> {
            Err(Error::Cancelled)
        }
    }

    fn told(first: &[&str], second: &[&str]) -> (Vec<String>, u64) {
        let sides: [Arc<dyn Contents>; 2] = [Arc::new(Unread), Arc::new(Unread)];
        let mut lines = Vec::new();
        let mut tell = |difference: Difference| {
            let mark = match difference.what {
                What::OnlyFirst(kind) => format!("- {}", kind.name()),
                What::OnlySecond(kind) => format!("+ {}", kind.name()),
                other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
            };
            lines.push(format!("{mark} {}", String::from_utf8_lossy(&difference.path)));
            ControlFlow::Continue(())
        };
        let comparers = Comparers::start(&sides, By::Size, 1).expect("starts");
        let mut teller = Teller::new(By::Size, comparers, &mut tell);
        diff(Given::of(first), Given::of(second), &mut teller).expect("is compared");
        let same = teller.counts().same;
        drop(teller);
        (lines, same)
    }

    #[test]
    fn test_directory_that_one_side_has_is_told_once_and_where_nothing_else_is_below_it() {
        let (lines, same) = told(&["a", "b/c/x", "b/c/y", "b/d", "e/f/x"], &["a", "b/d", "e/g", "h/i/j"]);
        assert_eq!(lines, ["- directory b/c", "- directory e/f", "+ file e/g", "+ directory h"]);
        assert_eq!(same, 2);
        // What was below it before counts as what is to come.
        assert_eq!(told(&["a/a", "a/b/x"], &["a/a"]).0, ["- directory a/b"]);
        assert_eq!(told(&["a/b"], &["a/a"]).0, ["+ file a/a", "- file a/b"]);
        assert_eq!(told(&["a/b"], &[]).0, ["- directory a"]);
    }

    #[test]
    fn test_names_that_sort_between_a_directory_and_its_files_are_no_border() {
        let (lines, same) = told(&["a", "a-b", "a/x", "a0"], &["a-b", "a/x", "a/y", "a0"]);
        assert_eq!((lines, same), (vec!["- file a".to_owned(), "+ file a/y".to_owned()], 3));
    }

    #[test]
    fn test_directory_that_cannot_be_listed_hides_what_the_other_side_has_below_it() {
        let (lines, same) = told(&["a/b/", "a/c"], &["a/b/x", "a/b/y/z", "a/c"]);
        assert_eq!((lines, same), (vec!["Failed a/b".to_owned()], 1));
        assert_eq!(told(&["a/b/"], &[]).0, ["Failed a/b"]);
        assert_eq!(told(&["a/b/", "c"], &["a/b/", "c"]), (vec!["Failed a/b".to_owned()], 1));
    }
}
