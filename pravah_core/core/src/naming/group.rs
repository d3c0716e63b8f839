//! Puts the entries of a job that reduces together, once everything is listed (protocol, rule 12).
//!
//! Entries are sorted on disk by what they have in common and by the paths of their sources, cut into outputs, and
//! these are laid into tasks: one output never spans two. So order, members and `{index}` are the same on every run.
//! Of an output that a directory belongs to which could not be read nobody knows all members: it is not made.
//!
//! It reads manifests and writes nothing: whoever is killed in the middle begins anew, with the same result. In a
//! later round outputs that were cut before stay as they are; only what was not cut is.

use std::{collections::BTreeSet, path::Path};

use super::{
    Named, Naming, Template,
    check::{head, key_of},
    collisions::Collisions,
    laying::Tasks,
    record::{decode_entry, encode_entry},
    template::Part,
};
use crate::{
    Error, Result,
    entry::{Entry, Kind, Problem, join},
    manifest::Manifest,
    pipeline::Pipeline,
    plan::Plan,
    processors::GroupRule,
    sorted::Sorter,
};

pub use super::laying::Groups;

/// Most files that one output is made of: what becomes of them is recorded at once, some 100 MB in memory.
const MOST_INPUTS: usize = 1 << 18;

/// Unreadable directories that are told apart; beyond them no output counts as known.
const MOST_UNREAD: usize = 10_000;

/// Verdicts on files that are reached anew here.
const OURS: [&str; 3] = ["output_collision", "group_incomplete", "group_too_large"];

/// Gathers the entries of a job, then cuts them into outputs.
pub struct Grouping {
    plan: Plan,
    pipeline: Pipeline,
    rule: GroupRule,
    /// Names tell the outputs of a group apart.
    is_numbered: bool,
    unread: Unread,
    members: Sorter,
    /// Entries that are in no output, by path.
    loose: Sorter,
    /// The names of outputs, each with its number and one of its members.
    names: Sorter,
    /// Entries by the numbers of their outputs.
    placed: Sorter,
    outputs: u64,
}

/// Directories that could not be read.
#[derive(Default)]
struct Unread {
    directories: BTreeSet<Vec<u8>>,
    /// There are more than are kept.
    are_many: bool,
}

/// The output at hand.
#[derive(Default)]
struct Filling {
    group: Option<Vec<u8>>,
    ordinal: u64,
    entries: Vec<Entry>,
    size_bytes: u64,
    /// It has too many files, and can't be cut.
    is_too_large: bool,
}

impl Grouping {
    /// Begin; `scratch` is a directory for what does not fit into memory.
    pub fn new(plan: Plan, scratch: &Path) -> Result<Self> {
        let none = || Error::InvalidPlan("no step puts files together".into());
        let rule = GroupRule::of(&plan.steps)?.ok_or_else(none)?;
        let [members, loose, names, placed] = std::array::from_fn(|_| Sorter::new(scratch));
        Ok(Self {
            pipeline: plan.pipeline()?,
            is_numbered: plan.template().is_some_and(Template::needs_index),
            unread: Unread::default(),
            outputs: 0,
            plan,
            rule,
            members,
            loose,
            names,
            placed,
        })
    }

    /// Let the outputs of a task that was worked on keep their names.
    pub fn keep(&mut self, manifest: &[u8]) -> Result<()> {
        self.keep_names(&Manifest::decode(manifest)?)
    }

    fn keep_names(&mut self, manifest: &Manifest) -> Result<()> {
        let mut last = Vec::new();
        for at in (0..manifest.len()).filter(|at| manifest.named(*at).naming.ordinal.is_some()) {
            let Ok((directory, name)) = self.plan.output_name(&self.pipeline, &manifest.named(at)) else { continue };
            let key = key_of(&join(&directory, &name));
            if key != last {
                let path = join(manifest.directory(at), manifest.name(at));
                self.names.push(key.clone(), [&KEPT.to_be_bytes(), path.as_slice()].concat())?;
                last = key;
            }
        }
        Ok(())
    }

