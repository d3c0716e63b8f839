//! Scan units, as far as a supervisor has to look into them.

use pravah_core::engine::scan_task::unit::{LookBack, Unit};
use pyo3::{prelude::*, types::PyBytes};

use crate::error::raise;

/// How many of the last tasks of a unit hold entries that its scan has to know; none: any task of the job may.
#[pyfunction]
pub fn look_back(unit: Option<&[u8]>) -> PyResult<Option<u32>> {
    match Unit::decode(unit).map_err(|error| raise(&error))?.look_back() {
        LookBack::Last(count) => Ok(Some(count)),
        LookBack::Everywhere => Ok(None),
    }
}

/// The entries of a manifest that the scan of a unit has to know, as a manifest; none where there are none.
#[pyfunction]
pub fn known_in<'py>(py: Python<'py>, unit: &[u8], manifest: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let known = py.detach(|| Unit::decode(Some(unit)).and_then(|unit| unit.known_in(manifest)));
    Ok(known.map_err(|error| raise(&error))?.map(|known| PyBytes::new(py, &known)))
}
