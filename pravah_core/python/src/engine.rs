//! The engine and its calls.

use std::{fs::File, sync::Arc};

use pravah_core::{
    Error,
    engine::{
        self, Ending, Verdict,
        scan_task::{self, Emission, unit::Unit},
    },
};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyDict};

use crate::{
    error::raise,
    task::{TaskArguments, emission, plan, record},
};

/// Threads and memory that all calls of a process share.
#[pyclass(frozen)]
pub struct Engine(engine::Engine);

/// A hold on one running call.
#[pyclass(frozen)]
pub struct Control(Arc<engine::Control>);

#[pymethods]
impl Control {
    /// A control for one call of this engine.
    #[new]
    fn new(engine: &Engine) -> Self {
        Self(Arc::new(engine::Control::new(Arc::clone(engine.0.progress()))))
    }

    /// Begin nothing new, give up large files in flight, end through the last windows.
    fn drain(&self) {
        self.0.drain();
    }

    /// Begin nothing new, finish what was begun, end through the last windows.
    fn finish_begun(&self) {
        self.0.finish_begun();
    }

    /// A number that stands still only while the call does.
    fn moved(&self) -> u64 {
        self.0.moved()
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, threads=None, memory_bytes=1 << 30, notes_path=None))]
    fn new(threads: Option<usize>, memory_bytes: u64, notes_path: Option<&str>) -> PyResult<Self> {
        let engine = engine::Engine::new(threads, memory_bytes).map_err(|error| raise(&error))?;
        let Some(path) = notes_path else { return Ok(Self(engine)) };
        let file = File::options().read(true).write(true).open(path)?;
        let notes = engine::Notes::open(&file).map_err(|error| raise(&error))?;
        Ok(Self(engine.with_notes(notes)))
    }

    /// List what a unit holds and hand over tasks; entries of `known` manifests are left out.
    fn run_scan(
        &self,
        py: Python<'_>,
        plan_json: &str,
        unit: Option<Vec<u8>>,
        known: Vec<Vec<u8>>,
        control: &Control,
        on_tasks: Py<PyAny>,
    ) -> PyResult<&'static str> {
        let plan = plan(plan_json)?;
        let control = Arc::clone(&control.0);
        call(py, on_tasks, |callback| {
            let unit = Unit::decode(unit.as_deref())?;
            let known: Vec<&[u8]> = known.iter().map(Vec::as_slice).collect();
            let mut on_tasks = |found: Emission| {
                // An exception ends the scan as a lost lease does; `call` raises it again.
                callback.ask(|py| emission(py, &found)).unwrap_or(Verdict::Fenced)
            };
            scan_task::run_scan(&plan, &unit, &known, &control, &mut on_tasks)
        })
    }

    /// Run a task, or what remains of it; gives `finished`, `fenced` or `drained`.
    fn run_task(
        &self,
        py: Python<'_>,
        plan_json: &str,
        task: TaskArguments,
        control: &Control,
        on_window: Py<PyAny>,
    ) -> PyResult<&'static str> {
        let (plan, task) = (plan(plan_json)?, engine::Task::try_from(task).map_err(|error| raise(&error))?);
        let control = Arc::clone(&control.0);
        call(py, on_window, |callback| {
            let mut on_window = |window: engine::WindowRecord| callback.ask(|py| record(py, &window));
            self.0.run_task(&plan, &task, &control, &mut on_window)
        })
    }

    /// Change how many bytes a second a job that is worked on may read and write.
    fn set_rates(&self, job: &str, read: Option<u64>, write: Option<u64>) {
        self.0.set_rates(job, read, write);
    }

    /// What all calls have seen and worked on so far.
    fn progress<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        use std::sync::atomic::Ordering::Relaxed;
        let progress = self.0.progress();
        let dict = PyDict::new(py);
        dict.set_item("scanned", progress.scanned.load(Relaxed))?;
        dict.set_item("scanned_bytes", progress.scanned_bytes.load(Relaxed))?;
        dict.set_item("files", progress.files.load(Relaxed))?;
        dict.set_item("bytes", progress.bytes.load(Relaxed))?;
        Ok(dict)
    }
}

/// Run an engine call without the GIL; an exception of its callback ends it, and is raised again.
fn call(
    py: Python<'_>,
    function: Py<PyAny>,
    work: impl FnOnce(&mut Callback) -> pravah_core::Result<Ending> + Send,
) -> PyResult<&'static str> {
    let mut callback = Callback { function, raised: None };
    let ending = py.detach(|| work(&mut callback));
    match (callback.raised, ending) {
        (Some(raised), _) => Err(raised),
        (None, Err(error)) => Err(raise(&error)),
        (None, Ok(Ending::Finished)) => Ok("finished"),
        (None, Ok(Ending::Fenced)) => Ok("fenced"),
        (None, Ok(Ending::Drained)) => Ok("drained"),
    }
}

/// A Python function that takes a record and gives a verdict.
struct Callback {
    function: Py<PyAny>,
    raised: Option<PyErr>,
}

impl Callback {
    fn ask(
        &mut self,
        record: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyDict>>,
    ) -> pravah_core::Result<Verdict> {
        let answer = Python::attach(|py| {
            let answer = self.function.call1(py, (record(py)?,))?;
            match answer.extract::<&str>(py)? {
                "committed" => Ok(Verdict::Committed),
                "fenced" => Ok(Verdict::Fenced),
                "drain" => Ok(Verdict::Drain),
                other => Err(PyValueError::new_err(format!("no verdict: `{other}`"))),
            }
        });
        answer.map_err(|raised| {
            self.raised = Some(raised);
            Error::Cancelled
        })
    }
}
