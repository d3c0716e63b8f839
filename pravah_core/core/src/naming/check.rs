//! Compares the names of all outputs of a job, once everything is listed (protocol, rule 16).
//!
//! Names are sorted on disk, whole and not as hashes: equal ones lie side by side and are compared exactly, and so
//! does a name with those below the directory of that name. Memory does not grow with the number of entries.
//!
//! It reads manifests and writes nothing: whoever is killed in the middle begins anew, with the same result. In a
//! later round entries that have an outcome keep their names; the others are compared with them and each other.

use std::{
    collections::HashSet,
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    Class, Named, Naming, class,
    part::FIRST_PART,
    verdicts::{Verdict, encode_verdicts},
};
use crate::{
    Error, Result,
    entry::{Kind, Problem, join},
    manifest::Manifest,
    outcome::{Outcome, Recorded},
    pipeline::Pipeline,
    plan::{OnCollision, Plan},
    sorted::{Record, Sorted, Sorter, scratch_file},
};

/// Whether entries wait until all names of their job have been compared, or those put together that make one output.
pub fn is_needed(plan: &Plan) -> bool {
    matches!(class(plan), Class::Job | Class::Group) || plan.template().is_some_and(super::Template::needs_index)
}

/// Gathers the entries of a job, then decides about their names.
pub struct NameCheck {
    plan: Plan,
    pipeline: Pipeline,
    scratch: PathBuf,
    /// Entries by the paths of their sources, where names tell their places among them.
    by_source: Option<Sorter>,
    by_name: Sorter,
    decided: Sorter,
    next_ordinal: u64,
}

impl NameCheck {
    /// Begin; `scratch` is a directory for what does not fit into memory.
    pub fn new(plan: Plan, scratch: &Path) -> Result<Self> {
        let pipeline = plan.pipeline()?;
        let needs_index = plan.template().is_some_and(super::Template::needs_index);
        Ok(Self {
            pipeline,
            by_source: needs_index.then(|| Sorter::new(scratch)),
            by_name: Sorter::new(scratch),
            decided: Sorter::new(scratch),
            next_ordinal: 0,
            scratch: scratch.to_owned(),
            plan,
        })
    }

    /// Add the entries of a task.
    pub fn add(&mut self, task: i64, manifest: &[u8], windows: &[Recorded]) -> Result<()> {
        let manifest = Manifest::decode(manifest)?;
        let (mut settled, mut moved) = (HashSet::new(), HashSet::new());
        for window in windows.iter().filter(|window| window.acknowledged) {
            for row in window.rows()? {
                let into = if row.outcome == Outcome::Moved { &mut moved } else { &mut settled };
                into.insert(row.index);
            }
        }
        for at in 0..manifest.len() {
            let index = u32::try_from(at).unwrap_or(u32::MAX);
            if moved.contains(&index) {
                continue;
            }
            let entry = manifest.entry(at)?;
            let item = Item {
                task,
                index,
                root: entry.root,
                modified_ns: entry.modified_ns,
                naming: entry.naming,
                is_fixed: settled.contains(&index),
                directory: entry.directory,
                name: entry.name,
            };
            self.next_ordinal = self.next_ordinal.max(entry.naming.ordinal.map_or(0, |ordinal| ordinal + 1));
            if entry.problem.is_some() || entry.naming != Naming::default() {
                let is_listed = entry.problem.is_some();
                self.decide(&item, entry.naming, entry.problem)?;
                if is_listed {
                    continue;
                }
            }
            if entry.kind == Kind::File {
                self.take(&item)?;
            }
        }
        Ok(())
    }

    /// Decide; gives what was decided, by task.
    pub fn finish(mut self) -> Result<Decisions> {
        if let Some(by_source) = self.by_source.take() {
            self.number(by_source.finish()?)?;
        }
        let plain = std::mem::replace(&mut self.by_name, Sorter::new(&self.scratch));
        let keeps = self.plan.sink.as_ref().is_some_and(|sink| sink.on_collision == OnCollision::KeepExt);
        judge(plain.finish()?, |mut item, key, collision| match collision {
            Some(other) if !item.is_fixed && (!keeps || item.naming.keeps_extension) => {
                let naming = item.naming;
                self.decide(&item, naming, Some(problem(&other)))
            }
            Some(_) if !item.is_fixed => {
                item.naming.keeps_extension = true;
                self.compare(&item)
            }
            _ if keeps => {
                item.is_fixed = true;
                self.by_name.push(key, item.encode())
            }
            _ => Ok(()),
        })?;
        let kept = std::mem::replace(&mut self.by_name, Sorter::new(&self.scratch));
        judge(kept.finish()?, |item, _, collision| {
            let naming = item.naming;
            if item.is_fixed { Ok(()) } else { self.decide(&item, naming, collision.as_deref().map(problem)) }
        })?;
        Decisions::write(self.decided.finish()?, &self.scratch)
    }

