//! Lists prefixes as the scanner lists directories: what lies between two slashes is a directory.

use std::{collections::HashSet, ops::ControlFlow};

use super::{
    answers::{Listed, Page},
    is_object_uri,
    objects::Depth,
    place::{Place, is_no_path},
    runtime::wait,
};
use crate::{
    Error, Result,
    plan::Plan,
    scan::{Item, Lister},
};

/// Keys of a page: the most that servers give.
const PAGE_KEYS: u32 = 1_000;

/// Lists the roots of a plan.
#[derive(Debug)]
pub struct ObjectLister {
    roots: Vec<Place>,
    /// The sink, where it is in an object store.
    sink: Option<Place>,
}

impl ObjectLister {
    /// A lister of places given as people write them: nothing in them is encoded.
    pub fn of_paths(paths: &[&str]) -> Result<Self> {
        Self::new(paths.iter().map(|path| path.replace('%', "%25")))
    }

    fn new(uris: impl IntoIterator<Item = String>) -> Result<Self> {
        Ok(Self { roots: uris.into_iter().map(|uri| Place::of(&uri)).collect::<Result<_>>()?, sink: None })
    }

    /// A lister of a plan's roots, without its sink.
    pub fn of(plan: &Plan) -> Result<Self> {
        let sink = plan.sink.as_ref().filter(|sink| sink.only.is_none()).map(|sink| sink.uri.as_str());
        let sink = sink.or(plan.dataset.as_deref()).filter(|uri| is_object_uri(uri));
        let lister = Self::new(plan.roots.iter().map(|root| root.uri.clone()))?;
        Ok(Self { sink: sink.map(Place::of).transpose()?, ..lister })
    }

    fn place(&self, root: usize, directory: &[u8]) -> Result<Place> {
        self.roots.get(root).ok_or_else(|| Error::InvalidPlan(format!("there is no root {root}")))?.below(directory)
    }
}

impl Lister for ObjectLister {
    fn list(&self, root: usize, directory: &[u8], take: &mut Take<'_>) -> Result<ControlFlow<()>> {
        let place = self.place(root, directory)?;
        let prefix = place.key_prefix();
        pages(&place, &prefix, Depth::OneLevel, &mut |page| {
            let mut items = files(&prefix, page.objects);
            let mut astray = Vec::new();
            for each in page.prefixes {
                match each.strip_prefix(&prefix).and_then(|name| name.strip_suffix('/')) {
                    Some(name) if !is_no_path(name) => items.push(Item::Directory(name.as_bytes().to_vec())),
                    _ => astray.push(each),
                }
            }
            if take(items).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            // No directory is called so: all that lies below is told by its whole rest of the key.
            for each in astray {
                let flow = pages(&place, &each, Depth::AllLevels, &mut |page| Ok(take(files(&prefix, page.objects))))?;
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn is_sink(&self, root: usize, directory: &[u8]) -> bool {
        match (&self.sink, self.place(root, directory)) {
            (Some(sink), Ok(place)) => sink.id() == place.id(),
            _ => false,
        }
    }
}

type Take<'t> = dyn FnMut(Vec<Item>) -> ControlFlow<()> + 't;

/// Get all pages of a prefix; what a page has that the one before it had is left out of it.
fn pages(
    place: &Place,
    prefix: &str,
    depth: Depth,
    take: &mut dyn FnMut(Page) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let (mut token, mut tokens, mut known) = (None::<String>, HashSet::new(), HashSet::new());
    let asked = || format!("list {}", place.shown(""));
    loop {
        let page = wait(place.page(prefix, depth, token.as_deref(), PAGE_KEYS));
        let mut page = page.map_err(|refusal| refusal.error(&asked()))?;
        let keys = page.objects.iter().map(|object| &object.key).chain(&page.prefixes);
        let fresh: HashSet<String> = keys.cloned().collect();
        page.objects.retain(|object| !known.contains(&object.key));
        page.prefixes.retain(|prefix| !known.contains(prefix));
        known = fresh;
        let next = page.next.take();
        if take(page)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let Some(next) = next else { return Ok(ControlFlow::Continue(())) };
        if !tokens.insert(next.clone()) {
            let message = format!("can't {}: the server gives the same page again and again", asked());
            return Err(Error::Store { kind: "store_refused", message, is_transient: false });
        }
        token = Some(next);
    }
}

/// The objects of a page by their names below a prefix, without those that stand for directories.
fn files(prefix: &str, objects: Vec<Listed>) -> Vec<Item> {
    let file = |object: Listed| {
        let name = object.key.strip_prefix(prefix)?;
        if object.size_bytes == 0 && (name.is_empty() || name.ends_with('/')) {
            return None;
        }
        let is_path = !is_no_path(name);
        let name = if name.is_empty() { "/" } else { name }.as_bytes().to_vec();
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
                Item::Directory(_) => panic!("is no directory"),
            })
            .collect();
        assert_eq!(found, [("a".to_owned(), true), ("/b".to_owned(), false), ("../c".to_owned(), false)]);
    }
}
