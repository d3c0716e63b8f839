//! Names of outputs: templates, and the comparison of all names of a job.

mod check;
mod job;
mod template;
