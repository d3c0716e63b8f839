//! Names that a job is given, as scan units.

use std::{
    ffi::OsStr,
    fs::File,
    os::{fd::BorrowedFd, unix::ffi::OsStrExt},
    path::Path,
    sync::{Mutex, PoisonError},
};

use pravah_core::{
    name_list::{NameList as List, Units},
    scan::Links,
};
use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyBytes};

use crate::error::raise;

/// Reads names, then gives them as scan units.
#[pyclass(frozen)]
pub struct NameList(Mutex<Stage>);

enum Stage {
    Reading(Box<List>),
    Giving(Box<Units>),
    Ended,
}

#[pymethods]
impl NameList {
    /// `roots` are the paths and URIs that names lie below; `scratch` is a directory for what does not fit into memory.
    #[new]
    fn new(roots: Vec<Vec<u8>>, follow_symlinks: bool, scratch: &[u8]) -> Self {
        let links = if follow_symlinks { Links::Follow } else { Links::Skip };
        let scratch = Path::new(OsStr::from_bytes(scratch));
        Self(Mutex::new(Stage::Reading(Box::new(List::new(roots, links, scratch)))))
    }

    /// Read a list from a descriptor, which stays open: names, or the account of a job.
    fn read(&self, py: Python<'_>, descriptor: i32) -> PyResult<()> {
        // SAFETY: the caller keeps its descriptor open during the call.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let file = File::from(descriptor.try_clone_to_owned()?);
        self.with(|stage| match stage {
            Stage::Reading(list) => py.detach(|| list.read(file)).map_err(|error| raise(&error)),
            _ => Err(ended()),
        })
    }

    /// Take lines of the account of a job.
    fn read_account(&self, lines: &[u8]) -> PyResult<()> {
        self.with(|stage| match stage {
            Stage::Reading(list) => list.read_account(lines).map_err(|error| raise(&error)),
            _ => Err(ended()),
        })
    }

    /// Put all names in order.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.with(|stage| match std::mem::replace(stage, Stage::Ended) {
            Stage::Reading(list) => {
                *stage = Stage::Giving(Box::new(py.detach(|| list.finish()).map_err(|error| raise(&error))?));
                Ok(())
            }
            _ => Err(ended()),
        })
    }

    /// The next unit; none where all are given.
    fn next_unit<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let unit = self.with(|stage| match stage {
            Stage::Giving(units) => py.detach(|| units.next_unit()).map_err(|error| raise(&error)),
            _ => Err(ended()),
        })?;
        Ok(unit.map(|unit| PyBytes::new(py, &unit)))
    }

    /// What tells the names from others, once all units are given.
    fn digest(&self) -> PyResult<String> {
        self.with(|stage| match stage {
            Stage::Giving(units) => Ok(units.digest()),
            _ => Err(ended()),
        })
    }
}

impl NameList {
    fn with<T>(&self, work: impl FnOnce(&mut Stage) -> PyResult<T>) -> PyResult<T> {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn ended() -> PyErr {
    PyRuntimeError::new_err("names are read first, then given, and each once")
}
