//! What happens to a file that has an output's name: decided before anything is read, and again where it changed.

use rustix::io::Errno;

use super::stage::{Bench, Item};
use crate::{
    Error, Result,
    fingerprint::Memory,
    outcome::{Identity, Publish, Row, SourceFingerprint, Staged},
    plan::{After, Overwrite},
    stores::{Output, SinkDirectory, Standing},
};

/// The reason to leave an entry alone whose output is there already, under a name that its content tells.
pub const SAME_CONTENT: &str = "same_content";

/// What is to become of an entry.
pub enum Decision {
    /// It is worked on.
    Publish(Publishing),
    /// It is left alone, with this row.
    Skip(Box<Row>),
}

/// How an output gets its name.
#[derive(Debug, Clone, Copy)]
pub struct Publishing {
    /// Alone, or in place of what has it.
    pub how: Publish,
    /// What may be replaced, and nothing that came after it; none: whatever stands there.
    pub replaces: Option<Identity>,
    /// Only if what stands there is equal to the output; else it is decided again, by `overwrite`.
    pub if_equal: bool,
}

impl Bench<'_> {
    /// Decide what happens to what has the output's name, before anything is read.
    pub fn decide(&self, item: &Item, name: &[u8], output_name: &[u8]) -> Result<Decision> {
        let Some(sink) = &item.place.sink else { return Ok(publish(Publish::Create, None)) };
        if self.plan.expands() {
            return self.decide_ahead(item, name);
        }
        if let Some(limit_bytes) = sink.longest_name().filter(|limit| output_name.len() > *limit) {
            return Err(Error::NameTooLong { length_bytes: output_name.len(), limit_bytes });
        }
        if self.plan.names_at_run_time() {
            return Ok(publish(Publish::Create, None)); // it has no name yet
        }
        if item.place.same_directory && output_name == name {
            return self.decide_in_place(item, &**sink, name);
        }
        let found = match sink.look(output_name)? {
            Standing::Free => return Ok(publish(Publish::Create, None)),
            Standing::Directory => return Err(directory_there()),
            Standing::File(found) => found,
        };
        match self.decide_by_overwrite(item, &**sink, name, output_name, found) {
            decision if self.plan.adopt && refuses(&decision) => {
                Ok(Decision::Publish(Publishing { how: Publish::Replace, replaces: Some(found), if_equal: true }))
            }
            decision => decision,
        }
    }

    /// Give the row of an entry whose output is not equal to what has its name.
    pub fn refuse_unequal(&self, item: &Item, output: &Output) -> Result<Row> {
        let name = self.manifest.name(item.index as usize);
        let found = output.replaces.unwrap_or_default();
        match self.decide_by_overwrite(item, &*output.directory, name, &output.name, found)? {
            Decision::Skip(row) => Ok(*row),
            Decision::Publish(_) => Err(not_ours()),
        }
    }

    /// Decide about a file that has the output's name.
    fn decide_by_overwrite(
        &self,
        item: &Item,
        sink: &dyn SinkDirectory,
        name: &[u8],
        output_name: &[u8],
        found: Identity,
    ) -> Result<Decision> {
        match self.overwrite() {
            Overwrite::Always => Ok(publish(Publish::Replace, None)),
            Overwrite::Never => Ok(skip(item, "exists")),
            Overwrite::Error => Err(refused()),
            Overwrite::Newer => {
                let newer = self.origin(item, name)?.modified_ns > found.modified_ns;
                Ok(if newer { publish(Publish::Replace, Some(found)) } else { skip(item, "not_newer") })
            }
            Overwrite::Changed => {
                let own = item.place.memories.get(output_name);
                let own = own.filter(|memory| sink.same(&found, &memory.output));
                let Some(memory) = own else { return Err(not_ours()) };
                if !self.made_from(memory, item)? {
                    return Err(not_ours());
                }
                let current = !memory.racy
                    && *memory.pipeline_hash == *self.plan.pipeline_hash
                    && memory.source == self.origin(item, name)?.fingerprint;
                if current {
                    return Ok(self.skip_unchanged(item, memory));
                }
                // Where inode numbers mean nothing, only its content tells that nobody else's file is replaced.
                let staged = Staged { temporary: None, publish: Publish::Create, identity: memory.output };
                if sink.adopt(output_name, &staged)? {
                    Ok(publish(Publish::Replace, Some(found)))
                } else {
                    Err(not_ours())
                }
            }
        }
    }

    /// Whether an output was made from this entry: another one can have had its name.
    fn made_from(&self, memory: &Memory, item: &Item) -> Result<bool> {
        let one_to_one = || self.plan.template().is_none() && !self.pipeline.names_can_collide();
        Ok(match memory.entry {
            Some(key) => key == self.origin_key(item.index)?,
            None => !self.outputs.are_merged() && one_to_one(),
        })
    }

    /// The output takes its source's place, unless that is such an output already.
    fn decide_in_place(&self, item: &Item, sink: &dyn SinkDirectory, name: &[u8]) -> Result<Decision> {
        if !self.plan.in_place {
            return Err(Error::SourceIsSink);
        }
        let found = match sink.look(name)? {
            Standing::File(found) => found,
            Standing::Free => return Self::done_in_place(item, name, sink.left_there(name)?),
            Standing::Directory => return Err(Error::ChangedWhileRead("it is a directory now".into())),
        };
        let memory = item.place.memories.get(name).filter(|memory| sink.same(&found, &memory.output));
        let current = memory.is_some_and(|memory| *memory.pipeline_hash == *self.plan.pipeline_hash);
        Ok(if current { skip(item, "unchanged") } else { publish(Publish::Replace, Some(found)) })
    }

    /// An attempt that has lost its lease came late with the entry's output, which must not be processed again.
    fn done_in_place(item: &Item, name: &[u8], left: Option<Identity>) -> Result<Decision> {
        let identity = left.ok_or_else(|| Error::system("open the source")(Errno::NOENT))?;
        let staged = Some(Staged { temporary: None, publish: Publish::Replace, identity });
        // What it was made from is gone; later jobs know it by its own identity.
        let source = Some(item.place.source.fingerprint(name)?);
        Ok(Decision::Skip(Box::new(Row { staged, source, ..Row::done(item.index) })))
    }

    /// The output is current. What becomes of its source afterwards needs to know which output that is.
    fn skip_unchanged(&self, item: &Item, memory: &Memory) -> Decision {
        let mut row = Row::skipped(item.index, "unchanged");
        if self.plan.in_place || self.plan.after != After::Keep {
            row.source = Some(memory.source);
            row.staged = Some(Staged { temporary: None, publish: Publish::Create, identity: memory.output });
        }
        Decision::Skip(Box::new(row))
    }

    /// Decide again, where something else came to have the name since; some: the reason to leave it alone.
    pub fn decide_again(&self, output: &Output, source: Option<SourceFingerprint>) -> Result<Option<&'static str>> {
        let found = match output.directory.look(&output.name)? {
            Standing::Directory => return Err(directory_there()),
            Standing::File(found) => Some(found),
            Standing::Free => None,
        };
        if self.plan.in_place {
            return Err(Error::ChangedWhileRead("it was replaced or removed before its output was published".into()));
        }
        match (self.overwrite(), found) {
            (_, None) | (Overwrite::Always, _) => Ok(None),
            (Overwrite::Never, _) => Ok(Some("exists")),
            (Overwrite::Newer, Some(found)) => {
                let newer = source.is_some_and(|source| source.modified_ns > found.modified_ns);
                Ok(if newer { None } else { Some("not_newer") })
            }
            (Overwrite::Error, _) => Err(refused()),
            (Overwrite::Changed, _) => Err(not_ours()),
        }
    }

    /// Give an output a name that only its source's content told: never in place of anything.
    ///
    /// What has the name already and holds the same is as good (two sources of one content, or an earlier job); some:
    /// that reason to leave it alone.
    pub fn publish_if_free(&self, output: &mut Output) -> Result<Option<&'static str>> {
        match output.publish(Publish::Create) {
            Err(error) if error.kind() == "output_exists" => {}
            answer => return answer.map(|()| None),
        }
        // Of this job it may be the entry's own, put there by a request whose answer came too late.
        let is_own = output.directory.left_there(&output.name)?.is_some();
        match self.overwrite() {
            _ if is_own && output.directory.has_equal(output)? => Ok(Some(SAME_CONTENT)),
            Overwrite::Never => Ok(Some("exists")),
            Overwrite::Error => Err(refused()),
            _ if output.directory.has_equal(output)? => Ok(Some(SAME_CONTENT)),
            _ => Err(Error::OutputExists(
                "a file with other content has the output's name, and what is named by its hash is never replaced"
                    .into(),
            )),
        }
    }

    /// What happens to a file that has an output's name.
    pub(super) fn overwrite(&self) -> Overwrite {
        self.plan.sink.as_ref().map_or(Overwrite::Error, |sink| sink.overwrite)
    }
}

pub(super) fn publish(how: Publish, replaces: Option<Identity>) -> Decision {
    Decision::Publish(Publishing { how, replaces, if_equal: false })
}

/// Whether a file that has the output's name keeps it, though it is not known to be current.
fn refuses(decision: &Result<Decision>) -> bool {
    match decision {
        Err(error) => error.kind() == "output_exists",
        Ok(Decision::Skip(row)) => row.reason.as_ref().is_some_and(|reason| reason.kind != "unchanged"),
        Ok(Decision::Publish(_)) => false,
    }
}

pub(super) fn skip(item: &Item, reason: &str) -> Decision {
    Decision::Skip(Box::new(Row::skipped(item.index, reason)))
}

pub(super) fn directory_there() -> Error {
    Error::OutputExists("a directory has the output's name".into())
}

pub(super) fn refused() -> Error {
    Error::OutputExists("a file has the output's name, and `overwrite` is `error`".into())
}

/// The failure of an output whose name another's file has.
pub(super) fn not_ours() -> Error {
    let whose = "a file that was not made from this source has the output's name (somebody's own, or another job's)";
    Error::OutputExists(whose.into())
}
