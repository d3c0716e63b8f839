//! Globs as sources: `data/**/*.csv` is the root `data` and the pattern `**/*.csv` below it.
//!
//! Patterns are those of gitignore that begin at the root, so `*` stays within a name, `**` takes any number of
//! directories, and a directory that matches is taken with all that is below it. What can't lead to a match is not
//! walked.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use ignore::gitignore::Gitignore;

use super::filter::compile;
use crate::{Result, entry::Kind};

/// The patterns of one root: a path is taken if any of them takes it.
#[derive(Debug, Clone)]
pub struct Glob(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    whole: Gitignore,
    /// What the directories on the way have to match, the first one first; up to a `**`, behind which any will do.
    way: Vec<Gitignore>,
}

impl Glob {
    /// Compile patterns that are relative to their root.
    pub fn new(patterns: &[String]) -> Result<Self> {
        patterns.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<_>>().map(Self)
    }

    /// Whether a file is taken, or something in a directory may be, wherever it lies below the root.
    pub fn leads_to(&self, path: &[u8], kind: Kind) -> bool {
        let mut above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end]);
        above.all(|above| self.takes(above, Kind::Directory)) && self.takes(path, kind)
    }

    /// Whether an entry is taken, or may lead to one that is, by its path relative to the root.
    pub(super) fn takes(&self, path: &[u8], kind: Kind) -> bool {
        let path = Path::new(OsStr::from_bytes(path));
        self.0.iter().any(|pattern| match kind {
            Kind::Directory => pattern.may_hold(path),
            _ => pattern.takes_file(path),
        })
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self> {
        let compiled = |pattern: &str| {
            compile("source", &[format!("/{pattern}")], false).map(|rules| rules.unwrap_or_else(Gitignore::empty))
        };
        let mut way = Vec::new();
        let names: Vec<&str> = pattern.trim_end_matches('/').split('/').collect();
        for end in 1..=names.len() {
            if names[end - 1].contains("**") {
                break;
            }
            way.push(compiled(&names[..end].join("/"))?);
        }
        Ok(Self { whole: compiled(pattern)?, way })
    }

    fn takes_file(&self, file: &Path) -> bool {
        // The last of the ancestors is the root, by an empty name, which `*/` would match.
        let mut above = file.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
        self.whole.matched(file, false).is_ignore() || above.any(|above| self.whole.matched(above, true).is_ignore())
    }

    /// Whether something in this directory may be taken; its parent's answer was yes.
    fn may_hold(&self, directory: &Path) -> bool {
        let depth = directory.components().count();
        self.way.get(depth - 1).is_none_or(|pattern| pattern.matched(directory, true).is_ignore())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, path: &str, kind: Kind) -> bool {
        Glob::new(&[pattern.to_owned()]).expect("compiles").takes(path.as_bytes(), kind)
    }

    #[test]
    fn test_star_stays_within_a_name_and_two_stars_take_any_depth() {
        assert!(takes("*.csv", "a.csv", Kind::File));
        assert!(!takes("*.csv", "d/a.csv", Kind::File));
        assert!(takes("**/*.csv", "a.csv", Kind::File) && takes("**/*.csv", "d/e/a.csv", Kind::File));
        assert!(takes("20??/{a,b}.csv", "2026/b.csv", Kind::File));
        assert!(!takes("20??/{a,b}.csv", "2026/c.csv", Kind::File));
    }

    #[test]
    fn test_directory_that_matches_is_taken_as_a_whole() {
        assert!(takes("2026-*", "2026-01/d/a.csv", Kind::File));
        assert!(takes("2026-*", "2026-01", Kind::Directory) && takes("2026-*", "2026-01/d", Kind::Directory));
        assert!(!takes("2026-*", "2025-01/a.csv", Kind::File));
    }

    #[test]
    fn test_directory_that_leads_to_no_match_is_not_walked() {
        assert!(!takes("*.csv", "d", Kind::Directory));
        assert!(takes("2026/*/x", "2026", Kind::Directory) && !takes("2026/*/x", "2025", Kind::Directory));
        assert!(takes("2026/*/x", "2026/1", Kind::Directory) && !takes("2026/*/x", "2026/1/y", Kind::Directory));
        assert!(takes("a*/**/x", "ab", Kind::Directory) && !takes("a*/**/x", "b", Kind::Directory));
        assert!(takes("a*/**/x", "ab/c/d/e", Kind::Directory));
    }

    #[test]
    fn test_place_deep_below_the_root_is_led_to_where_each_directory_on_the_way_is() {
        let leads = |pattern: &str, path: &str, kind| {
            Glob::new(&[pattern.to_owned()]).expect("compiles").leads_to(path.as_bytes(), kind)
        };
        assert!(leads("*/x/*.csv", "a/x", Kind::Directory) && !leads("*/x/*.csv", "a/y/z", Kind::Directory));
        assert!(leads("*/a.csv", "d/a.csv", Kind::File) && !leads("*/a.csv", "d/e/a.csv", Kind::File));
        assert!(leads("d", "d/e/a.csv", Kind::File) && leads("**/*.csv", "d/e", Kind::Directory));
    }

    #[test]
    fn test_pattern_with_last_slash_takes_directories_only() {
        assert!(takes("*/", "d/a", Kind::File) && !takes("*/", "a", Kind::File));
    }

    #[test]
    fn test_pattern_that_is_no_glob_is_refused() {
        assert!(Glob::new(&["a[".to_owned()]).is_err());
    }
}
