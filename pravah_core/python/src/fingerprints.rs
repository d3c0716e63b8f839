//! What is remembered of published outputs: which of it concerns a task, and what is left of it at a job's end.

use pravah_core::fingerprint;
use pyo3::{prelude::*, types::PyBytes};

use crate::{error::raise, task::plan};

/// Which memories concern a task.
#[pyclass(frozen)]
pub struct Concerning(fingerprint::Concerning);

#[pymethods]
impl Concerning {
    /// Those of a manifest's entries.
    #[new]
    fn new(py: Python<'_>, plan_json: &str, manifest: &[u8]) -> PyResult<Self> {
        let plan = plan(plan_json)?;
        py.detach(|| fingerprint::Concerning::of(&plan, manifest)).map(Self).map_err(|error| raise(&error))
    }

    /// The part of a blob that concerns them; empty: nothing in it does.
    fn part<'py>(&self, py: Python<'py>, blob: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let part = py.detach(|| self.0.part(blob)).map_err(|error| raise(&error))?;
        Ok(PyBytes::new(py, &part))
    }
}

/// Names that later blobs of a directory remember.
#[pyclass]
pub struct Later(fingerprint::Later);

#[pymethods]
impl Later {
    #[new]
    fn new() -> Self {
        Self(fingerprint::Later::default())
    }

    /// What a blob remembers of other names; empty: nothing. Blobs come the latest first.
    fn rest<'py>(&mut self, py: Python<'py>, blob: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let rest = py.detach(|| self.0.rest(blob)).map_err(|error| raise(&error))?;
        Ok(PyBytes::new(py, &rest))
    }
}

/// Put the fingerprints of one directory, oldest first, together into one blob.
#[pyfunction]
pub fn merge_fingerprints<'py>(py: Python<'py>, blobs: Vec<Vec<u8>>) -> PyResult<Bound<'py, PyBytes>> {
    let merged = py.detach(|| {
        let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
        pravah_core::fingerprint::merge(&blobs)
    });
    Ok(PyBytes::new(py, &merged.map_err(|error| raise(&error))?))
}
