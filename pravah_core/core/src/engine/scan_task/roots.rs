//! The roots of a plan as they are on disk: trees to walk, files named by themselves, and what is left out.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{FileType, stat},
    io::Errno,
};

use super::{
    collisions::problem,
    gather::{Found, Rules, problem_of},
    tree::root_of,
    unit::{Beginning, is_file},
};
use crate::{
    Error, Result,
    naming::{Class, Named, class},
    pipeline::Pipeline,
    plan::{After, Plan, Root, file_path},
    scan::{Directory, Filter, Listing, Skip, identity, listing_of, look_at},
    stores::{open_source, s3::is_object_uri, synthetic::entries_of},
};

/// What a scan begins with.
pub struct Roots {
    /// The sink, which may lie below a root; where it is not there yet, the directory in which it will.
    pub skip: Vec<Skip>,
    files: Vec<Arc<Directory>>,
}

impl Roots {
    /// Look at the roots that a unit lies below, and at the sink. Fails where one is missing, or a directory is both.
    pub fn look(plan: &Plan, beginning: &Beginning) -> Result<Self> {
        let singles = beginning.singles.iter().map(|(directory, _)| directory);
        let files = singles.clone().filter(|single| single.parent().is_none() && is_file(plan, single));
        let roots = Self { skip: skip(plan)?, files: files.cloned().collect() };
        let below = beginning.below.iter().map(|(parent, _)| parent);
        let used: BTreeSet<usize> = singles.chain(below).map(|directory| directory.root()).collect();
        for root in used.into_iter().filter_map(|index| plan.roots.get(index)).filter(|root| is_local(root)) {
            let path = root.path()?;
            let seen = stat(path.as_slice()).map_err(Error::system(LIST_SOURCE))?;
            if FileType::from_raw_mode(seen.st_mode) != FileType::Directory {
                return Err(Error::system(LIST_SOURCE)(Errno::NOTDIR));
            }
            if roots.skip.iter().any(|skip| skip.name.is_none() && skip.is_at(identity(&seen))) {
                let path = String::from_utf8_lossy(&path);
                return Err(Error::InvalidPlan(format!("source and sink are the same directory, `{path}`")));
            }
        }
        Ok(roots)
    }

    /// Make entries of the files that are named by themselves; these are compared with each other.
    pub fn files(&self, plan: &Plan, pipeline: &Pipeline, rules: &Rules<'_>) -> Result<Vec<Found>> {
        let mut by_output: HashMap<_, Vec<Vec<u8>>> = HashMap::new();
        let output = |root: u16, name: &[u8]| plan.output_name(pipeline, &Named::plain(root, b"", name)).ok();
        for (root, name) in (0_u16..).zip(&plan.roots).filter_map(|(root, each)| Some((root, each.only_name()?))) {
            by_output.entry(output(root, &name)).or_default().push(plan.source_path(root, b"", &name));
        }
        let has_outputs = plan.sink.as_ref().is_some_and(|sink| sink.only.is_none());
        let has_outputs = has_outputs && class(plan) == Class::Directory;
        let look = |file: &Arc<Directory>| {
            let root = root_of(file);
            let name = plan.roots[usize::from(root)].only_name().unwrap_or_default();
            let path = plan.source_path(root, b"", &name);
            let is_object = is_object_uri(&plan.roots[usize::from(root)].uri);
            let listed = match is_object {
                true => list_object(plan, root, &name, &rules.filter),
                false => look_at(&path, &name, &rules.filter).map_err(Error::system("look at the source")),
            };
            let mut found = match listed {
                Ok(listing) => Found::new(rules, file, listing),
                // That one file is gone is no reason not to work on the others; that a store does not answer is one.
                Err(error) if !is_object || error.is_vanished() => {
                    let mut found = Found::new(rules, file, Listing::of_files(std::slice::from_ref(&name)));
                    found.fail(&problem_of(&error));
                    found
                }
                Err(error) => return Err(error),
            };
            let alike = &by_output[&output(root, &name)];
            if let Some(other) = alike.iter().find(|other| **other != path).filter(|_| has_outputs) {
                found.fail(&problem(&format!("that of `{}`", String::from_utf8_lossy(other))));
            }
            Ok(found)
        };
        self.files.iter().map(look).collect()
    }
}

/// Whether a root is a directory of the file system, not a file, a prefix or made up.
fn is_local(root: &Root) -> bool {
    root.only.is_none() && entries_of(root).is_none() && !is_object_uri(&root.uri)
}

/// List one object that was named by itself.
fn list_object(plan: &Plan, root: u16, name: &[u8], filter: &Filter) -> Result<Listing> {
    let found = open_source(plan)?.open_directory(root, b"")?.fingerprint(name)?;
    Ok(listing_of(name, (found.size_bytes, found.modified_ns), filter))
}

/// What is left out: the sink of a plan, and the places that findings and moved sources are put into.
fn skip(plan: &Plan) -> Result<Vec<Skip>> {
    let sink = plan.sink.as_ref().filter(|_| !plan.in_place);
    let sink = sink.map(|sink| (&sink.uri, plan.only_output()));
    let moved_to = if let After::Move(uri) = &plan.after { Some(uri) } else { None };
    let places = sink.into_iter().chain(moved_to.into_iter().chain(&plan.dataset).map(|uri| (uri, None)));
    // Of places in object stores the lister knows.
    let places = places.filter(|(uri, _)| uri.starts_with("file://"));
    places.map(|(uri, name)| skip_of(Path::new(OsStr::from_bytes(&file_path(uri)?)), name)).collect()
}

/// A place as something to leave out. Where it is not there yet this scan may still come by when a task has made it: so
/// what is left out is the first name that is missing, in the nearest directory that is there.
fn skip_of(path: &Path, mut name: Option<Vec<u8>>) -> Result<Skip> {
    let mut last = Errno::NOENT;
    for place in path.ancestors() {
        match stat(place) {
            Ok(seen) => {
                let (device, inode) = identity(&seen);
                return Ok(Skip { device, inode, name });
            }
            Err(errno) => last = errno,
        }
        if !matches!(last, Errno::NOENT | Errno::NOTDIR) {
            break;
        }
        name = place.file_name().map(|name| name.as_bytes().to_vec());
    }
    Err(Error::system("look at the sink")(last))
}

const LIST_SOURCE: &str = "list the source";
