//! Where objects are read: small ones are fetched ahead and whole, large ones in ranges, several at once.
//!
//! What is read is one object from its first byte to its last: each further range is asked for by the ETag that came
//! with the first. Where another object has the key since, reading begins anew.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use rustix::io::Errno;

use super::{
    looks::{Asks, Looks},
    objects::Seen,
    place::Place,
    reading::{Fetching, Got, Object, READING_BYTES, arrived, fingerprint, first_range},
    refusal::Refusal,
    removals::{self, Doomed, Removing},
    runtime::{begin, wait},
};
use crate::{
    Error, Result,
    outcome::SourceFingerprint,
    plan::{Plan, Preserve},
    stores::{Reading, Source, SourceDirectory},
};

/// The roots of a plan.
pub struct ObjectSource {
    roots: Vec<Place>,
    shared: Arc<Shared>,
}

/// What the directories of a source share.
struct Shared {
    asks: Asks,
    looks: Looks,
    /// Objects as they were looked at last, by bucket and key: what is removed or moved has to be these.
    kept: Mutex<HashMap<(String, String), Seen>>,
}

impl ObjectSource {
    /// Read below the roots of a plan.
    pub fn open(plan: &Plan) -> Result<Self> {
        let keeps_tags = plan.sink.as_ref().is_some_and(|sink| sink.preserves(Preserve::Tags));
        let asks = if keeps_tags { Asks::Tags } else { Asks::Headers };
        let roots = plan.roots.iter().map(|root| Place::of(&root.uri)).collect::<Result<_>>()?;
        let shared = Arc::new(Shared { asks, looks: Looks::default(), kept: Mutex::default() });
        Ok(Self { roots, shared })
    }
}

impl Source for ObjectSource {
    fn open_directory(&self, root: u16, directory: &[u8]) -> Result<Arc<dyn SourceDirectory>> {
        let roots = self.roots.len();
        let root = self.roots.get(usize::from(root));
        let root = root.ok_or_else(|| Error::InvalidPlan(format!("root is beyond the {roots} of the plan")))?;
        let (place, shared) = (root.below(directory)?, Arc::clone(&self.shared));
        Ok(Arc::new(ObjectDirectory { place, shared, ahead: Mutex::default() }))
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn reading_bytes(&self) -> u64 {
        READING_BYTES
    }

    fn hedged(&self) -> u64 {
        self.roots.iter().map(|root| root.hedged.load(Ordering::Relaxed)).sum()
    }

    fn remove_all(&self, files: &[(Arc<dyn SourceDirectory>, &[u8])]) -> Vec<Result<()>> {
        remove_all(files)
    }

    fn removes_weakly(&self) -> bool {
        let removing = |root: &Place| root.client.abilities.removing(&root.bucket);
        self.roots.iter().any(|root| removing(root) == Some(Removing::LookedAt))
    }
}

/// Remove objects as they were looked at, as many as possible by one request.
pub fn remove_all(files: &[(Arc<dyn SourceDirectory>, &[u8])]) -> Vec<Result<()>> {
    let mut ended: Vec<Result<()>> = Vec::with_capacity(files.len());
    let objects: Vec<Result<(&ObjectDirectory, Doomed)>> = files.iter().map(|(of, name)| doomed(of, name)).collect();
    let same = |one: &ObjectDirectory, other: &ObjectDirectory| {
        one.place.bucket == other.place.bucket && Arc::ptr_eq(&one.place.client, &other.place.client)
    };
    let together = objects.chunk_by(|one, other| match (one, other) {
        (Ok((one, _)), Ok((other, _))) => same(one, other),
        _ => false,
    });
    let mut names = files.iter().map(|(_, name)| *name);
    for some in together {
        let Some(Ok((directory, _))) = some.first() else {
            ended.extend(names.next().map(|_| Err(Error::InvalidPlan("a source of another store".into()))));
            continue;
        };
        let wanted: Vec<Doomed> = some.iter().flatten().map(|(_, doomed)| doomed.clone()).collect();
        for (removed, name) in wait(removals::remove_all(&directory.place, &wanted)).into_iter().zip(names.by_ref()) {
            ended.push(removed.map_err(|refusal| match refusal.is_precondition() {
                true => Error::ChangedWhileRead("another object has its key".to_owned()),
                false => refusal.error(&format!("remove {}", directory.shown(name))),
            }));
        }
    }
    ended
}

fn doomed<'f>(of: &'f Arc<dyn SourceDirectory>, name: &[u8]) -> Result<(&'f ObjectDirectory, Doomed)> {
    let directory = of.as_any().downcast_ref::<ObjectDirectory>();
    let directory = directory.ok_or_else(|| Error::InvalidPlan("a source of another store".into()))?;
    let etag = directory.kept(name)?.etag;
    directory.all_kept().remove(&directory.id_of(name)?);
    Ok((directory, Doomed { key: directory.place.key(name)?, etag }))
}

