//! Sorts more than fits into memory: what is gathered is sorted and spilled to scratch files, which are merged.
//!
//! Memory does not grow with the number of records. Scratch files have no name while they are used: nothing is left
//! behind, whatever happens.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Error, Result};

/// Bytes of records that are sorted in memory at once.
const RUN_BYTES: usize = 64 << 20;

/// Runs that are merged at once: each has a descriptor and a decoder open.
const MOST_RUNS: usize = 64;

/// What a record costs in memory beside its bytes: two vectors.
const RECORD_BYTES: usize = 48;

/// zstd's level for scratch files: sorted names shrink to a tenth at the speed of a disk.
const LEVEL: i32 = 1;

/// A key and what belongs to it; ordered by both, bytewise.
pub type Record = (Vec<u8>, Vec<u8>);

/// Gathers records, then gives them in order.
pub struct Sorter {
    scratch: PathBuf,
    gathered: Vec<Record>,
    gathered_bytes: usize,
    runs: Vec<File>,
}

impl Sorter {
    /// Gather records; `scratch` is a directory for what does not fit into memory.
    pub fn new(scratch: &Path) -> Self {
        Self { scratch: scratch.to_owned(), gathered: Vec::new(), gathered_bytes: 0, runs: Vec::new() }
    }

    /// Add a record.
    pub fn push(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.gathered_bytes += key.len() + value.len() + RECORD_BYTES;
        self.gathered.push((key, value));
        if self.gathered_bytes >= RUN_BYTES { self.spill() } else { Ok(()) }
    }

    /// Give all records in order.
    pub fn finish(mut self) -> Result<Sorted> {
        self.gathered.sort_unstable();
        Sorted::of(self.gathered, self.runs)
    }

    fn spill(&mut self) -> Result<()> {
        self.gathered.sort_unstable();
        let run = write_run(&self.scratch, self.gathered.drain(..).map(Ok))?;
        self.gathered_bytes = 0;
        self.runs.push(run);
        if self.runs.len() == MOST_RUNS {
            let merged = Sorted::of(Vec::new(), std::mem::take(&mut self.runs))?;
            self.runs.push(write_run(&self.scratch, merged)?);
        }
        Ok(())
    }
}

/// Write records, which are in order, to a scratch file.
fn write_run(scratch: &Path, records: impl Iterator<Item = Result<Record>>) -> Result<File> {
    let spilled = Error::io("write a scratch file");
    let file = scratch_file(scratch)?;
    let mut writer = BufWriter::new(zstd::Encoder::new(&file, LEVEL).map_err(&spilled)?);
    for record in records {
        let (key, value) = record?;
        for part in [key, value] {
            writer.write_all(&(part.len() as u64).to_le_bytes()).map_err(&spilled)?;
            writer.write_all(&part).map_err(&spilled)?;
        }
    }
    let encoder = writer.into_inner().map_err(|error| spilled(error.into_error()))?;
    encoder.finish().map_err(&spilled)?;
    Ok(file)
}

/// Make a file without a name in a scratch directory.
pub fn scratch_file(directory: &Path) -> Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let failed = Error::io("write a scratch file");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!(".pravah-scratch-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(&failed)?;
    std::fs::remove_file(&path).map_err(&failed)?;
    Ok(file)
}

type Source = Box<dyn Iterator<Item = Result<Record>> + Send>;

/// Records in order.
pub struct Sorted {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(Record, usize)>>,
}

impl Sorted {
    /// Merge what is sorted already: records in memory, and runs on disk.
    fn of(gathered: Vec<Record>, runs: Vec<File>) -> Result<Self> {
        let mut sources: Vec<Source> = vec![Box::new(gathered.into_iter().map(Ok))];
        for mut run in runs {
            run.rewind().map_err(Error::io(READ))?;
            sources.push(Box::new(Run(BufReader::new(zstd::Decoder::new(run).map_err(Error::io(READ))?))));
        }
        let mut sorted = Self { sources, heads: BinaryHeap::new() };
        (0..sorted.sources.len()).try_for_each(|number| sorted.advance(number))?;
        Ok(sorted)
    }

    fn advance(&mut self, number: usize) -> Result<()> {
        self.heads.extend(self.sources[number].next().transpose()?.map(|record| Reverse((record, number))));
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, number)) = self.heads.pop()?;
        Some(self.advance(number).map(|()| record))
    }
}

/// Reads a spilled run.
struct Run<R>(R);

impl<R: Read> Run<R> {
    fn part(&mut self) -> std::io::Result<Vec<u8>> {
        let mut length = [0; 8];
        self.0.read_exact(&mut length)?;
        let mut part = vec![0; usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX)];
        self.0.read_exact(&mut part)?;
        Ok(part)
    }
}

impl<R: std::io::BufRead> Iterator for Run<R> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = match self.0.fill_buf() {
            Ok([]) => return None,
            Ok(_) => self.part().and_then(|key| Ok((key, self.part()?))),
            Err(error) => Err(error),
        };
        Some(read.map_err(Error::io(READ)))
    }
}

const READ: &str = "read a scratch file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finish_after_spills_gives_all_records_in_bytewise_order() {
        let scratch = tempfile::tempdir().expect("makes a directory");
        let mut sorter = Sorter::new(scratch.path());
        let key = |number: usize| format!("d{}/{number}\n", number * 7919 % 100).into_bytes();
        for number in 0..300 {
            sorter.push(key(number), vec![0xff; number % 3]).expect("takes it");
            if number % 3 == 2 {
                sorter.spill().expect("spills");
            }
        }
        assert!(sorter.runs.len() < MOST_RUNS, "{} runs are open at once", sorter.runs.len());
        assert_eq!(scratch.path().read_dir().expect("lists").count(), 0);
        let sorted: Vec<Record> = sorter.finish().expect("sorts").collect::<Result<_>>().expect("reads");
        let mut expected: Vec<Record> = (0..300).map(|number| (key(number), vec![0xff; number % 3])).collect();
        expected.sort();
        assert_eq!(sorted, expected);
    }
}
