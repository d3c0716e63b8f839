//! Two trees, and what differs.

use std::{ops::ControlFlow, thread};

use pravah_core::diff::{self, By, Counts, Difference, What};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

use crate::{error::raise, scanner::filter};

/// Compare two trees; differences come to the callback in lists of (path, what, first, second).
#[pyfunction(name = "diff")]
#[pyo3(signature = (first, second, by, rules, threads, on_found))]
pub fn compare<'py>(
    py: Python<'py>,
    first: Vec<u8>,
    second: Vec<u8>,
    by: &str,
    rules: &str,
    threads: Option<usize>,
    on_found: Py<PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let by = match by {
        "size" => By::Size,
        "checksum" => By::Checksum,
        "content" => By::Content,
        other => return Err(PyValueError::new_err(format!("can't compare by `{other}`"))),
    };
    let filter = filter(rules)?;
    let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let mut batch = Batch { found: Vec::new(), on_found, raised: None };
    let counts = py.detach(|| diff::diff([&first, &second], &filter, by, threads, &mut |found| batch.take(found)));
    batch.send();
    match batch.raised {
        Some(raised) => Err(raised),
        None => counted(py, &counts.map_err(|error| raise(&error))?),
    }
}

/// Gathers differences, so that Python is not called for each.
struct Batch {
    found: Vec<Difference>,
    on_found: Py<PyAny>,
    raised: Option<PyErr>,
}

impl Batch {
    fn take(&mut self, found: Difference) -> ControlFlow<()> {
        self.found.push(found);
        if self.found.len() >= BATCH {
            self.send();
        }
        if self.raised.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn send(&mut self) {
        let found = std::mem::take(&mut self.found);
        if found.is_empty() || self.raised.is_some() {
            return;
        }
        let told = Python::attach(|py| {
            let items = found.iter().map(|difference| item(py, difference)).collect::<PyResult<Vec<_>>>()?;
            self.on_found.call1(py, (items,)).map(drop)
        });
        self.raised = told.err();
    }
}

fn item<'py>(py: Python<'py>, difference: &Difference) -> PyResult<Bound<'py, PyTuple>> {
    let path = PyBytes::new(py, &difference.path);
    let none = py.None();
    match &difference.what {
        What::OnlyFirst(kind) => (path, "only_a", kind.name(), none).into_pyobject(py),
        What::OnlySecond(kind) => (path, "only_b", none, kind.name()).into_pyobject(py),
        What::Kind(one, other) => (path, "kind", one.name(), other.name()).into_pyobject(py),
        What::Size(one, other) => (path, "size", one, other).into_pyobject(py),
        What::Checksum(one, other) => (path, "checksum", one, other).into_pyobject(py),
        What::Content(offset) => (path, "content", offset, none).into_pyobject(py),
        What::Target(one, other) => (path, "target", PyBytes::new(py, one), PyBytes::new(py, other)).into_pyobject(py),
        What::Failed(kind, message) => (path, "failed", *kind, message).into_pyobject(py),
    }
}

fn counted<'py>(py: Python<'py>, counts: &Counts) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("same", counts.same)?;
    dict.set_item("only_a", counts.only_first)?;
    dict.set_item("only_b", counts.only_second)?;
    dict.set_item("differing", counts.differing)?;
    dict.set_item("failed", counts.failed)?;
    Ok(dict)
}

/// Differences per call into Python.
const BATCH: usize = 256;
