//! Moving sources below another prefix once their outputs are acknowledged: the server copies, then the source goes.
//!
//! Never over an object that stands there. A kill at any instant leaves the source, or both; repeated, the move comes
//! to its end, as a copy names the move that made it.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{
    abilities::{Fencing, find_fencing},
    copies::{Copy, SOURCE_CHANGED, find_out},
    looks::{Asks, with_tags},
    objects::{OWNER, Only, Seen},
    options::copied_headers,
    place::Place,
    refusal::Refusal,
    runtime::{begin, wait},
    source::{ObjectDirectory, remove_all},
};
use crate::{
    Error, Result,
    entry::join,
    stores::{Keeper, Moved},
};

/// A prefix that sources are moved below.
pub struct ObjectKeeper {
    place: Place,
}

impl ObjectKeeper {
    /// Move below the prefix of a URI.
    pub fn open(uri: &str) -> Result<Self> {
        Ok(Self { place: Place::of(uri)? })
    }

    /// Begin a copy; what comes of it is waited for.
    fn begin(&self, moved: &Moved<'_>) -> Result<JoinHandle<Result<(), Refusal>>> {
        let from = moved.from.as_any().downcast_ref::<ObjectDirectory>();
        let from = from.ok_or_else(|| Error::InvalidPlan("a source of another store".into()))?;
        if !Arc::ptr_eq(&from.place.client, &self.place.client) {
            return Err(Error::InvalidPlan("a source of another connection".into()));
        }
        let (key, seen) = (from.place.key(moved.name)?, from.kept(moved.name)?);
        let to = self.place.key(&join(&moved.to, moved.name))?;
        let copy = Copy::new(from.place.clone(), key, (seen.etag.clone(), seen.size_bytes)).keeping_tags();
        let failed = |refusal: Refusal| refusal.error(&format!("move the source to {}", self.place.shown_key(&to)));
        wait(find_out(&copy, &self.place)).map_err(failed)?;
        // Found out here, once, and not by all copies of a bucket at the same time; none: nobody may ask.
        let fencing = wait(find_fencing(&self.place)).ok();
        let (place, owner) = (self.place.clone(), moved.temporary.clone());
        Ok(begin(async move { make(copy, fencing, (place, to), seen, owner).await }))
    }
}

impl Keeper for ObjectKeeper {
    fn take(&self, moved: &Moved<'_>) -> Result<()> {
        self.take_all(std::slice::from_ref(moved)).pop().unwrap_or(Ok(()))
    }

    fn take_all(&self, moves: &[Moved<'_>]) -> Vec<Result<()>> {
        let copying: Vec<_> = moves.iter().map(|moved| self.begin(moved)).collect();
        let shown = |moved: &Moved<'_>| self.place.shown(&String::from_utf8_lossy(&join(&moved.to, moved.name)));
        let copied = copying.into_iter().zip(moves).map(|(copying, moved)| {
            let ended = wait(copying?).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())));
            ended.map_err(|refusal| match refusal.code.as_str() {
                SOURCE_CHANGED => Error::ChangedWhileRead(refusal.message),
                TAKEN => Error::OutputExists("another object has the key that the source was to be moved to".into()),
                _ => refusal.error(&format!("move the source to {}", shown(moved))),
            })
        });
        let mut ended: Vec<Result<()>> = copied.collect();
        let safe: Vec<usize> =
            ended.iter().enumerate().filter(|(_, copied)| copied.is_ok()).map(|(at, _)| at).collect();
        let files: Vec<_> = safe.iter().map(|at| (Arc::clone(&moves[*at].from), moves[*at].name)).collect();
        for (at, removed) in safe.into_iter().zip(remove_all(&files)) {
            ended[at] = removed;
        }
        ended
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// The code of a refusal that means: something else has the key.
const TAKEN: &str = "Taken";

/// Make a copy, unless an earlier try has made it.
async fn make(
    mut copy: Copy,
    fencing: Option<Fencing>,
    (to, key): (Place, String),
    seen: Seen,
    owner: String,
) -> Result<(), Refusal> {
    // A server that ignores conditions would put it over whatever stands there.
    let mut found = if fencing == Some(Fencing::Strong) { None } else { to.head(&key).await? };
    if found.is_none() {
        let only = if fencing == Some(Fencing::Weak) { Only::Until(None) } else { Only::IfFree };
        let seen = if copy.is_whole(&to) { seen } else { with_tags(&copy.from, &copy.key, seen, Asks::Tags).await? };
        let headers = [copied_headers(&seen), vec![(OWNER.to_owned(), owner.clone())]].concat();
        let copied = copy.run(&to, &key, &headers, &only).await;
        // The source goes next, and may be the only one: what was said to be there is looked at.
        found = match copied {
            Err(refusal) if !refusal.is_precondition() && refusal.code != "NoSuchUpload" => return Err(refusal),
            _ => to.head(&key).await?,
        };
    }
    match found {
        // Perhaps of a try whose answer was lost, or that was killed.
        Some(found) if found.owner == owner && found.size_bytes == copy.size_bytes => Ok(()),
        Some(_) => Err(Refusal::local(TAKEN, String::new())),
        None => Err(Refusal::local("broken", "the server has copied it, and no copy is there".to_owned())),
    }
}
