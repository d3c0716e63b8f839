//! Names that a job is given, in place of what it would find: read, put in order, and cut into scan units.
//!
//! Memory does not grow with the number of names: they are sorted on disk. What is named twice is one name, and so is
//! what lies below a directory that is named too, as that is listed with it. [`roots`] tells where a name lies.

mod roots;

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read},
    path::Path,
};

use arrow_array::{Array, cast::AsArray};
use base64::{Engine, prelude::BASE64_STANDARD};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use roots::Roots;
use serde::Deserialize;

use crate::{
    Error, Result,
    engine::scan_task::{
        named::NamedPath,
        unit::{NamedPaths, Unit},
    },
    scan::Links,
    sorted::{Sorted, Sorter},
};

/// Reads the names of a job.
pub struct NameList {
    roots: Roots,
    sorter: Sorter,
}

impl NameList {
    /// Read names that lie below these roots, paths or URIs as people write them; `scratch` is a directory for what
    /// does not fit into memory.
    pub fn new(roots: Vec<Vec<u8>>, links: Links, scratch: &Path) -> Self {
        Self { roots: Roots::new(roots, links), sorter: Sorter::new(scratch) }
    }

    /// Read a file or a stream, in whichever form it is: names that end in NULs, where there is one in its first
    /// 64 KiB, or in newlines; the account of a job as NDJSON; that as Parquet, where it is a file.
    pub fn read(&mut self, file: File) -> Result<()> {
        let mut beginning = Vec::new();
        (&file).take(BEGINNING_BYTES).read_to_end(&mut beginning).map_err(Error::io(READ))?;
        if beginning.starts_with(b"PAR1") {
            return self.read_parquet(file);
        }
        let end = if beginning.contains(&0) { 0 } else { b'\n' };
        let is_account = end == b'\n' && beginning.starts_with(b"{\"path\":");
        let mut lines = BufReader::with_capacity(1 << 20, Cursor::new(beginning).chain(file));
        let (mut line, mut number) = (Vec::new(), 0_u64);
        let longest = if is_account { LONGEST_RECORD_BYTES } else { LONGEST_NAME_BYTES };
        while (&mut lines).take(longest + 1).read_until(end, &mut line).map_err(Error::io(READ))? > 0 {
            number += 1;
            if line.len() as u64 > longest {
                return Err(refused(format!("line {number} is longer than {longest} bytes")));
            }
            let text = line.strip_suffix(&[end]).unwrap_or(&line);
            let taken = if is_account { self.take_record(text) } else { self.take(text) };
            taken.map_err(|message| refused(format!("line {number} {message}")))?;
            line.clear();
        }
        Ok(())
    }

    /// Read lines of the account of a job.
    pub fn read_account(&mut self, lines: &[u8]) -> Result<()> {
        let mut lines = lines.split(|&byte| byte == b'\n');
        lines.try_for_each(|line| self.take_record(line)).map_err(|message| refused(format!("a line {message}")))
    }

    /// Put the names in order.
    pub fn finish(self) -> Result<Units> {
        Ok(Units {
            roots: self.roots,
            sorted: self.sorter.finish()?,
            last: None,
            last_lists: None,
            has_given: false,
            names: 0,
            hasher: blake3::Hasher::new(),
        })
    }

    fn read_parquet(&mut self, file: File) -> Result<()> {
        let told = |error: parquet::errors::ParquetError| refused(format!("is no Parquet file: {error}"));
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).map_err(told)?.build().map_err(told)?;
        for batch in batches {
            let batch = batch.map_err(|error| refused(format!("is no Parquet file: {error}")))?;
            let paths = batch.column_by_name("path").and_then(|column| column.as_string_opt::<i32>().cloned());
            let paths = paths.ok_or_else(|| refused("has no column `path` of text".to_owned()))?;
            let whole = batch.column_by_name("path_b64").and_then(|column| column.as_string_opt::<i32>().cloned());
            for row in 0..paths.len() {
                let whole = whole.as_ref().filter(|whole| whole.is_valid(row)).map(|whole| whole.value(row).to_owned());
                let record = Record { path: paths.value(row).to_owned(), path_b64: whole };
                self.take_path(record).map_err(|message| refused(format!("row {row} {message}")))?;
            }
        }
        Ok(())
    }

    fn take_record(&mut self, line: &[u8]) -> Result<(), String> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let record = serde_json::from_slice(line).map_err(|error| format!("is no line of an account: {error}"))?;
        self.take_path(record)
    }

    fn take_path(&mut self, record: Record) -> Result<(), String> {
        let whole = record.path_b64.map(|text| BASE64_STANDARD.decode(text)).transpose();
        let whole = whole.map_err(|error| format!("has a path_b64 that is none: {error}"))?;
        self.take(&whole.unwrap_or_else(|| record.path.into_bytes()))
    }

    /// Take a name; none is nothing. The error is the rest of a sentence about its line.
    fn take(&mut self, name: &[u8]) -> Result<(), String> {
        if name.is_empty() {
            return Ok(());
        }
        if name.contains(&0) {
            let shown = String::from_utf8_lossy(name).replace('\0', "\\0");
            return Err(format!("names `{shown}`, which holds a NUL byte"));
        }
        let (root, path) = self.roots.place(name)?;
        self.sorter.push(key_of(root, &path), Vec::new()).map_err(|error| format!("can't be kept: {error}"))
    }
}

