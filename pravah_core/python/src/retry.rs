//! Moving entries out of a task for another round.

use pravah_core::retry::{Group, Moved};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::{
    error::raise,
    task::{Window, counts, plan, recorded},
};

/// Move what did not come about, or one group of failures (kind, step, pattern), into a new manifest.
#[pyfunction]
#[pyo3(signature = (plan_json, manifest, windows, group=None))]
pub fn retry<'py>(
    py: Python<'py>,
    plan_json: &str,
    manifest: &[u8],
    windows: Vec<Window>,
    group: Option<(String, Option<String>, String)>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let (plan, windows) = (plan(plan_json)?, recorded(windows));
    let group = group.map(|(kind, step, pattern)| Group { kind, step, pattern });
    let moved = py.detach(|| pravah_core::retry::move_out(&plan, manifest, &windows, group.as_ref()));
    moved.map_err(|error| raise(&error))?.map(|moved| dict_of(py, &moved)).transpose()
}

/// Move what nobody has worked on yet into so many manifests.
#[pyfunction]
pub fn split<'py>(
    py: Python<'py>,
    plan_json: &str,
    manifest: &[u8],
    windows: Vec<Window>,
    parts: usize,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let (plan, windows) = (plan(plan_json)?, recorded(windows));
    let moved = py.detach(|| pravah_core::retry::split(&plan, manifest, &windows, parts));
    moved.map_err(|error| raise(&error))?.map(|moved| dict_of(py, &moved)).transpose()
}

fn dict_of<'py>(py: Python<'py>, moved: &Moved) -> PyResult<Bound<'py, PyDict>> {
    let parts = moved.parts.iter().map(|part| (PyBytes::new(py, &part.manifest), part.entries, part.size_bytes));
    let dict = PyDict::new(py);
    dict.set_item("parts", parts.collect::<Vec<_>>())?;
    dict.set_item("gone", moved.gone)?;
    dict.set_item("counts", counts(py, &moved.counts)?)?;
    dict.set_item("summary", &moved.summary)?;
    dict.set_item("window", PyBytes::new(py, &moved.window))?;
    dict.set_item("unit", moved.unit.as_ref().map(|unit| PyBytes::new(py, unit)))?;
    Ok(dict)
}
