//! A list of checksums in memory: sorted hashes of names, 16 bytes each, and the checksums beside them.
//!
//! Names are told apart by 128 bits of BLAKE3: among 10^9 names two share them with a probability of 10^-21.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use percent_encoding::percent_decode_str;
use sha2::Digest as _;

use super::{
    super::{SourcePath, digest::Algorithm, parameters::invalid},
    NATIVE,
    line::{self, Line, Untagged},
};
use crate::{Error, Result};

/// Which list is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path, or its `file://` URI.
    pub manifest: String,
    /// How its checksums were made, where its lines don't say it.
    pub algorithm: Option<Algorithm>,
    /// The SHA-256 that it has to have.
    pub sha256: Option<String>,
}

/// A list of checksums.
#[derive(Debug)]
pub struct Sums {
    /// Where the list lies: names may be relative to it.
    directory: Vec<u8>,
    tables: Vec<Table>,
}

/// A checksum that the list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// How it was made.
    pub algorithm: Algorithm,
    table: usize,
    at: usize,
}

/// All checksums by one algorithm.
#[derive(Debug)]
struct Table {
    algorithm: Algorithm,
    /// Hashes of names, in order once the list is read.
    names: Vec<u128>,
    /// The checksums, in the same order.
    digests: Vec<u8>,
}

/// Lists that are in use in this process: tasks of one job share theirs.
static SHARED: Mutex<Vec<(Place, Weak<Sums>)>> = Mutex::new(Vec::new());

impl Sums {
    /// Read a list, or share it with those who have.
    pub fn shared(place: &Place) -> Result<Arc<Self>> {
        // Held while the list is read: who needs the same one waits for it.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|(_, sums)| sums.strong_count() > 0);
        // Without a checksum of its own a list may have changed since it was read.
        let known = shared.iter().filter(|(known, _)| known == place && place.sha256.is_some());
        if let Some(sums) = known.filter_map(|(_, sums)| sums.upgrade()).next() {
            return Ok(sums);
        }
        let sums = Arc::new(Self::read(place)?);
        shared.push((place.clone(), Arc::downgrade(&sums)));
        Ok(sums)
    }

    /// What the list says of a file; nothing where it does not name it.
    pub fn find(&self, path: &SourcePath) -> Vec<Expected> {
        let below = path.whole().strip_prefix(self.directory.as_slice()).and_then(|rest| rest.strip_prefix(b"/"));
        let names = [Some(path.relative()), below, Some(path.whole())];
        let mut found = names.into_iter().flatten().map(|name| self.find_name(name));
        found.find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// A checksum in lower-case hexadecimal.
    pub fn hex(&self, expected: &Expected) -> String {
        let length = expected.algorithm.length_bytes();
        let digest = &self.tables[expected.table].digests[expected.at * length..][..length];
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn find_name(&self, name: &[u8]) -> Vec<Expected> {
        let hash = hash(name);
        let find = |(number, table): (usize, &Table)| {
            let at = table.names.binary_search(&hash).ok()?;
            Some(Expected { algorithm: table.algorithm, table: number, at })
        };
        self.tables.iter().enumerate().filter_map(find).collect()
    }

    fn read(place: &Place) -> Result<Self> {
        let path = path_of(&place.manifest);
        let refuse = |message: String| invalid(NATIVE.name, message);
        let file = File::open(&path).map_err(Error::io("open the manifest"))?;
        let mut lines = Lines::new(file)?;
        let untagged = Untagged { always: place.algorithm, of_256_bits: usual_256_bits(&path) };
        let (mut tables, mut number) = (Vec::new(), 0_u64);
        while let Some(text) = lines.next()? {
            number += 1;
            let told = |message| refuse(format!("line {number} of `{}` {message}", place.manifest));
            if let Some(line) = line::read(text, untagged).map_err(told)? {
                push(&mut tables, &line);
            }
        }
        if let Some(wanted) = place.sha256.as_ref().filter(|wanted| **wanted != lines.sha256()) {
            let found = lines.sha256();
            let manifest = &place.manifest;
            return Err(refuse(format!("`{manifest}` has changed: its sha256 was {wanted}, it is {found}")));
        }
        for table in &mut tables {
            table.sort().map_err(|message| refuse(format!("`{}` {message}", place.manifest)))?;
        }
        let directory = path.parent().map(|parent| parent.as_os_str().as_bytes().to_vec()).unwrap_or_default();
        Ok(Self { directory, tables })
    }
}

impl Table {
    fn sort(&mut self) -> Result<(), String> {
        let length = self.algorithm.length_bytes();
        let mut order: Vec<u32> = (0..).take(self.names.len()).collect();
        order.sort_unstable_by_key(|&at| self.names[at as usize]);
        let digest = |at: u32| &self.digests[at as usize * length..][..length];
        let (mut names, mut digests) =
            (Vec::<u128>::with_capacity(order.len()), Vec::with_capacity(self.digests.len()));
        for at in order {
            let name = self.names[at as usize];
            if names.last() != Some(&name) {
                names.push(name);
                digests.extend_from_slice(digest(at));
            } else if digests[digests.len() - length..] != *digest(at) {
                return Err(format!("has two {} checksums of one name", self.algorithm.name()));
            }
        }
        (self.names, self.digests) = (names, digests);
        Ok(())
    }
}

fn push(tables: &mut Vec<Table>, line: &Line) {
    let known = tables.iter().position(|table| table.algorithm == line.algorithm);
    let at = known.unwrap_or_else(|| {
        tables.push(Table { algorithm: line.algorithm, names: Vec::new(), digests: Vec::new() });
        tables.len() - 1
    });
    tables[at].names.push(hash(&line.name));
    tables[at].digests.extend_from_slice(&line.digest);
}

fn hash(name: &[u8]) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(name).as_bytes()[..16]);
    u128::from_le_bytes(half)
}