/// The names in order, as scan units.
pub struct Units {
    roots: Roots,
    sorted: Sorted,
    last: Option<Vec<u8>>,
    /// Whether the last name is a directory or a prefix, with which comes what lies below; none: nobody asked yet.
    last_lists: Option<bool>,
    has_given: bool,
    names: u64,
    hasher: blake3::Hasher,
}

impl Units {
    /// Names given so far.
    pub fn names(&self) -> u64 {
        self.names
    }

    /// What tells these names from others, once all are given, in hexadecimal.
    pub fn digest(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    /// The next unit, for the ledger; none where all names are given. Without names there is one unit of none.
    pub fn next_unit(&mut self) -> Result<Option<Vec<u8>>> {
        let mut paths = Vec::new();
        let mut bytes = 0;
        while paths.len() < UNIT_NAMES && bytes < UNIT_BYTES {
            let Some((key, _)) = self.sorted.next().transpose()? else { break };
            if self.comes_with_the_last(&key) {
                continue;
            }
            bytes += key.len();
            self.names += 1;
            self.hasher.update(&(key.len() as u64).to_le_bytes()).update(&key);
            paths.push(path_of(&key));
            (self.last, self.last_lists) = (Some(key), None);
        }
        let is_first = !std::mem::replace(&mut self.has_given, true);
        if paths.is_empty() && !is_first { Ok(None) } else { Unit::Named(NamedPaths { paths }).encode().map(Some) }
    }
}

impl Units {
    /// Whether a name is the last one again, or lies below it and is listed with it.
    fn comes_with_the_last(&mut self, key: &[u8]) -> bool {
        let Some(last) = self.last.as_deref().filter(|last| covers(last, key)) else { return false };
        if last == key {
            return true;
        }
        let (root, below) = split_key(last);
        *self.last_lists.get_or_insert_with(|| self.roots.lists(root, &below))
    }
}

/// The key by which a path is ordered. With NUL for the slash a directory is followed by all that lies below it.
fn key_of(root: u16, path: &[u8]) -> Vec<u8> {
    let ordered = path.iter().map(|&byte| if byte == b'/' { 0 } else { byte });
    root.to_be_bytes().into_iter().chain(ordered).collect()
}

fn split_key(key: &[u8]) -> (u16, Vec<u8>) {
    let path = key[2..].iter().map(|&byte| if byte == 0 { b'/' } else { byte }).collect();
    (u16::from_be_bytes([key[0], key[1]]), path)
}

fn path_of(key: &[u8]) -> NamedPath {
    let (root, path) = split_key(key);
    NamedPath::new(root, &path)
}

/// Whether a path is another one, or lies below it.
fn covers(above: &[u8], key: &[u8]) -> bool {
    let ends_at_slash = above.len() == 2 || above.last() == Some(&0);
    key.starts_with(above) && (ends_at_slash || matches!(key.get(above.len()), None | Some(0)))
}

#[derive(Deserialize)]
struct Record {
    path: String,
    path_b64: Option<String>,
}

fn refused(message: String) -> Error {
    Error::InvalidParameter { step: "files_from".to_owned(), message }
}

const READ: &str = "read the list of names";

/// How much is looked at to tell the form of a list.
const BEGINNING_BYTES: u64 = 64 << 10;

/// Longest name that is taken: more than any file system has.
const LONGEST_NAME_BYTES: u64 = 64 << 10;
/// Longest line of an account: a name that is escaped, its error and its findings.
const LONGEST_RECORD_BYTES: u64 = 1 << 20;

/// Names of one unit: as many as the entries of a task, so that it is one.
const UNIT_NAMES: usize = 8192;
const UNIT_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn units(roots: &[&str], text: &[u8]) -> Result<(Vec<Unit>, String)> {
        let scratch = tempfile::tempdir().expect("creates");
        let mut list =
            NameList::new(roots.iter().map(|root| root.as_bytes().to_vec()).collect(), Links::Skip, scratch.path());
        let mut file = tempfile::tempfile().expect("creates");
        file.write_all(text).expect("writes");
        file.rewind().expect("rewinds");
        list.read(file)?;
        let mut given = list.finish()?;
        let mut units = Vec::new();
        while let Some(unit) = given.next_unit()? {
            units.push(Unit::decode(Some(&unit))?);
        }
        Ok((units, given.digest()))
    }

