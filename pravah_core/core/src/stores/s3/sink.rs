//! Publishing below a prefix.
//!
//! Beyond 500 lines, because it answers two wide traits; what each answer takes to do is in the modules beside it.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    mem::replace,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    abilities::{Fencing, find_fencing},
    copies::{Copy, Copying, SOURCE_CHANGED, find_out},
    looks::{Asks, Looks},
    objects::{Depth, Headers, Seen, Start},
    options::Rules,
    place::Place,
    publish::{Ending, Publishing, identity_of, is_of_job, is_same},
    reading::{attributes, fingerprint},
    refusal::Refusal,
    removals::{self, Doomed},
    runtime::{begin, wait},
    source::ObjectDirectory,
    staging::{Checks, Content, Held, ObjectStaging, identity, owned_headers},
    uploads::{LARGEST_UPLOAD_BYTES, UPLOAD_BYTES, Upload, abandon},
};
use crate::{
    Error, Result,
    naming::Template,
    outcome::{Identity, Publish, Staged},
    plan::SinkPlan,
    stores::{
        Beginning, Copied, Output, Removal, Sink, SinkDirectory, SourceDirectory, Staging, Standing, Temporaries,
        Temporary,
    },
};

/// Pages of a directory of outputs that are read to know which names are free; of larger ones each is asked for.
const PAGES: usize = 20;
/// Names of a directory that are asked for one by one, many at once, before all of it is listed.
const ASKED_NAMES: u32 = 8;
/// Directories of which it is remembered what they hold.
const LISTED_DIRECTORIES: usize = 64;

/// How many times faster than by us a server copies, at least: measured against one that shares its disk with us.
const COPIED_FASTER: u64 = 16;

/// Time in which a window is published under a lease that expires, where the server does not fence: a lease holds for
/// 20 s beyond its last sign of life, which comes every 5 s, and was confirmed just before.
const WEAK_TIME: Duration = Duration::from_secs(12);

/// A prefix that outputs go below.
pub struct ObjectSink(Arc<Shared>);

struct Shared {
    place: Place,
    checks: Checks,
    rules: Rules,
    fencing: OnceLock<Fencing>,
    /// Leases may end while this process lives.
    expires: bool,
    /// The owner's name of some output of the job that is worked for: what others of it left is ours.
    owner: OnceLock<String>,
    /// Nothing was below the prefix when the sink was opened.
    is_empty: bool,
    /// A key turned out to be taken that seemed free: what was listed is out of date.
    is_stale: AtomicBool,
    /// What directories held when they were listed, by their prefixes.
    listed: Mutex<HashMap<String, Arc<Names>>>,
    /// Objects that are looked at ahead.
    looks: Looks,
}

impl ObjectSink {
    /// Open the sink of a plan, and see that it can be reached.
    pub fn open(sink: &SinkPlan, temporaries: Temporaries) -> Result<Self> {
        let mut place = Place::of(&sink.uri)?;
        place.ending = Some(Arc::default());
        let is_empty = match wait(place.page(&place.key_prefix(), Depth::AllLevels, Start::Beginning, 1)) {
            // A whole bucket need not be listed by who may work below some prefix of it.
            Err(refusal) if refusal.status == Some(403) && place.prefix.is_empty() => false,
            page => page.map_err(|refusal| refusal.error(&format!("list {}", place.shown(""))))?.objects.is_empty(),
        };
        let shares_keys = sink.path.as_ref().is_some_and(Template::needs_hash);
        Ok(Self(Arc::new(Shared {
            place,
            checks: Checks { verify: sink.verify, shares_keys },
            rules: Rules::of(sink),
            fencing: OnceLock::new(),
            expires: temporaries == Temporaries::Named,
            owner: OnceLock::new(),
            is_empty,
            is_stale: AtomicBool::new(false),
            listed: Mutex::default(),
            looks: Looks::default(),
        })))
    }
}

impl Drop for ObjectSink {
    /// What was begun and dropped is given up before anybody takes the sink for left alone.
    fn drop(&mut self) {
        self.0.place.wait_for_ending();
    }
}

