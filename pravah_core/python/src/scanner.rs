//! Scans, as text, as sums and as a stream of Arrow batches.

use std::{os::fd::BorrowedFd, sync::Arc};

use arrow_array::{RecordBatchReader, ffi_stream::FFI_ArrowArrayStream};
use arrow_schema::{ArrowError, SchemaRef};
use pravah_core::scan::{self, Batches, Count, Detail, Filter, FilterRules, Format, Glob, GroupBy, Links, Reason};
use pravah_core::stores::s3::{ObjectLister, is_object_uri};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyCapsule, PyDict, PyList},
};

use crate::error::raise;

/// A scan of one or more directory trees, started anew by each of its methods.
#[pyclass(frozen)]
pub struct Scanner(scan::Scanner);

#[pymethods]
impl Scanner {
    /// `roots` are paths as bytes, `globs` the patterns of each that is a glob; `rules` is JSON, see `check_filters`;
    /// `stat` asks for sizes and times.
    #[new]
    #[pyo3(signature = (roots, *, globs=Vec::new(), rules="{}", stat=false, follow_symlinks=false, threads=None))]
    fn new(
        py: Python<'_>,
        roots: Vec<Vec<u8>>,
        globs: Vec<Vec<String>>,
        rules: &str,
        stat: bool,
        follow_symlinks: bool,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let compile = |patterns: &Vec<String>| (!patterns.is_empty()).then(|| Glob::new(patterns)).transpose();
        let globs = globs.iter().map(compile).collect::<pravah_core::Result<_>>().map_err(|error| raise(&error))?;
        let detail = if stat { Detail::Sizes } else { Detail::Names };
        let links = if follow_symlinks { Links::Follow } else { Links::Skip };
        let has_objects = roots.iter().any(|root| std::str::from_utf8(root).is_ok_and(is_object_uri));
        let lister = has_objects.then(|| py.detach(|| ObjectLister::of_paths(&roots)));
        let lister = lister.transpose().map_err(|error| raise(&error))?;
        let scanner = scan::Scanner::new(roots).filter(filter(rules)?).globs(globs).links(links).detail(detail);
        let scanner = match lister {
            Some(lister) => scanner.lister(Arc::new(lister)),
            None => scanner,
        };
        Ok(Self(match threads {
            Some(threads) => scanner.threads(threads),
            None => scanner,
        }))
    }

    /// Count files, directories and bytes.
    fn count<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let count = py.detach(|| self.0.count()).map_err(|error| raise(&error))?;
        counted(py, &count)
    }

    /// Count files and bytes in groups: by `ext`, or by `dir` at most so many levels below the root.
    ///
    /// Gives the groups as (name, files, bytes), what no group had room for, and the counts of the whole.
    fn totals<'py>(&self, py: Python<'py>, by: &str, depth: usize) -> PyResult<Totals<'py>> {
        let by = match by {
            "ext" => GroupBy::Extension,
            "dir" => GroupBy::Directory { depth },
            other => return Err(PyValueError::new_err(format!("can't group by `{other}`"))),
        };
        let totals = py.detach(|| self.0.totals(by)).map_err(|error| raise(&error))?;
        let groups = totals.groups.iter().map(|(name, total)| (PyBytes::new(py, name), total.files, total.bytes));
        let others = (totals.others.files, totals.others.bytes);
        Ok((PyList::new(py, groups.collect::<Vec<_>>())?, others, counted(py, &totals.count)?))
    }

    /// Write the regular files to a descriptor, which stays open, as `paths`, `ndjson`, `csv` or `arrow`.
    #[pyo3(signature = (descriptor, format, *, terminator=b'\n'))]
    fn write_to<'py>(
        &self,
        py: Python<'py>,
        descriptor: i32,
        format: &str,
        terminator: u8,
    ) -> PyResult<Bound<'py, PyDict>> {
        let format = match format {
            "paths" => Some(Format::Paths { terminator }),
            "ndjson" => Some(Format::Ndjson),
            "csv" => Some(Format::Csv),
            "arrow" => None,
            other => return Err(PyValueError::new_err(format!("unknown format `{other}`"))),
        };
        // SAFETY: the caller keeps its descriptor open during the call.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let count = py.detach(|| match format {
            Some(format) => self.0.write(descriptor, format),
            None => self.0.write_arrow(descriptor),
        });
        let count = count.map_err(|error| raise(&error))?;
        counted(py, &count)
    }

    /// Start the scan as an Arrow stream (Arrow PyCapsule interface).
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema; // the interface lets a producer offer its own schema whatever is asked for
        let batches = self.0.clone().batches().map_err(|error| raise(&error))?;
        let stream = FFI_ArrowArrayStream::new(Box::new(Reader { batches, ended: false }));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// Groups, what is in none of them, and the counts of the whole.
type Totals<'py> = (Bound<'py, PyList>, (u64, u64), Bound<'py, PyDict>);

/// Compile rules that say what is listed, as JSON.
pub fn filter(rules: &str) -> PyResult<Filter> {
    let rules: FilterRules =
        serde_json::from_str(rules).map_err(|error| raise(&pravah_core::Error::InvalidPlan(error.to_string())))?;
    Filter::new(&rules).map_err(|error| raise(&error))
}

/// Batches as the Arrow libraries read them. What could not be read is an error behind the last one: rows that are
/// missing must not pass for all that there are.
struct Reader {
    batches: Batches,
    ended: bool,
}

impl Reader {
    fn unread(&self) -> Option<ArrowError> {
        let count = self.batches.counted()?;
        let first = count.faults.first()?;
        let path = String::from_utf8_lossy(&first.path);
        let more = match count.fault_count - 1 {
            0 => String::new(),
            others => format!(", and {others} more places"),
        };
        Some(ArrowError::ExternalError(format!("can't list all: `{path}`: {}{more}", first.error()).into()))
    }
}

impl Iterator for Reader {
    type Item = Result<arrow_array::RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if let Some(batch) = self.batches.next() {
            return Some(batch.map_err(|error| ArrowError::ExternalError(Box::new(error))));
        }
        self.ended = true;
        self.unread().map(Err)
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }
}

fn counted<'py>(py: Python<'py>, count: &Count) -> PyResult<Bound<'py, PyDict>> {
    let errors = count.faults.iter().map(|fault| {
        let dict = PyDict::new(py);
        let error = fault.error();
        dict.set_item("path", PyBytes::new(py, &fault.path))?;
        dict.set_item("kind", error.kind())?;
        dict.set_item("message", error.to_string())?;
        Ok(dict)
    });
    let dict = PyDict::new(py);
    dict.set_item("files", count.files)?;
    dict.set_item("directories", count.directories)?;
    dict.set_item("other", count.other)?;
    dict.set_item("bytes", count.bytes)?;
    dict.set_item("loops", count.filtered.get(Reason::Loop))?;
    dict.set_item("error_count", count.fault_count)?;
    dict.set_item("errors", errors.collect::<PyResult<Vec<_>>>()?)?;
    Ok(dict)
}