    fn paths(roots: &[&str], text: &[u8]) -> Vec<NamedPath> {
        let (units, _) = units(roots, text).expect("reads");
        let paths = |unit| match unit {
            Unit::Named(named) => named.paths,
            other => panic!("{other:?} is no list"),
        };
        units.into_iter().flat_map(paths).collect()
    }

    fn named(paths: &[(u16, &str)]) -> Vec<NamedPath> {
        paths.iter().map(|(root, path)| NamedPath::new(*root, path.as_bytes())).collect()
    }

    #[test]
    fn test_names_are_given_once_in_order_and_not_below_directories_that_are_named() {
        let root = tempfile::tempdir().expect("creates");
        std::fs::create_dir(root.path().join("b")).expect("creates");
        std::fs::write(root.path().join("file"), b"").expect("writes");
        let root = [root.path().to_str().expect("is text")];
        let text = b"b\na/x\n./a//y/\na/x\nb/below\nb-c\n\nlast";
        assert_eq!(paths(&root, text), named(&[(0, "a/x"), (0, "a/y"), (0, "b"), (0, "b-c"), (0, "last")]));
        // What is no directory lists nothing, and neither does what is not there.
        let text = b"file\nfile/below\ngone\ngone/below\ngone/below";
        let each = ["file", "file/below", "gone", "gone/below"].map(|path| (0, path));
        assert_eq!(paths(&root, text), named(&each));
        assert_eq!(paths(&["/d"], b"a\n.\nb\n"), named(&[(0, "")]));
    }

    #[test]
    fn test_keys_are_given_once_and_not_below_prefixes_that_are_named() {
        let text = b"b/\na//y\na/x\ns3://k/p/a/x\nb\nb/below\nb-c\n";
        let each = ["a//y", "a/x", "b", "b/", "b-c"].map(|path| (0, path));
        assert_eq!(paths(&["s3://k/p"], text), named(&each));
        assert_eq!(paths(&["s3://k/p"], b"a\ns3://k/p/\n"), named(&[(0, "")]));
    }

    #[test]
    fn test_names_that_end_in_nul_hold_newlines() {
        assert_eq!(paths(&["/d"], b"a\nb\0c\0"), named(&[(0, "a\nb"), (0, "c")]));
    }

    #[test]
    fn test_whole_paths_belong_to_the_innermost_root() {
        let text = b"/d/x\n/d/in/y\n/d/in\n";
        assert_eq!(paths(&["/d", "/d/in"], text), named(&[(0, "x"), (1, "")]));
    }

    #[test]
    fn test_lines_of_an_account_are_names() {
        let text = b"{\"path\":\"/d/a\",\"outcome\":\"failed\"}\n{\"path\":\"?\",\"path_b64\":\"L2Qv/w==\"}\n";
        let expected = [NamedPath::new(0, b"a"), NamedPath::new(0, b"\xff")];
        assert_eq!(paths(&["/d"], text), expected);
    }

    #[test]
    fn test_name_that_leads_out_of_the_source_is_refused_with_its_line() {
        for (text, told) in [("a\n../b\n", "line 2 names `../b`"), ("/e/x", "does not lie below the source")] {
            let error = units(&["/d"], text.as_bytes()).expect_err("is refused");
            assert!(error.to_string().contains(told), "{error}");
        }
        assert!(units(&["/d", "/e"], b"relative").is_err());
    }

    #[test]
    fn test_many_names_are_cut_into_units_and_told_by_their_digest() {
        let text: String = (0..20_000).map(|number| format!("d/{number:05}\n")).collect();
        let (units_of_all, digest) = units(&["/d"], text.as_bytes()).expect("reads");
        assert_eq!(units_of_all.len(), 3);
        let mut lines: Vec<&str> = text.lines().collect();
        lines.reverse();
        assert_eq!(units(&["/d"], lines.join("\n").as_bytes()).expect("reads").1, digest);
        assert_ne!(units(&["/d"], lines[1..].join("\n").as_bytes()).expect("reads").1, digest);
    }
}
