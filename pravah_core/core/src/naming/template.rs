//! `sink.path`: a template of output names, such as `{dir}/{stem}.parquet`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::{
    PART_DIGITS,
    braces::{Piece, pieces},
};
use crate::{Error, Result, entry::join};

/// Hexadecimal digits of a whole hash.
const HASH_DIGITS: usize = 64;

/// Digits of the largest index.
const INDEX_DIGITS: usize = 20;

/// How a time is written where a template does not say it.
const DAY: &str = "%Y-%m-%d";

/// The fields that every template knows; names that `source.capture` gives come beside them.
pub const FIELDS: [&str; 10] = ["path", "dir", "name", "stem", "ext", "root", "hash", "index", "part", "mtime"];

/// A template, checked as far as it can be without an entry.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    /// The parts of each component of the path, as far as the template itself separates them.
    pub(super) components: Vec<Vec<Part>>,
}

/// A part of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Vec<u8>),
    Path,
    Dir,
    Name,
    Stem,
    Ext,
    Root,
    /// So many hexadecimal digits of the content's hash.
    Hash(usize),
    /// The place among all entries of the job, with so many digits at least.
    Index(usize),
    /// The number among the outputs of one entry, with so many digits.
    Number(usize),
    /// The time of the last modification, in this form.
    Modified(String),
    Captured(String),
}

/// What the fields stand for, for one entry.
pub(super) struct Values<'v> {
    pub dir: &'v [u8],
    pub name: &'v [u8],
    pub stem: &'v [u8],
    pub ext: &'v [u8],
    pub root: Vec<u8>,
    pub modified_ns: i64,
    pub ordinal: Option<u64>,
    pub hash: Option<&'v [u8; 32]>,
    pub part: u32,
    pub captured: Vec<(String, Vec<u8>)>,
}

impl Template {
    /// Read the template of outputs' names.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_as("sink.path", text)
    }

    /// Read a template that is called `what`.
    pub fn parse_as(what: &str, text: &str) -> Result<Self> {
        let invalid = |message: String| Error::InvalidTemplate(format!("{what} is `{text}`: {message}"));
        let mut components = vec![Vec::new()];
        for piece in pieces(text).map_err(invalid)? {
            match piece {
                Piece::Literal(literal) => {
                    for (number, part) in literal.split(|byte| *byte == b'/').enumerate() {
                        if number > 0 {
                            components.push(Vec::new());
                        }
                        if let Some(last) = components.last_mut().filter(|_| !part.is_empty()) {
                            last.push(Part::Literal(part.to_vec()));
                        }
                    }
                }
                Piece::Field { name, spec } => {
                    let part = part(&name, spec.as_deref()).map_err(invalid)?;
                    if let Some(last) = components.last_mut() {
                        last.push(part);
                    }
                }
            }
        }
        let template = Self { components };
        template.check().map_err(invalid)?;
        Ok(template)
    }

    fn check(&self) -> Result<(), String> {
        if self.components.iter().all(Vec::is_empty) {
            return Err("it is empty".into());
        }
        if self.components[0].is_empty() {
            return Err("outputs stay below the sink, so it begins without a slash".into());
        }
        if self.components.last().is_some_and(Vec::is_empty) {
            return Err("it ends with a slash, and names no file".into());
        }
        for component in &self.components {
            if component.is_empty() {
                return Err("two slashes follow each other".into());
            }
            if let [Part::Literal(literal)] = &component[..]
                && matches!(literal.as_slice(), b"." | b"..")
            {
                return Err(format!("`{}` is no directory of its own", String::from_utf8_lossy(literal)));
            }
            let doubled = |pair: &[Part]| matches!(pair, [Part::Literal(l), Part::Ext] if l.ends_with(b"."));
            if component.windows(2).any(doubled) {
                return Err("`{ext}` begins with its dot, as in `{stem}{ext}`".into());
            }
        }
        Ok(())
    }

    /// The names that only `source.capture` can give.
    pub fn captured(&self) -> Vec<&str> {
        let parts = self.components.iter().flatten();
        parts.filter_map(|part| if let Part::Captured(name) = part { Some(name.as_str()) } else { None }).collect()
    }

    /// All parts, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.components.iter().flatten()
    }

    /// Whether names tell the content's hash, which is known only when it has been read.
    pub fn needs_hash(&self) -> bool {
        self.components.iter().flatten().any(|part| matches!(part, Part::Hash(_)))
    }

    /// Whether names tell the number among the outputs of one entry.
    pub fn needs_part(&self) -> bool {
        self.part_digits().is_some()
    }

    /// Digits of that number: the fewest, where it comes twice.
    pub fn part_digits(&self) -> Option<usize> {
        let digits = |part: &Part| if let Part::Number(digits) = part { Some(*digits) } else { None };
        self.components.iter().flatten().filter_map(digits).min()
    }

    /// Whether names tell the place among all entries of the job.
    pub fn needs_index(&self) -> bool {
        self.components.iter().flatten().any(|part| matches!(part, Part::Index(_)))
    }

    /// The components in front of the first one that only a read of the entry tells.
    pub(super) fn known_ahead(&self) -> &[Vec<Part>] {
        let directories = &self.components[..self.components.len() - 1];
        let end = directories.iter().position(|component| component.iter().any(is_told_by_reading));
        &directories[..end.unwrap_or(directories.len())]
    }
}

