//! Names of outputs: templates, the comparison of all names of a job, and outputs of several files.

mod check;
mod group;
mod job;
mod template;
