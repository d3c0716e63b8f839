//! What one reading of a file has found and the next one needs.

use std::{any::Any, fmt, sync::Arc};

/// Something that a step wants to know again when its file is read once more.
#[derive(Clone)]
pub struct Memo(Arc<dyn Any + Send + Sync>);

impl Memo {
    /// Keep a finding.
    pub fn new(found: impl Any + Send + Sync) -> Self {
        Self(Arc::new(found))
    }

    /// Give the finding, where it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Memo")
    }
}
