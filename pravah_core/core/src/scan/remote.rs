//! Walks trees that are on no local disk: each thread has one directory after the other listed, page by page.
//!
//! What is listed, left out and handed over is as in [`super::walk`]; a directory that can't be listed ends the scan,
//! since it is a store that can't be reached, and not a part of a tree. Threads without a directory take part in one
//! that has more pages than one, where its lister can begin at a name ([`ranges`]).
//!
//! - [`pages`]: what a lister is asked for, and gives
//! - [`ranges`], [`sample`]: how the names of one directory are divided among threads
//! - [`sieve`]: what of a page is listed

mod pages;
mod ranges;
mod sample;
mod sieve;

use std::{
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread,
};

pub(super) use pages::NO_PATH;
pub use pages::{At, Item, Lister, Page, Pages};
use ranges::Ranges;
pub use sieve::Sieve;

use super::{
    Scanner, Span,
    directory::Directory,
    names::Names,
    walk::{End, Origin, Visitor},
};
use crate::{Error, Result};

/// Requests for pages at once: each thread waits for the server, and takes no CPU.
pub const THREADS: usize = 16;

/// Run a scan on as many threads as there are visitors; give the visitors back.
pub(super) fn walk<V: Visitor>(
    scanner: &Scanner,
    lister: &dyn Lister,
    origins: Vec<Origin>,
    visitors: Vec<V>,
) -> Result<Vec<V>> {
    let walk = Walk { scanner, lister, state: Mutex::new(State::new(origins)), changed: Condvar::new() };
    let visitors = thread::scope(|scope| {
        let run = |mut visitor: V| {
            let walk = &walk;
            move || {
                walk.work(&mut visitor);
                visitor
            }
        };
        let spawn = |visitor| thread::Builder::new().name("pravah-scan".into()).spawn_scoped(scope, run(visitor));
        let threads: Vec<_> =
            visitors.into_iter().map(|visitor| spawn(visitor).map_err(Error::io("start a thread"))).collect();
        let joined = threads.into_iter().map(|thread| match thread {
            Ok(thread) => Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            Err(error) => {
                walk.stop();
                Err(error)
            }
        });
        joined.collect::<Result<Vec<V>>>()
    })?;
    match walk.state().failed.take() {
        Some(error) => Err(error),
        None => Ok(visitors),
    }
}

struct Walk<'w> {
    scanner: &'w Scanner,
    lister: &'w dyn Lister,
    state: Mutex<State>,
    changed: Condvar,
}

/// What waits, what may be divided, and how many threads may find more.
struct State {
    waiting: Vec<Origin>,
    /// Ranges that nobody reads yet.
    parts: Vec<(Arc<Wide>, u64)>,
    wide: Vec<Arc<Wide>>,
    busy: usize,
    ended: bool,
    failed: Option<Error>,
}

/// A directory whose names are read in ranges.
struct Wide {
    directory: Arc<Directory>,
    ranges: Mutex<Ranges>,
}

/// What one thread does next.
enum Work {
    Directory(Arc<Directory>),
    Range(Arc<Wide>, u64),
}

impl State {
    fn new(mut origins: Vec<Origin>) -> Self {
        origins.reverse(); // the first is taken first
        Self { waiting: origins, parts: Vec::new(), wide: Vec::new(), busy: 0, ended: false, failed: None }
    }

    /// Take the next thing to do; of several directories below one the last, as the scanner of local trees does.
    fn take(&mut self, scanner: &Scanner) -> Option<Work> {
        while self.parts.is_empty() {
            match self.waiting.pop() {
                Some(Origin::Directory(directory)) => return Some(Work::Directory(directory)),
                Some(Origin::Below(parent, mut names)) => {
                    let Some(name) = names.pop() else { continue };
                    let directory = Directory::child_of(scanner.filter_of(parent.root()), &parent, name);
                    if !names.is_empty() {
                        self.waiting.push(Origin::Below(parent, names));
                    }
                    return Some(Work::Directory(directory));
                }
                Some(Origin::Ranges(directory, spans)) => {
                    let (wide, ids) = self.widen(directory, spans);
                    self.parts.extend(ids.into_iter().map(|id| (wide.clone(), id)));
                }
                None => return self.divide(),
            }
        }
        self.parts.pop().map(|(wide, id)| Work::Range(wide, id))
    }

    /// Take a part of what somebody else reads.
    fn divide(&self) -> Option<Work> {
        self.wide.iter().find_map(|wide| Some(Work::Range(wide.clone(), wide.ranges().divide()?)))
    }

    fn widen(&mut self, directory: Arc<Directory>, spans: impl IntoIterator<Item = Span>) -> (Arc<Wide>, Vec<u64>) {
        let (ranges, ids) = Ranges::new(spans);
        let wide = Arc::new(Wide { directory, ranges: Mutex::new(ranges) });
        self.wide.push(wide.clone());
        (wide, ids)
    }
}

