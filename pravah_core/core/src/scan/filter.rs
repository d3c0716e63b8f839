//! What is listed and what is not: gitignore rules, sizes, times, types and depth, and Pravah's own files.
//!
//! - A pattern without a slash (other than a last one) matches at any depth; later rules win; `!` takes back.
//! - `exclude` of a directory prunes it: it counts as one, and nothing below it is looked at.
//! - `include` restricts files (all that are no directories) only; a rule that matches a directory takes
//!   everything below it. No rule at all takes everything.
//! - Sizes, times and types are asked of regular files, types of links and others too. Bounds of sizes belong to what
//!   is listed, bounds of times don't.
//! - Names that begin with `.pravah-` (temporaries, no directories) and directories called `_pravah` (datasets)
//!   are Pravah's own and never listed, so that no job takes what another is about to publish.

use std::{
    ffi::OsStr,
    ops::{AddAssign, RangeInclusive},
    os::unix::ffi::OsStrExt,
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use serde::Deserialize;

use super::{glob::Glob, types::Type};
use crate::{Error, Result, entry::Kind};

/// What to list, as a plan has it. The default lists everything but Pravah's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterRules {
    /// gitignore rules of what counts. Empty: everything.
    pub include: Vec<String>,
    /// gitignore rules of what is left out.
    pub exclude: Vec<String>,
    /// Compare names with these rules as if letters had no case.
    pub ignore_case: bool,
    /// Least size of a file, in bytes.
    pub min_size_bytes: Option<u64>,
    /// Largest size of a file, in bytes.
    pub max_size_bytes: Option<u64>,
    /// Files that were modified behind this time, in nanoseconds since 1970.
    pub newer_than_ns: Option<i64>,
    /// Files that were modified before this time, in nanoseconds since 1970.
    pub older_than_ns: Option<i64>,
    /// Names of [`Type`]s. Empty: all of them.
    pub types: Vec<String>,
    /// Most directories on the way from a root to a file, the root counted.
    pub max_depth: Option<usize>,
}

/// Compiled rules.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    glob: Option<Glob>,
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
    sizes: Option<RangeInclusive<u64>>,
    newer_than_ns: Option<i64>,
    older_than_ns: Option<i64>,
    types: Vec<&'static Type>,
    max_depth: Option<usize>,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// An `exclude` rule matched.
    Exclude,
    /// No `include` rule matched.
    Include,
    /// A temporary or a dataset of Pravah.
    Own,
    /// The job's sink, where it lies below the source.
    Sink,
    /// A file too small or too large.
    Size,
    /// A file too old or too new.
    Time,
    /// Not one of the wanted types.
    Type,
    /// A directory too deep to be looked at.
    Depth,
    /// A file that was named and is not there, where that is no failure.
    Missing,
    /// A directory that lies above itself, as a link that was followed leads back to it.
    Loop,
}

/// How much was left out, by reason. A pruned directory counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filtered([u64; Reason::ALL.len()]);

impl Filter {
    /// Compile rules; paths are relative to each root.
    pub fn new(rules: &FilterRules) -> Result<Self> {
        let sizes = rules.min_size_bytes.unwrap_or(0)..=rules.max_size_bytes.unwrap_or(u64::MAX);
        if sizes.is_empty() {
            return Err(refuse("min_size", format!("{} is above max_size, {}", sizes.start(), sizes.end())));
        }
        if rules.max_depth == Some(0) {
            return Err(refuse("max_depth", "0 would list nothing, the files of a root have depth 1".to_owned()));
        }
        let find = |name: &String| Type::find(name).ok_or_else(|| refuse("type", format!("`{name}` is not known")));
        Ok(Self {
            glob: None,
            include: compile("include", &rules.include, rules.ignore_case)?,
            exclude: compile("exclude", &rules.exclude, rules.ignore_case)?,
            sizes: (sizes != (0..=u64::MAX)).then_some(sizes),
            newer_than_ns: rules.newer_than_ns,
            older_than_ns: rules.older_than_ns,
            types: rules.types.iter().map(find).collect::<Result<_>>()?,
            max_depth: rules.max_depth,
        })
    }

    /// The same rules, for the root of a glob.
    pub fn within(&self, glob: Option<Glob>) -> Self {
        Self { glob, ..self.clone() }
    }

    /// The same rules, but for those of sizes and times.
    pub(crate) fn by_name(&self) -> Self {
        Self { sizes: None, newer_than_ns: None, older_than_ns: None, ..self.clone() }
    }

    /// Whether a directory that is not left out may hold nothing that counts, though it holds something.
    pub(crate) fn picks_files(&self) -> bool {
        self.include.is_some() || !self.types.is_empty() || self.needs_look()
    }

    /// Whether files have to be looked at for their sizes or times.
    pub(super) fn needs_look(&self) -> bool {
        self.sizes.is_some() || self.newer_than_ns.is_some() || self.older_than_ns.is_some()
    }

