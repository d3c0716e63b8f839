//! Scans of prefixes with many pages, read in ranges, and killed after any emission.

use std::{mem::replace, sync::atomic::AtomicUsize};

use super::*;
use crate::scan::{At, Item, Page, Pages};

/// A store of keys that gives pages, and counts them.
#[derive(Debug)]
struct Keys {
    keys: BTreeSet<String>,
    page_items: usize,
    heeds_names: bool,
    pages: AtomicUsize,
}

impl Keys {
    fn new(keys: impl IntoIterator<Item = String>) -> Self {
        Self { keys: keys.into_iter().collect(), page_items: 20, heeds_names: true, pages: AtomicUsize::default() }
    }

    /// What a directory has, in order.
    fn items(&self, directory: &str) -> Vec<Item> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let below = self.keys.iter().filter_map(|key| key.strip_prefix(&prefix));
        let item = |name: &str| match name.split_once('/') {
            Some((directory, _)) => Item::Directory(directory.into()),
            None => Item::File { name: name.into(), size_bytes: 1, modified_ns: 0, is_path: true },
        };
        let mut items: Vec<Item> = below.map(item).collect();
        items.dedup();
        items.sort_by(Item::order);
        items
    }
}

impl Lister for Arc<Keys> {
    fn open(&self, _root: usize, directory: &[u8], at: At<'_>) -> Result<Box<dyn Pages>> {
        let mut items = self.items(str::from_utf8(directory).expect("is text"));
        match at {
            At::After(name) if self.heeds_names => items.retain(|item| *item.sorted_name() > *name),
            At::After(_) | At::Beginning => {}
            At::Below(name) => panic!("{name:?} is a path"),
        }
        Ok(Box::new(KeysPages { keys: self.clone(), items }))
    }

    fn can_begin_at_names(&self, _root: usize) -> bool {
        true
    }

    fn is_sink(&self, _root: usize, _directory: &[u8]) -> bool {
        false
    }
}

struct KeysPages {
    keys: Arc<Keys>,
    items: Vec<Item>,
}

impl Pages for KeysPages {
    fn next(&mut self) -> Result<Page> {
        self.keys.pages.fetch_add(1, Ordering::Relaxed);
        let behind = self.items.split_off(self.keys.page_items.min(self.items.len()));
        let items = replace(&mut self.items, behind);
        Ok(Page { items, is_last: self.items.is_empty(), is_ordered: true })
    }
}

fn job(keys: &Arc<Keys>, change: impl FnOnce(&mut Value)) -> Job {
    let mut job = Job::new(Path::new("/nowhere"), |plan| {
        plan["roots"] = json!([{"uri": "s3://bucket/in"}]);
        change(plan);
    });
    job.lister = Some(Arc::new(keys.clone()));
    job
}

/// A flat prefix beside some directories, one of which is long, too.
fn keys(flat: usize, below: usize) -> Vec<String> {
    let flat = (0..flat).map(|number| format!("f{number:05}.csv"));
    let below = (0..below).map(|number| format!("long/{:08x}", number.wrapping_mul(0x9E37_79B9) % (1 << 31)));
    let directories = (0..30).map(|number| format!("d{number}/file"));
    flat.chain(below).chain(directories).collect()
}

fn paths(job: &Job) -> BTreeSet<String> {
    by_path(job.entries()).into_keys().map(|path| String::from_utf8(path).expect("is text")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn test_ranges_killed_at_any_emission_emit_exactly_the_rest(
        (flat, below) in (0_usize..400, 0_usize..200),
        kills in proptest::collection::vec(0_usize..6, 0..8),
        (entries, heeds_names) in (3_usize..50, any::<bool>()),
        has_sink in any::<bool>(),
    ) {
        let store = Arc::new(Keys { heeds_names, ..Keys::new(keys(flat, below)) });
        let mut job = job(&store, |plan| {
            if has_sink {
                // A sink with directories: names of one directory are compared with each other.
                plan["sink"] = json!({"uri": "file:///nowhere/out", "overwrite": "changed", "durability": "batch"});
            }
            plan["filter"] = json!({"exclude": ["d1*/"]});
        });
        job.entries = entries;
        for emissions in kills {
            if let Some(index) = job.units.iter().position(|unit| !unit.finished) {
                job.attempt(index, emissions);
            }
        }
        job.finish();
        let expected: BTreeSet<String> =
            store.keys.iter().filter(|key| !key.starts_with("d1")).cloned().collect();
        prop_assert_eq!(paths(&job), expected);
        prop_assert_eq!(job.filtered().total(), 11);
    }
}

#[test]
fn test_ranges_emitted_before_a_kill_are_not_listed_again() {
    let store = Arc::new(Keys::new((0..5_000).map(|number| format!("f{number:05}"))));
    let mut job = job(&store, |_| {});
    job.entries = 100;
    job.attempt(0, 100);
    let emitted = job.entries().len();
    assert!(emitted > 500, "{emitted} entries are emitted");
    store.pages.store(0, Ordering::Relaxed);
    job.finish();
    assert_eq!(paths(&job).len(), 5_000);
    let pages = store.pages.load(Ordering::Relaxed);
    let left = (5_000 - emitted) / 20;
    // Ranges begin in the middle of what were pages, and some guesses find nothing.
    assert!(pages <= left + left / 2 + 60, "{pages} pages for {left} that were left");
    assert!(job.units.iter().all(|unit| unit.widest < 64 << 10));
}

#[test]
fn test_store_that_ignores_where_it_is_to_begin_is_listed_once() {
    let store = Arc::new(Keys { heeds_names: false, ..Keys::new(keys(2_000, 0)) });
    let mut job = job(&store, |_| {});
    job.finish();
    assert_eq!(paths(&job).len(), 2_030);
}