fn is_told_by_reading(part: &Part) -> bool {
    matches!(part, Part::Hash(_) | Part::Number(_))
}

impl Part {
    /// The field as it is written.
    pub(super) fn field(&self) -> String {
        let name = match self {
            Self::Literal(text) => return String::from_utf8_lossy(text).into_owned(),
            Self::Path => "path",
            Self::Dir => "dir",
            Self::Name => "name",
            Self::Stem => "stem",
            Self::Ext => "ext",
            Self::Root => "root",
            Self::Hash(_) => "hash",
            Self::Index(_) => "index",
            Self::Number(_) => "part",
            Self::Modified(_) => "mtime",
            Self::Captured(name) => name,
        };
        format!("{{{name}}}")
    }
}

impl TryFrom<String> for Template {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

fn part(name: &str, spec: Option<&str>) -> Result<Part, String> {
    let plain = |part: Part| match spec {
        None => Ok(part),
        Some(spec) => Err(format!("`{{{name}}}` takes nothing behind a colon, and `{spec}` is there")),
    };
    match name {
        "path" => plain(Part::Path),
        "dir" => plain(Part::Dir),
        "name" => plain(Part::Name),
        "stem" => plain(Part::Stem),
        "ext" => plain(Part::Ext),
        "root" => plain(Part::Root),
        "part" => {
            let digits = spec.map_or(Some(PART_DIGITS), |spec| spec.strip_prefix('0')?.parse().ok());
            let digits = digits.filter(|digits| (1..=PART_DIGITS).contains(digits));
            digits.map(Part::Number).ok_or_else(|| {
                format!("`{{part}}` takes a width of up to {PART_DIGITS} with zeros, as in `{{part:03}}`")
            })
        }
        "hash" => {
            let digits = spec.map_or(Some(HASH_DIGITS), |spec| spec.parse().ok());
            let digits = digits.filter(|digits| (1..=HASH_DIGITS).contains(digits));
            digits
                .map(Part::Hash)
                .ok_or_else(|| format!("`{{hash}}` takes 1 to {HASH_DIGITS} digits, as in `{{hash:8}}`"))
        }
        "index" => {
            let width = match spec {
                None => Some(1),
                Some(spec) => spec.strip_prefix('0').and_then(|width| width.parse().ok()),
            };
            let width = width.filter(|width| (1..=INDEX_DIGITS).contains(width));
            width.map(Part::Index).ok_or_else(|| "`{index}` takes a width with zeros, as in `{index:06}`".to_owned())
        }
        "mtime" => {
            let form = spec.unwrap_or(DAY);
            if form.is_empty() || written(&DateTime::UNIX_EPOCH, form).is_none() {
                return Err(format!("`{form}` is no form of a time, as `%Y/%m` is"));
            }
            Ok(Part::Modified(form.to_owned()))
        }
        other => plain(Part::Captured(other.to_owned())),
    }
}

/// A time in a form; none where that is no form, or one that can only be read.
fn written(time: &DateTime<Utc>, form: &str) -> Option<String> {
    let mut text = String::new();
    write!(text, "{}", time.format(form)).ok().map(|()| text)
}

impl Values<'_> {
    /// Write out some components.
    pub fn render(&self, components: &[Vec<Part>]) -> Result<Vec<u8>> {
        let mut path = Vec::new();
        for (number, component) in components.iter().enumerate() {
            if number > 0 {
                path.push(b'/');
            }
            component.iter().try_for_each(|part| self.append(part, &mut path))?;
        }
        Ok(path)
    }

    fn append(&self, part: &Part, path: &mut Vec<u8>) -> Result<()> {
        let missing = |what: &str| Error::InvalidPlan(format!("an output's name needs its {what}, which is not known"));
        match part {
            Part::Literal(literal) => path.extend_from_slice(literal),
            Part::Path => path.extend(join(self.dir, self.name)),
            Part::Dir => path.extend_from_slice(self.dir),
            Part::Name => path.extend_from_slice(self.name),
            Part::Stem => path.extend_from_slice(self.stem),
            Part::Ext => path.extend_from_slice(self.ext),
            Part::Root => path.extend_from_slice(&self.root),
            Part::Hash(digits) => {
                let hash = self.hash.ok_or_else(|| missing("hash"))?;
                let hex = hash.iter().fold(String::with_capacity(HASH_DIGITS), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}"); // a string takes everything
                    hex
                });
                path.extend_from_slice(&hex.as_bytes()[..*digits]);
            }
            Part::Index(width) => {
                let ordinal = self.ordinal.ok_or_else(|| missing("index"))?;
                path.extend(format!("{ordinal:0width$}").into_bytes());
            }
            Part::Number(digits) => path.extend(format!("{:0digits$}", self.part).into_bytes()),
            Part::Modified(form) => {
                let time = DateTime::from_timestamp_nanos(self.modified_ns);
                path.extend(written(&time, form).ok_or_else(|| missing("time"))?.into_bytes());
            }
            Part::Captured(name) => {
                let value = self.captured.iter().find(|(given, _)| given == name);
                let (_, value) = value.ok_or_else(|| missing(&format!("`{{{name}}}`")))?;
                path.extend_from_slice(value);
            }
        }
        Ok(())
    }
}
