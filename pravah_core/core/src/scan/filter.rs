//! What is listed and what is not: gitignore rules for `include` and `exclude`, and Pravah's own files.
//!
//! - A pattern without a slash (other than a last one) matches at any depth; later rules win; `!` takes back.
//! - `exclude` of a directory prunes it: it counts as one, and nothing below it is looked at.
//! - `include` restricts files (all that are no directories) only; a rule that matches a directory takes
//!   everything below it. No rule at all takes everything.
//! - Names that begin with `.pravah-` (temporaries, no directories) and directories called `_pravah` (datasets)
//!   are Pravah's own and never listed, so that no job takes what another is about to publish.

use std::{ffi::OsStr, ops::AddAssign, os::unix::ffi::OsStrExt};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};

use crate::{Error, Result, entry::Kind};

/// Compiled rules. The default lists everything but Pravah's own files.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
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
}

/// How much was left out, by reason. A pruned directory counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filtered([u64; Reason::ALL.len()]);

impl Filter {
    /// Compile gitignore rules; paths are relative to each root.
    pub fn new<P: AsRef<str>>(include: &[P], exclude: &[P]) -> Result<Self> {
        Ok(Self { include: compile("include", include)?, exclude: compile("exclude", exclude)? })
    }

    /// Whether a look at the path is needed at all.
    pub(super) fn needs_path(&self) -> bool {
        self.include.is_some() || self.exclude.is_some()
    }

    /// Judge an entry by its path relative to the root; `whole` says whether its directory is included as a whole.
    pub(super) fn judge(&self, path: &[u8], kind: Kind, whole: bool) -> Option<Reason> {
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
    pub const ALL: [Reason; 4] = [Reason::Exclude, Reason::Include, Reason::Own, Reason::Sink];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::Include => "include",
            Self::Own => "own",
            Self::Sink => "sink",
        }
    }
}

impl Filtered {
    /// Count one more.
    pub fn add(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
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

fn compile(list: &'static str, patterns: &[impl AsRef<str>]) -> Result<Option<Gitignore>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let refuse = |message: String| Error::InvalidParameter { step: list.to_owned(), message };
    let mut builder = GitignoreBuilder::new(".");
    builder.allow_unclosed_class(false); // a slip of the pen: git lets it match nothing
    for pattern in patterns.iter().map(AsRef::as_ref) {
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
        Filter::new(include, exclude).expect("compiles").judge(path.as_bytes(), kind, false)
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
        let filter = Filter::new(&["2024/", "!*.tmp", "!2024/old/"], &[]).expect("compiles");
        assert!(filter.whole(b"a/2024", false));
        assert!(filter.whole(b"a/2024/x", true));
        assert!(!filter.whole(b"2024/old", true));
        assert_eq!(filter.judge(b"2024/x.csv", Kind::File, true), None);
        assert_eq!(filter.judge(b"2024/x.tmp", Kind::File, true), Some(Reason::Include));
    }

    #[test]
    fn test_pattern_that_is_a_comment_or_no_glob_is_refused() {
        for pattern in ["# all", "", "  ", "a[", "{a"] {
            assert!(Filter::new(&[pattern], &[]).is_err(), "{pattern}");
        }
        assert_eq!(judge(&["\\#x"], &[], "#x", Kind::File), None);
    }

    #[test]
    fn test_name_that_is_not_utf8_is_matched_by_its_bytes() {
        let filter = Filter::new(&[], &["*.tmp"]).expect("compiles");
        assert_eq!(filter.judge(b"\xff\xfe.tmp", Kind::File, false), Some(Reason::Exclude));
    }
}
