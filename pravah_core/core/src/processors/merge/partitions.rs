//! Lays rows into directories by the values in some of their columns, as Hive does: `day=2026-01-31/city=Pune/`.
//!
//! Rows of a directory are gathered in memory; where all of them together are too many, the largest directory gets a
//! file of what it has. So memory is bounded, one file is written at a time, and where files end depends on the rows
//! alone.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use arrow_select::{concat::concat_batches, take::take_record_batch};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::{
    Error, Result,
    naming::Part,
    processors::Event,
    tables::{slice_bytes, texts},
};

/// Bytes of rows that are gathered.
pub const GATHERED_BYTES: usize = 64 << 20;

/// What a batch takes beside its rows, with each of its columns.
const BATCH_BYTES: usize = 512;

/// The directory of rows without a value.
const NO_VALUE: &[u8] = b"__HIVE_DEFAULT_PARTITION__";

/// NAME_MAX of every file system of Linux that counts names in bytes.
const NAME_BYTES: usize = 255;

/// What Hive escapes in the names of directories, and the percent sign itself.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'=')
    .add(b'?')
    .add(b'\\')
    .add(b'{')
    .add(b'[')
    .add(b']')
    .add(b'^');

/// The rows on their way into directories.
pub struct Partitions {
    by: Vec<String>,
    name: Bytes,
    /// The columns that files have: all but those that the directories tell.
    columns: Option<SchemaRef>,
    gathered: BTreeMap<Vec<u8>, Gathered>,
    size_bytes: usize,
}

#[derive(Default)]
struct Gathered {
    batches: Vec<RecordBatch>,
    size_bytes: usize,
    /// Files that the directory has got.
    files: u32,
}

impl Partitions {
    /// Part rows by these columns.
    pub fn new(by: Vec<String>) -> Self {
        Self { by, name: Bytes::new(), columns: None, gathered: BTreeMap::new(), size_bytes: 0 }
    }

    /// Begin with the name of the first table.
    pub fn begin(&mut self, name: Bytes) {
        self.name = name;
    }

    /// Whether rows with these columns can't be parted.
    pub fn lacks(&self, schema: &Schema) -> bool {
        self.by.iter().any(|name| schema.field_with_name(name).is_err())
    }

    /// Take rows, which all have the same columns.
    pub fn take(&mut self, batch: &RecordBatch, given: &mut VecDeque<Event>) -> Result<()> {
        let rest = self.columns_of_files(&batch.schema())?;
        let mut rows: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for (row, directory) in (0..).zip(self.directories(batch)?) {
            rows.entry(directory).or_default().push(row);
        }
        let files: Vec<ArrayRef> =
            rest.fields().iter().filter_map(|field| batch.column_by_name(field.name())).cloned().collect();
        let files = RecordBatch::try_new(rest, files).map_err(unusable)?;
        for (directory, rows) in rows {
            let taken = take_record_batch(&files, &UInt32Array::from(rows)).map_err(unusable)?;
            let size_bytes = slice_bytes(&taken) + BATCH_BYTES * (1 + taken.num_columns());
            let gathered = self.gathered.entry(directory).or_default();
            gathered.batches.push(taken);
            gathered.size_bytes += size_bytes;
            self.size_bytes += size_bytes;
        }
        while self.size_bytes > GATHERED_BYTES {
            let largest = self.gathered.iter().max_by_key(|(_, gathered)| gathered.size_bytes);
            let Some(largest) = largest.map(|(directory, _)| directory.clone()) else { break };
            self.write(&largest, given)?;
        }
        Ok(())
    }

    /// Write what is left, directory by directory.
    pub fn finish(&mut self, given: &mut VecDeque<Event>) -> Result<()> {
        let directories: Vec<Vec<u8>> = self.gathered.keys().cloned().collect();
        directories.iter().try_for_each(|directory| self.write(directory, given))
    }

    /// Give a file of what a directory has got.
    fn write(&mut self, directory: &[u8], given: &mut VecDeque<Event>) -> Result<()> {
        let (Some(gathered), Some(columns)) = (self.gathered.get_mut(directory), &self.columns) else { return Ok(()) };
        let batches = std::mem::take(&mut gathered.batches);
        self.size_bytes -= std::mem::take(&mut gathered.size_bytes);
        if batches.is_empty() {
            return Ok(());
        }
        let number = gathered.files;
        gathered.files += 1;
        given.push_back(Event::Part(Part { directory: directory.to_vec(), number }));
        given.push_back(Event::Begin { name: self.name.clone(), size_bytes: None, source_bytes: None, path: None });
        given.push_back(Event::Table(concat_batches(columns, &batches).map_err(unusable)?));
        given.push_back(Event::End);
        Ok(())
    }

