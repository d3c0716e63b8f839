//! The binding of `pravah_core` for Python, module `pravah._core`: converts, decides nothing.
//!
//! Calls that work release the GIL; callbacks take it. Errors of the engine arrive as `CoreError`.

mod account;
mod diff;
mod engine;
mod error;
mod fingerprints;
mod name_list;
mod naming;
mod results;
mod retry;
mod scanner;
mod store;
mod task;
mod unit;

use pravah_core::entry::Kind;
use pyo3::prelude::*;

#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        account::{ParquetAccount, answer, files},
        check_filters, check_steps, descriptors, die_with_parent,
        diff::compare,
        engine::{Control, Engine},
        error::CoreError,
        file_types,
        fingerprints::{Concerning, Later, merge_fingerprints},
        globs_take,
        name_list::NameList,
        naming::{
            Grouping, NameCheck, check_grouping, check_parts, names_at_run_time, names_wait, read_capture,
            read_template, template_fields,
        },
        results::{Results, Table},
        retry::{retry, split},
        scanner::Scanner,
        store::{check_store, describe_connections, get_object, look_at_store, put_object, remove_object},
        task::{finish_sources, manifest_directories, sweep, undo, unshare},
        unit::{known_in, look_back},
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("PanicException", module.py().get_type::<pyo3::panic::PanicException>())?;
        module.add("build_profile", if cfg!(debug_assertions) { "debug" } else { "release" })
    }
}

/// The descriptors of all native processors, as JSON.
#[pyfunction]
fn descriptors() -> String {
    pravah_core::processors::descriptors_json()
}

/// Build the pipeline of these steps, to see whether their parameters hold, and what they read.
#[pyfunction]
fn check_steps(steps: &str) -> PyResult<()> {
    let steps: Vec<pravah_core::plan::StepConfig> = serde_json::from_str(steps)
        .map_err(|error| error::raise(&pravah_core::Error::InvalidPlan(error.to_string())))?;
    pravah_core::pipeline::Pipeline::new(&steps).and_then(|steps| steps.prepare()).map_err(|error| error::raise(&error))
}

/// Compile the rules of what is listed (JSON) and globs, to see whether they hold.
#[pyfunction]
fn check_filters(rules: &str, globs: Vec<String>) -> PyResult<()> {
    scanner::filter(rules)?;
    pravah_core::scan::Glob::new(&globs).map(drop).map_err(|error| error::raise(&error))
}

/// Whether globs take a file, or may take something in a directory, by its path relative to where they begin.
#[pyfunction]
fn globs_take(globs: Vec<String>, path: &[u8], is_directory: bool) -> PyResult<bool> {
    let kind = if is_directory { Kind::Directory } else { Kind::File };
    let glob = pravah_core::scan::Glob::new(&globs).map_err(|error| error::raise(&error))?;
    Ok(glob.leads_to(path, kind))
}

/// Names of the types by which files can be told.
#[pyfunction]
fn file_types() -> Vec<&'static str> {
    pravah_core::scan::Type::ALL.iter().map(|each| each.name).collect()
}

/// Have this process killed when the thread that started it ends.
#[pyfunction]
fn die_with_parent() -> PyResult<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(std::io::Error::from)?;
    Ok(())
}
