//! All that lies below a prefix, as it is outside of a job: its keys in the order of their bytes, and its objects.
//!
//! Keys come as one listing, a page of a thousand by each request, whatever lies between their slashes; the next page
//! is asked for while one is looked at.

use tokio::task::JoinHandle;

use super::{
    answers::Page,
    checksum::Told,
    lister::files,
    looks::Asks,
    objects::{Depth, Start},
    place::Place,
    reading::{Object, first_range},
    refusal::Refusal,
    runtime::{begin, wait},
};
use crate::{Error, Result, scan::Item, stores::Reading};

/// A prefix.
pub struct Prefix(Place);

impl Prefix {
    /// The prefix of a URI as people write it: nothing in it is encoded.
    pub fn of_path(path: &str) -> Result<Self> {
        Place::of(&path.replace('%', "%25")).map(Self)
    }

    /// Begin to list its keys.
    pub fn keys(&self) -> Keys {
        Keys { place: self.0.clone(), next: Some(ask(&self.0, None)), last: None }
    }

    /// Open an object for reading.
    pub fn open(&self, path: &[u8]) -> Result<Box<dyn Reading>> {
        let (key, shown) = self.named(path)?;
        let first = wait(first_range(self.0.clone(), key.clone(), 0, Asks::Headers));
        let first = first.map_err(|refusal| refusal.error(&format!("read {shown}")))?;
        Ok(Box::new(Object::new(self.0.clone(), key, shown, first)))
    }

    /// What its server tells of an object's content without giving it.
    pub fn told(&self, path: &[u8]) -> Result<Vec<Told>> {
        let (key, shown) = self.named(path)?;
        wait(self.0.told(&key, None)).map_err(|refusal| refusal.error(&format!("look at {shown}")))
    }

    fn named(&self, path: &[u8]) -> Result<(String, String)> {
        let key = self.0.key(path)?;
        let shown = self.0.shown_key(&key);
        Ok((key, shown))
    }
}

/// The keys below a prefix.
pub struct Keys {
    place: Place,
    /// The next page, on its way; none: there is no other.
    next: Option<JoinHandle<std::result::Result<Page, Refusal>>>,
    /// The key that came last.
    last: Option<String>,
}

impl Keys {
    /// Get the objects of the next page by their paths, without those that stand for directories; none: no other.
    ///
    /// Fails where keys come in another order than that of their bytes.
    pub fn next_page(&mut self) -> Result<Option<Vec<Item>>> {
        let Some(asked) = self.next.take() else { return Ok(None) };
        let page = wait(asked).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())));
        let page = page.map_err(|refusal| refusal.error(&format!("list {}", self.place.shown(""))))?;
        for object in &page.objects {
            if self.last.as_ref().is_some_and(|last| *last >= object.key) {
                return Err(self.not_in_order());
            }
            self.last = Some(object.key.clone());
        }
        self.next = page.next.map(|token| ask(&self.place, Some(token)));
        Ok(Some(files(&self.place.key_prefix(), page.objects)))
    }

    fn not_in_order(&self) -> Error {
        let place = self.place.shown("");
        let message = format!("can't list {place}: the server gives keys in another order than that of their bytes");
        Error::Store { kind: "store_refused", message, is_transient: false }
    }
}

impl Drop for Keys {
    /// A page that nobody looks at need not come.
    fn drop(&mut self) {
        self.next.iter().for_each(JoinHandle::abort);
    }
}

fn ask(place: &Place, token: Option<String>) -> JoinHandle<std::result::Result<Page, Refusal>> {
    let place = place.clone();
    begin(async move {
        let from = token.as_deref().map_or(Start::Beginning, Start::Token);
        place.page(&place.key_prefix(), Depth::AllLevels, from, PAGE_KEYS).await
    })
}

/// Keys of a page: the most that servers give.
const PAGE_KEYS: u32 = 1_000;
