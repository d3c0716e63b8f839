//! A scan unit of named paths: each is looked at; files become entries, directories become units of their own.
//!
//! A unit has no more names than a task has entries, and hands everything over in one emission: after a kill it is
//! done again as a whole, or not at all. Names below prefixes are looked at by [`keys`].

mod keys;

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use rustix::{
    fs::{AtFlags, fstat, statat},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::{
    Emission,
    cutter::Cutter,
    gather::{Found, Rules, problem_of},
    unit::Unit,
};
use crate::{
    Error, Result,
    effort::Effort,
    entry::join,
    plan::{Missing, Plan},
    scan::{self, Detail, Directory, Filter, Filtered, LIST, Listing, Names, Reason, Skip, closed, identity, look_for},
    stores::{
        local::{open_directory, open_root},
        s3::is_object_uri,
    },
};

/// A path that a list names, by its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPath(u16, String);

impl NamedPath {
    /// A path below a root; empty: the root itself. A key that ends in a slash is a prefix.
    pub fn new(root: u16, path: &[u8]) -> Self {
        Self(root, percent_encode(path, ESCAPED).to_string())
    }

    fn path(&self) -> Vec<u8> {
        percent_decode_str(&self.1).collect()
    }
}

/// What is escaped in stored paths: what is no text, and the sign that says so.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Look at all paths of a unit; give what there is in one emission, or nothing where the work is to be given up.
pub(super) fn emission(plan: &Plan, paths: &[NamedPath], skip: &[Skip], rules: &Rules<'_>) -> Result<Option<Emission>> {
    let is_key = |named: &&NamedPath| plan.roots.get(usize::from(named.0)).is_some_and(|root| is_object_uri(&root.uri));
    let (keys, files): (Vec<&NamedPath>, Vec<&NamedPath>) = paths.iter().partition(is_key);
    let Some(mut seen) = look_at_files(plan, &files, skip, rules)? else { return Ok(None) };
    let Some(looked) = keys::look(plan, &keys, rules)? else { return Ok(None) };
    seen.extend(looked);
    emit(seen).map(Some)
}

/// Look at names of local directories; none where the work is to be given up.
fn look_at_files(plan: &Plan, paths: &[&NamedPath], skip: &[Skip], rules: &Rules<'_>) -> Result<Option<Vec<Seen>>> {
    let groups = groups(plan, paths, &rules.filter)?;
    let (seen, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let look = || {
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            if rules.control.draining() {
                break;
            }
            let found = Look { plan, rules, skip, group }.look()?;
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(found);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(groups.len())).map(|_| scope.spawn(look)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::Panicked("the scan panicked".to_owned())))
        })
    })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((seen.len() == groups.len()).then_some(seen))
}

/// The names of one directory.
struct Group {
    directory: Arc<Directory>,
    names: Vec<Vec<u8>>,
}

/// What a group's names are.
#[derive(Default)]
struct Seen {
    /// Where the directory comes among the others: tasks follow the order of paths.
    place: (u16, Vec<u8>),
    found: Vec<Found>,
    directories: Vec<Vec<u8>>,
    filtered: Filtered,
}

impl Seen {
    fn of(directory: &Directory) -> Self {
        let root = u16::try_from(directory.root()).unwrap_or(u16::MAX);
        Self { place: (root, directory.relative()), ..Self::default() }
    }

    /// Take entries of the directory, and subdirectories that are to be listed.
    fn take(&mut self, rules: &Rules<'_>, directory: &Arc<Directory>, listing: Listing) {
        let below = Names::of_directories(&listing);
        self.directories.extend(below.iter().map(|name| join(&self.place.1, name)));
        let found = Found::new(rules, directory, listing);
        self.filtered += found.filtered;
        self.found.push(found);
    }

    /// Take names that are not there.
    fn miss(&mut self, (plan, rules): (&Plan, &Rules<'_>), directory: &Arc<Directory>, names: &[Vec<u8>]) {
        match plan.missing {
            Missing::Ignore => self.filtered.add_many(Reason::Missing, names.len() as u64),
            Missing::Fail => self.fail(rules, directory, names, &Error::SourceMissing),
        }
    }

    /// Take names that can't be looked at.
    fn fail(&mut self, rules: &Rules<'_>, directory: &Arc<Directory>, names: &[Vec<u8>], error: &Error) {
        if names.is_empty() {
            return;
        }
        let mut found = Found::new(rules, directory, Listing::of_files(names));
        found.fail(&problem_of(error));
        self.found.push(found);
    }
}

fn groups(plan: &Plan, paths: &[&NamedPath], filter: &Filter) -> Result<Vec<Group>> {
    let mut groups: Vec<(u16, Vec<u8>, Group)> = Vec::new();
    for named in paths {
        let path = named.path();
        let (parent, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path.as_slice()),
        };
        if let Some((_, _, group)) = groups.last_mut().filter(|(root, last, _)| *root == named.0 && last == parent) {
            group.names.push(name.to_vec());
            continue;
        }
        let directory = directory_of(plan, named.0, parent, filter)?;
        groups.push((named.0, parent.to_vec(), Group { directory, names: vec![name.to_vec()] }));
    }
    Ok(groups.into_iter().map(|(_, _, group)| group).collect())
}

