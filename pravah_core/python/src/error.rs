//! Errors of the engine, as Python sees them.

use pyo3::{create_exception, exceptions::PyException, prelude::*};

create_exception!(pravah._core, CoreError, PyException, "An error of the engine: `kind` and `message`.");

/// The Python exception of an engine's error.
pub fn raise(error: &pravah_core::Error) -> PyErr {
    Python::attach(|py| {
        let message = error.to_string();
        let raised = CoreError::new_err(message.clone());
        let value = raised.value(py);
        match value.setattr("kind", error.kind()).and_then(|()| value.setattr("message", message)) {
            Ok(()) => raised,
            Err(failed) => failed,
        }
    })
}
