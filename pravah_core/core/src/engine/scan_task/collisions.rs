//! Names of one directory that would become one output: each fails, or keeps its source's extension; nothing is
//! overwritten.
//!
//! Where outputs keep the directories of their sources, a directory needs to be compared with itself only. A
//! subdirectory is an output directory of the same name; whether anything below it will be published is not known
//! yet, so a file whose output has its name collides in any case. Names of other classes are compared later.

use std::collections::{HashMap, HashSet};

use crate::{
    Error,
    entry::{Kind, Problem},
    naming::{Class, Named, Naming, class},
    pipeline::Pipeline,
    plan::{OnCollision, Plan},
    scan::Listing,
    stores::s3::is_object_uri,
};

/// What is to become of an entry whose output collides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collision {
    /// It fails.
    Fails(Problem),
    /// Its output keeps its source's extension, and has a name of its own so.
    KeepsExtension,
}

/// How a job names its outputs, as far as one directory is concerned.
pub struct Collisions<'p> {
    plan: &'p Plan,
    pipeline: &'p Pipeline,
    /// Whether there are outputs with names of their own at all.
    has_outputs: bool,
    /// Where the sink is no object store, which may have `a` beside `a/b`.
    has_directories: bool,
    /// Outputs go where their sources are.
    in_place: bool,
}

impl<'p> Collisions<'p> {
    /// The rules of a plan. A sink that is one file is looked after elsewhere: it takes one entry of the whole job.
    pub fn new(plan: &'p Plan, pipeline: &'p Pipeline) -> Self {
        let has_outputs = plan.sink.as_ref().is_some_and(|sink| sink.only.is_none());
        let has_outputs = has_outputs && class(plan) == Class::Directory;
        let has_directories = plan.sink.as_ref().is_none_or(|sink| !is_object_uri(&sink.uri));
        Self { plan, pipeline, has_outputs, has_directories, in_place: plan.in_place }
    }

    /// Whether a directory has to be known as a whole, so that its outputs can be compared.
    pub fn compares_directories(&self) -> bool {
        self.has_outputs && (self.has_directories || self.in_place || self.can_collide())
    }

    /// Find the entries of a whole directory whose outputs collide, by index.
    pub fn find(&self, root: u16, directory: &[u8], listing: &Listing) -> Vec<(u32, Collision)> {
        if !self.compares_directories() {
            return Vec::new();
        }
        let of_kind = |wanted| listing.iter().filter(move |listed| listed.kind == wanted).map(|listed| listed.name);
        let directories: HashSet<&[u8]> = of_kind(Kind::Directory).filter(|_| self.has_directories).collect();
        if directories.is_empty() && !self.can_collide() && !self.in_place {
            return Vec::new();
        }
        let name = |index: u32, naming: Naming| {
            let file = listing.get(index as usize);
            let named = Named { modified_ns: file.modified_ns, naming, ..Named::plain(root, directory, file.name) };
            // What can't be named fails when it is its turn.
            Some((self.plan.output_name(self.pipeline, &named).ok()?.1, file.name, index))
        };
        let files = (0_u32..).zip(listing.iter()).filter(|(_, listed)| listed.kind == Kind::File);
        let mut outputs: Vec<_> = files.filter_map(|(index, _)| name(index, Naming::default())).collect();
        outputs.sort_unstable();
        outputs.dedup_by(|one, other| one.1 == other.1); // a name that a changing directory gave twice is one entry
        let alike = outputs.chunk_by(|one, other| one.0 == other.0);
        let mut found: HashMap<u32, Problem> = alike.flat_map(|group| collide(group, &directories)).collect();
        if self.in_place {
            found.extend(takes_a_source(&outputs));
        }
        let keeps = self.plan.sink.as_ref().is_some_and(|sink| sink.on_collision == OnCollision::KeepExt);
        if !keeps {
            return found.into_iter().map(|(index, problem)| (index, Collision::Fails(problem))).collect();
        }
        let kept = Naming { keeps_extension: true, ordinal: None };
        let again = outputs.iter().filter_map(|output| {
            if found.contains_key(&output.2) { name(output.2, kept) } else { Some(output.clone()) }
        });
        let mut again: Vec<_> = again.collect();
        again.sort_unstable();
        let alike = again.chunk_by(|one, other| one.0 == other.0);
        let mut still: HashMap<u32, Problem> = alike.flat_map(|group| collide(group, &directories)).collect();
        // Whoever has a plain name of its own keeps it, whatever comes near it.
        let mut verdict = |index| still.remove(&index).map_or(Collision::KeepsExtension, Collision::Fails);
        found.into_keys().map(|index| (index, verdict(index))).collect()
    }

    fn can_collide(&self) -> bool {
        self.pipeline.names_can_collide() || self.plan.template().is_some()
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
