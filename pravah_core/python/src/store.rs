//! Object stores: where their connections are described, and what is asked of them outside of a job.

use std::{fs::File, mem::ManuallyDrop, os::fd::FromRawFd};

use pravah_core::{
    Error,
    stores::s3::{ask, checkup, connection},
};
use pyo3::{prelude::*, types::PyAny};

use crate::error::raise;

/// Have connections described by a function, given a name and whether it was asked before: as JSON.
#[pyfunction]
pub fn describe_connections(describe: Py<PyAny>) {
    connection::describe_by(Box::new(move |name, fresh| {
        Python::attach(|py| {
            let told = describe.call1(py, (name, fresh == connection::Fresh::Renewed));
            told.and_then(|told| told.extract::<String>(py)).map_err(|raised| undescribed(py, &raised))
        })
    }));
}

/// What a description that failed tells of: kinds of Pravah's own errors.
fn undescribed(py: Python<'_>, raised: &PyErr) -> Error {
    const KINDS: [&str; 4] = ["no_credentials", "no_such_connection", "store_unreachable", "invalid_setting"];
    let told: String = raised.value(py).getattr("kind").and_then(|kind| kind.extract()).unwrap_or_default();
    let kind = KINDS.into_iter().find(|kind| *kind == told).unwrap_or("no_credentials");
    Error::Store { kind, message: raised.value(py).to_string(), is_transient: kind == "store_unreachable" }
}

/// Tell what a URI names: `object`, `prefix`, or `nothing`.
#[pyfunction]
pub fn look_at_store(py: Python<'_>, uri: &str) -> PyResult<&'static str> {
    match py.detach(|| ask::look(uri)).map_err(|error| raise(&error))? {
        ask::Named::Object => Ok("object"),
        ask::Named::Prefix => Ok("prefix"),
        ask::Named::Nothing => Ok("nothing"),
    }
}

/// Put what an open descriptor leads to at a URI, in the name of a job and as its sink says (`options`, JSON).
#[pyfunction]
pub fn put_object(py: Python<'_>, uri: &str, descriptor: i32, owner: &str, options: &str) -> PyResult<()> {
    let options = serde_json::from_str(options);
    let options = options.map_err(|error| raise(&Error::InvalidPlan(format!("sink.s3: {error}"))))?;
    // SAFETY: the caller keeps its descriptor open during the call, and it is not closed here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
    py.detach(|| ask::put_file(uri, &file, owner, options)).map_err(|error| raise(&error))
}

/// Write an object to an open descriptor.
#[pyfunction]
pub fn get_object(py: Python<'_>, uri: &str, descriptor: i32) -> PyResult<()> {
    // SAFETY: the caller keeps its descriptor open during the call, and it is not closed here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
    py.detach(|| ask::get_file(uri, &file)).map_err(|error| raise(&error))
}

/// Remove what a job has put at a URI; tells whether that was there.
#[pyfunction]
pub fn remove_object(py: Python<'_>, uri: &str, owner: &str) -> PyResult<bool> {
    py.detach(|| ask::remove_file(uri, owner)).map_err(|error| raise(&error))
}

/// Try what a job needs of a prefix; gives what came of it as JSON.
#[pyfunction]
pub fn check_store(py: Python<'_>, uri: &str) -> PyResult<String> {
    let checkup = py.detach(|| checkup::check(uri)).map_err(|error| raise(&error))?;
    serde_json::to_string(&checkup).map_err(|error| raise(&Error::Panicked(error.to_string())))
}
