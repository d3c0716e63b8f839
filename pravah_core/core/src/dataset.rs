//! The dataset of a job's inspect steps: all acknowledged records, in bytewise order of their paths.
//!
//! An external merge: records are gathered up to a bound, sorted and spilled to a scratch file; at the end the sorted
//! runs are merged. Memory does not grow with the number of records.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::{Error, Result, manifest::Manifest, outcome::Recorded, plan::Plan};

/// Bytes of records that are sorted in memory at once.
const RUN_BYTES: usize = 64 << 20;

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

    /// Write all records as NDJSON; gives their number.
    pub fn write(mut self, output: impl Write) -> Result<u64> {
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
        let mut rows = 0;
        while let Some(Reverse((record, number))) = heads.pop() {
            rows += record.lines.lines().count() as u64;
            output.write_all(record.lines.as_bytes()).map_err(Error::io("write the dataset"))?;
            heads.extend(sources[number].next().transpose()?.map(|record| Reverse((record, number))));
        }
        output.flush().map_err(Error::io("write the dataset"))?;
        Ok(rows)
    }

    /// Sort what is gathered into a scratch file that has no name: nothing is left behind, whatever happens.
    fn spill(&mut self) -> Result<()> {
        let spilled = Error::io("write a scratch file");
        self.gathered.sort_unstable();
        let path = self.scratch.join(format!(".pravah-dataset-{}-{}", std::process::id(), self.runs.len()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(&spilled)?;
        std::fs::remove_file(&path).map_err(&spilled)?;
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

/// A directory for scratch files, from its bytes.
pub fn scratch_directory(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_after_spills_gives_all_records_in_bytewise_order() {
        let scratch = tempfile::tempdir().expect("makes a directory");
        let mut dataset = Dataset::new(scratch.path());
        let path = |number: usize| format!("d{}/{number}\n", number * 7919 % 100).into_bytes();
        for number in 0..300 {
            dataset.gathered.push(Record { path: path(number), lines: format!("{{\"n\":{number}}}\n") });
            if number % 70 == 69 {
                dataset.spill().expect("spills");
            }
        }
        assert_eq!(scratch.path().read_dir().expect("lists").count(), 0);
        let mut written = Vec::new();
        assert_eq!(dataset.write(&mut written).expect("writes"), 300);
        let mut numbers: Vec<usize> = (0..300).collect();
        numbers.sort_by_key(|number| path(*number));
        let expected: String = numbers.iter().map(|number| format!("{{\"n\":{number}}}\n")).collect();
        assert_eq!(String::from_utf8(written).expect("is UTF-8"), expected);
    }
}
