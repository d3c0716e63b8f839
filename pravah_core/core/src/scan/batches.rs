//! A scan as a stream of Arrow batches, pulled by the consumer.
//!
//! Columns of [`schema`], one row for everything found below the roots, directories too:
//!
//! | Column | Type | Holds |
//! |---|---|---|
//! | `directory` | dictionary of int32 to binary | its directory, as `find ROOT` prints it: a batch's dictionary is the table of its directories, the key is the id of the row's parent in it |
//! | `name` | binary | its name there; empty for a root that is no directory |
//! | `kind` | dictionary of int8 to utf8 | `file`, `directory`, `symlink`, `fifo`, `socket`, `device` |
//! | `size_bytes` | uint64, nullable | of files; only with [`Detail::Sizes`] |
//! | `modified_at` | timestamp(ns, UTC), nullable | of files; only with [`Detail::Sizes`] |

use std::{
    fs::File,
    io::{BufWriter, ErrorKind, Write},
    mem::take,
    ops::ControlFlow,
    os::fd::BorrowedFd,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, Int8Array, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt64Array,
    types::{Int8Type, Int32Type},
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{
    Detail, Scanner,
    count::Count,
    directory::Directory,
    listing::Listing,
    walk::{End, Visitor},
};
use crate::{Error, Result, entry::Kind};

/// The schema of a scan's batches.
pub fn schema(detail: Detail) -> SchemaRef {
    let dictionary = |key, value| DataType::Dictionary(Box::new(key), Box::new(value));
    let mut fields = vec![
        Field::new("directory", dictionary(DataType::Int32, DataType::Binary), false),
        Field::new("name", DataType::Binary, false),
        Field::new("kind", dictionary(DataType::Int8, DataType::Utf8), false),
    ];
    if detail == Detail::Sizes {
        fields.push(Field::new("size_bytes", DataType::UInt64, true));
        fields.push(Field::new("modified_at", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), true));
    }
    Arc::new(Schema::new(fields))
}

/// A scan that runs while its batches are pulled, a bounded number of them ahead. Dropping it ends the scan.
pub struct Batches {
    schema: SchemaRef,
    batches: Option<Receiver<Result<RecordBatch>>>,
    scan: Option<JoinHandle<Result<Count>>>,
    stop: Arc<AtomicBool>,
    count: Option<Count>,
}

