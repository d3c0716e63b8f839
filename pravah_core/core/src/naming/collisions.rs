//! Outputs of several files whose names are not theirs alone.

use std::path::Path;

use super::check::head;
use crate::{
    Result,
    sorted::{Sorted, Sorter},
};

/// The outputs whose names are not theirs alone, each with what it collides with, in order of their numbers.
pub(super) struct Collisions {
    sorted: Sorted,
    next: Option<(u64, String)>,
}

impl Collisions {
    /// Compare names, which are in order; outputs of earlier rounds are not told of.
    pub fn of(names: Sorted, scratch: &Path) -> Result<Self> {
        let mut collided = Sorter::new(scratch);
        let mut tell = |number: &[u8], what: String| collided.push(number.to_vec(), what.into_bytes());
        let mut last: Option<(Vec<u8>, Vec<u8>)> = None;
        for record in names {
            let (key, value) = record?;
            if let Some((name, first)) = &last {
                let ((number, one), (other_number, other)) = (first.split_at(8), value.split_at(8));
                let [one, other] = [one, other].map(String::from_utf8_lossy);
                let output = String::from_utf8_lossy(name).replace('\0', "/");
                if *name == key {
                    tell(number, format!("that of `{other}`: each would be called `{output}`"))?;
                    tell(other_number, format!("that of `{one}`: each would be called `{output}`"))?;
                } else if key.strip_prefix(name.as_slice()).is_some_and(|rest| rest.starts_with(b"\0")) {
                    tell(number, format!("that of `{other}`, whose directory would be `{output}`"))?;
                }
            }
            last = Some((key, value));
        }
        let mut collisions = Self { sorted: collided.finish()?, next: None };
        collisions.advance()?;
        Ok(collisions)
    }

    /// What an output collides with, if anything; asked in order of their numbers.
    pub fn of_output(&mut self, number: u64) -> Result<Option<&str>> {
        while self.next.as_ref().is_some_and(|(next, _)| *next < number) {
            self.advance()?;
        }
        Ok(self.next.as_ref().filter(|(next, _)| *next == number).map(|(_, other)| other.as_str()))
    }

    fn advance(&mut self) -> Result<()> {
        let record = self.sorted.next().transpose()?;
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let number = u64::from_be_bytes(head(&mut key.as_slice())?);
            Ok((number, String::from_utf8_lossy(&value).into_owned()))
        };
        self.next = record.map(read).transpose()?;
        Ok(())
    }
}
