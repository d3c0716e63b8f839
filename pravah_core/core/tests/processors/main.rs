//! Conformance of every registered processor: the same cases for all, over the registry.
//!
//! - `examples`: each descriptor's examples, run
//! - `conformance`: re-batched, empty, mutated and truncated input; bounded outputs
//! - `codecs`: golden bytes, and both directions with the system's `gzip` and `zstd`
//! - `split`: blocks of one file in work at once, against one after the other
//! - `corpora`: public hostile files, where they are present
//! - `fuzz`: the targets of `pravah_core/fuzz`, over seeds and mutations of them

mod codecs;
mod conformance;
mod corpora;
mod examples;
mod fuzz;
mod fuzz_targets;
mod headers;
mod run;
mod split;
