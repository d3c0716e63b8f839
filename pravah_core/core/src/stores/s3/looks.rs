//! Objects that are looked at before somebody needs to know: requests on their way, and what came of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::JoinHandle;

use super::{
    objects::Seen,
    place::Place,
    refusal::Refusal,
    runtime::{begin, wait},
};
use crate::stores::ObjectAttributes;

/// What a look gives; none: nothing has the key.
pub type Looked = Result<Option<Seen>, Refusal>;

/// What is asked of an object beside its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Headers,
    /// Its tags, too.
    Tags,
}

/// Looks that were begun and that nobody has taken yet, by bucket and key.
#[derive(Default)]
pub struct Looks(Mutex<HashMap<(String, String), Look>>);

enum Look {
    OnItsWay(JoinHandle<Looked>),
    Here(Box<Looked>),
}

impl Looks {
    /// Begin to look at an object.
    pub fn begin(&self, place: &Place, key: &str, asks: Asks) {
        let looking = begin(look(place.clone(), key.to_owned(), asks));
        self.all().insert(id(place, key), Look::OnItsWay(looking));
    }

    /// Wait for a look that was begun: whoever takes it waits no more.
    pub fn arrive(&self, place: &Place, key: &str) {
        let Some(look) = self.all().remove(&id(place, key)) else { return };
        self.all().insert(id(place, key), Look::Here(Box::new(arrived(look))));
    }

    /// Take a look that was begun; none: there is none.
    pub fn take_begun(&self, place: &Place, key: &str) -> Option<Looked> {
        let begun = self.all().remove(&id(place, key))?;
        Some(arrived(begun))
    }

    /// Look at an object, or take the look that was begun.
    pub fn take(&self, place: &Place, key: &str, asks: Asks) -> Looked {
        self.take_begun(place, key).unwrap_or_else(|| wait(look(place.clone(), key.to_owned(), asks)))
    }

    /// Give up a look that was begun: what has the key is about to change.
    pub fn forget(&self, place: &Place, key: &str) {
        if let Some(Look::OnItsWay(looking)) = self.all().remove(&id(place, key)) {
            looking.abort();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(String, String), Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Looks {
    /// What nobody needs to know any more need not come.
    fn drop(&mut self) {
        for (_, look) in self.all().drain() {
            if let Look::OnItsWay(looking) = look {
                looking.abort();
            }
        }
    }
}

async fn look(place: Place, key: String, asks: Asks) -> Looked {
    let Some(seen) = place.head(&key).await? else { return Ok(None) };
    with_tags(&place, &key, seen, asks).await.map(Some)
}

/// Ask for an object's tags, where they are wanted and it may have some: who may not read them is not told of any.
pub async fn with_tags(place: &Place, key: &str, mut seen: Seen, asks: Asks) -> Result<Seen, Refusal> {
    if asks == Asks::Headers || seen.tags == Some(0) {
        return Ok(seen);
    }
    let tags = match place.tags(key).await {
        // The server knows no tags.
        Err(refusal) if matches!(refusal.status, Some(405 | 501)) || refusal.code.starts_with("NoSuchTagSet") => None,
        tags => tags?,
    };
    seen.attributes = Arc::new(ObjectAttributes { tags, ..(*seen.attributes).clone() });
    Ok(seen)
}

fn id(place: &Place, key: &str) -> (String, String) {
    (place.bucket.clone(), key.to_owned())
}

fn arrived(look: Look) -> Looked {
    match look {
        Look::Here(looked) => *looked,
        Look::OnItsWay(looking) => {
            wait(looking).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())))
        }
    }
}