impl Sink for ObjectSink {
    fn open_directory(&self, directory: &[u8]) -> Result<Arc<dyn SinkDirectory>> {
        let place = self.0.place.below(directory)?;
        let names = self.0.names(&place);
        Ok(Arc::new(ObjectSinkDirectory { sink: Arc::clone(&self.0), place, names }))
    }

    fn find_directory(&self, directory: &[u8]) -> Result<Option<Arc<dyn SinkDirectory>>> {
        self.open_directory(directory).map(Some)
    }

    fn works_for(&self, job: &str) {
        let _ = self.0.owner.set(Temporary::job_prefix(job).to_string());
        // Where it can't be found out, keys are looked at and writes are conditional, both.
        if let Ok(found) = wait(find_fencing(&self.0.place)) {
            let _ = self.0.fencing.set(found);
        }
    }

    fn largest_bytes(&self) -> Option<u64> {
        Some(LARGEST_UPLOAD_BYTES)
    }

    fn is_weakly_fenced(&self) -> bool {
        self.0.fencing.get() == Some(&Fencing::Weak)
    }

    fn has_left_uploads(&self) -> bool {
        self.0.place.wait_for_ending();
        self.0.place.uploads_left.load(Ordering::Relaxed)
    }

    /// What is read back is read when it is published: before that there is nothing to be read.
    fn verify(&self, _: &Output) -> Result<()> {
        Ok(())
    }

    fn make_durable(&self, _: &[Output]) -> Result<()> {
        Ok(())
    }

    fn begin_publish(&self, outputs: &mut [Output], recorded: Instant) {
        for output in outputs.iter_mut().filter(|output| output.into.is_none()) {
            let how = output.staged.publish;
            if let Some(directory) = output.directory.clone().as_any().downcast_ref::<ObjectSinkDirectory>() {
                // What can't even begin has its error when it is waited for.
                let _ = directory.begin_one(output, (how, recorded));
            }
        }
    }

    fn make_published_durable(&self, _: &[Arc<dyn SinkDirectory>]) -> Result<()> {
        Ok(())
    }

    fn open_files_per_output(&self) -> usize {
        0
    }

    fn staging_bytes(&self) -> u64 {
        UPLOAD_BYTES
    }

    fn holds_outputs(&self) -> bool {
        true
    }

    fn names_first(&self) -> bool {
        true
    }

    fn copies_from(&self, from: &dyn SourceDirectory, name: &[u8]) -> Option<u64> {
        let from = from.as_any().downcast_ref::<ObjectDirectory>()?;
        let place = &self.0.place;
        if !Arc::ptr_eq(&from.place.client, &place.client) {
            return None;
        }
        // What goes wrong here goes wrong again where it is told of: with the file itself.
        let (key, seen) = (from.place.key(name).ok()?, from.look(name).ok()?);
        let copy = Copy::new(from.place.clone(), key, (seen.etag, seen.size_bytes));
        wait(find_out(&copy, place)).ok().map(Copying::least_bytes)
    }

    fn abandon(&self, names: &[Vec<u8>], since_ns: i64) -> Result<usize> {
        let mut waiting = Vec::new();
        for name in names {
            let Ok(key) = self.0.place.key(name) else { continue };
            waiting.push(begin(abandon(self.0.place.clone(), key, since_ns)));
        }
        waiting.into_iter().try_fold(0, |count, each| {
            let ended = wait(each).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())));
            let asked = || format!("look for uploads below {}", self.0.place.shown(""));
            Ok(count + ended.map_err(|refusal| refusal.error(&asked()))?)
        })
    }
}

/// A prefix below the sink's.
pub struct ObjectSinkDirectory {
    sink: Arc<Shared>,
    place: Place,
    names: Arc<Names>,
}

/// Which names of a directory are taken.
#[derive(Default)]
struct Names {
    /// How many were asked for before it was listed.
    asked: AtomicU32,
    /// Those that were taken when it was listed; none: too many to know.
    taken: OnceLock<Option<HashSet<Vec<u8>>>>,
}

