//! Which entries count: names are judged on each side by itself, sizes and times of one name on both sides together.
//!
//! A file that is too small on one side only is there on both, and differs.

use crate::{entry::Kind, scan::Filter};

/// What is compared.
pub struct Rules<'r> {
    /// What is listed: all that counts by its name.
    pub names: Filter,
    /// What counts where only one side has it.
    pub all: &'r Filter,
}

impl<'r> Rules<'r> {
    pub fn new(all: &'r Filter) -> Self {
        Self { names: all.by_name(), all }
    }

    /// Whether what is listed counts by its size and time, too.
    pub fn takes(&self, kind: Kind, size_bytes: u64, modified_ns: i64) -> bool {
        kind != Kind::File || self.all.judge_look(size_bytes, modified_ns).is_none()
    }
}
