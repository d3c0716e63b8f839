//! The roots of a plan as they are on disk: trees to walk, files named by themselves, and what is left out.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use rustix::{
    fs::{FileType, stat},
    io::Errno,
};

use super::{
    collisions::problem,
    gather::{Found, Rules},
};
use crate::{
    Error, Result,
    pipeline::Pipeline,
    plan::{After, Plan, file_path},
    scan::{Glob, Skip, identity, look_at},
    stores::synthetic::entries_of,
};

/// What a scan begins with.
pub struct Roots {
    /// Directories that are walked.
    pub trees: Vec<Tree>,
    /// The sink, where it exists: it may lie below a root.
    pub skip: Vec<Skip>,
    /// Roots without files, and how many entries each is said to have.
    pub synthetic: Vec<(u16, u64)>,
    files: Vec<u16>,
}

/// A directory that is walked.
pub struct Tree {
    /// Index into the plan's roots.
    pub root: u16,
    /// Its path.
    pub path: Vec<u8>,
}

impl Roots {
    /// Look at the roots and the sink. Fails where one is missing, or a directory is both.
    pub fn look(plan: &Plan) -> Result<Self> {
        let mut roots = Self { trees: Vec::new(), skip: skip(plan)?, synthetic: Vec::new(), files: Vec::new() };
        for (index, root) in (0_u16..).zip(&plan.roots) {
            if let Some(entries) = entries_of(root) {
                roots.synthetic.push((index, entries));
                continue;
            }
            if root.only.is_some() {
                roots.files.push(index);
                continue;
            }
            let path = root.path()?;
            let seen = stat(path.as_slice()).map_err(Error::system(LIST_SOURCE))?;
            if FileType::from_raw_mode(seen.st_mode) != FileType::Directory {
                return Err(Error::system(LIST_SOURCE)(Errno::NOTDIR));
            }
            let is_sink = |skip: &Skip| skip.name.is_none() && (skip.device, skip.inode) == identity(&seen);
            if roots.skip.iter().any(is_sink) {
                let path = String::from_utf8_lossy(&path);
                return Err(Error::InvalidPlan(format!("source and sink are the same directory, `{path}`")));
            }
            roots.trees.push(Tree { root: index, path });
        }
        Ok(roots)
    }

    /// What of each tree counts.
    pub fn globs(&self, plan: &Plan) -> Result<Vec<Option<Glob>>> {
        self.trees.iter().map(|tree| plan.roots[usize::from(tree.root)].glob()).collect()
    }

    /// Make entries of the files that are named by themselves; these are compared with each other.
    pub fn files(&self, plan: &Plan, pipeline: &Pipeline, rules: &Rules<'_>) -> Result<Vec<Found>> {
        let names: Vec<_> = self.files.iter().map(|&root| (root, only_name(plan, root))).collect();
        let mut by_output: HashMap<_, Vec<Vec<u8>>> = HashMap::new();
        for (root, name) in &names {
            let output = plan.output_name(pipeline, *root, b"", name);
            by_output.entry(output).or_default().push(plan.source_path(*root, b"", name));
        }
        let has_outputs = plan.sink.as_ref().is_some_and(|sink| sink.only.is_none());
        let look = |(root, name): &(u16, Vec<u8>)| {
            let path = plan.source_path(*root, b"", name);
            let listing = look_at(&path, name, &rules.filter).map_err(Error::system("look at the source"))?;
            let mut found = Found::new(rules, *root, Vec::new(), listing);
            let alike = &by_output[&plan.output_name(pipeline, *root, b"", name)];
            if let Some(other) = alike.iter().find(|other| **other != path).filter(|_| has_outputs) {
                found.fail(&problem(&format!("that of `{}`", String::from_utf8_lossy(other))));
            }
            Ok(found)
        };
        names.iter().map(look).collect()
    }
}

/// The sink of a plan, and the place that it moves sources to, as something to leave out where they are there yet.
fn skip(plan: &Plan) -> Result<Vec<Skip>> {
    let mut skip = if plan.in_place { Vec::new() } else { skip_sink(plan)? };
    if let After::Move(uri) = &plan.after
        && let Ok(seen) = stat(file_path(uri)?)
    {
        let (device, inode) = identity(&seen);
        skip.push(Skip { device, inode, name: None });
    }
    Ok(skip)
}

fn skip_sink(plan: &Plan) -> Result<Vec<Skip>> {
    let Some(sink) = plan.sink.as_ref().filter(|sink| sink.uri.starts_with("file://")) else { return Ok(Vec::new()) };
    match stat(file_path(&sink.uri)?) {
        Ok(seen) => {
            let (device, inode) = identity(&seen);
            let name = sink.only.as_deref().map(|only| percent_decode_str(only).collect());
            Ok(vec![Skip { device, inode, name }])
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        Err(errno) => Err(Error::system("look at the sink")(errno)),
    }
}

fn only_name(plan: &Plan, root: u16) -> Vec<u8> {
    plan.roots[usize::from(root)].only_name().unwrap_or_default()
}

const LIST_SOURCE: &str = "list the source";
