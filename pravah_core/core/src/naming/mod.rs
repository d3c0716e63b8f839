//! How outputs are named, and which of their names can be equal.
//!
//! - `template`: `sink.path`, such as `{dir}/{stem}.parquet`; `braces`: how fields are written
//! - `capture`: names for parts of a source's path
//! - `extensions`: where a name ends and its extensions begin; [`part`]: the outputs of one entry, where it has several
//! - `class`: what has to be compared with what, so that no two outputs get one name
//! - [`check`]: the comparison of all names of a job
//! - [`group`]: which entries make which output, where outputs are made of several; `collisions`, `laying`: whether
//!   their names are theirs alone, and which task each lies in; `record`: entries on their way
//! - [`verdicts`]: what came of it, per task
//!
//! A name depends on the entry, on what the check has said about it, and for `{hash}` on the content: so everybody
//! who needs it (staging, take-over, the account, an undo) derives it again, and agrees.

mod braces;
mod capture;
pub mod check;
mod class;
mod collisions;
pub mod extensions;
pub mod group;
mod laying;
pub mod part;
mod record;
mod template;
pub mod verdicts;

pub use capture::Capture;
pub use class::{Class, class};
pub use part::{MOST_PARTS, PART_DIGITS, Part};
pub use template::{FIELDS, Template};

use part::FIRST_PART;
use template::Values;

use crate::{Error, Result, entry::join, pipeline::Pipeline, plan::Plan, stores::PREFIX};

/// BLAKE3 of a source's content.
pub type ContentHash = [u8; 32];

/// What was decided about the name of an entry's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Naming {
    /// It keeps its source's extension, as its plain name is another's, too.
    pub keeps_extension: bool,
    /// Its place among all entries of the job, where names tell it.
    pub ordinal: Option<u64>,
}

/// An entry whose output is to be named.
#[derive(Debug, Clone, Copy)]
pub struct Named<'n> {
    /// Index into the plan's roots.
    pub root: u16,
    /// Path of its directory relative to the root.
    pub directory: &'n [u8],
    /// Its name.
    pub name: &'n [u8],
    /// Its modification time when it was listed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// What was decided about it.
    pub naming: Naming,
    /// The hash of its content; none: not read yet.
    pub hash: Option<ContentHash>,
    /// Which of its outputs is meant, where it has several.
    pub part: &'n Part,
}

impl<'n> Named<'n> {
    /// An entry of which nothing else matters, as where names are those of the sources.
    pub fn plain(root: u16, directory: &'n [u8], name: &'n [u8]) -> Self {
        Self { root, directory, name, modified_ns: 0, naming: Naming::default(), hash: None, part: &FIRST_PART }
    }

    /// The same with its content's hash.
    #[must_use]
    pub fn read(self, hash: Option<ContentHash>) -> Self {
        Self { hash, ..self }
    }

    /// The same for one of several outputs.
    #[must_use]
    pub fn part(self, part: &'n Part) -> Self {
        Self { part, ..self }
    }
}

impl Plan {
    /// Name the output of an entry, relative to the sink's directory, as (directory, name).
    ///
    /// Fails where the template does not fit the entry: never with a name outside of the sink.
    pub fn output_name(&self, pipeline: &Pipeline, named: &Named<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
        if let Some(only) = self.only_output() {
            return Ok((Vec::new(), only));
        }
        let output = plain_name(pipeline, named);
        let (directory, name) = match self.template() {
            Some(template) => below(&self.values(named, &output)?.render(&template.components)?)?,
            None if self.expands() => {
                let output = part::numbered(named.name, &output, named.part.number);
                (join(&self.prefix(named.root), named.directory), output)
            }
            None => (join(&self.prefix(named.root), named.directory), output),
        };
        Ok((join(&directory, &named.part.directory), name))
    }

