//! Output names: templates, and the comparison of all names of a job.

use pravah_core::{
    dataset::scratch_directory,
    naming::{Capture, FIELDS, Template, check, group, part},
};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

use crate::{
    error::raise,
    task::{Window, plan, recorded},
};

/// The fields that every template knows.
#[pyfunction]
pub fn template_fields() -> Vec<&'static str> {
    FIELDS.to_vec()
}

/// Read a template, to see whether it holds; gives the names in it that only a capture can give.
#[pyfunction]
pub fn read_template(text: &str) -> PyResult<Vec<String>> {
    let template = Template::parse(text).map_err(|error| raise(&error))?;
    Ok(template.captured().into_iter().map(str::to_owned).collect())
}

/// Read a pattern of paths, to see whether it holds; gives the names that it captures.
#[pyfunction]
pub fn read_capture(text: &str) -> PyResult<Vec<String>> {
    let capture = Capture::parse(text).map_err(|error| raise(&error))?;
    Ok(capture.names().into_iter().map(str::to_owned).collect())
}

/// Whether a plan's entries wait until all names of the job have been compared.
#[pyfunction]
pub fn names_wait(plan_json: &str) -> PyResult<bool> {
    Ok(check::is_needed(&plan(plan_json)?))
}

/// Whether a plan's names tell the hash of the content.
#[pyfunction]
pub fn names_at_run_time(plan_json: &str) -> PyResult<bool> {
    Ok(plan(plan_json)?.names_at_run_time())
}

/// Compares the names of all outputs of a job.
#[pyclass]
pub struct NameCheck {
    check: Option<check::NameCheck>,
    decisions: Option<check::Decisions>,
}

#[pymethods]
impl NameCheck {
    /// `scratch` is a directory for what does not fit into memory.
    #[new]
    fn new(plan_json: &str, scratch: &[u8]) -> PyResult<Self> {
        let check = check::NameCheck::new(plan(plan_json)?, scratch_directory(scratch));
        Ok(Self { check: Some(check.map_err(|error| raise(&error))?), decisions: None })
    }

    /// Add the entries of a task.
    fn add(&mut self, py: Python<'_>, task_id: i64, manifest: &[u8], windows: Vec<Window>) -> PyResult<()> {
        let windows = recorded(windows);
        let check = self.check.as_mut().ok_or_else(ended)?;
        py.detach(|| check.add(task_id, manifest, &windows)).map_err(|error| raise(&error))
    }

    /// Decide; gives the number of tasks about which anything was decided.
    fn finish(&mut self, py: Python<'_>) -> PyResult<usize> {
        let check = self.check.take().ok_or_else(ended)?;
        let decisions = py.detach(|| check.finish()).map_err(|error| raise(&error))?;
        Ok(self.decisions.insert(decisions).len())
    }

    /// What was decided about one of these tasks: its id and the blob.
    fn decision<'py>(&self, py: Python<'py>, place: usize) -> PyResult<(i64, Bound<'py, PyBytes>)> {
        let decisions = self.decisions.as_ref().filter(|decisions| place < decisions.len()).ok_or_else(ended)?;
        let (task, blob) = decisions.get(place).map_err(|error| raise(&error))?;
        Ok((task, PyBytes::new(py, &blob)))
    }
}

/// Puts the entries of a job that reduces together.
#[pyclass]
pub struct Grouping {
    grouping: Option<group::Grouping>,
    scratch: Vec<u8>,
    groups: Option<group::Groups>,
}

#[pymethods]
impl Grouping {
    /// `scratch` is a directory for what does not fit into memory.
    #[new]
    fn new(plan_json: &str, scratch: &[u8]) -> PyResult<Self> {
        let grouping = group::Grouping::new(plan(plan_json)?, scratch_directory(scratch));
        let grouping = Some(grouping.map_err(|error| raise(&error))?);
        Ok(Self { grouping, scratch: scratch.to_vec(), groups: None })
    }

    /// Add the entries of a task; false: it stays as it is.
    fn add(&mut self, py: Python<'_>, manifest: &[u8]) -> PyResult<bool> {
        let grouping = self.grouping.as_mut().ok_or_else(ended)?;
        py.detach(|| grouping.add(manifest)).map_err(|error| raise(&error))
    }

    /// Let the outputs of a task that was worked on keep their names.
    fn keep(&mut self, py: Python<'_>, manifest: &[u8]) -> PyResult<()> {
        let grouping = self.grouping.as_mut().ok_or_else(ended)?;
        py.detach(|| grouping.keep(manifest)).map_err(|error| raise(&error))
    }

    /// Cut; gives the number of tasks and that of outputs.
    fn finish(&mut self, py: Python<'_>) -> PyResult<(usize, u64)> {
        let grouping = self.grouping.take().ok_or_else(ended)?;
        let scratch = scratch_directory(&self.scratch);
        let groups = py.detach(|| grouping.finish(scratch)).map_err(|error| raise(&error))?;
        let groups = self.groups.insert(groups);
        Ok((groups.len(), groups.outputs))
    }

    /// One of these tasks: its manifest, entries and bytes.
    fn task<'py>(&self, py: Python<'py>, place: usize) -> PyResult<(Bound<'py, PyBytes>, u64, u64)> {
        let groups = self.groups.as_ref().filter(|groups| place < groups.len()).ok_or_else(ended)?;
        let (blob, entries, size_bytes) = groups.get(place).map_err(|error| raise(&error))?;
        Ok((PyBytes::new(py, &blob), entries, size_bytes))
    }
}

/// Refuse a plan that reduces, and whose outputs' names tell more than what their files have in common.
#[pyfunction]
pub fn check_grouping(plan_json: &str) -> PyResult<()> {
    group::check(&plan(plan_json)?).map_err(|error| raise(&error))
}

/// Refuse a plan whose names don't tell the outputs of one file apart, or number them where there is one.
#[pyfunction]
pub fn check_parts(plan_json: &str) -> PyResult<()> {
    part::check(&plan(plan_json)?).map_err(|error| raise(&error))
}

fn ended() -> PyErr {
    PyValueError::new_err("a comparison takes tasks, then is finished, then tells of so many tasks")
}
