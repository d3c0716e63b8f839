//! Tasks and their blobs, between Python's dicts and the engine's structs.

use pravah_core::{
    effort::Effort,
    engine::{self, Care, Counts, Task, WindowRecord, scan_task::Emission},
    outcome::Recorded,
    plan::Plan,
};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::error::raise;

/// A recorded window.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Window {
    blob: Vec<u8>,
    amendments: Option<Vec<u8>>,
    acknowledged: bool,
}

impl From<Window> for Recorded {
    fn from(window: Window) -> Self {
        Self { blob: window.blob, amendments: window.amendments, acknowledged: window.acknowledged }
    }
}

/// Windows in the order of their sequence numbers.
pub fn recorded(windows: Vec<Window>) -> Vec<Recorded> {
    windows.into_iter().map(Recorded::from).collect()
}

/// A task as the supervisor sends it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct TaskArguments {
    id: i64,
    counter: u64,
    manifest: Vec<u8>,
    windows: Vec<Window>,
    unclean: bool,
    fingerprints: Vec<(Vec<u8>, Vec<u8>)>,
    settle: bool,
    suspects: Vec<u32>,
    poisoned: Vec<(u32, String, String)>,
    deaths: u32,
    kernel_leases: bool,
    effort: String,
}

impl TryFrom<TaskArguments> for Task {
    type Error = pravah_core::Error;

    fn try_from(task: TaskArguments) -> Result<Self, Self::Error> {
        Ok(Self {
            id: task.id,
            counter: task.counter,
            manifest: task.manifest,
            windows: recorded(task.windows),
            unclean: task.unclean,
            fingerprints: task.fingerprints,
            settle: task.settle,
            care: Care { suspects: task.suspects, poisoned: task.poisoned, deaths: task.deaths },
            kernel_leases: task.kernel_leases,
            effort: Effort::parse(&task.effort)?,
        })
    }
}

/// The plan of a job.
pub fn plan(json: &str) -> PyResult<Plan> {
    Plan::parse(json).map_err(|error| raise(&error))
}

/// A window's record, as the dict that the callback takes.
pub fn record<'py>(py: Python<'py>, record: &WindowRecord) -> PyResult<Bound<'py, PyDict>> {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| PyBytes::new(py, bytes));
    let fingerprints: Vec<_> = record
        .fingerprints
        .iter()
        .map(|(directory, blob)| (PyBytes::new(py, directory), PyBytes::new(py, blob)))
        .collect();
    let dict = PyDict::new(py);
    dict.set_item("window", bytes(&record.window))?;
    dict.set_item("acknowledge", record.acknowledge)?;
    dict.set_item("amendments", bytes(&record.amendments))?;
    dict.set_item("fingerprints", fingerprints)?;
    dict.set_item("counts", counts(py, &record.counts)?)?;
    dict.set_item("summary", &record.summary)?;
    dict.set_item("finished", record.finished)?;
    dict.set_item("intent", record.intent)?;
    Ok(dict)
}

/// What a scan found, as the dict that the callback takes.
pub fn emission<'py>(py: Python<'py>, emission: &Emission) -> PyResult<Bound<'py, PyDict>> {
    let manifests = emission.tasks.iter().map(|task| {
        let dict = PyDict::new(py);
        dict.set_item("blob", PyBytes::new(py, &task.manifest))?;
        dict.set_item("entries", task.entries)?;
        dict.set_item("bytes", task.size_bytes)?;
        Ok(dict)
    });
    let counts = PyDict::new(py);
    counts.set_item("filtered", emission.filtered.total())?;
    let reasons = PyDict::new(py);
    for (reason, count) in emission.filtered.iter().filter(|(_, count)| *count > 0) {
        reasons.set_item(format!("filtered:{}", reason.name()), count)?;
    }
    let dict = PyDict::new(py);
    let units: Vec<_> = emission.units.iter().map(|unit| PyBytes::new(py, unit)).collect();
    dict.set_item("manifests", manifests.collect::<PyResult<Vec<_>>>()?)?;
    dict.set_item("units", units)?;
    dict.set_item("frontier", emission.frontier.as_ref().map(|frontier| PyBytes::new(py, frontier)))?;
    dict.set_item("counts", counts)?;
    dict.set_item("reasons", reasons)?;
    dict.set_item("effort", emission.effort.to_json())?;
    dict.set_item("finished", emission.finished)?;
    Ok(dict)
}

/// Counters as a dict.
pub fn counts<'py>(py: Python<'py>, counts: &Counts) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("done", counts.done)?;
    dict.set_item("skipped", counts.skipped)?;
    dict.set_item("failed", counts.failed)?;
    dict.set_item("vanished", counts.vanished)?;
    dict.set_item("poisoned", counts.poisoned)?;
    dict.set_item("bytes_in", counts.bytes_in)?;
    dict.set_item("bytes_out", counts.bytes_out)?;
    Ok(dict)
}

/// The directories under which the fingerprints of a manifest's outputs are kept.
#[pyfunction]
pub fn manifest_directories<'py>(py: Python<'py>, plan: &str, manifest: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let plan = self::plan(plan)?;
    let directories = py.detach(|| plan.output_directories(manifest)).map_err(|error| raise(&error))?;
    Ok(directories.iter().map(|directory| PyBytes::new(py, directory)).collect())
}

/// Deal with the sources of a task's acknowledged entries; gives counts, and the summary as JSON.
#[pyfunction]
pub fn finish_sources(
    py: Python<'_>,
    plan_json: &str,
    task_id: i64,
    manifest: &[u8],
    windows: Vec<Window>,
) -> PyResult<(Py<PyDict>, String)> {
    let (plan, windows) = (self::plan(plan_json)?, recorded(windows));
    let account = py.detach(|| engine::after::finish_sources(&plan, task_id, manifest, &windows));
    let account = account.map_err(|error| raise(&error))?;
    Ok((counts(py, &account.counts)?.unbind(), account.summary()))
}

/// Take back the outputs of a task, or only count them; gives counts, the summary, and how many replaced others.
#[pyfunction]
pub fn undo(
    py: Python<'_>,
    plan_json: &str,
    manifest: &[u8],
    windows: Vec<Window>,
    remove: bool,
) -> PyResult<(Py<PyDict>, String, u64)> {
    let (plan, windows) = (self::plan(plan_json)?, recorded(windows));
    let how = if remove { engine::undo::Undo::Remove } else { engine::undo::Undo::Look };
    let undone = py.detach(|| engine::undo::undo(&plan, manifest, &windows, how)).map_err(|error| raise(&error))?;
    Ok((counts(py, &undone.account.counts)?.unbind(), undone.account.summary(), undone.replaced))
}

/// Remove what a job which nobody works on has staged where a task's outputs go, and left; gives the number.
#[pyfunction]
pub fn sweep(py: Python<'_>, plan_json: &str, manifest: &[u8], windows: Vec<Window>) -> PyResult<usize> {
    let (plan, windows) = (self::plan(plan_json)?, recorded(windows));
    py.detach(|| engine::takeover::sweep_job(&plan, manifest, &windows)).map_err(|error| raise(&error))
}

/// Remove the names by which files with several names were shared; gives their number.
#[pyfunction]
pub fn unshare(py: Python<'_>, plan_json: &str) -> PyResult<usize> {
    let plan = self::plan(plan_json)?;
    py.detach(|| engine::shared::unshare(&plan)).map_err(|error| raise(&error))
}