impl Shared {
    /// What is known of a directory, by whoever looks into it.
    fn names(&self, place: &Place) -> Arc<Names> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.len() >= LISTED_DIRECTORIES && !listed.contains_key(&place.prefix) {
            listed.clear();
        }
        Arc::clone(listed.entry(place.prefix.clone()).or_default())
    }
}

impl ObjectSinkDirectory {
    /// Whether nothing has a name, as far as that is known without asking for it.
    fn is_free(&self, name: &[u8]) -> Result<bool> {
        if self.sink.is_stale.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if self.sink.is_empty {
            return Ok(true);
        }
        let names = match self.names.taken.get() {
            Some(names) => names,
            None if self.names.asked.fetch_add(1, Ordering::Relaxed) < ASKED_NAMES => return Ok(false),
            None => {
                let names = self.list()?;
                self.names.taken.get_or_init(|| names)
            }
        };
        Ok(names.as_ref().is_some_and(|names| !names.contains(name)))
    }

    fn list(&self) -> Result<Option<HashSet<Vec<u8>>>> {
        let (prefix, mut names, mut token) = (self.place.key_prefix(), HashSet::new(), None::<String>);
        for _ in 0..PAGES {
            let page = wait(self.place.page(
                &prefix,
                Depth::OneLevel,
                token.as_deref().map_or(Start::Beginning, Start::Token),
                1_000,
            ));
            let page = match page {
                // Who may not list may still look at each.
                Err(refusal) if refusal.status == Some(403) => return Ok(None),
                page => page.map_err(|refusal| refusal.error(&format!("list {}", self.place.shown(""))))?,
            };
            let keys = page.objects.iter().filter_map(|object| object.key.strip_prefix(&prefix));
            names.extend(keys.map(|name| name.as_bytes().to_vec()));
            match page.next {
                None => return Ok(Some(names)),
                next => token = next,
            }
        }
        Ok(None)
    }

    fn seen(&self, name: &[u8]) -> Result<Option<Seen>> {
        let key = self.place.key(name)?;
        let seen = self.sink.looks.take(&self.place, &key, Asks::Headers);
        seen.map_err(|refusal| self.not_seen(&key, &refusal))
    }

    fn not_seen(&self, key: &str, refusal: &Refusal) -> Error {
        refusal.error(&format!("look at {}", self.place.shown_key(key)))
    }

    fn begin_one(&self, output: &mut Output, (how, recorded): (Publish, Instant)) -> Result<()> {
        let key = self.place.key(&output.name)?;
        let Some(held) = output.held.downcast_mut::<Held>() else { return Err(Error::TemporaryGone) };
        if held.ending.is_some() {
            return Ok(());
        }
        self.sink.looks.forget(&self.place, &key);
        let publishing = Publishing {
            place: self.place.clone(),
            owner: held.owner.clone(),
            headers: self.headers(&key, held),
            key,
            shares_keys: self.sink.checks.shares_keys,
            how,
            replaces: output.replaces,
            size_bytes: output.staged.identity.size_bytes,
            fencing: self.sink.fencing.get().copied(),
            deadline: self.sink.expires.then(|| recorded + WEAK_TIME),
            hash: held.hash,
        };
        let content = replace(&mut held.content, Content::Gone);
        held.ending = Some(begin(publishing.run(content)));
        Ok(())
    }

    fn headers(&self, key: &str, held: &Held) -> Headers {
        let told = || owned_headers(&self.sink.rules, key, (&held.owner, held.attributes.as_ref()));
        held.headers.clone().unwrap_or_else(told)
    }

    /// Tell whether an object has this content.
    fn has_digest(&self, key: &str, expected: blake3::Hash) -> Result<bool, Refusal> {
        let mut digester = blake3::Hasher::new();
        let is_whole = wait(self.place.read_through(key, |_, bytes| {
            digester.update(bytes);
            true
        }))?;
        Ok(is_whole && digester.finalize() == expected)
    }
}

