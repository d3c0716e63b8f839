//! Objects and prefixes that are named one by one: each is asked for by a request, many on their way at once.

use tokio::task::JoinHandle;

use super::{
    lister::ObjectLister,
    objects::{Depth, Start},
    place::Place,
    refusal::Refusal,
    runtime::{begin, wait},
};
use crate::{Result, scan::Item};

/// What a name of a directory is asked for as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// An object.
    Object,
    /// A prefix, below which there is something.
    Prefix,
}

/// A name that was asked for.
pub struct Asked(Result<(JoinHandle<Found>, String)>);

type Found = std::result::Result<Option<Item>, Refusal>;

impl ObjectLister {
    /// Ask for a name of a directory, without waiting.
    pub fn ask(&self, root: usize, directory: &[u8], name: &[u8], wanted: Wanted) -> Asked {
        let asked = self.place(root, directory).and_then(|place| {
            let (key, name) = (place.key(name)?, name.to_vec());
            let shown = place.shown_key(&key);
            let looking = match wanted {
                Wanted::Object => begin(object(place, key, name)),
                Wanted::Prefix => begin(prefix(place, key, name)),
            };
            Ok((looking, shown))
        });
        Asked(asked)
    }

    /// See that what a root's names were asked of is there: without its bucket, each looks like one that is missing.
    pub fn see_root(&self, root: usize) -> Result<()> {
        let place = self.place(root, b"")?;
        let page = wait(place.page(&place.key_prefix(), Depth::OneLevel, Start::Beginning, 1));
        page.map(drop).map_err(|refusal| refusal.error(&format!("list {}", place.shown(""))))
    }
}

impl Asked {
    /// Wait for what there is; none: nothing.
    pub fn wait(self) -> Result<Option<Item>> {
        let (looking, shown) = self.0?;
        let found = wait(looking).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())));
        found.map_err(|refusal| refusal.error(&format!("look at {shown}")))
    }
}

async fn object(place: Place, key: String, name: Vec<u8>) -> Found {
    let seen = place.head(&key).await?;
    Ok(seen.map(|seen| {
        let (size_bytes, modified_ns) = (seen.size_bytes, seen.modified_ns);
        Item::File { name, size_bytes, modified_ns, is_path: true }
    }))
}

async fn prefix(place: Place, key: String, name: Vec<u8>) -> Found {
    let page = place.page(&format!("{key}/"), Depth::AllLevels, Start::Beginning, 1).await?;
    Ok((!page.objects.is_empty()).then_some(Item::Directory(name)))
}
