//! The dataset of a job's inspect steps: all acknowledged records, in bytewise order of their paths.
//!
//! An external merge: records are gathered up to a bound, sorted and spilled to a scratch file; at the end the sorted
//! runs are merged. Memory does not grow with the number of records.
//!
//! NDJSON is what is merged. For a table the merged records go to a scratch file while their columns are found, and
//! are read once more to be written; so its types are those of all records, and the same records give the same bytes.
//!
//! - `kind`: which columns there are, and what they hold; `arrays`: values into Arrow
//! - `table`: the merged records as batches, as Parquet and as CSV

mod arrays;
mod kind;
mod table;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

pub use self::table::{Batches, Table};
use self::{kind::Fields, table::Form};
use crate::{Error, Result, manifest::Manifest, outcome::Recorded, plan::Plan};

/// Bytes of records that are sorted in memory at once.
const RUN_BYTES: usize = 64 << 20;

/// Records that are told of a dataset.
const FIRST_RECORDS: usize = 3;

/// How a dataset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line
    Ndjson,
    /// Comma-separated values with a header; what is nested is JSON text
    Csv,
    /// Parquet, with lists and structs
    Parquet,
}

impl Format {
    /// The format of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "ndjson" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The number of records.
    pub records: u64,
    /// The first of them, as JSON.
    pub first: Vec<String>,
}

impl Written {
    /// Take notice of the lines of an entry.
    fn see(&mut self, lines: &str) {
        for line in lines.lines() {
            self.records += 1;
            if self.first.len() < FIRST_RECORDS {
                self.first.push(line.to_owned());
            }
        }
    }
}

/// Gathers records, then writes them in order.
pub struct Dataset {
    scratch: PathBuf,
    gathered: Vec<Record>,
    gathered_bytes: usize,
    runs: Vec<File>,
}

/// The lines of one entry, under the path that orders them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    path: Vec<u8>,
    lines: String,
}

impl Dataset {
    /// Gather records; `scratch` is a directory for what does not fit into memory.
    pub fn new(scratch: &Path) -> Self {
        Self { scratch: scratch.to_owned(), gathered: Vec::new(), gathered_bytes: 0, runs: Vec::new() }
    }

    /// Add the acknowledged records of a task.
    pub fn add(&mut self, plan: &Plan, manifest: &[u8], windows: &[Recorded]) -> Result<()> {
        let manifest = Manifest::decode(manifest)?;
        for window in windows.iter().filter(|window| window.acknowledged) {
            for row in window.rows()? {
                let Some(lines) = row.records else { continue };
                let at = row.index as usize;
                let path = plan.source_path(manifest.root(at), manifest.directory(at), manifest.name(at));
                self.gathered_bytes += path.len() + lines.len();
                self.gathered.push(Record { path, lines });
            }
        }
        if self.gathered_bytes >= RUN_BYTES { self.spill() } else { Ok(()) }
    }

    /// Write all records in a format.
    pub fn write(self, output: impl Write, format: Format) -> Result<Written> {
        let form = match format {
            Format::Ndjson => return self.merge(output, |_| Ok(())),
            Format::Csv => Form::Flat,
            Format::Parquet => Form::Nested,
        };
        let table = self.table(form)?;
        match format {
            Format::Parquet => table.write_parquet(output)?,
            _ => table.write_csv(output)?,
        }
        Ok(table.written)
    }

    /// Merge all records into a table with lists and structs, which can be read any number of times.
    pub fn nested(self) -> Result<Table> {
        self.table(Form::Nested)
    }

    fn table(self, form: Form) -> Result<Table> {
        let (file, mut fields) = (scratch_file(&self.scratch, "table")?, Fields::with_path(form));
        let written = self.merge(&file, |line| fields.see(line))?;
        Ok(Table { file, fields, written })
    }

    /// Write all records as NDJSON, each of which is shown to `see`.
    fn merge(mut self, output: impl Write, mut see: impl FnMut(&str) -> Result<()>) -> Result<Written> {
        let mut output = BufWriter::with_capacity(1 << 20, output);
        self.gathered.sort_unstable();
        let gathered = std::mem::take(&mut self.gathered).into_iter().map(Ok);
        let mut sources: Vec<Box<dyn Iterator<Item = Result<Record>>>> = vec![Box::new(gathered)];
        for run in &self.runs {
            sources.push(Box::new(Run(BufReader::new(run))));
        }
        let mut heads = BinaryHeap::new();
        for (number, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next().transpose()?.map(|record| Reverse((record, number))));
        }
        let mut written = Written::default();
        while let Some(Reverse((record, number))) = heads.pop() {
            written.see(&record.lines);
            record.lines.lines().try_for_each(&mut see)?;
            output.write_all(record.lines.as_bytes()).map_err(Error::io("write the dataset"))?;
            heads.extend(sources[number].next().transpose()?.map(|record| Reverse((record, number))));
        }
        output.flush().map_err(Error::io("write the dataset"))?;
        Ok(written)
    }

    /// Sort what is gathered into a scratch file.
    fn spill(&mut self) -> Result<()> {
        let spilled = Error::io("write a scratch file");
        self.gathered.sort_unstable();
        let file = scratch_file(&self.scratch, "run")?;
        let mut writer = BufWriter::new(&file);
        for record in self.gathered.drain(..) {
            writeln!(writer, "{} {}", record.path.len(), record.lines.len()).map_err(&spilled)?;
            writer.write_all(&record.path).map_err(&spilled)?;
            writer.write_all(record.lines.as_bytes()).map_err(&spilled)?;
        }
        writer.flush().map_err(&spilled)?;
        drop(writer);
        std::io::Seek::rewind(&mut &file).map_err(&spilled)?;
        self.gathered_bytes = 0;
        self.runs.push(file);
        Ok(())
    }
}

/// Reads a spilled run.
struct Run<R>(R);

impl<R: BufRead> Iterator for Run<R> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut header = String::new();
        match self.0.read_line(&mut header) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(Error::io("read a scratch file")(error))),
        }
        let lengths =
            header.trim_end().split_once(' ').and_then(|(path, lines)| Some((path.parse().ok()?, lines.parse().ok()?)));
        let (path, lines) = lengths.expect("a run holds what `spill` wrote");
        Some(self.read(path, lines).map_err(Error::io("read a scratch file")))
    }
}

impl<R: BufRead> Run<R> {
    fn read(&mut self, path_bytes: usize, lines_bytes: usize) -> std::io::Result<Record> {
        let mut path = vec![0; path_bytes];
        self.0.read_exact(&mut path)?;
        let mut lines = vec![0; lines_bytes];
        self.0.read_exact(&mut lines)?;
        Ok(Record { path, lines: String::from_utf8(lines).map_err(std::io::Error::other)? })
    }
}

/// Make a scratch file that has no name: nothing is left behind, whatever happens.
fn scratch_file(scratch: &Path, what: &str) -> Result<File> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let made = Error::io("make a scratch file");
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let path = scratch.join(format!(".pravah-{what}-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(&made)?;
    std::fs::remove_file(&path).map_err(&made)?;
    Ok(file)
}

/// A directory for scratch files, from its bytes.
pub fn scratch_directory(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests;