/// A prefix that is read below.
pub struct ObjectDirectory {
    pub place: Place,
    shared: Arc<Shared>,
    /// What was asked for ahead, by name.
    ahead: Mutex<HashMap<Vec<u8>, Ahead>>,
}

enum Ahead {
    OnItsWay(Fetching),
    Here(Box<Got>),
}

impl ObjectDirectory {
    /// Look at an object; `vanished` where there is none.
    pub fn look(&self, name: &[u8]) -> Result<Seen> {
        let looked = self.shared.looks.take(&self.place, &self.place.key(name)?, self.shared.asks);
        let seen = looked.map_err(|refusal| self.failed(name, &refusal))?;
        seen.ok_or_else(|| Error::system("open the source")(Errno::NOENT))
    }

    /// Give an object as it was looked at when it was to go: what has come to its key since is another one.
    pub fn kept(&self, name: &[u8]) -> Result<Seen> {
        let kept = self.all_kept().get(&self.id_of(name)?).cloned();
        kept.map_or_else(|| self.look(name), Ok)
    }

    fn all_kept(&self) -> MutexGuard<'_, HashMap<(String, String), Seen>> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id_of(&self, name: &[u8]) -> Result<(String, String)> {
        Ok((self.place.bucket.clone(), self.place.key(name)?))
    }

    fn ahead(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Ahead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, name: &[u8]) -> String {
        self.place.shown(&String::from_utf8_lossy(name))
    }

    fn failed(&self, name: &[u8], refusal: &Refusal) -> Error {
        if refusal.is_missing() {
            return Error::system("open the source")(Errno::NOENT);
        }
        refusal.error(&format!("read {}", self.shown(name)))
    }
}

impl SourceDirectory for ObjectDirectory {
    fn is_remote(&self) -> bool {
        true
    }

    fn fingerprint(&self, name: &[u8]) -> Result<SourceFingerprint> {
        self.look(name).map(|seen| fingerprint(&seen))
    }

    fn open(&self, name: &[u8]) -> Result<Box<dyn Reading>> {
        self.open_listed(name, 0)
    }

    fn open_listed(&self, name: &[u8], listed_bytes: u64) -> Result<Box<dyn Reading>> {
        let key = self.place.key(name)?;
        let ahead = self.ahead().remove(name);
        let got = match ahead {
            Some(Ahead::Here(got)) => *got,
            Some(Ahead::OnItsWay(fetching)) => arrived(fetching),
            None => wait(first_range(self.place.clone(), key.clone(), listed_bytes, self.shared.asks)),
        };
        let got = got.map_err(|refusal| self.failed(name, &refusal))?;
        Ok(Box::new(Object::new(self.place.clone(), key, self.shown(name), got)))
    }

    fn is_near(&self, name: &[u8]) -> bool {
        matches!(self.ahead().get(name), Some(Ahead::Here(_)))
    }

    fn fetch_ahead(&self, name: &[u8]) {
        // A key that can't be has its error when it is opened.
        if let Ok(key) = self.place.key(name) {
            let fetching = begin(first_range(self.place.clone(), key, 0, self.shared.asks));
            self.ahead().insert(name.to_vec(), Ahead::OnItsWay(fetching));
        }
    }

    fn look_ahead(&self, name: &[u8]) {
        if let Ok(key) = self.place.key(name) {
            self.shared.looks.begin(&self.place, &key, self.shared.asks);
        }
    }

    fn await_ahead(&self, name: &[u8]) {
        let ahead = self.ahead().remove(name);
        let got = match (ahead, self.place.key(name)) {
            (Some(Ahead::OnItsWay(fetching)), _) => Box::new(arrived(fetching)),
            (Some(Ahead::Here(got)), _) => got,
            (None, Ok(key)) => return self.shared.looks.arrive(&self.place, &key),
            (None, Err(_)) => return,
        };
        self.ahead().insert(name.to_vec(), Ahead::Here(got));
    }

    fn look_to_remove(&self, name: &[u8]) -> Result<SourceFingerprint> {
        let seen = self.look(name)?;
        let found = fingerprint(&seen);
        self.all_kept().insert(self.id_of(name)?, seen);
        Ok(found)
    }

    fn read_link(&self, _: &[u8]) -> Result<Vec<u8>> {
        Err(Error::system("open the source")(Errno::INVAL))
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        let key = self.place.key(name)?;
        let asked = || format!("remove {}", self.shown(name));
        wait(self.place.delete(&key)).map_err(|refusal| refusal.error(&asked()))
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn id(&self) -> Result<(u64, u64)> {
        Ok(self.place.id())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for ObjectDirectory {
    /// What nobody will read need not come.
    fn drop(&mut self) {
        for (_, ahead) in self.ahead().drain() {
            if let Ahead::OnItsWay(fetching) = ahead {
                fetching.abort();
            }
        }
    }
}
