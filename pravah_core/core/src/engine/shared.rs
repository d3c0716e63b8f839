//! Files with several names: each name of a source becomes a name of one output (`preserve: links`).
//!
//! The first output of such a file gets one more name in the sink's directory, made of what identifies the source;
//! the others are staged as further names of it. Found by name, it is found by every task and every worker, also
//! after a kill. It is on disk before it has that name, and closing removes the name.

use std::sync::Arc;

use super::{
    decide::Publishing,
    stage::{Bench, Item},
};
use crate::{
    Result,
    outcome::SourceFingerprint,
    plan::{Plan, Preserve},
    stores::{Attributes, Output, Temporaries, Temporary, open_sink},
};

/// The task that shared files belong to: none.
const NOBODY: i64 = 0;

impl Bench<'_> {
    /// The name that a file with several names is shared by; none where it is not.
    pub fn shared_name(&self, item: &Item, found: &SourceFingerprint, looked: &Attributes) -> Result<Option<String>> {
        let wanted = self.plan.sink.as_ref().is_some_and(|sink| sink.preserves(Preserve::Links));
        if !wanted || looked.names < 2 || item.place.sink.is_none() {
            return Ok(None);
        }
        let (device, _) = item.place.source.id()?;
        let SourceFingerprint { size_bytes, modified_ns, changed_ns, inode } = found;
        let prefix = Temporary::task_prefix(&self.plan.job, NOBODY);
        Ok(Some(format!("{prefix}0-{device:x}-{inode:x}-{size_bytes:x}-{modified_ns:x}-{changed_ns:x}")))
    }

    /// Stage the output as another name of one that was staged before.
    pub fn stage_shared(
        &self,
        item: &Item,
        publishing: Publishing,
        shared: &str,
        output_name: &[u8],
    ) -> Result<Option<Output>> {
        let (Some(sink), Some(directory)) = (self.sink, &item.place.sink) else { return Ok(None) };
        let (temporary, root) = (self.temporary(), sink.open_directory(b"")?);
        let staged = directory.stage_shared(&temporary, publishing.how, (&*root, shared))?;
        Ok(staged.map(|(staged, held)| Output {
            directory: Arc::clone(directory),
            into: None,
            name: output_name.to_vec(),
            temporary,
            staged,
            replaces: publishing.replaces,
            held,
        }))
    }

    /// Let others stage names of this output; where another thread was first, it becomes a name of that one's.
    pub fn share(&self, item: &Item, publishing: Publishing, shared: &str, mut output: Output) -> Result<Output> {
        let Some(sink) = self.sink else { return Ok(output) };
        let root = sink.open_directory(b"")?;
        if Arc::clone(&output.directory).share(&mut output, (&*root, shared))? {
            return Ok(output);
        }
        let name = output.name.clone();
        match self.stage_shared(item, publishing, shared, &name)? {
            Some(other) => {
                output.discard();
                Ok(other)
            }
            None => Ok(output),
        }
    }
}

/// Remove the names that files of a job were shared by.
pub fn unshare(plan: &Plan) -> Result<usize> {
    let Some(sink) = plan.sink.as_ref().filter(|sink| sink.preserves(Preserve::Links)) else { return Ok(0) };
    let nobody = Temporary { task: Temporary::task_prefix(&plan.job, NOBODY), counter: u64::MAX, number: 0 };
    match open_sink(sink, Temporaries::Named)?.find_directory(b"")? {
        Some(root) => root.sweep(&nobody),
        None => Ok(0),
    }
}