    /// The directory in which an output waits for its name: the one that it is published in, or as far down towards
    /// it as is known before the source is read.
    pub fn staging_directory(&self, pipeline: &Pipeline, named: &Named<'_>) -> Result<Vec<u8>> {
        match self.template().filter(|template| template.needs_hash() || template.needs_part()) {
            None => Ok(self.output_name(pipeline, &named.part(&FIRST_PART))?.0),
            Some(template) => {
                let output = plain_name(pipeline, named);
                let path = self.values(named, &output)?.render(template.known_ahead())?;
                let (directory, last) = below(&[&path, b"/x".as_slice()].concat())?;
                debug_assert_eq!(last, b"x");
                Ok(directory)
            }
        }
    }

    /// Name one of several outputs of an entry by the directory in which it waits, and its path below that: so what is
    /// remembered of all of them is found before anybody knows how many there are.
    pub fn remembered_name(&self, pipeline: &Pipeline, named: &Named<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
        let (directory, name) = self.output_name(pipeline, named)?;
        let (path, waits_in) = (join(&directory, &name), self.staging_directory(pipeline, named)?);
        let below = path.strip_prefix(waits_in.as_slice()).unwrap_or(&path);
        let below = below.strip_prefix(b"/").unwrap_or(below).to_vec();
        Ok((waits_in, below))
    }

    /// How many outputs names can tell apart, of those that a step makes of one entry.
    pub fn most_parts(&self) -> u32 {
        let digits = self.template().and_then(Template::part_digits).unwrap_or(PART_DIGITS);
        10_u32.checked_pow(u32::try_from(digits).unwrap_or(u32::MAX)).map_or(MOST_PARTS, |most| most.min(MOST_PARTS))
    }

    /// Whether names are known only when the sources have been read.
    pub fn names_at_run_time(&self) -> bool {
        self.template().is_some_and(Template::needs_hash)
    }

    /// The template of names; none: sources' paths, with the extensions as the steps make them.
    pub fn template(&self) -> Option<&Template> {
        self.sink.as_ref().filter(|sink| sink.only.is_none()).and_then(|sink| sink.path.as_ref())
    }

    fn values<'v>(&'v self, named: &'v Named<'_>, output: &'v [u8]) -> Result<Values<'v>> {
        let captured = match &self.capture {
            Some(capture) => {
                let path = join(named.directory, named.name);
                let found = capture.find(&path)?;
                found.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
            }
            None => Vec::new(),
        };
        Ok(Values {
            dir: named.directory,
            name: output,
            stem: if named.naming.keeps_extension { named.name } else { extensions::split(named.name).0 },
            ext: if named.naming.keeps_extension {
                extensions::kept_extensions(named.name, output)
            } else {
                extensions::extensions(named.name, output)
            },
            root: self.root_name(named.root),
            modified_ns: named.modified_ns,
            ordinal: named.naming.ordinal,
            hash: named.hash.as_ref(),
            part: named.part.number,
            captured,
        })
    }
}

/// The name that the steps give an output.
fn plain_name(pipeline: &Pipeline, named: &Named<'_>) -> Vec<u8> {
    let output = pipeline.output_name(named.name);
    if named.naming.keeps_extension { extensions::kept(named.name, &output) } else { output }
}

/// Split a path below the sink into directory and name. Empty components are left out: those of an entry without a
/// directory, or without an extension.
fn below(path: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let invalid = |why: &str| {
        let path = String::from_utf8_lossy(path);
        Err(Error::InvalidOutputName(format!("its output would be called `{path}`: {why}")))
    };
    let mut components: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let name = components.pop().unwrap_or_default();
    components.retain(|component| !component.is_empty());
    if name.is_empty() {
        return invalid("the name is empty");
    }
    for component in components.iter().copied().chain([name]) {
        if matches!(component, b"." | b"..") {
            return invalid("`.` and `..` are no names");
        }
        if component.contains(&0) {
            return invalid("a name has no NUL");
        }
        if component.starts_with(PREFIX.as_bytes()) {
            return invalid("`.pravah-` begins the names of temporaries");
        }
    }
    Ok((components.join(&b'/'), name.to_vec()))
}
