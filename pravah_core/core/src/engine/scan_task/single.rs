//! A sink that is one file: it can take the output of one entry, so that a second one makes all of them fail.

use std::mem::replace;

use super::collisions::problem;
use crate::{
    entry::{Entry, Kind},
    plan::Plan,
};

/// Holds the first file back until it is certain that it is the only one.
pub enum Single {
    /// No file yet.
    None,
    /// One file, which waits.
    One(Box<Entry>),
    /// More than one; the path of the first.
    Many(Vec<u8>),
}

impl Single {
    /// Begin, where the sink of a plan is one file; `first` is the path of the first one of several.
    pub fn of(plan: &Plan, first: Option<Vec<u8>>) -> Option<Self> {
        plan.sink.as_ref().filter(|_| !plan.reduces()).and_then(|sink| sink.only.as_ref())?;
        Some(first.map_or(Self::None, Self::Many))
    }

    /// Whether a file waits.
    pub fn holds(&self) -> bool {
        matches!(self, Self::One(_))
    }

    /// The path of the first file, where there are several.
    pub fn first(&self) -> Option<&[u8]> {
        match self {
            Self::Many(path) => Some(path),
            Self::None | Self::One(_) => None,
        }
    }

    /// Take an entry; give those that are decided now.
    pub fn judge(&mut self, entry: &Entry) -> Vec<Entry> {
        if entry.kind != Kind::File || entry.problem.is_some() {
            return vec![entry.clone()];
        }
        let path = entry.relative_path();
        match replace(self, Self::None) {
            Self::None => {
                *self = Self::One(Box::new(entry.clone()));
                Vec::new()
            }
            Self::One(first) => {
                let first_path = first.relative_path();
                let both = vec![collided(&first, &path), collided(entry, &first_path)];
                *self = Self::Many(first_path);
                both
            }
            Self::Many(first_path) => {
                let entry = collided(entry, &first_path);
                *self = Self::Many(first_path);
                vec![entry]
            }
        }
    }

    /// Give the file that turned out to be the only one.
    pub fn release(&mut self) -> Option<Entry> {
        match replace(self, Self::None) {
            Self::One(entry) => Some(*entry),
            _ => None,
        }
    }
}

fn collided(entry: &Entry, other: &[u8]) -> Entry {
    let other = format!("that of `{}`: the sink is one file", String::from_utf8_lossy(other));
    Entry { problem: Some(problem(&other)), ..entry.clone() }
}
