//! Names of a list that are keys: each is asked for by a request of its own, many on their way at once.
//!
//! What is there under a key is an entry with size and time; a prefix below which there is something becomes a unit.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use super::{NamedPath, Seen, directory_of};
use crate::{
    Result,
    engine::scan_task::gather::Rules,
    entry::Kind,
    plan::Plan,
    scan::{Detail, Directory, Filter, Item, Lister, Reason, Sieve, closed},
    stores::s3::{Asked, ObjectLister, Wanted, is_no_path, split_key},
};

/// Look at all keys; none where the work is to be given up.
///
/// Fails where a store can't be reached; what it refuses of one key is the failure of that one.
pub fn look(plan: &Plan, paths: &[&NamedPath], rules: &Rules<'_>) -> Result<Option<Vec<Seen>>> {
    if paths.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let lister = ObjectLister::of(plan)?;
    let groups = groups(plan, paths, &lister, &rules.filter)?;
    let mut ahead = groups.iter().flat_map(|group| group.keys.iter().map(move |key| (group, key)));
    let (mut asked, mut seen) = (VecDeque::new(), Vec::with_capacity(groups.len()));
    let mut reached = BTreeSet::new();
    for group in &groups {
        let mut look = Look::new(group, rules);
        for key in &group.keys {
            if rules.control.draining() {
                return Ok(None);
            }
            asked.extend(ahead.by_ref().take(AHEAD - asked.len()).map(|(group, key)| group.ask(key, &lister, rules)));
            look.take(key, asked.pop_front().unwrap_or(Answer::NoPath))?;
            rules.control.get_on();
        }
        if !look.missing.is_empty() && reached.insert(group.directory.root()) {
            lister.see_root(group.directory.root())?;
        }
        seen.push(look.end(plan));
    }
    Ok(Some(seen))
}

/// The keys of one directory.
struct Group {
    directory: Arc<Directory>,
    keys: Vec<Key>,
    /// Why none of them counts, if that is so.
    left_out: Option<Reason>,
}

/// A key by its name in its directory; of one that is no path: what is left of it behind the last directory that is one.
struct Key {
    name: Vec<u8>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All that lies below the root.
    Root,
    Is(Wanted),
    NoPath,
}

/// What comes of a key.
enum Answer {
    LeftOut(Reason),
    Root,
    NoPath,
    Asked(Asked),
}

fn groups(plan: &Plan, paths: &[&NamedPath], lister: &ObjectLister, filter: &Filter) -> Result<Vec<Group>> {
    let mut groups: Vec<(u16, Vec<u8>, Group)> = Vec::new();
    for named in paths {
        let path = named.path();
        let (parent, key) = split(&path);
        if let Some((_, _, group)) = groups.last_mut().filter(|(root, last, _)| *root == named.0 && last == parent) {
            group.keys.push(key);
            continue;
        }
        let directory = directory_of(plan, named.0, parent, filter)?;
        let left_out = closed(&directory, filter).or_else(|| lies_in_sink(lister, &directory));
        groups.push((named.0, parent.to_vec(), Group { directory, keys: vec![key], left_out }));
    }
    Ok(groups.into_iter().map(|(_, _, group)| group).collect())
}

/// Tell the directory of a key from its name there.
fn split(path: &[u8]) -> (&[u8], Key) {
    if path.is_empty() {
        return (b"", Key { name: Vec::new(), form: Form::Root });
    }
    let (bare, wanted) = match path.strip_suffix(b"/") {
        Some(bare) => (bare, Wanted::Prefix),
        None => (path, Wanted::Object),
    };
    let (of, form) = if is_no_path(bare) { (path, Form::NoPath) } else { (bare, Form::Is(wanted)) };
    let (parent, name) = split_key(of);
    (parent, Key { name: name.to_vec(), form })
}

fn lies_in_sink(lister: &ObjectLister, directory: &Arc<Directory>) -> Option<Reason> {
    let mut next = Some(directory);
    while let Some(directory) = next {
        if lister.is_sink(directory.root(), &directory.relative()) {
            return Some(Reason::Sink);
        }
        next = directory.parent();
    }
    None
}

impl Group {
    /// Ask for a key, without waiting; what the rules leave out is not asked for.
    fn ask(&self, key: &Key, lister: &ObjectLister, rules: &Rules<'_>) -> Answer {
        let Form::Is(wanted) = key.form else {
            return if key.form == Form::Root { Answer::Root } else { Answer::NoPath };
        };
        let kind = if wanted == Wanted::Prefix { Kind::Directory } else { Kind::File };
        let (root, directory) = (self.directory.root(), self.directory.relative());
        let sieve =
            || Sieve::new(&rules.filter, Detail::Sizes, &self.directory).without(lister.output(root, &directory));
        match self.left_out.or_else(|| sieve().reason(&key.name, kind)) {
            Some(reason) => Answer::LeftOut(reason),
            None => Answer::Asked(lister.ask(root, &directory, &key.name, wanted)),
        }
    }
}

/// The look at one group.
struct Look<'l> {
    group: &'l Group,
    rules: &'l Rules<'l>,
    seen: Seen,
    items: Vec<Item>,
    missing: Vec<Vec<u8>>,
}

impl<'l> Look<'l> {
    fn new(group: &'l Group, rules: &'l Rules<'l>) -> Self {
        Self { group, rules, seen: Seen::of(&group.directory), items: Vec::new(), missing: Vec::new() }
    }

    fn take(&mut self, key: &Key, answer: Answer) -> Result<()> {
        let name = key.name.clone();
        match answer {
            Answer::LeftOut(reason) => self.seen.filtered.add(reason),
            Answer::Root => self.seen.directories.push(Vec::new()),
            Answer::NoPath => self.items.push(Item::File { name, size_bytes: 0, modified_ns: 0, is_path: false }),
            Answer::Asked(asked) => match asked.wait() {
                Ok(Some(item)) => self.items.push(item),
                Ok(None) => self.missing.push(name),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => self.seen.fail(self.rules, &self.group.directory, &[name], &error),
            },
        }
        Ok(())
    }

    fn end(mut self, plan: &Plan) -> Seen {
        let directory = &self.group.directory;
        self.seen.miss((plan, self.rules), directory, &self.missing);
        let sifted = Sieve::new(&self.rules.filter, Detail::Sizes, directory).sift(self.items);
        self.seen.take(self.rules, directory, sifted.listing);
        self.seen
    }
}

/// Requests on their way: as many as a connection has at most.
const AHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_names_are_objects_prefixes_or_no_paths() {
        let (object, prefix) = (Form::Is(Wanted::Object), Form::Is(Wanted::Prefix));
        for (path, parent, name, form) in [
            ("", "", "", Form::Root),
            ("a", "", "a", object),
            ("a/b", "a", "b", object),
            ("a/b/", "a", "b", prefix),
            ("a/b/c.d", "a/b", "c.d", object),
            ("/a", "", "/a", Form::NoPath),
            ("a//b", "a", "/b", Form::NoPath),
            ("a//b/c", "a", "/b/c", Form::NoPath),
            ("a/b//", "a/b", "/", Form::NoPath),
            ("./a", "", "./a", Form::NoPath),
            ("a/.", "a", ".", Form::NoPath),
            ("/", "", "/", Form::NoPath),
        ] {
            let (found, key) = split(path.as_bytes());
            assert_eq!((found, key.name.as_slice(), key.form), (parent.as_bytes(), name.as_bytes(), form), "{path}");
        }
    }
}
