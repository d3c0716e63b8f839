//! Looking at parts of a file, for processors that need not see all of it.
//!
//! A look does no I/O: it is given the parts that are known, and either tells what it found or which part it lacks;
//! then it is begun anew. So what it finds depends on the file only, however its parts came.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::Error;

/// Most bytes of a file that are held while it is looked at.
pub const LOOK_BYTES: u64 = 24 << 20;

/// Finds what it tells of a file in parts of it.
pub trait Look {
    /// Look at a file of this name.
    fn find(&self, name: &[u8], parts: &Parts) -> Looked<Vec<Map<String, Value>>>;
}

/// What a look gives.
pub type Looked<T> = Result<T, Halt>;

/// Why a look ends before it has found anything.
#[derive(Debug)]
pub enum Halt {
    /// These bytes of the file have to be known.
    Lacks(Range<u64>),
    /// The file is not what it should be.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The parts of a file that are known.
#[derive(Debug)]
pub struct Parts {
    size_bytes: u64,
    parts: Vec<(u64, Bytes)>,
    can_grow: bool,
}

impl Parts {
    /// Nothing is known of a file but its size; what lacks can be had.
    pub fn none(size_bytes: u64) -> Self {
        Self { size_bytes, parts: Vec::new(), can_grow: true }
    }

    /// All of a file.
    pub fn whole(file: Bytes) -> Self {
        Self { size_bytes: file.len() as u64, parts: vec![(0, file)], can_grow: false }
    }

    /// What is left of a file that has passed: its first and its last bytes.
    pub fn ends(size_bytes: u64, first: Bytes, last: Bytes) -> Self {
        let start = size_bytes - last.len() as u64;
        Self { size_bytes, parts: vec![(0, first), (start, last)], can_grow: false }
    }

    /// Add the bytes that begin at this offset.
    pub fn add(&mut self, offset_bytes: u64, bytes: Bytes) {
        self.parts.push((offset_bytes, bytes));
    }

    /// The file's size.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether what lacks can be had.
    pub fn can_grow(&self) -> bool {
        self.can_grow
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> u64 {
        self.parts.iter().map(|(_, part)| part.len() as u64).sum()
    }

    /// The file's first bytes: so many, or all of it.
    pub fn first(&self, count: u64) -> Looked<Bytes> {
        self.get(0..count.min(self.size_bytes))
    }

    /// The bytes of a range that is within the file.
    pub fn get(&self, range: Range<u64>) -> Looked<Bytes> {
        let is_within = |(start, part): &&(u64, Bytes)| {
            *start <= range.start && range.end <= start + part.len() as u64 && range.start <= range.end
        };
        match self.parts.iter().find(is_within) {
            Some((start, part)) => {
                let at = |offset: u64| usize::try_from(offset - start).expect("a part is in memory");
                Ok(part.slice(at(range.start)..at(range.end)))
            }
            None if range.is_empty() => Ok(Bytes::new()),
            None if self.can_grow => Err(Halt::Lacks(range)),
            None => Err(Halt::Failed(Error::UnsupportedInput(format!(
                "its bytes {} to {} of {} would have to be read again, as is done where no other step needs the file",
                range.start, range.end, self.size_bytes
            )))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(looked: Looked<Bytes>) -> Option<Range<u64>> {
        match looked {
            Err(Halt::Lacks(range)) => Some(range),
            _ => None,
        }
    }

    #[test]
    fn test_parts_tell_what_lacks_until_it_is_added() {
        let mut parts = Parts::none(100);
        assert_eq!(lacking(parts.first(10)), Some(0..10));
        parts.add(0, Bytes::from_static(b"0123456789"));
        assert_eq!(parts.get(3..10).expect("is known"), "3456789");
        assert_eq!(lacking(parts.get(3..11)), Some(3..11));
        parts.add(96, Bytes::from_static(b"wxyz"));
        assert_eq!(parts.get(98..100).expect("is known"), "yz");
        assert_eq!((parts.held_bytes(), parts.size_bytes()), (14, 100));
    }

    #[test]
    fn test_file_that_has_passed_can_not_be_asked_for_more() {
        let parts = Parts::ends(100, Bytes::from_static(b"ab"), Bytes::from_static(b"yz"));
        assert_eq!(parts.get(98..100).expect("is known"), "yz");
        let Err(Halt::Failed(error)) = parts.get(50..60) else { panic!("was not refused") };
        assert_eq!(error.kind(), "unsupported_input");
    }
}
