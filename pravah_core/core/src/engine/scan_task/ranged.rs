//! Directories whose names are listed in ranges: which ranges emitted tasks do not cover yet.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use super::tree::{Mark, address};
use crate::{
    Error, Result,
    scan::{Directory, Origin, Span},
};

/// A directory, and ranges of its names.
#[derive(Debug)]
pub struct Ranged {
    pub directory: Arc<Directory>,
    pub ranges: RangedMarks,
}

/// Ranges that share no name, and what is to be done about each.
#[derive(Debug, Clone, Default)]
pub struct RangedMarks(Vec<(Span, Mark)>);

impl RangedMarks {
    /// All names of a directory.
    pub fn whole(mark: Mark) -> Self {
        Self(vec![(Span::WHOLE, mark)])
    }

    /// What is to be done about a range that lies in one of these.
    pub fn of(&self, span: &Span) -> Option<Mark> {
        self.0.iter().find(|(range, _)| span.lies_in(range)).map(|(_, mark)| *mark)
    }

    /// Take a range out; tells what was to be done about it, and how many are left of the one that it lay in.
    pub fn take(&mut self, span: &Span) -> Option<(Mark, usize)> {
        let index = self.0.iter().position(|(range, _)| span.lies_in(range))?;
        let (range, mark) = self.0.swap_remove(index);
        let before = self.0.len();
        self.0.extend(range.without(span).map(|left| (left, mark)));
        Some((mark, self.0.len() - before))
    }

    /// The ranges.
    pub fn iter(&self) -> impl Iterator<Item = &(Span, Mark)> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Ranged {
    /// Put a range in.
    pub fn add(all: &mut Vec<Self>, directory: &Arc<Directory>, span: Span, mark: Mark) {
        match all.iter_mut().find(|ranged| address(&ranged.directory) == address(directory)) {
            Some(ranged) => ranged.ranges.0.push((span, mark)),
            None => all.push(Self { directory: directory.clone(), ranges: RangedMarks(vec![(span, mark)]) }),
        }
    }

    /// Where listing it begins: what is partly emitted first.
    pub fn origin(&self) -> Origin {
        let mut ranges: Vec<&(Span, Mark)> = self.ranges.iter().collect();
        ranges.sort_by_key(|(_, mark)| mark.is_known()); // the last is taken first
        Origin::Ranges(self.directory.clone(), ranges.into_iter().map(|(span, _)| span.clone()).collect())
    }
}

/// A range as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRange {
    /// Index of its directory in the tree.
    node: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    mark: char,
}

/// A range as it was stored.
pub struct ReadRange {
    pub node: usize,
    pub span: Span,
    pub mark: Mark,
}

impl StoredRange {
    /// Write a range of the directory that has this index in a tree.
    pub fn new(node: usize, span: &Span, mark: Mark) -> Self {
        let text = |border: &Option<Box<[u8]>>| border.as_ref().map(|name| percent_encode(name, ESCAPED).to_string());
        let node = u32::try_from(node).expect("a tree is far smaller");
        Self { node, after: text(&span.after), end: text(&span.end), mark: mark.sign() }
    }

    /// Read it again.
    pub fn read(&self) -> Result<ReadRange> {
        let name = |border: &Option<String>| border.as_ref().map(|text| percent_decode_str(text).collect());
        let span = Span { after: name(&self.after), end: name(&self.end) };
        if span.is_empty() {
            return Err(Error::DamagedBlob { what: "scan unit", message: "a range has no names".to_owned() });
        }
        Ok(ReadRange { node: self.node as usize, span, mark: Mark::of_sign(self.mark)? })
    }
}

const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

#[cfg(test)]
mod tests {
    use super::*;

    fn span(after: &str, end: &str) -> Span {
        let border = |name: &str| (!name.is_empty()).then(|| name.as_bytes().into());
        Span { after: border(after), end: border(end) }
    }

    #[test]
    fn test_range_read_again_is_what_was_written() {
        let odd = Span { after: Some(b"%\xff\n".as_slice().into()), end: None };
        for (span, mark) in [(span("", "a"), Mark::Whole), (span("a", "b"), Mark::Partly), (odd, Mark::Listed)] {
            let read = StoredRange::new(7, &span, mark).read().expect("reads");
            assert_eq!((read.node, read.span, read.mark), (7, span, mark));
        }
        assert_eq!(
            StoredRange::new(0, &span("b", "a"), Mark::Whole).read().err().map(|e| e.kind()),
            Some("damaged_blob")
        );
    }

    #[test]
    fn test_ranges_taken_out_leave_what_lies_before_and_behind() {
        let mut ranges = RangedMarks::whole(Mark::Again);
        assert_eq!(ranges.take(&span("b", "d")), Some((Mark::Again, 2)));
        assert_eq!(ranges.take(&span("c", "d")), None);
        assert_eq!(ranges.take(&span("", "b")), Some((Mark::Again, 0)));
        assert_eq!((ranges.of(&span("e", "f")), ranges.of(&span("a", "b"))), (Some(Mark::Again), None));
        assert_eq!(ranges.take(&span("d", "")), Some((Mark::Again, 0)));
        assert!(ranges.is_empty());
    }
}
