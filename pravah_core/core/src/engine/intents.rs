//! Keys under which uploads begin, where only reading an entry tells them: the ledger knows them first.
//!
//! Protocol, rule 10. Mostly the manifest is that record, as it tells all keys ahead. Those of several outputs of an
//! entry, and those that tell its content's hash, it can't: such a key is written down in a window of its own, by a
//! row that counts for nothing ([`Outcome::Redo`]). Whoever takes over looks for uploads of exactly these keys.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    mpsc::{Sender, SyncSender, channel},
};

use super::crew::Window;
use crate::{
    Error, Result,
    effort::{self, Activity},
    naming::{ContentHash, Part},
    outcome::{Identity, Outcome, Publish, Recorded, Row, Staged, StagedPart, decode_rows},
};

/// What the committer is handed.
pub enum Handed {
    /// A window, to be recorded and published.
    Window(Window),
    /// Keys, to be recorded before their uploads begin; the answer is that they are.
    Intent(Box<Row>, Sender<()>),
}

/// The door to the committer, while there is one.
#[derive(Default)]
pub struct Intents(Mutex<Option<SyncSender<Handed>>>);

/// Closes the door when it is dropped: the committer ends when nobody can hand it anything any more.
pub struct Door<'i>(&'i Intents);

impl Intents {
    /// Hand intents to this committer.
    pub fn open(&self, door: SyncSender<Handed>) -> Door<'_> {
        *self.door() = Some(door);
        Door(self)
    }

    /// Wait until the ledger knows that uploads of these outputs may begin; `cancelled` where it takes no more.
    pub fn declare(&self, index: u32, hash: Option<ContentHash>, parts: impl Iterator<Item = Part>) -> Result<()> {
        let _waiting = effort::during(Activity::Ledger);
        let unknown = Staged { temporary: None, publish: Publish::Create, identity: Identity::default() };
        let parts = parts.map(|part| StagedPart { part, staged: unknown });
        let row = Row { outcome: Outcome::Redo, hash, parts: Some(parts.collect()), ..Row::done(index) };
        let (answer, answered) = channel();
        let door = self.door().clone().ok_or(Error::Cancelled)?;
        door.send(Handed::Intent(Box::new(row), answer)).or(Err(Error::Cancelled))?;
        answered.recv().or(Err(Error::Cancelled))
    }

    fn door(&self) -> MutexGuard<'_, Option<SyncSender<Handed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Door<'_> {
    fn drop(&mut self) {
        *self.0.door() = None;
    }
}

/// The intents of a task: rows that name outputs, and count for nothing.
pub fn declared(windows: &[Recorded]) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    for window in windows {
        found.extend(decode_rows(&window.blob)?.into_iter().filter(is_intent));
    }
    Ok(found)
}

/// Whether a row of a recorded window is an intent.
pub fn is_intent(row: &Row) -> bool {
    row.outcome == Outcome::Redo
}