impl SinkDirectory for ObjectSinkDirectory {
    fn look(&self, name: &[u8]) -> Result<Standing> {
        let key = self.place.key(name)?;
        let seen = match self.sink.looks.take_begun(&self.place, &key) {
            Some(seen) => seen.map_err(|refusal| self.not_seen(&key, &refusal))?,
            None if self.is_free(name)? => return Ok(Standing::Free),
            None => self.seen(name)?,
        };
        let own = self.sink.owner.get();
        Ok(match seen {
            None => Standing::Free,
            // An attempt that has lost its lease came late: what it left is replaced.
            Some(seen) if own.is_some_and(|own| is_of_job(&seen.owner, own)) => Standing::Free,
            Some(seen) => Standing::File(identity_of(&seen)),
        })
    }

    fn look_ahead(&self, name: &[u8]) {
        // A listing that fails now is asked for again when its answer is needed.
        if !self.is_free(name).unwrap_or(true) {
            self.ask_ahead(name);
        }
    }

    fn ask_ahead(&self, name: &[u8]) {
        let Ok(key) = self.place.key(name) else { return };
        self.sink.looks.begin(&self.place, &key, Asks::Headers);
    }

    fn stage(&self, beginning: &Beginning<'_>) -> Result<Box<dyn Staging>> {
        Ok(Box::new(ObjectStaging::begin(&self.place, beginning, &self.sink.rules, self.sink.checks)?))
    }

    fn stage_copy(&self, beginning: &Beginning<'_>, from: &dyn SourceDirectory, name: &[u8]) -> Result<Option<Copied>> {
        let Some(from) = from.as_any().downcast_ref::<ObjectDirectory>() else { return Ok(None) };
        if !Arc::ptr_eq(&from.place.client, &self.place.client) {
            return Ok(None);
        }
        let (seen, key, owner) = (from.look(name)?, self.place.key(beginning.name)?, beginning.temporary.name());
        let headers = owned_headers(&self.sink.rules, &key, (&owner, Some(&attributes(&seen))));
        let staged = Staged {
            temporary: Some(beginning.temporary.number),
            publish: beginning.publish,
            identity: identity(&owner, seen.size_bytes),
        };
        let source = fingerprint(&seen);
        let copy = Copy::new(from.place.clone(), from.place.key(name)?, (seen.etag, seen.size_bytes));
        let held = Held {
            owner,
            headers: Some(headers),
            attributes: None,
            content: Content::Copied(Box::new(copy)),
            hash: None,
            digest: None,
            ending: None,
        };
        Ok(Some(Copied { source, staged, held: Box::new(held) }))
    }

    fn stage_link(&self, _: &Temporary, _: Publish, _: &[u8]) -> Result<(Staged, Box<dyn Any + Send>)> {
        Err(Error::UnsupportedName("an object store has no links".to_owned()))
    }

    fn publish(&self, output: &mut Output, publish: Publish) -> Result<()> {
        self.begin_one(output, (publish, Instant::now()))?;
        let shown = self.place.shown(&String::from_utf8_lossy(&output.name));
        let Some(held) = output.held.downcast_mut::<Held>() else { return Err(Error::TemporaryGone) };
        let Some(ending) = held.ending.take() else { return Err(Error::TemporaryGone) };
        let (content, ending) = wait(ending).map_err(|error| Error::Panicked(error.to_string()))?;
        held.content = content;
        match ending {
            Ending::Published => Ok(()),
            Ending::Gone => Err(Error::TemporaryGone),
            Ending::Unequal(how) => Err(Error::VerifyFailed(how)),
            Ending::Refused(refusal) if refusal.code == SOURCE_CHANGED => Err(Error::ChangedWhileRead(refusal.message)),
            Ending::Refused(refusal) => Err(refusal.error(&format!("put {shown}"))),
            Ending::Taken => {
                self.sink.is_stale.store(true, Ordering::Relaxed);
                Err(Error::OutputExists("another object has the output's key".to_owned()))
            }
        }
    }

    fn is_begun(&self, output: &Output) -> bool {
        output.held.downcast_ref::<Held>().is_some_and(|held| held.ending.is_some())
    }

    /// The request that publishes it tells.
    fn is_still(&self, _: &Output) -> Result<bool> {
        Ok(true)
    }