    /// Judge a regular file by what a look at it has shown.
    pub(crate) fn judge_look(&self, size_bytes: u64, modified_ns: i64) -> Option<Reason> {
        if self.sizes.as_ref().is_some_and(|sizes| !sizes.contains(&size_bytes)) {
            return Some(Reason::Size);
        }
        let too_old = self.newer_than_ns.is_some_and(|bound| modified_ns <= bound);
        let too_new = self.older_than_ns.is_some_and(|bound| modified_ns >= bound);
        (too_old || too_new).then_some(Reason::Time)
    }

    /// Judge an entry by its name, and by the number of directories on the way to it.
    pub(super) fn judge_name(&self, name: &[u8], kind: Kind, depth: usize) -> Option<Reason> {
        if kind == Kind::Directory {
            return self.max_depth.is_some_and(|deepest| depth >= deepest).then_some(Reason::Depth);
        }
        let is_wanted = self.types.is_empty() || self.types.iter().any(|each| each.matches(name));
        (!is_wanted).then_some(Reason::Type)
    }

    /// Whether a look at the path is needed at all.
    pub(super) fn needs_path(&self) -> bool {
        self.glob.is_some() || self.include.is_some() || self.exclude.is_some()
    }

    /// Judge an entry by its path relative to the root; `whole` says whether its directory is included as a whole.
    pub(super) fn judge(&self, path: &[u8], kind: Kind, whole: bool) -> Option<Reason> {
        if self.glob.as_ref().is_some_and(|glob| !glob.takes(path, kind)) {
            return Some(Reason::Include);
        }
        let path = OsStr::from_bytes(path);
        let is_directory = kind == Kind::Directory;
        if self.exclude.as_ref().is_some_and(|rules| rules.matched(path, is_directory).is_ignore()) {
            return Some(Reason::Exclude);
        }
        match &self.include {
            Some(rules) if !is_directory => match rules.matched(path, false) {
                Match::Ignore(_) => None,
                Match::Whitelist(_) => Some(Reason::Include),
                Match::None => (!whole).then_some(Reason::Include),
            },
            _ => None,
        }
    }

    /// Whether the rules include a directory as a whole; its parent's answer is `inherited`.
    pub(super) fn whole(&self, path: &[u8], inherited: bool) -> bool {
        match self.include.as_ref().map(|rules| rules.matched(OsStr::from_bytes(path), true)) {
            Some(Match::Ignore(_)) => true,
            Some(Match::Whitelist(_)) => false,
            Some(Match::None) | None => inherited,
        }
    }
}

/// Whether a name is one of Pravah's own.
pub(super) fn is_own(name: &[u8], kind: Kind) -> bool {
    match kind {
        Kind::Directory => name == b"_pravah",
        _ => name.starts_with(b".pravah-"),
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 10] = [
        Reason::Exclude,
        Reason::Include,
        Reason::Own,
        Reason::Sink,
        Reason::Size,
        Reason::Time,
        Reason::Type,
        Reason::Depth,
        Reason::Missing,
        Reason::Loop,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::Include => "include",
            Self::Own => "own",
            Self::Sink => "sink",
            Self::Size => "size",
            Self::Time => "time",
            Self::Type => "type",
            Self::Depth => "max_depth",
            Self::Missing => "missing",
            Self::Loop => "link_loop",
        }
    }
}

impl Filtered {
    /// Count one more.
    pub fn add(&mut self, reason: Reason) {
        self.add_many(reason, 1);
    }

    /// Count some more.
    pub fn add_many(&mut self, reason: Reason, count: u64) {
        self.0[reason as usize] += count;
    }

    /// The count of one reason.
    pub fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// Each reason and its count.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.0)
    }

    /// The sum of all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl AddAssign for Filtered {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

fn refuse(key: &'static str, message: String) -> Error {
    Error::InvalidParameter { step: key.to_owned(), message }
}

