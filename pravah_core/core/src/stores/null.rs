//! A sink that keeps nothing: plans sample through it, and the ledger is measured with it.

use std::{any::Any, sync::Arc};

use super::{Attributes, Beginning, Output, Reading, Removal, Sink, SinkDirectory, Staging, Standing, Temporary};
use crate::{
    Result,
    outcome::{Identity, Publish, Staged},
};

/// Counts bytes and forgets them.
pub(super) struct NullSink;

impl Sink for NullSink {
    fn open_directory(&self, _: &[u8]) -> Result<Arc<dyn SinkDirectory>> {
        Ok(Arc::new(NullDirectory))
    }

    fn find_directory(&self, _: &[u8]) -> Result<Option<Arc<dyn SinkDirectory>>> {
        Ok(None)
    }

    fn verify(&self, _: &Output) -> Result<()> {
        Ok(())
    }

    fn make_durable(&self, _: &[Output]) -> Result<()> {
        Ok(())
    }

    fn make_published_durable(&self, _: &[Arc<dyn SinkDirectory>]) -> Result<()> {
        Ok(())
    }

    fn open_files_per_output(&self) -> usize {
        0
    }
}

struct NullDirectory;

impl SinkDirectory for NullDirectory {
    fn look(&self, _: &[u8]) -> Result<Standing> {
        Ok(Standing::Free)
    }

    fn stage(&self, beginning: &Beginning<'_>) -> Result<Box<dyn Staging>> {
        Ok(Box::new(NullStaging { size_bytes: 0, publish: beginning.publish }))
    }

    fn stage_link(&self, _: &Temporary, publish: Publish, _: &[u8]) -> Result<(Staged, Box<dyn Any + Send>)> {
        Ok((Staged { temporary: None, publish, identity: Identity::default() }, Box::new(())))
    }

    fn publish(&self, _: &mut Output, _: Publish) -> Result<()> {
        Ok(())
    }

    fn same(&self, _: &Identity, _: &Identity) -> bool {
        false
    }

    fn adopt(&self, _: &[u8], _: &Staged) -> Result<bool> {
        Ok(false)
    }

    fn has_equal(&self, _: &Output) -> Result<bool> {
        Ok(false)
    }

    fn begin_removing(&self, _: &[u8], _: &Staged) -> Result<Removal> {
        Ok(Box::new(|| Ok(false)))
    }

    fn discard(&self, _: &mut Output) {}

    fn sweep(&self, _: &Temporary) -> Result<usize> {
        Ok(0)
    }

    fn id(&self) -> (u64, u64) {
        (0, 0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct NullStaging {
    size_bytes: u64,
    publish: Publish,
}

impl Staging for NullStaging {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    fn skip_to(&mut self, offset_bytes: u64) -> Result<()> {
        self.size_bytes = offset_bytes;
        Ok(())
    }

    fn copy_from(&mut self, _: &dyn Reading, _: u64) -> Result<Option<u64>> {
        Ok(None)
    }

    fn finish(self: Box<Self>, _: Option<&Attributes>) -> Result<(Staged, Box<dyn Any + Send>)> {
        let identity = Identity { size_bytes: self.size_bytes, ..Identity::default() };
        Ok((Staged { temporary: None, publish: self.publish, identity }, Box::new(())))
    }
}
