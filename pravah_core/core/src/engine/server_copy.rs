//! Entries that the store copies by itself: nothing of them is read here.
//!
//! Only where that is all that was asked for: the steps are `copy`, outputs are named ahead, and nobody wants to see
//! their bytes again.

use std::sync::Arc;

use super::{
    decide::Publishing,
    stage::{Bench, Item, is_racy},
};
use crate::{
    Result,
    entry::Kind,
    manifest::Manifest,
    outcome::{Reason, Row},
    plan::{Plan, Verify},
    stores::{Beginning, Copied, Output, Sink, Source},
};

/// What a report calls them.
const REASON: &str = "server_copy";

/// From how many bytes on entries of a task are copied by the store; none: none are.
pub fn copied_there(plan: &Plan, manifest: &Manifest, source: &dyn Source, sink: Option<&dyn Sink>) -> Option<u64> {
    let copies = plan.steps.iter().all(|step| step.name == "copy");
    let verify = plan.sink.as_ref()?.verify;
    if !copies || verify != Verify::Size || plan.names_at_run_time() || !source.is_remote() {
        return None;
    }
    let files = (0..manifest.len()).filter(|at| manifest.kind(*at).is_ok_and(|kind| kind == Kind::File));
    let smallest = files.min_by_key(|at| manifest.size_bytes(*at))?;
    let directory = source.open_directory(manifest.root(smallest), manifest.directory(smallest)).ok()?;
    sink?.copies_from(&*directory, manifest.name(smallest))
}

impl Bench<'_> {
    /// Whether the store copies the entry by itself.
    pub fn is_copied_there(&self, index: u32) -> bool {
        self.copied_there.is_some_and(|least_bytes| self.manifest.size_bytes(index as usize) >= least_bytes)
    }

    /// Stage a copy by the store; none where it can't.
    pub fn attempt_copy(&self, item: &Item, publishing: Publishing, name: &[u8]) -> Result<Option<(Row, Output)>> {
        let Some(sink) = item.place.sink.as_ref().filter(|_| !publishing.if_equal) else { return Ok(None) };
        let temporary = self.temporary();
        let beginning = Beginning { temporary: &temporary, publish: publishing.how, name, attributes: None };
        let source_name = self.manifest.name(item.index as usize);
        let Some(copied) = sink.stage_copy(&beginning, &*item.place.source, source_name)? else { return Ok(None) };
        let Copied { source, staged, held } = copied;
        let row = Row {
            reason: Some(Reason { kind: REASON.to_owned(), step: None, message: String::new() }),
            bytes_in: source.size_bytes,
            bytes_out: source.size_bytes,
            source: Some(source),
            racy: is_racy(source.modified_ns),
            staged: Some(staged),
            ..Row::done(item.index)
        };
        let (directory, replaces) = (Arc::clone(sink), publishing.replaces);
        let output = Output { directory, into: None, name: name.to_vec(), temporary, staged, replaces, held };
        Ok(Some((row, output)))
    }
}
