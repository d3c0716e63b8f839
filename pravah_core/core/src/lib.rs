//! The engine of Pravah: lists, processes and publishes files; knows no database and no Python, and no network but object stores.
//!
//! # Layout
//!
//! - [`plan`]: what an engine call is told of its job
//! - [`scan`]: lists directory trees in parallel, filters, cuts tasks
//! - [`name_list`], [`sorted`]: names that a job is given; sorting of what does not fit into memory
//! - [`entry`], [`manifest`]: one listed file; the immutable list of a task's files
//! - [`naming`]: how outputs are named, and which names can be equal
//! - [`processors`], [`pipeline`]: steps, and how they are fused into one pass; [`memo`]: what a second one needs
//! - [`tables`]: files as rows, in every format
//! - [`stores`]: where bytes live; how an output is staged and published
//! - [`outcome`], [`fingerprint`]: what became of files; what is remembered of published ones
//! - [`engine`]: runs scans and tasks: stage, record, publish, acknowledge; takes over what a kill left
//! - [`diff`]: two trees, and what differs
//! - [`wire`], [`dataset`]: the account of files; the records of inspect steps
//! - [`effort`]: what a call's time goes to
//! - [`retry`]: a new round for what did not come about
//! - [`error`]: every failure, with its stable kind

pub mod dataset;
pub mod diff;
pub mod effort;
pub mod engine;
pub mod entry;
pub mod error;
pub mod fingerprint;
pub mod manifest;
pub mod memo;
pub mod name_list;
pub mod naming;
pub mod outcome;
pub mod pipeline;
pub mod plan;
pub mod processors;
pub mod retry;
pub mod scan;
pub mod sorted;
pub mod stores;
pub mod tables;
pub mod wire;

pub use error::{Error, Result};
