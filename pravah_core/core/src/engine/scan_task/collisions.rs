//! Names of one directory that would become one output: each of them fails, and nothing is overwritten.
//!
//! Outputs keep the directories of their sources, so a directory needs to be compared with itself only. A
//! subdirectory is an output directory of the same name; whether anything below it will be published is not known
//! yet, so a file whose output has its name fails in any case.

use std::collections::HashSet;

use crate::{
    Error,
    entry::{Kind, Problem},
    pipeline::Pipeline,
    plan::Plan,
    scan::Listing,
};

/// How a job names its outputs, as far as one directory is concerned.
pub struct Collisions<'p> {
    pipeline: &'p Pipeline,
    /// Whether there are outputs with names of their own at all.
    has_outputs: bool,
    /// Outputs go where their sources are.
    in_place: bool,
}

impl<'p> Collisions<'p> {
    /// The rules of a plan. A sink that is one file is looked after elsewhere: it takes one entry of the whole job.
    pub fn new(plan: &Plan, pipeline: &'p Pipeline) -> Self {
        let has_outputs = plan.sink.as_ref().is_some_and(|sink| sink.only.is_none());
        Self { pipeline, has_outputs, in_place: plan.in_place }
    }

    /// Find the entries of a whole directory whose outputs collide, by index.
    pub fn find(&self, listing: &Listing) -> Vec<(u32, Problem)> {
        if !self.has_outputs {
            return Vec::new();
        }
        let of_kind = |wanted| listing.iter().filter(move |listed| listed.kind == wanted).map(|listed| listed.name);
        let directories: HashSet<&[u8]> = of_kind(Kind::Directory).collect();
        if directories.is_empty() && !self.pipeline.names_can_collide() && !self.in_place {
            return Vec::new();
        }
        let files = (0_u32..).zip(listing.iter()).filter(|(_, listed)| listed.kind == Kind::File);
        let mut outputs: Vec<_> =
            files.map(|(index, file)| (self.pipeline.output_name(file.name), file.name, index)).collect();
        outputs.sort_unstable();
        outputs.dedup_by(|one, other| one.1 == other.1); // a name that a changing directory gave twice is one entry
        let alike = outputs.chunk_by(|one, other| one.0 == other.0);
        let found: Vec<_> = alike.flat_map(|group| collide(group, &directories)).collect();
        if self.in_place { found.into_iter().chain(takes_a_source(&outputs)).collect() } else { found }
    }
}

/// The verdicts on files whose outputs have the name of another source of the same job: in place, which of the two
/// came first would decide what is left.
fn takes_a_source<'o>(outputs: &'o [(Vec<u8>, &[u8], u32)]) -> impl Iterator<Item = (u32, Problem)> + 'o {
    let sources: HashSet<&[u8]> = outputs.iter().map(|(_, name, _)| *name).collect();
    outputs.iter().filter(move |(output, name, _)| output != name && sources.contains(output.as_slice())).map(
        |(output, _, index)| {
            let other = format!("the source `{}`, as the output would be called", String::from_utf8_lossy(output));
            (*index, problem(&other))
        },
    )
}

/// The verdicts on files whose outputs have one name.
fn collide(group: &[(Vec<u8>, &[u8], u32)], directories: &HashSet<&[u8]>) -> Vec<(u32, Problem)> {
    let (output, first, _) = &group[0];
    let output_text = String::from_utf8_lossy(output);
    if directories.contains(output.as_slice()) {
        let other = format!("the directory `{output_text}`, as the output would be called");
        return group.iter().map(|(_, _, index)| (*index, problem(&other))).collect();
    }
    if group.len() == 1 {
        return Vec::new();
    }
    let named = |name: &[u8]| {
        let other = if name == *first { group[1].1 } else { first };
        let more = if group.len() > 2 { format!(" and {} more", group.len() - 2) } else { String::new() };
        problem(&format!("`{}`{more}: each output would be called `{output_text}`", String::from_utf8_lossy(other)))
    };
    group.iter().map(|(_, name, index)| (*index, named(name))).collect()
}

/// The verdict on an entry whose output collides with another.
pub fn problem(other: &str) -> Problem {
    let error = Error::OutputCollision(format!("its output collides with {other}"));
    Problem { kind: error.kind().to_owned(), message: error.to_string() }
}