fn directory_of(plan: &Plan, root: u16, path: &[u8], filter: &Filter) -> Result<Arc<Directory>> {
    let missing = || Error::DamagedBlob { what: "scan unit", message: format!("the plan has no root {root}") };
    let top =
        Directory::root_of(filter, root.into(), &plan.roots.get(usize::from(root)).ok_or_else(missing)?.shown_path()?);
    let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    Ok(names.fold(top, |parent, name| Directory::child_of(filter, &parent, name.into())))
}

/// The look at one group.
struct Look<'l> {
    plan: &'l Plan,
    rules: &'l Rules<'l>,
    skip: &'l [Skip],
    group: &'l Group,
}

impl Look<'_> {
    fn look(&self) -> Result<Seen> {
        let directory = &self.group.directory;
        let mut seen = Seen::of(directory);
        if self.group.names.iter().all(Vec::is_empty) && directory.parent().is_none() {
            seen.directories.push(Vec::new()); // the root itself
            return Ok(seen);
        }
        let top = open_root(directory.root_path()).map_err(Error::system("list the source"))?;
        if let Some(reason) = self.reason(&top)? {
            seen.filtered.add_many(reason, self.group.names.len() as u64);
            return Ok(seen);
        }
        match self.open(&top).and_then(|opened| self.take(&opened, &mut seen)) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::NOTDIR) => seen.miss((self.plan, self.rules), directory, &self.group.names),
            Err(errno) => seen.fail(self.rules, directory, &self.group.names, &Error::system(LIST)(errno)),
        }
        Ok(seen)
    }

    /// Why nothing of the directory counts, if that is so.
    fn reason(&self, top: &OwnedFd) -> Result<Option<Reason>> {
        if let Some(reason) = closed(&self.group.directory, &self.rules.filter) {
            return Ok(Some(reason));
        }
        let (mut next, mut below) = (Some(&self.group.directory), None);
        while let Some(directory) = next.filter(|_| !self.skip.is_empty()) {
            let path = directory.relative();
            let path = if path.is_empty() { b".".as_slice() } else { &path };
            let is_on_the_way = |skip: &&Skip| skip.name.is_none() || skip.name.as_deref() == below;
            // What is not there is told when it is looked for.
            if let Ok(seen) = statat(top, path, AtFlags::empty())
                && self.skip.iter().filter(is_on_the_way).any(|skip| skip.is_at(identity(&seen)))
            {
                return Ok(Some(Reason::Sink));
            }
            (next, below) = (directory.parent(), Some(directory.name()));
        }
        Ok(None)
    }

    fn open(&self, top: &OwnedFd) -> Result<OwnedFd, Errno> {
        let path = self.group.directory.relative();
        open_directory(self.plan.links(), top.as_fd(), &path)
    }

    fn take(&self, opened: &OwnedFd, seen: &mut Seen) -> Result<(), Errno> {
        let at = identity(&fstat(opened)?);
        let skip_names = self.skip.iter().filter(|skip| skip.is_at(at)).filter_map(|skip| skip.name.as_deref());
        let rules = scan::Rules {
            detail: Detail::Sizes,
            filter: &self.rules.filter,
            links: self.plan.links(),
            skip_names: &skip_names.collect::<Vec<_>>(),
        };
        let (listing, missing) = look_for(opened.as_fd(), &self.group.directory, &self.group.names, &rules);
        seen.take(self.rules, &self.group.directory, listing);
        seen.miss((self.plan, self.rules), &self.group.directory, &missing);
        Ok(())
    }
}

fn emit(mut seen: Vec<Seen>) -> Result<Emission> {
    seen.sort_by(|one, other| one.place.cmp(&other.place));
    let (mut cutter, mut filtered, mut directories) =
        (Cutter::new(None, false, TASK_ENTRIES), Filtered::default(), Vec::new());
    for group in seen {
        filtered += group.filtered;
        group.found.into_iter().try_for_each(|found| cutter.take(found))?;
        let root = group.place.0;
        directories.extend(group.directories.into_iter().map(|path| (root, path)));
    }
    cutter.finish()?;
    let units = if directories.is_empty() { Vec::new() } else { vec![Unit::whole(directories).encode()?] };
    Ok(Emission {
        tasks: cutter.take_tasks(),
        units,
        frontier: None,
        filtered,
        effort: Effort::default(),
        finished: true,
    })
}

/// Threads that look at files: the system calls wait for disks more than for processors.
const THREADS: usize = 4;

/// Entries of a task.
const TASK_ENTRIES: usize = 8192;
