//! Lists prefixes as the scanner lists directories: what lies between two slashes is a directory.
//!
//! A listing can begin behind any key (`start-after`), which is how several read one long prefix. Some servers ignore
//! that, or refuse it; then the first page comes, and the bucket is known for it from then on.

use std::collections::HashSet;

use super::{
    answers::{Listed, Page as KeyPage},
    is_object_uri,
    objects::{Depth, Start},
    place::{Place, is_no_path},
    runtime::wait,
};
use crate::{
    Error, Result,
    plan::Plan,
    scan::{At, Item, Lister, Page, Pages},
};

/// Keys of a page: the most that servers give.
const PAGE_KEYS: u32 = 1_000;

/// Lists the roots of a plan that are in object stores.
#[derive(Debug)]
pub struct ObjectLister {
    /// None: a directory on a local disk.
    roots: Vec<Option<Place>>,
    /// The sink, where it is in an object store, and the name of the one output below it, where it is one.
    sink: Option<(Place, Option<Vec<u8>>)>,
}

impl ObjectLister {
    /// A lister of places given as people write them: nothing in them is encoded. Local directories are none of them.
    pub fn of_paths(paths: &[Vec<u8>]) -> Result<Self> {
        let text = |path: &Vec<u8>| str::from_utf8(path).unwrap_or_default().replace('%', "%25");
        Self::new(paths.iter().map(text))
    }

    fn new(uris: impl IntoIterator<Item = String>) -> Result<Self> {
        let place = |uri: String| is_object_uri(&uri).then(|| Place::of(&uri)).transpose();
        Ok(Self { roots: uris.into_iter().map(place).collect::<Result<_>>()?, sink: None })
    }

    /// A lister of a plan's roots, without its sink.
    pub fn of(plan: &Plan) -> Result<Self> {
        let sink = plan.sink.as_ref().filter(|_| !plan.in_place).map(|sink| sink.uri.as_str());
        let sink = sink.or(plan.dataset.as_deref());
        let sink = sink.filter(|uri| is_object_uri(uri)).map(Place::of).transpose()?;
        let lister = Self::new(plan.roots.iter().map(|root| root.uri.clone()))?;
        Ok(Self { sink: sink.map(|place| (place, plan.only_output())), ..lister })
    }

    /// The place of a directory.
    pub(super) fn place(&self, root: usize, directory: &[u8]) -> Result<Place> {
        let place = self.roots.get(root).and_then(Option::as_ref);
        place.ok_or_else(|| Error::InvalidPlan(format!("there is no root {root} in a store")))?.below(directory)
    }
}

impl Lister for ObjectLister {
    fn lists(&self, root: usize) -> bool {
        self.roots.get(root).is_some_and(Option::is_some)
    }

    fn open(&self, root: usize, directory: &[u8], at: At<'_>) -> Result<Box<dyn Pages>> {
        let place = self.place(root, directory)?;
        let prefix = place.key_prefix();
        let text = |name| str::from_utf8(name).map_err(|_| Error::UnsupportedName("keys are UTF-8".to_owned()));
        let (below, depth, from) = match at {
            At::Beginning => (prefix.clone(), Depth::OneLevel, Next::Beginning),
            At::After(name) => {
                let key = format!("{prefix}{}", text(name)?);
                (prefix.clone(), Depth::OneLevel, Next::After(key))
            }
            At::Below(name) => (format!("{prefix}{}", text(name)?), Depth::AllLevels, Next::Beginning),
        };
        let (tokens, known) = Default::default();
        Ok(Box::new(KeyPages { place, prefix, below, depth, next: from, tokens, known, last: None }))
    }

    fn can_begin_at_names(&self, root: usize) -> bool {
        let begins_at_keys = |place: &Place| place.client.abilities.begins_at_keys(&place.bucket);
        self.roots.get(root).and_then(Option::as_ref).is_some_and(begins_at_keys)
    }

    fn is_sink(&self, root: usize, directory: &[u8]) -> bool {
        match (&self.sink, self.place(root, directory)) {
            (Some((sink, None)), Ok(place)) => sink.id() == place.id(),
            _ => false,
        }
    }

    fn output(&self, root: usize, directory: &[u8]) -> Option<Vec<u8>> {
        let (sink, output) = self.sink.as_ref()?;
        let place = self.place(root, directory).ok()?;
        output.clone().filter(|_| sink.id() == place.id())
    }
}

/// The pages of a prefix; what a page has that the one before it had is left out of it.
struct KeyPages {
    place: Place,
    /// What names begin behind.
    prefix: String,
    /// What is listed: the same, or something below it.
    below: String,
    depth: Depth,
    next: Next,
    tokens: HashSet<String>,
    /// What the last page had.
    known: HashSet<String>,
    /// Its last item.
    last: Option<Item>,
}