/// Compile gitignore rules; none where there is no rule.
pub(super) fn compile(list: &'static str, patterns: &[String], ignore_case: bool) -> Result<Option<Gitignore>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let refuse = |message: String| refuse(list, message);
    let mut builder = GitignoreBuilder::new(".");
    builder.allow_unclosed_class(false); // a slip of the pen: git lets it match nothing
    builder.case_insensitive(ignore_case).map_err(|error| refuse(error.to_string()))?;
    for pattern in patterns {
        if pattern.trim().is_empty() {
            return Err(refuse("a pattern is empty".to_owned()));
        }
        if pattern.starts_with('#') {
            return Err(refuse(format!("`{pattern}` is a comment; a name that begins with `#` is written `\\#…`")));
        }
        builder.add_line(None, pattern).map_err(|error| refuse(error.to_string()))?;
    }
    builder.build().map(Some).map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(include: &[&str], exclude: &[&str], path: &str, kind: Kind) -> Option<Reason> {
        filter(include, exclude).judge(path.as_bytes(), kind, false)
    }

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        Filter::new(&rules(include, exclude)).expect("compiles")
    }

    fn rules(include: &[&str], exclude: &[&str]) -> FilterRules {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect();
        FilterRules { include: owned(include), exclude: owned(exclude), ..FilterRules::default() }
    }

    #[test]
    fn test_pattern_without_slash_matches_at_any_depth() {
        assert_eq!(judge(&[], &["*.tmp"], "a/b/x.tmp", Kind::File), Some(Reason::Exclude));
        assert_eq!(judge(&[], &["/*.tmp"], "a/b/x.tmp", Kind::File), None);
        assert_eq!(judge(&["*.csv"], &[], "a/b/x.csv", Kind::File), None);
    }

    #[test]
    fn test_exclude_with_last_slash_matches_directories_only() {
        assert_eq!(judge(&[], &["_tmp/"], "a/_tmp", Kind::Directory), Some(Reason::Exclude));
        assert_eq!(judge(&[], &["_tmp/"], "a/_tmp", Kind::File), None);
    }

    #[test]
    fn test_include_restricts_files_never_directories() {
        assert_eq!(judge(&["*.csv"], &[], "a", Kind::Directory), None);
        assert_eq!(judge(&["*.csv"], &[], "a", Kind::File), Some(Reason::Include));
        assert_eq!(judge(&["*.csv"], &[], "a", Kind::Symlink), Some(Reason::Include));
    }

    #[test]
    fn test_include_of_directory_takes_what_is_below_until_taken_back() {
        let filter = filter(&["2024/", "!*.tmp", "!2024/old/"], &[]);
        assert!(filter.whole(b"a/2024", false));
        assert!(filter.whole(b"a/2024/x", true));
        assert!(!filter.whole(b"2024/old", true));
        assert_eq!(filter.judge(b"2024/x.csv", Kind::File, true), None);
        assert_eq!(filter.judge(b"2024/x.tmp", Kind::File, true), Some(Reason::Include));
    }

    #[test]
    fn test_pattern_that_is_a_comment_or_no_glob_is_refused() {
        for pattern in ["# all", "", "  ", "a[", "{a"] {
            assert!(Filter::new(&rules(&[pattern], &[])).is_err(), "{pattern}");
        }
        assert_eq!(judge(&["\\#x"], &[], "#x", Kind::File), None);
    }

    #[test]
    fn test_name_that_is_not_utf8_is_matched_by_its_bytes() {
        let filter = filter(&[], &["*.tmp"]);
        assert_eq!(filter.judge(b"\xff\xfe.tmp", Kind::File, false), Some(Reason::Exclude));
    }

    #[test]
    fn test_bounds_of_sizes_are_listed_and_bounds_of_times_are_not() {
        let rules = FilterRules {
            min_size_bytes: Some(10),
            max_size_bytes: Some(20),
            newer_than_ns: Some(100),
            older_than_ns: Some(200),
            ..FilterRules::default()
        };
        let filter = Filter::new(&rules).expect("compiles");
        assert!(filter.needs_look());
        for (size, time, verdict) in [
            (10, 101, None),
            (20, 199, None),
            (9, 150, Some(Reason::Size)),
            (21, 150, Some(Reason::Size)),
            (15, 100, Some(Reason::Time)),
            (15, 200, Some(Reason::Time)),
        ] {
            assert_eq!(filter.judge_look(size, time), verdict, "{size} {time}");
        }
    }

    #[test]
    fn test_rules_that_would_list_nothing_are_refused() {
        let sizes = FilterRules { min_size_bytes: Some(2), max_size_bytes: Some(1), ..FilterRules::default() };
        let depth = FilterRules { max_depth: Some(0), ..FilterRules::default() };
        let unknown = FilterRules { types: vec!["tabel".to_owned()], ..FilterRules::default() };
        assert!([sizes, depth, unknown].iter().all(|rules| Filter::new(rules).is_err()));
    }

    #[test]
    fn test_depth_prunes_directories_and_type_drops_what_is_none() {
        let rules = FilterRules { max_depth: Some(2), types: vec!["csv".to_owned()], ..FilterRules::default() };
        let filter = Filter::new(&rules).expect("compiles");
        assert_eq!(filter.judge_name(b"d", Kind::Directory, 1), None);
        assert_eq!(filter.judge_name(b"d", Kind::Directory, 2), Some(Reason::Depth));
        assert_eq!(filter.judge_name(b"a.csv", Kind::File, 2), None);
        assert_eq!(filter.judge_name(b"a.txt", Kind::Symlink, 1), Some(Reason::Type));
    }

    #[test]
    fn test_case_is_ignored_where_that_is_wanted() {
        let with_case =
            |ignore_case| Filter::new(&FilterRules { ignore_case, ..rules(&["*.CSV"], &[]) }).expect("compiles");
        assert_eq!(with_case(true).judge(b"a.csv", Kind::File, false), None);
        assert_eq!(with_case(false).judge(b"a.csv", Kind::File, false), Some(Reason::Include));
    }
}
