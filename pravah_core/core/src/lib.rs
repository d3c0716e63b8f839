//! The engine of Pravah: lists, processes and publishes files; knows no database, no Python, no network of its own.
//!
//! # Layout
//!
//! - [`plan`]: what an engine call is told of its job
//! - [`scan`]: lists directory trees in parallel, filters, cuts tasks
//! - [`entry`], [`manifest`]: one listed file; the immutable list of a task's files
//! - [`processors`], [`pipeline`]: steps, and how they are fused into one pass
//! - [`error`]: every failure, with its stable kind

pub mod entry;
pub mod error;
pub mod manifest;
pub mod pipeline;
pub mod plan;
pub mod processors;
pub mod scan;

pub use error::{Error, Result};
