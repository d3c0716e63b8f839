//! The per-file account.

use std::{fs::File, sync::Mutex};

use pravah_core::{dataset, wire};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

use crate::{
    error::raise,
    task::{Window, plan, recorded},
};

/// The account of a task's entries as NDJSON, those of one outcome if given, at most `limit`.
#[pyfunction]
#[pyo3(signature = (plan_json, manifest, windows, outcome=None, limit=None))]
pub fn files<'py>(
    py: Python<'py>,
    plan_json: &str,
    manifest: &[u8],
    windows: Vec<Window>,
    outcome: Option<&str>,
    limit: Option<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (plan, windows) = (plan(plan_json)?, recorded(windows));
    let text = py.detach(|| {
        let lines = wire::file_lines(&plan, manifest, &windows)?;
        Ok(wire::ndjson(&lines, outcome, limit))
    });
    Ok(PyBytes::new(py, text.map_err(|error| raise(&error))?.as_bytes()))
}

/// The account of what became of a source, or of what an output was made of, as NDJSON; empty where it is not here.
#[pyfunction]
pub fn answer<'py>(
    py: Python<'py>,
    plan_json: &str,
    manifest: &[u8],
    windows: Vec<Window>,
    question: &str,
    path: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let (plan, windows) = (plan(plan_json)?, recorded(windows));
    let question = match question {
        "source" => wire::Question::Source(path),
        "output" => wire::Question::Output(path),
        other => return Err(PyValueError::new_err(format!("unknown question `{other}`"))),
    };
    let lines = py.detach(|| wire::answer(&plan, manifest, &windows, question)).map_err(|error| raise(&error))?;
    Ok(PyBytes::new(py, wire::ndjson(&lines, None, None).as_bytes()))
}

/// Writes the account of a job to a Parquet file.
#[pyclass]
pub struct ParquetAccount(Mutex<Option<wire::ParquetAccount>>);

#[pymethods]
impl ParquetAccount {
    #[new]
    fn new(path: &[u8]) -> PyResult<Self> {
        let file = File::create(dataset::scratch_directory(path))?;
        Ok(Self(Mutex::new(Some(wire::ParquetAccount::create(file).map_err(|error| raise(&error))?))))
    }

    /// Add the account of one task.
    fn add(&mut self, py: Python<'_>, plan_json: &str, manifest: &[u8], windows: Vec<Window>) -> PyResult<()> {
        let (plan, windows) = (plan(plan_json)?, recorded(windows));
        let writer = open(&mut self.0)?.as_mut().ok_or_else(ended)?;
        py.detach(|| writer.add(&wire::file_lines(&plan, manifest, &windows)?)).map_err(|error| raise(&error))
    }

    /// End the file.
    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let writer = open(&mut self.0)?.take().ok_or_else(ended)?;
        py.detach(|| writer.finish()).map_err(|error| raise(&error))
    }
}

/// The Parquet writer may move between threads, but not be shared: hence its mutex, which nobody waits for.
fn open<T>(writer: &mut Mutex<T>) -> PyResult<&mut T> {
    writer.get_mut().map_err(|_| ended())
}

fn ended() -> PyErr {
    PyValueError::new_err("it has been written already")
}