impl Wide {
    fn ranges(&self) -> MutexGuard<'_, Ranges> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Walk<'_> {
    fn work(&self, visitor: &mut dyn Visitor) {
        while let Some(work) = self.next() {
            let _guard = EndOnPanic(self);
            let listed = match work {
                Work::Directory(directory) => self.list(&directory, visitor),
                Work::Range(wide, id) => self.join(&wide, id, visitor),
            };
            let is_stopped = self.is_stopped();
            let mut state = self.state();
            state.busy -= 1;
            match listed {
                Err(error) => {
                    state.ended = true;
                    state.failed.get_or_insert(error);
                }
                Ok(flow) => state.ended |= flow.is_break() || is_stopped,
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Wait for something to do; none: everything is listed, or the scan is to end.
    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(work) = state.take(self.scanner) {
                state.busy += 1;
                return Some(work);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn list(&self, directory: &Arc<Directory>, visitor: &mut dyn Visitor) -> Result<ControlFlow<()>> {
        let (root, path) = (directory.root(), directory.relative());
        if self.lister.is_sink(root, &path) {
            return Ok(visitor.end(directory, End::Skipped));
        }
        let mut pages = self.lister.open(root, &path, At::Beginning)?;
        let mut page = pages.next()?;
        if !page.is_last && page.is_ordered && self.lister.can_begin_at_names(root) {
            let (wide, ids) = self.state().widen(directory.clone(), [Span::WHOLE]);
            if let Some(id) = ids.first() {
                return self.read(&wide, *id, &mut *pages, page, visitor);
            }
        }
        let mut sieve = self.sieve(directory);
        loop {
            if self.hand_over(directory, &mut sieve, page.items, visitor)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if page.is_last {
                break;
            }
            page = pages.next()?;
        }
        let flow = visitor.end(directory, End::Complete);
        self.push_chosen(directory, visitor);
        Ok(flow)
    }

    /// Begin to read a range of a directory that others may read, too.
    fn join(&self, wide: &Arc<Wide>, id: u64, visitor: &mut dyn Visitor) -> Result<ControlFlow<()>> {
        let (directory, after) = (&wide.directory, wide.ranges().after(id));
        let at = after.as_deref().map_or(At::Beginning, At::After);
        let mut pages = self.lister.open(directory.root(), &directory.relative(), at)?;
        let page = pages.next()?;
        let begins_elsewhere = after.is_some_and(|after| page.begins_before(&after));
        if begins_elsewhere && wide.ranges().give_back(id) {
            return Ok(ControlFlow::Continue(()));
        }
        self.read(wide, id, &mut *pages, page, visitor)
    }

    /// Read a range to its end, wherever that is by then.
    fn read(
        &self,
        wide: &Arc<Wide>,
        id: u64,
        pages: &mut dyn Pages,
        mut page: Page,
        visitor: &mut dyn Visitor,
    ) -> Result<ControlFlow<()>> {
        let (directory, mut sieve) = (&wide.directory, self.sieve(&wide.directory));
        loop {
            if !page.is_ordered {
                return Err(not_in_order(directory));
            }
            let taken = wide.ranges().take(id, &page);
            self.wake(); // there may be something to divide
            let items = page.items.drain(taken.items).collect();
            let mut flow = self.hand_over(directory, &mut sieve, items, visitor)?;
            if let Some(span) = taken.span.filter(|_| flow.is_continue()) {
                flow = visitor.end_range(directory, &span);
                self.push_chosen(directory, visitor);
            }
            if flow.is_break() {
                return Ok(flow);
            }
            if taken.is_last {
                break;
            }
            page = pages.next()?;
        }
        if !wide.ranges().end(id) {
            return Ok(ControlFlow::Continue(()));
        }
        self.state().wide.retain(|other| !Arc::ptr_eq(other, wide));
        let flow = visitor.end(directory, End::Ranged);
        self.push_chosen(directory, visitor);
        Ok(flow)
    }

    fn hand_over(
        &self,
        directory: &Arc<Directory>,
        sieve: &mut Sieve<'_>,
        items: Vec<Item>,
        visitor: &mut dyn Visitor,
    ) -> Result<ControlFlow<()>> {
        let mut sifted = sieve.sift(items);
        if !visitor.chooses() {
            self.push(directory, sifted.names);
        }
        if self.is_stopped() {
            return Ok(ControlFlow::Break(()));
        }
        let has_some = !sifted.listing.is_empty() || sifted.listing.filtered.total() > 0;
        if has_some && visitor.entries(directory, &mut sifted.listing).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        for name in sifted.astray {
            let mut pages = self.lister.open(directory.root(), &directory.relative(), At::Below(&name))?;
            loop {
                let page = pages.next()?;
                let is_last = page.is_last;
                if self.hand_over(directory, sieve, page.items, visitor)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn sieve<'d>(&'d self, directory: &'d Directory) -> Sieve<'d> {
        let output = self.lister.output(directory.root(), &directory.relative());
        Sieve::new(self.scanner.filter_of(directory.root()), self.scanner.detail, directory).without(output)
    }

    fn push_chosen(&self, parent: &Arc<Directory>, visitor: &mut dyn Visitor) {
        if let Some(names) = visitor.chosen() {
            self.push(parent, names);
        }
    }

    fn push(&self, parent: &Arc<Directory>, names: Names) {
        if !names.is_empty() {
            self.state().waiting.push(Origin::Below(Arc::clone(parent), names));
            self.changed.notify_all();
        }
    }

    /// Have those who wait look again; not between their last look and their waiting.
    fn wake(&self) {
        drop(self.state());
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.scanner.stop.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the scan if its thread panics, so that the others don't wait for it.
struct EndOnPanic<'w, 's>(&'w Walk<'s>);

impl Drop for EndOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Names of a directory that came in order first, and then did not: what was read in ranges may have holes.
fn not_in_order(directory: &Directory) -> Error {
    let path = String::from_utf8_lossy(&directory.path()).into_owned();
    let message = format!("can't list {path}: the server gives keys in another order than that of their bytes");
    Error::Store { kind: "store_refused", message, is_transient: false }
}
