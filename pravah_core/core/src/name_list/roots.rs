//! Where a name of a list lies: below which root, and under which path there.
//!
//! Of local names `./a//b` is `a/b`. Keys are taken letter by letter, as `a//b` is another one than `a/b`; one that
//! ends in a slash is a prefix, and stands for all that lies below it.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use crate::{
    scan::Links,
    stores::s3::{is_no_path, is_object_uri},
};

/// The roots of a job: a relative name lies below the only one, a whole one below any.
pub struct Roots {
    /// Paths, or URIs without a slash at their ends, of which nothing is encoded.
    roots: Vec<Vec<u8>>,
    links: Links,
}

impl Roots {
    pub fn new(roots: Vec<Vec<u8>>, links: Links) -> Self {
        Self { roots, links }
    }

    /// The root that a name lies below, and its path there. The error is the rest of a sentence about its line.
    pub fn place(&self, name: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let shown = || String::from_utf8_lossy(name);
        if name.split(|&byte| byte == b'/').any(|part| part == b"..") {
            return Err(format!("names `{}`, which leads out of the source", shown()));
        }
        let place = if is_whole(name) { self.innermost(name) } else { self.only(name) };
        place.ok_or_else(|| format!("names `{}`, which does not lie below the source", shown()))
    }

    /// Whether a path stands for all that lies below it: a directory as it is now, and a prefix.
    pub fn lists(&self, root: u16, below: &[u8]) -> bool {
        let Some(root) = self.roots.get(usize::from(root)) else { return false };
        if below.is_empty() {
            return true; // a root does
        }
        if is_remote(root) {
            return below.strip_suffix(b"/").is_some_and(|bare| !is_no_path(bare));
        }
        let path = [root.as_slice(), b"/", below].concat();
        let path = Path::new(OsStr::from_bytes(&path));
        let looked = match self.links {
            Links::Skip => path.symlink_metadata(),
            Links::Follow => path.metadata(),
        };
        looked.is_ok_and(|found| found.is_dir())
    }

    fn only(&self, name: &[u8]) -> Option<(u16, Vec<u8>)> {
        let [root] = self.roots.as_slice() else { return None };
        Some((0, if is_remote(root) { name.to_vec() } else { plain(name) }))
    }

    /// The innermost root that a whole name lies in, and the path below it.
    fn innermost(&self, name: &[u8]) -> Option<(u16, Vec<u8>)> {
        let found = (0_u16..).zip(&self.roots).filter_map(|(at, root)| below(root, name).map(|rest| (at, rest)));
        found.min_by_key(|(_, rest)| rest.len())
    }
}

/// What of a whole name lies below a root; empty: it is the root.
fn below(root: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let (root, name) = match (is_remote(root), is_remote(name)) {
        (true, true) => (root.to_vec(), name.to_vec()),
        (false, false) => (plain(root), plain(name)),
        _ => return None,
    };
    let rest = name.strip_prefix(root.as_slice())?;
    if root.is_empty() || rest.is_empty() {
        return Some(rest.to_vec());
    }
    rest.strip_prefix(b"/").map(<[u8]>::to_vec)
}

/// The parts of a path, without those that say nothing.
fn plain(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.collect::<Vec<_>>().join(&b'/')
}

fn is_whole(name: &[u8]) -> bool {
    name.starts_with(b"/") || is_remote(name)
}

fn is_remote(name: &[u8]) -> bool {
    str::from_utf8(name).is_ok_and(is_object_uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(roots: &[&str], name: &str) -> Option<(u16, String)> {
        let roots = Roots::new(roots.iter().map(|root| root.as_bytes().to_vec()).collect(), Links::Skip);
        let found = roots.place(name.as_bytes()).ok();
        found.map(|(root, path)| (root, String::from_utf8(path).expect("is text")))
    }

    #[test]
    fn test_local_names_are_told_by_their_parts_and_keys_by_their_letters() {
        for (root, name, expected) in [
            ("/d", "./a//b/", "a/b"),
            ("/d", "/d//a", "a"),
            ("/", "/a", "a"),
            ("s3://b/p", "a//b", "a//b"),
            ("s3://b/p", "./a", "./a"),
            ("s3://b/p", "a/", "a/"),
            ("s3://b/p", "s3://b/p/a b%20", "a b%20"),
            ("s3://b/p", "s3://b/p//a", "/a"),
            ("s3://b/p", "s3://b/p/", ""),
            ("s3://b", "s3://b/a", "a"),
            ("s3+lab://b", "s3+lab://b/a", "a"),
        ] {
            assert_eq!(place(&[root], name), Some((0, expected.to_owned())), "{name} below {root}");
        }
    }

    #[test]
    fn test_names_elsewhere_are_refused() {
        for (root, name) in [
            ("/d", "/e/a"),
            ("/d", "/da"),
            ("/d", "s3://d/a"),
            ("/d", "a/../../b"),
            ("s3://b/p", "/b/p/a"),
            ("s3://b/p", "s3://b/pa"),
            ("s3://b/p", "s3://c/p/a"),
            ("s3://b/p", "s3+lab://b/p/a"),
            ("s3://b/p", "a/../b"),
        ] {
            assert_eq!(place(&[root], name), None, "{name} below {root}");
        }
        assert_eq!(place(&["/d", "s3://b"], "a"), None);
        assert_eq!(place(&["/d", "s3://b", "s3://b/p"], "s3://b/p/a"), Some((2, "a".to_owned())));
    }

    #[test]
    fn test_prefixes_list_what_is_below_and_keys_do_not() {
        let roots = Roots::new(vec![b"s3://b/p".to_vec()], Links::Skip);
        assert!(roots.lists(0, b"") && roots.lists(0, b"a/") && roots.lists(0, b"a/b/"));
        assert!(!roots.lists(0, b"a") && !roots.lists(0, b"a//") && !roots.lists(0, b"./") && !roots.lists(1, b""));
    }
}