    /// Take an entry whose output has a name.
    fn take(&mut self, item: &Item) -> Result<()> {
        match &mut self.by_source {
            Some(by_source) => {
                by_source.push(self.plan.source_path(item.root, &item.directory, &item.name), item.encode())
            }
            None => self.compare(item),
        }
    }

    /// Number the entries in bytewise order of their sources' paths. Those that have numbers keep them.
    fn number(&mut self, by_source: Sorted) -> Result<()> {
        for record in by_source {
            let mut item = Item::decode(&record?.1)?;
            if item.naming.ordinal.is_none() {
                item.naming.ordinal = Some(self.next_ordinal);
                self.next_ordinal += 1;
                self.decide(&item, item.naming, None)?;
            }
            self.compare(&item)?;
        }
        Ok(())
    }

    /// Have the name of an entry's output compared with the others. One that can't be named fails when it is its turn.
    fn compare(&mut self, item: &Item) -> Result<()> {
        if class(&self.plan) != Class::Job {
            return Ok(());
        }
        match self.plan.output_name(&self.pipeline, &item.named()) {
            Ok((directory, name)) => self.by_name.push(key_of(&join(&directory, &name)), item.encode()),
            Err(Error::InvalidOutputName(_) | Error::CaptureMismatch { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn decide(&mut self, item: &Item, naming: Naming, problem: Option<Problem>) -> Result<()> {
        let mut key = item.task.to_be_bytes().to_vec();
        key.extend(item.index.to_be_bytes());
        let (kind, message) = problem.map_or_else(Default::default, |problem| (problem.kind, problem.message));
        let mut value = vec![u8::from(naming.keeps_extension), u8::from(naming.ordinal.is_some())];
        value.extend(naming.ordinal.unwrap_or_default().to_be_bytes());
        value.extend((kind.len() as u64).to_be_bytes());
        value.extend(kind.into_bytes());
        value.extend(message.into_bytes());
        self.decided.push(key, value)
    }
}

/// An entry on its way through the comparison. Settled ones come first among equals.
#[derive(Debug)]
struct Item {
    /// Its name stays, whatever it collides with.
    is_fixed: bool,
    task: i64,
    index: u32,
    root: u16,
    modified_ns: i64,
    naming: Naming,
    directory: Vec<u8>,
    name: Vec<u8>,
}

impl Item {
    fn named(&self) -> Named<'_> {
        Named {
            root: self.root,
            directory: &self.directory,
            name: &self.name,
            modified_ns: self.modified_ns,
            naming: self.naming,
            hash: None,
            part: &FIRST_PART,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(!self.is_fixed)];
        bytes.extend(self.task.to_be_bytes());
        bytes.extend(self.index.to_be_bytes());
        bytes.extend(self.root.to_be_bytes());
        bytes.extend(self.modified_ns.to_be_bytes());
        bytes.extend([u8::from(self.naming.keeps_extension), u8::from(self.naming.ordinal.is_some())]);
        bytes.extend(self.naming.ordinal.unwrap_or_default().to_be_bytes());
        bytes.extend((self.directory.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&self.directory);
        bytes.extend_from_slice(&self.name);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut left = bytes;
        let is_fixed = u8::from_be_bytes(head(&mut left)?) == 0;
        let (task, index) = (i64::from_be_bytes(head(&mut left)?), u32::from_be_bytes(head(&mut left)?));
        let (root, modified_ns) = (u16::from_be_bytes(head(&mut left)?), i64::from_be_bytes(head(&mut left)?));
        let naming = decode_naming(&mut left)?;
        let length = usize::try_from(u64::from_be_bytes(head(&mut left)?)).unwrap_or(usize::MAX);
        let (directory, name) = left.split_at_checked(length).ok_or_else(short)?;
        let (directory, name) = (directory.to_vec(), name.to_vec());
        Ok(Self { is_fixed, task, index, root, modified_ns, naming, directory, name })
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&join(&self.directory, &self.name)).into_owned()
    }
}

fn decode_naming(left: &mut &[u8]) -> Result<Naming> {
    let [keeps_extension, has_ordinal] = head(left)?;
    let ordinal = u64::from_be_bytes(head(left)?);
    Ok(Naming { keeps_extension: keeps_extension == 1, ordinal: (has_ordinal == 1).then_some(ordinal) })
}

pub(super) fn head<const N: usize>(left: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = left.split_first_chunk().ok_or_else(short)?;
    *left = rest;
    Ok(*head)
}

fn short() -> Error {
    Error::DamagedBlob { what: "scratch file", message: "a record ends too early".into() }
}

/// The key under which a path is sorted: what lies below it follows right behind it, as no name has a NUL.
pub(super) fn key_of(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect()
}

/// Tell of each item, in the order of the names, what its name collides with, if anything.
fn judge(sorted: Sorted, mut tell: impl FnMut(Item, Vec<u8>, Option<String>) -> Result<()>) -> Result<()> {
    /// Items of one name, the first of which waits until the next record tells whether it is alone.
    struct Group {
        key: Vec<u8>,
        first: Option<Item>,
        shown: String,
    }
    let mut group: Option<Group> = None;
    for record in sorted {
        let (key, value): Record = record?;
        let item = Item::decode(&value)?;
        match &mut group {
            Some(group) if group.key == key => {
                let output = String::from_utf8_lossy(&key).replace('\0', "/");
                let with = |other: &str| Some(format!("that of `{other}`: each would be called `{output}`"));
                if let Some(first) = group.first.take() {
                    tell(first, key.clone(), with(&item.shown()))?;
                }
                tell(item, key, with(&group.shown))?;
            }
            _ => {
                if let Some(Group { key: name, first: Some(first), .. }) = group.take() {
                    let is_directory = key.strip_prefix(name.as_slice()).is_some_and(|rest| rest.starts_with(b"\0"));
                    let output = String::from_utf8_lossy(&name).replace('\0', "/");
                    let directory = || format!("that of `{}`, whose directory would be `{output}`", item.shown());
                    tell(first, name, is_directory.then(directory))?;
                }
                group = Some(Group { key, shown: item.shown(), first: Some(item) });
            }
        }
    }
    match group {
        Some(Group { key, first: Some(first), .. }) => tell(first, key, None),
        _ => Ok(()),
    }
}

/// The verdict on an entry whose output collides with another.
fn problem(other: impl AsRef<str>) -> Problem {
    let error = Error::OutputCollision(format!("its output collides with {}", other.as_ref()));
    Problem { kind: error.kind().to_owned(), message: error.to_string() }
}

/// What was decided, as a blob for each task about which anything was.
pub struct Decisions {
    file: File,
    /// Task, and where its blob is.
    tasks: Vec<(i64, u64, usize)>,
}

impl Decisions {
    fn write(decided: Sorted, scratch: &Path) -> Result<Self> {
        let mut decisions = Self { file: scratch_file(scratch)?, tasks: Vec::new() };
        let mut at_hand: (i64, Vec<(u32, Verdict)>) = (0, Vec::new());
        for record in decided {
            let (key, value) = record?;
            let mut left = key.as_slice();
            let (task, index) = (i64::from_be_bytes(head(&mut left)?), u32::from_be_bytes(head(&mut left)?));
            if task != at_hand.0 {
                decisions.end_task(&mut at_hand)?;
                at_hand.0 = task;
            }
            let verdict = decode_verdict(&value)?;
            match at_hand.1.last_mut().filter(|(last, _)| *last == index) {
                Some((_, last)) => last.add(verdict),
                None => at_hand.1.push((index, verdict)),
            }
        }
        decisions.end_task(&mut at_hand)?;
        Ok(decisions)
    }

    fn end_task(&mut self, (task, verdicts): &mut (i64, Vec<(u32, Verdict)>)) -> Result<()> {
        if verdicts.is_empty() {
            return Ok(());
        }
        let blob = encode_verdicts(verdicts)?;
        verdicts.clear();
        let offset = self.tasks.last().map_or(0, |(_, offset, length)| offset + *length as u64);
        (&self.file).write_all(&blob).map_err(Error::io("write a scratch file"))?;
        self.tasks.push((*task, offset, blob.len()));
        Ok(())
    }

    /// Tasks about whose entries anything was decided.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether nothing was decided: every name is the only one.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The task at a place, and what was decided about it.
    pub fn get(&self, place: usize) -> Result<(i64, Vec<u8>)> {
        let (task, offset, length) = self.tasks[place];
        let mut blob = vec![0; length];
        self.file.read_exact_at(&mut blob, offset).map_err(Error::io("read a scratch file"))?;
        Ok((task, blob))
    }
}

fn decode_verdict(value: &[u8]) -> Result<Verdict> {
    let mut left = value;
    let naming = decode_naming(&mut left)?;
    let length = usize::try_from(u64::from_be_bytes(head(&mut left)?)).unwrap_or(usize::MAX);
    let (kind, message) = left.split_at_checked(length).ok_or_else(short)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let problem = (!kind.is_empty()).then(|| Problem { kind: text(kind), message: text(message) });
    Ok(Verdict { naming, problem })
}

impl Verdict {
    /// Add what another part of the comparison decided about the same entry.
    fn add(&mut self, other: Self) {
        self.naming.keeps_extension |= other.naming.keeps_extension;
        self.naming.ordinal = self.naming.ordinal.or(other.naming.ordinal);
        self.problem = self.problem.take().or(other.problem);
    }
}