    /// Add the entries of a task that was not worked on; false: they were cut in an earlier round, and it stays as it is.
    pub fn add(&mut self, manifest: &[u8]) -> Result<bool> {
        let manifest = Manifest::decode(manifest)?;
        if (0..manifest.len()).any(|at| manifest.named(at).naming.ordinal.is_some()) {
            self.keep_names(&manifest)?;
            return Ok(false);
        }
        for entry in manifest.iter() {
            let mut entry = entry?;
            entry.problem = entry.problem.filter(|problem| !OURS.contains(&problem.kind.as_str()));
            if entry.kind != Kind::File {
                if entry.kind == Kind::Directory && entry.problem.is_some() {
                    self.unread.add(&entry);
                }
                self.set_apart(&entry, None)?;
                continue;
            }
            match self.group_of(&entry) {
                Ok(group) => {
                    let path = self.path_of(&entry);
                    self.members.push([&group, b"\0".as_slice(), &path].concat(), encode_entry(&entry))?;
                }
                Err(error @ (Error::InvalidOutputName(_) | Error::CaptureMismatch { .. })) => {
                    self.set_apart(&entry, Some(error))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Cut; `scratch` as before.
    pub fn finish(mut self, scratch: &Path) -> Result<Groups> {
        let members = std::mem::replace(&mut self.members, Sorter::new(scratch));
        let mut filling = Filling::default();
        for record in members.finish()? {
            let (key, value) = record?;
            let group = key.split(|byte| *byte == 0).next().unwrap_or_default();
            self.take(&mut filling, group, decode_entry(&value)?)?;
        }
        self.end_output(&mut filling)?;
        let mut collisions = Collisions::of(self.names.finish()?, scratch)?;
        let mut tasks = Tasks::new(scratch)?;
        for record in self.placed.finish()? {
            let (key, value) = record?;
            let number = u64::from_be_bytes(head(&mut key.as_slice())?);
            let mut entry = decode_entry(&value)?;
            let Some(other) = collisions.of_output(number)? else {
                tasks.push(Some(number), entry)?;
                continue;
            };
            let error = Error::OutputCollision(format!("its output collides with {other}"));
            (entry.problem, entry.naming) = (Some(problem(&error)), Naming::default());
            let path = self.plan.source_path(entry.root, &entry.directory, &entry.name);
            self.loose.push(path, encode_entry(&entry))?;
        }
        for record in self.loose.finish()? {
            tasks.push(None, decode_entry(&record?.1)?)?;
        }
        tasks.finish(self.outputs)
    }

    /// What an entry has in common with those that it is put together with.
    fn group_of(&self, entry: &Entry) -> Result<Vec<u8>> {
        let Some(template) = &self.rule.group_by else { return Ok(Vec::new()) };
        let reduced = self.pipeline.name_to_reduce(&entry.name);
        self.plan.values(&named(entry), &reduced)?.render(&template.components)
    }

    fn take(&mut self, filling: &mut Filling, group: &[u8], entry: Entry) -> Result<()> {
        let is_same = filling.group.as_deref() == Some(group);
        let size_bytes = filling.size_bytes.saturating_add(entry.size_bytes);
        let goes_beyond = !filling.entries.is_empty()
            && (self.rule.target_size_bytes.is_some_and(|target| size_bytes > target)
                || self.is_numbered && filling.entries.len() >= MOST_INPUTS);
        if !is_same || goes_beyond {
            let ordinal = if is_same { filling.ordinal + 1 } else { 0 };
            self.end_output(filling)?;
            *filling = Filling { group: Some(group.to_vec()), ordinal, ..Filling::default() };
        }
        filling.size_bytes = filling.size_bytes.saturating_add(entry.size_bytes);
        filling.entries.push(entry);
        if filling.is_too_large || filling.entries.len() > MOST_INPUTS {
            filling.is_too_large = true;
            self.end_output(filling)?;
        }
        Ok(())
    }

    /// Give the output at hand its number and its name, or set its entries apart.
    fn end_output(&mut self, filling: &mut Filling) -> Result<()> {
        let mut entries = std::mem::take(&mut filling.entries);
        let Some(first) = entries.first_mut() else { return Ok(()) };
        first.naming.ordinal = Some(filling.ordinal);
        let named = self.plan.output_name(&self.pipeline, &named(first));
        let (directory, name) = match (self.refusal(filling, &entries), named) {
            (Some(error), _) | (None, Err(error @ Error::InvalidOutputName(_))) => {
                return entries.into_iter().try_for_each(|mut entry| {
                    entry.naming = Naming::default();
                    self.set_apart_for(entry, &error)
                });
            }
            (None, named) => named?,
        };
        let shown = join(&entries[0].directory, &entries[0].name);
        let value = [self.outputs.to_be_bytes().as_slice(), shown.as_slice()].concat();
        self.names.push(key_of(&join(&directory, &name)), value)?;
        for (position, mut entry) in (0_u32..).zip(entries) {
            entry.naming.ordinal = Some(filling.ordinal);
            let key = [self.outputs.to_be_bytes().as_slice(), &position.to_be_bytes()].concat();
            self.placed.push(key, encode_entry(&entry))?;
        }
        self.outputs += 1;
        Ok(())
    }

    /// Why an output can't be made, whatever its files are.
    fn refusal(&self, filling: &Filling, entries: &[Entry]) -> Option<Error> {
        if filling.is_too_large {
            return Some(Error::GroupTooLarge(format!(
                "more than {MOST_INPUTS} files belong together, and one output takes so many: `{{index}}` in sink.path \
                 tells several apart"
            )));
        }
        let unread = self.unread.hides(self.rule.group_by.as_ref(), entries)?;
        Some(Error::GroupIncomplete(format!("its output was not made: the directory `{unread}` could not be read")))
    }

    fn set_apart_for(&mut self, entry: Entry, error: &Error) -> Result<()> {
        let entry = Entry { problem: entry.problem.or_else(|| Some(problem(error))), ..entry };
        let path = self.path_of(&entry);
        self.loose.push(path, encode_entry(&entry))
    }

    fn set_apart(&mut self, entry: &Entry, error: Option<Error>) -> Result<()> {
        match error {
            Some(error) => self.set_apart_for(entry.clone(), &error),
            None => self.loose.push(self.path_of(entry), encode_entry(entry)),
        }
    }

    fn path_of(&self, entry: &Entry) -> Vec<u8> {
        self.plan.source_path(entry.root, &entry.directory, &entry.name)
    }
}

/// Refuse names that tell more than what the files of an output have in common, and outputs without a name each.
pub fn check(plan: &Plan) -> Result<()> {
    let Some(rule) = GroupRule::of(&plan.steps)? else { return Ok(()) };
    let refuse = |message: String| Err(Error::InvalidTemplate(message));
    let Some(path) = plan.template() else {
        return if plan.only_output().is_some() && rule.group_by.is_none() && rule.target_size_bytes.is_none() {
            Ok(())
        } else if plan.only_output().is_some() {
            refuse("the sink is one file, and merge makes several: a directory as sink and sink.path name them".into())
        } else {
            refuse("merge makes new files, and sink.path does not name them".into())
        };
    };
    let common: Vec<&Part> = rule.group_by.iter().flat_map(Template::parts).collect();
    let differs =
        |part: &&Part| !matches!(part, Part::Literal(_) | Part::Index(_) | Part::Number(_)) && !common.contains(part);
    if let Some(part) = path.parts().find(differs) {
        let field = part.field();
        return refuse(format!(
            "sink.path has `{field}`, in which the files of one output differ: merge.group_by does not have it"
        ));
    }
    if rule.target_size_bytes.is_some() && !path.needs_index() {
        return refuse("merge.target_size makes several outputs of a group, and sink.path has no `{index}`".into());
    }
    Ok(())
}

impl Unread {
    fn add(&mut self, entry: &Entry) {
        if self.directories.len() < MOST_UNREAD {
            self.directories.insert(entry.relative_path());
        } else {
            self.are_many = true;
        }
    }

    /// The directory that may hide a member of an output, if there is one: of groups that are directories one that
    /// they lie in, of others any.
    fn hides(&self, group_by: Option<&Template>, entries: &[Entry]) -> Option<String> {
        let is_directory =
            group_by.is_some_and(|template| matches!(&template.components[..], [only] if only[..] == [Part::Dir]));
        let found = if is_directory && !self.are_many {
            let directory = &entries.first()?.directory;
            let above = |length: usize| self.directories.get(&directory[..length]);
            let slashes = directory.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            [0].into_iter().chain(slashes).chain([directory.len()]).find_map(above)
        } else {
            self.directories.first()
        };
        found.map(|path| String::from_utf8_lossy(path).into_owned())
    }
}

/// The number of all outputs of earlier rounds: behind that of every other.
const KEPT: u64 = u64::MAX;

fn named(entry: &Entry) -> Named<'_> {
    Named {
        root: entry.root,
        directory: &entry.directory,
        name: &entry.name,
        modified_ns: entry.modified_ns,
        naming: entry.naming,
        hash: None,
        part: &super::part::FIRST_PART,
    }
}

fn problem(error: &Error) -> Problem {
    Problem { kind: error.kind().to_owned(), message: error.to_string() }
}