fn path_of(manifest: &str) -> PathBuf {
    match manifest.strip_prefix("file://") {
        Some(path) => PathBuf::from(OsStr::from_bytes(&percent_decode_str(path).collect::<Vec<_>>())),
        None => PathBuf::from(manifest),
    }
}

/// SHA-256 and BLAKE3 have equally many digits: the list's name tells, as `B3SUMS`.
fn usual_256_bits(path: &Path) -> Algorithm {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if name.contains("b3") || name.contains("blake3") { Algorithm::Blake3 } else { Algorithm::Sha256 }
}

/// The lines of a list, which end in newlines, or in NULs where there is one in its first bytes.
struct Lines {
    file: BufReader<File>,
    end: u8,
    line: Vec<u8>,
    hasher: sha2::Sha256,
}

impl Lines {
    fn new(file: File) -> Result<Self> {
        let mut file = BufReader::with_capacity(1 << 20, file);
        let beginning = file.fill_buf().map_err(Error::io("read the manifest"))?;
        let end = if beginning.contains(&0) { 0 } else { b'\n' };
        Ok(Self { file, end, line: Vec::new(), hasher: sha2::Sha256::new() })
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let length = self.file.read_until(self.end, &mut self.line).map_err(Error::io("read the manifest"))?;
        self.hasher.update(&self.line);
        if length == 0 {
            return Ok(None);
        }
        let line = self.line.strip_suffix(&[self.end]).unwrap_or(&self.line);
        Ok(Some(if self.end == b'\n' { line.strip_suffix(b"\r").unwrap_or(line) } else { line }))
    }

    fn sha256(&self) -> String {
        self.hasher.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(name: &str, text: &[u8], algorithm: Option<Algorithm>) -> Result<Sums> {
        let place = tempfile::tempdir().expect("creates");
        let manifest = place.path().join(name);
        fs::write(&manifest, text).expect("writes");
        Sums::read(&Place { manifest: manifest.display().to_string(), algorithm, sha256: None })
    }

    fn find(sums: &Sums, name: &str) -> Vec<(Algorithm, String)> {
        let found = sums.find(&SourcePath::new(name.as_bytes().to_vec(), 0));
        found.iter().map(|expected| (expected.algorithm, sums.hex(expected))).collect()
    }

    #[test]
    fn test_list_with_several_algorithms_gives_all_checksums_of_a_name() {
        let (md5, sha1) = ("1".repeat(32), "2".repeat(40));
        let sums =
            read("sums", format!("{md5}  b\r\nSHA1 (a) = {sha1}\n\n{md5}  a\n").as_bytes(), None).expect("reads");
        assert_eq!(find(&sums, "a"), [(Algorithm::Md5, md5.clone()), (Algorithm::Sha1, sha1)]);
        assert_eq!(find(&sums, "b"), [(Algorithm::Md5, md5)]);
        assert_eq!(find(&sums, "c"), []);
    }

    #[test]
    fn test_256_bits_are_told_by_the_name_of_the_list_or_by_the_parameter() {
        let digits = "3".repeat(64);
        let text = format!("{digits}  a\n").into_bytes();
        for (name, algorithm, expected) in [
            ("SHA256SUMS", None, Algorithm::Sha256),
            ("B3SUMS", None, Algorithm::Blake3),
            ("B3SUMS", Some(Algorithm::Sha256), Algorithm::Sha256),
        ] {
            assert_eq!(find(&read(name, &text, algorithm).expect("reads"), "a"), [(expected, digits.clone())]);
        }
    }

    #[test]
    fn test_list_with_nul_at_line_ends_has_newlines_in_names() {
        let digits = "1".repeat(32);
        let sums = read("sums", format!("{digits}  a\nb\0{digits}  c\0").as_bytes(), None).expect("reads");
        assert_eq!((find(&sums, "a\nb").len(), find(&sums, "c").len()), (1, 1));
    }

    #[test]
    fn test_name_that_comes_twice_is_refused_where_its_checksums_differ() {
        let text = |last: &str| format!("{}  a\n{}  a\n", "1".repeat(32), last.repeat(32)).into_bytes();
        assert!(read("sums", &text("1"), None).is_ok());
        let error = read("sums", &text("2"), None).expect_err("differs");
        assert!(error.to_string().contains("two md5 checksums"), "{error}");
    }

    #[test]
    fn test_line_that_is_none_is_told_with_its_number() {
        let error = read("sums", b"\nhello\n", None).expect_err("is none");
        assert!(error.to_string().contains("line 2 of"), "{error}");
    }
}
