//! The scanner and the scan task, against a real file system. One binary: it links once.

mod job;
mod limits;
mod support;
mod task;
mod text;
mod tree;
mod verdicts;