enum Next {
    Beginning,
    After(String),
    Token(String),
}

impl Pages for KeyPages {
    fn next(&mut self) -> Result<Page> {
        let mut page = self.ask()?;
        let keys = page.objects.iter().map(|object| &object.key).chain(&page.prefixes);
        let fresh: HashSet<String> = keys.cloned().collect();
        page.objects.retain(|object| !self.known.contains(&object.key));
        page.prefixes.retain(|prefix| !self.known.contains(prefix));
        self.known = fresh;
        let is_last = page.next.is_none();
        if let Some(token) = page.next.take() {
            if !self.tokens.insert(token.clone()) {
                let message =
                    format!("can't list {}: the server gives the same page again and again", self.place.shown(""));
                return Err(Error::Store { kind: "store_refused", message, is_transient: false });
            }
            self.next = Next::Token(token);
        }
        let is_sorted = page.objects.is_sorted_by(|one, other| one.key < other.key)
            && page.prefixes.is_sorted_by(|one, other| one < other);
        let mut items = files(&self.prefix, page.objects);
        items.extend(page.prefixes.iter().filter_map(|key| directory(key.strip_prefix(&self.prefix)?)));
        if !page.prefixes.is_empty() {
            items.sort_by(Item::order);
        }
        let is_behind = match (&self.last, items.first()) {
            (Some(last), Some(first)) => last.order(first).is_lt(),
            _ => true,
        };
        if let Some(last) = items.last() {
            self.last = Some(last.clone());
        }
        Ok(Page { items, is_last, is_ordered: is_sorted && is_behind })
    }
}

impl KeyPages {
    /// Ask for the next page; where the server can't begin behind a key, for the first one.
    fn ask(&mut self) -> Result<KeyPage> {
        let from = match &self.next {
            Next::Beginning => Start::Beginning,
            Next::After(key) => Start::After(key),
            Next::Token(token) => Start::Token(token),
        };
        let answer = wait(self.place.page(&self.below, self.depth, from, PAGE_KEYS));
        let (abilities, bucket) = (&self.place.client.abilities, &self.place.bucket);
        match (answer, &self.next) {
            (Ok(page), Next::After(key)) => {
                let is_object_before = page.objects.first().is_some_and(|first| first.key <= *key);
                // What has a prefix may lie behind the key though the prefix itself does not.
                let is_before = |first: &String| first <= key && !key.starts_with(first.as_str());
                if is_object_before || page.prefixes.first().is_some_and(is_before) {
                    abilities.know_serial(bucket);
                }
                Ok(page)
            }
            (Ok(page), _) => Ok(page),
            (Err(refusal), Next::After(_)) if matches!(refusal.status, Some(400 | 405 | 501)) => {
                abilities.know_serial(bucket);
                self.next = Next::Beginning;
                self.ask()
            }
            (Err(refusal), _) => Err(refusal.error(&format!("list {}", self.place.shown("")))),
        }
    }
}

/// What lies between two slashes is a directory, where one can be called so.
fn directory(name: &str) -> Option<Item> {
    let bare = name.strip_suffix('/').filter(|bare| !is_no_path(bare));
    Some(bare.map_or_else(|| Item::Astray(name.into()), |bare| Item::Directory(bare.into())))
}

/// The objects of a page by their names below a prefix, without those that stand for directories.
pub(super) fn files(prefix: &str, objects: Vec<Listed>) -> Vec<Item> {
    let file = |object: Listed| {
        let name = object.key.strip_prefix(prefix)?;
        if object.size_bytes == 0 && (name.is_empty() || name.ends_with('/')) {
            return None;
        }
        let (is_path, name) = (!is_no_path(name), name.into());
        Some(Item::File { name, size_bytes: object.size_bytes, modified_ns: object.modified_ns, is_path })
    };
    objects.into_iter().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_leave_out_what_stands_for_directories_and_tell_what_is_no_path() {
        let listed = |key: &str, size_bytes| Listed { key: key.to_owned(), size_bytes, modified_ns: 0 };
        let objects = vec![listed("p/", 0), listed("p/a", 1), listed("p//b", 1), listed("p/../c", 1), listed("p//", 0)];
        let found: Vec<_> = files("p/", objects)
            .into_iter()
            .map(|item| match item {
                Item::File { name, is_path, .. } => (String::from_utf8(name).expect("is text"), is_path),
                Item::Directory(_) | Item::Astray(_) => panic!("is no directory"),
            })
            .collect();
        assert_eq!(found, [("a".to_owned(), true), ("/b".to_owned(), false), ("../c".to_owned(), false)]);
    }
}
