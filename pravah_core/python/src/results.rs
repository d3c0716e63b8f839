//! The dataset of inspect steps, as a file and as a stream of Arrow batches.

use std::{fs::File, os::fd::BorrowedFd};

use arrow_array::{RecordBatchReader, ffi_stream::FFI_ArrowArrayStream};
use arrow_schema::{ArrowError, SchemaRef};
use pravah_core::dataset::{self, Batches, Dataset, Format};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyCapsule};

use crate::{
    error::raise,
    task::{Window, plan, recorded},
};

/// Gathers the records of inspect steps and writes them in bytewise order of their paths.
#[pyclass]
pub struct Results(Option<Dataset>);

#[pymethods]
impl Results {
    /// `scratch` is a directory for what does not fit into memory.
    #[new]
    fn new(scratch: &[u8]) -> Self {
        Self(Some(Dataset::new(dataset::scratch_directory(scratch))))
    }

    /// Add the acknowledged records of a task.
    fn add(&mut self, py: Python<'_>, plan_json: &str, manifest: &[u8], windows: Vec<Window>) -> PyResult<()> {
        let (plan, windows) = (plan(plan_json)?, recorded(windows));
        let dataset = self.0.as_mut().ok_or_else(ended)?;
        py.detach(|| dataset.add(&plan, manifest, &windows)).map_err(|error| raise(&error))
    }

    /// Write everything as `ndjson`, `csv` or `parquet` to a descriptor, which stays open; gives the number of
    /// records and the first ones.
    fn write(&mut self, py: Python<'_>, descriptor: i32, format: &str) -> PyResult<(u64, Vec<String>)> {
        let format =
            Format::of_name(format).ok_or_else(|| PyValueError::new_err(format!("unknown format `{format}`")))?;
        let dataset = self.0.take().ok_or_else(ended)?;
        // SAFETY: the caller keeps its descriptor open during the call; only a duplicate is kept.
        let file = File::from(unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()?);
        let written = py.detach(|| dataset.write(file, format)).map_err(|error| raise(&error))?;
        Ok((written.records, written.first))
    }

    /// Give everything as a table.
    fn table(&mut self, py: Python<'_>) -> PyResult<Table> {
        let dataset = self.0.take().ok_or_else(ended)?;
        py.detach(|| dataset.nested()).map(Table).map_err(|error| raise(&error))
    }
}

/// All records, in order, with the columns that they have together.
#[pyclass(frozen)]
pub struct Table(dataset::Table);

#[pymethods]
impl Table {
    fn __len__(&self) -> usize {
        usize::try_from(self.0.records()).unwrap_or(usize::MAX)
    }

    /// Begin to read the records as an Arrow stream (Arrow PyCapsule interface).
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema; // the interface lets a producer offer its own schema whatever is asked for
        let batches = self.0.batches().map_err(|error| raise(&error))?;
        let stream = FFI_ArrowArrayStream::new(Box::new(Reader(batches)));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// Batches as the Arrow libraries read them.
struct Reader(Batches);

impl Iterator for Reader {
    type Item = Result<arrow_array::RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.0.next()?;
        Some(batch.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}

fn ended() -> PyErr {
    PyValueError::new_err("it has been written already")
}