impl Batches {
    pub(super) fn start(scanner: Scanner) -> Result<Self> {
        let schema = schema(scanner.detail);
        // One of its own: a stream that is dropped must not end others of the same scanner.
        let stop = Arc::<AtomicBool>::default();
        let scanner = scanner.stop(Arc::clone(&stop));
        let (sender, batches) = sync_channel(scanner.threads);
        let columns = schema.clone();
        let scan = thread::Builder::new()
            .name("pravah-scan".into())
            .spawn(move || {
                let gatherer = |sender| Gatherer::new(&columns, sender);
                let gatherers = vec![sender; scanner.threads].into_iter().map(gatherer).collect();
                let gatherers = scanner.walk(gatherers)?;
                Ok(Count::sum(gatherers.into_iter().map(Gatherer::finish)))
            })
            .map_err(Error::io("start a thread"))?;
        Ok(Self { schema, batches: Some(batches), scan: Some(scan), stop, count: None })
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// What the scan counted and could not read; known once the last batch has been pulled.
    pub fn counted(&self) -> Option<&Count> {
        self.count.as_ref()
    }

    /// Take the scan's own result when no more batches come.
    fn end(&mut self) -> Option<Result<RecordBatch>> {
        match self.scan.take()?.join().unwrap_or_else(|_| Err(Error::Panicked("the scan panicked".to_owned()))) {
            Ok(count) => {
                self.count = Some(count);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.batches.as_ref()?.recv() {
            Ok(batch) => Some(batch),
            Err(_) => self.end(),
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        if let Some(scan) = self.scan.take() {
            self.stop.store(true, Ordering::Relaxed);
            self.batches = None; // whoever waits to send a batch sees that nobody wants it
            let _ = scan.join();
        }
    }
}

/// Write batches as an Arrow IPC stream. A reader that closed its end ends the scan early, and is no error.
pub(super) fn write(mut batches: Batches, descriptor: BorrowedFd<'_>) -> Result<Count> {
    let file = File::from(descriptor.try_clone_to_owned().map_err(Error::io("write the listing"))?);
    match write_all(&mut batches, file) {
        Ok(()) => Ok(batches.counted().cloned().unwrap_or_default()),
        Err(ArrowError::IoError(_, error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Count::default()),
        Err(ArrowError::IoError(_, error)) => Err(Error::io("write the listing")(error)),
        Err(ArrowError::ExternalError(error)) => Err(error
            .downcast()
            .map_or_else(|error| Error::DamagedBlob { what: "listing", message: error.to_string() }, |error| *error)),
        Err(error) => Err(Error::DamagedBlob { what: "listing", message: error.to_string() }),
    }
}

fn write_all(batches: &mut Batches, file: File) -> Result<(), ArrowError> {
    let buffered = BufWriter::with_capacity(1 << 20, file);
    // Each thread has its own directory table, so a batch's dictionary replaces the one before.
    let mut writer = StreamWriter::try_new(buffered, &batches.schema())?;
    for batch in batches {
        writer.write(&batch.map_err(|error| ArrowError::ExternalError(Box::new(error)))?)?;
    }
    writer.finish()?;
    writer.get_mut().flush()?;
    Ok(())
}

/// Gathers what one thread finds into batches.
struct Gatherer {
    schema: SchemaRef,
    sender: SyncSender<Result<RecordBatch>>,
    columns: Columns,
    count: Count,
}

impl Gatherer {
    fn new(schema: &SchemaRef, sender: SyncSender<Result<RecordBatch>>) -> Self {
        Self { schema: schema.clone(), sender, columns: Columns::default(), count: Count::default() }
    }

    fn send(&mut self) -> ControlFlow<()> {
        let batch = take(&mut self.columns).finish(&self.schema);
        let batch = batch.map_err(|error| Error::Panicked(format!("a batch does not fit its schema: {error}")));
        if self.sender.send(batch).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn finish(mut self) -> Count {
        if !self.columns.kinds.is_empty() {
            let _ = self.send();
        }
        self.count
    }
}

impl Visitor for Gatherer {
    fn entries(&mut self, directory: &Directory, listing: &mut Listing) -> ControlFlow<()> {
        self.count.take(directory, listing);
        if listing.is_empty() {
            return ControlFlow::Continue(());
        }
        self.columns.append(directory, listing);
        if self.columns.is_full() { self.send() } else { ControlFlow::Continue(()) }
    }

    fn end(&mut self, directory: &Arc<Directory>, end: End) -> ControlFlow<()> {
        self.count.take_end(directory, end);
        ControlFlow::Continue(())
    }
}

/// The columns of a batch in the making.
#[derive(Default)]
struct Columns {
    directories: Vec<u8>,
    directory_ends: Vec<i32>,
    keys: Vec<i32>,
    names: Vec<u8>,
    ends: Vec<i32>,
    kinds: Vec<u8>,
    sizes: Vec<u64>,
    modified: Vec<i64>,
}

impl Columns {
    fn append(&mut self, directory: &Directory, listing: &Listing) {
        if self.ends.is_empty() {
            self.begin(listing);
        }
        let key = number(self.directory_ends.len() - 1);
        directory.append_path(&mut self.directories);
        self.directory_ends.push(number(self.directories.len()));
        self.keys.resize(self.keys.len() + listing.len(), key);
        let base = number(self.names.len());
        self.names.extend_from_slice(listing.names());
        self.ends.extend(listing.ends().iter().map(|&end| base + end.cast_signed()));
        self.kinds.extend(listing.kinds().iter().map(|&kind| kind as u8));
        self.sizes.extend_from_slice(listing.sizes());
        self.modified.extend_from_slice(listing.modified());
    }

    fn begin(&mut self, listing: &Listing) {
        let rows = BATCH_ROWS + BATCH_ROWS / 4;
        self.keys.reserve(rows);
        self.names.reserve(rows * 16);
        self.ends.reserve(rows);
        self.kinds.reserve(rows);
        if !listing.sizes().is_empty() {
            self.sizes.reserve(rows);
            self.modified.reserve(rows);
        }
        self.ends.push(0);
        self.directory_ends.push(0);
    }

    fn is_full(&self) -> bool {
        self.kinds.len() >= BATCH_ROWS || self.directories.len() + self.names.len() >= BATCH_BYTES
    }

    fn finish(self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let is_file = |&kind: &u8| kind == Kind::File as u8;
        let nulls = (schema.fields().len() > 3).then(|| NullBuffer::from_iter(self.kinds.iter().map(is_file)));
        let rows = self.kinds.len();
        let kinds = Int8Array::new(ScalarBuffer::new(Buffer::from_vec(self.kinds), 0, rows), None);
        let directories = Arc::new(binary(self.directory_ends, self.directories)?);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(self.keys), directories)?),
            Arc::new(binary(self.ends, self.names)?),
            Arc::new(DictionaryArray::<Int8Type>::try_new(kinds, KINDS.clone())?),
        ];
        if nulls.is_some() {
            columns.push(Arc::new(UInt64Array::new(self.sizes.into(), nulls.clone())));
            columns.push(Arc::new(TimestampNanosecondArray::new(self.modified.into(), nulls).with_timezone("UTC")));
        }
        RecordBatch::try_new(schema.clone(), columns)
    }
}

fn binary(ends: Vec<i32>, bytes: Vec<u8>) -> Result<BinaryArray, ArrowError> {
    BinaryArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes), None)
}

fn number(value: usize) -> i32 {
    i32::try_from(value).expect("a batch is sent long before it holds 2 GiB")
}

/// The names of [`Kind`]'s values, in their order.
static KINDS: LazyLock<ArrayRef> =
    LazyLock::new(|| Arc::new(StringArray::from(vec!["file", "directory", "symlink", "fifo", "socket", "device"])));

/// Rows of a batch: about a megabyte, so that the work per batch vanishes and few are in flight.
const BATCH_ROWS: usize = 32_768;

/// Bytes of paths and names after which a batch is sent in any case: long paths of nested directories.
const BATCH_BYTES: usize = 8 << 20;