    fn columns_of_files(&mut self, schema: &Schema) -> Result<SchemaRef> {
        if let Some(columns) = &self.columns {
            return Ok(Arc::clone(columns));
        }
        if let Some(unknown) = self.by.iter().find(|name| schema.field_with_name(name).is_err()) {
            return Err(Error::NoSuchColumn(format!("partition_by names the column `{unknown}`, which no row has")));
        }
        let rest: Vec<_> = schema.fields().iter().filter(|field| !self.by.contains(field.name())).cloned().collect();
        if rest.is_empty() {
            return Err(Error::NoColumns("partition_by names all columns, and files would have none".to_owned()));
        }
        Ok(Arc::clone(self.columns.insert(Arc::new(Schema::new(rest)))))
    }

    /// The directory of each row.
    fn directories(&self, batch: &RecordBatch) -> Result<Vec<Vec<u8>>> {
        let mut directories = vec![Vec::new(); batch.num_rows()];
        for name in &self.by {
            let Some((field, column)) = batch
                .schema_ref()
                .column_with_name(name)
                .map(|(at, _)| (&batch.schema_ref().fields()[at], batch.column(at)))
            else {
                continue;
            };
            let texts = texts(field, column)?;
            for (row, directory) in directories.iter_mut().enumerate() {
                let start = directory.len() + usize::from(!directory.is_empty());
                if !directory.is_empty() {
                    directory.push(b'/');
                }
                escape(name.as_bytes(), directory);
                directory.push(b'=');
                match texts.get(row).filter(|text| !text.is_empty()) {
                    Some(text) => escape(text, directory),
                    None => directory.extend_from_slice(NO_VALUE),
                }
                if directory.len() - start > NAME_BYTES {
                    let length_bytes = directory.len() - start;
                    return Err(Error::NameTooLong { length_bytes, limit_bytes: NAME_BYTES });
                }
            }
        }
        Ok(directories)
    }
}

fn escape(text: &[u8], into: &mut Vec<u8>) {
    // Bytes beyond ASCII stay: names are bytes.
    for byte in text {
        if byte.is_ascii() {
            percent_encode(&[*byte], ESCAPED).for_each(|part| into.extend_from_slice(part.as_bytes()));
        } else {
            into.push(*byte);
        }
    }
}

fn unusable(error: ArrowError) -> Error {
    Error::UnsupportedInput(format!("the rows can't be parted: {error}"))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field};

    use super::*;

    #[test]
    fn test_rows_lie_in_directories_by_their_values_in_order() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("city", DataType::Utf8, true),
            Field::new("day", DataType::Int64, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let city = StringArray::from(vec![Some("Pune"), None, Some("a/b=c %"), Some("Pune"), Some("")]);
        let day = Int64Array::from(vec![Some(1), Some(1), None, Some(1), Some(1)]);
        let n = Int64Array::from(vec![1, 2, 3, 4, 5]);
        let batch = RecordBatch::try_new(schema, vec![Arc::new(city), Arc::new(day), Arc::new(n)]).expect("fits");
        let mut partitions = Partitions::new(vec!["city".into(), "day".into()]);
        let mut given = VecDeque::new();
        partitions.take(&batch, &mut given).expect("takes");
        assert!(given.is_empty());
        partitions.finish(&mut given).expect("ends");
        let mut found = Vec::new();
        for event in given {
            match event {
                Event::Part(part) => found.push((String::from_utf8(part.directory).expect("is text"), part.number, 0)),
                Event::Table(batch) => {
                    assert_eq!(batch.num_columns(), 1);
                    found.last_mut().expect("a part has begun").2 = batch.num_rows();
                }
                _ => {}
            }
        }
        let expected = [
            ("city=Pune/day=1".to_owned(), 0, 2),
            ("city=__HIVE_DEFAULT_PARTITION__/day=1".to_owned(), 0, 2),
            ("city=a%2Fb%3Dc %25/day=__HIVE_DEFAULT_PARTITION__".to_owned(), 0, 1),
        ];
        assert_eq!(found, expected);
    }
}