    fn same(&self, found: &Identity, remembered: &Identity) -> bool {
        is_same(found, remembered)
    }

    fn adopt(&self, name: &[u8], staged: &Staged) -> Result<bool> {
        Ok(self.seen(name)?.is_some_and(|seen| is_same(&identity_of(&seen), &staged.identity)))
    }

    fn left_there(&self, name: &[u8]) -> Result<Option<Identity>> {
        let Some(own) = self.sink.owner.get() else { return Ok(None) };
        let seen = self.seen(name)?.filter(|seen| is_of_job(&seen.owner, own));
        Ok(seen.map(|seen| identity_of(&seen)))
    }

    fn has_equal(&self, output: &Output) -> Result<bool> {
        let Some(held) = output.held.downcast_ref::<Held>() else { return Ok(false) };
        let key = self.place.key(&output.name)?;
        let is_equal = match (&held.content, held.digest) {
            (Content::Whole(bytes), _) => wait(self.place.get(&key, 0, bytes.len() as u64 + 1, None))
                .map(|(seen, found)| seen.size_bytes == bytes.len() as u64 && found == *bytes),
            (Content::Parts(_), Some(digest)) => self.has_digest(&key, digest),
            _ => Ok(false), // what is on the server in parts nobody can read
        };
        match is_equal {
            Err(refusal) if refusal.is_missing() => Ok(false),
            answer => answer.map_err(|refusal| refusal.error(&format!("read {}", self.place.shown_key(&key)))),
        }
    }

    fn begin_removing(&self, name: &[u8], staged: &Staged) -> Result<Removal> {
        let (place, key, identity) = (self.place.clone(), self.place.key(name)?, staged.identity);
        self.sink.looks.forget(&place, &key);
        let shown = place.shown_key(&key);
        let removing = begin(async move {
            let Some(seen) = place.head(&key).await?.filter(|seen| is_same(&identity_of(seen), &identity)) else {
                return Ok(false);
            };
            let ended = removals::remove_all(&place, &[Doomed { key, etag: seen.etag }]).await.pop();
            match ended {
                Some(Err(refusal)) if refusal.is_precondition() => Ok(false),
                ended => ended.unwrap_or(Ok(())).map(|()| true),
            }
        });
        Ok(Box::new(move || {
            let removed = wait(removing).unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string())));
            removed.map_err(|refusal| refusal.error(&format!("remove {shown}")))
        }))
    }

    fn discard(&self, output: &mut Output) {
        output.held = Box::new(()); // an upload that is dropped is given up
    }

    fn sweep(&self, _: &Temporary) -> Result<usize> {
        Ok(0) // there are no temporaries; uploads are looked for by their keys
    }

    fn longest_name(&self) -> Option<usize> {
        None // keys have a bound as a whole
    }

    /// Parts and copies hold nothing here; but a window waits for them all, and should be there within seconds.
    fn held_bytes(&self, output: &Output) -> u64 {
        match output.held.downcast_ref::<Held>() {
            Some(Held { content: Content::Copied(copy), .. }) => copy.size_bytes / COPIED_FASTER,
            _ => output.staged.identity.size_bytes,
        }
    }

    fn memory_bytes(&self, output: &Output) -> u64 {
        match output.held.downcast_ref::<Held>() {
            Some(Held { content: Content::Whole(bytes), .. }) => bytes.len() as u64,
            _ => 0,
        }
    }

    fn leave_memory(&self, output: &mut Output) -> Result<()> {
        let key = self.place.key(&output.name)?;
        let Some(held) = output.held.downcast_mut::<Held>() else { return Ok(()) };
        let Content::Whole(bytes) = &held.content else { return Ok(()) };
        let uploaded = Upload::begin(&self.place, &key, self.headers(&key, held)).and_then(|mut upload| {
            upload.send(bytes.clone())?;
            upload.settle().map(|()| upload)
        });
        let asked = || format!("upload {}", self.place.shown_key(&key));
        held.content = Content::Parts(Box::new(uploaded.map_err(|refusal| refusal.error(&asked()))?));
        Ok(())
    }

    fn id(&self) -> (u64, u64) {
        self.place.id()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
