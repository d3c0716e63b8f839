//! Sources of several stores in one job: each root is read by the store that it is in.

use std::sync::Arc;

use super::{Source, SourceDirectory, open_source};
use crate::{Error, Result, plan::Plan};

/// The roots of a plan, each with a source of its own.
pub struct MixedSource(Vec<Box<dyn Source>>);

impl MixedSource {
    /// Read below the roots of a plan.
    pub fn open(plan: &Plan) -> Result<Self> {
        let alone = |root: &crate::plan::Root| open_source(&Plan { roots: vec![root.clone()], ..plan.clone() });
        plan.roots.iter().map(alone).collect::<Result<_>>().map(Self)
    }
}

impl Source for MixedSource {
    fn open_directory(&self, root: u16, directory: &[u8]) -> Result<Arc<dyn SourceDirectory>> {
        let source = self.0.get(usize::from(root));
        let source = source.ok_or_else(|| Error::InvalidPlan(format!("root is {root}, the plan has {}", self.0.len())));
        source?.open_directory(0, directory)
    }

    fn is_remote(&self) -> bool {
        self.0.iter().any(|source| source.is_remote())
    }

    fn reading_bytes(&self) -> u64 {
        self.0.iter().map(|source| source.reading_bytes()).max().unwrap_or_default()
    }

    fn hedged(&self) -> u64 {
        self.0.iter().map(|source| source.hedged()).sum()
    }

    fn remove_all(&self, files: &[(Arc<dyn SourceDirectory>, &[u8])]) -> Vec<Result<()>> {
        let alike = files.chunk_by(|(one, _), (other, _)| one.is_remote() == other.is_remote());
        let remove = |some: &[(Arc<dyn SourceDirectory>, &[u8])]| {
            let is_remote = some.first().is_some_and(|(directory, _)| directory.is_remote());
            let source = self.0.iter().find(|source| source.is_remote() == is_remote);
            source.map(|source| source.remove_all(some)).unwrap_or_default()
        };
        alike.flat_map(remove).collect()
    }

    fn removes_weakly(&self) -> bool {
        self.0.iter().any(|source| source.removes_weakly())
    }
}
