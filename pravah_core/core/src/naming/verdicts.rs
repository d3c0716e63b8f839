//! What the comparison of all names of a job decided, for the entries of one task.
//!
//! A blob of its own, as the manifest never changes. It holds all that is decided about a task's names: a later one
//! takes its place.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    Array, RecordBatch,
    builder::{StringBuilder, UInt8Builder, UInt32Builder, UInt64Builder},
    cast::AsArray,
    types::{UInt8Type, UInt32Type, UInt64Type},
};

use super::Naming;
use crate::{
    Error, Result,
    entry::Problem,
    manifest::{column, encode},
};

/// What was decided about one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How its output is named.
    pub naming: Naming,
    /// Why it fails without being read, if it does.
    pub problem: Option<Problem>,
}

/// What was decided about the entries of a task, by position.
#[derive(Debug, Default)]
pub struct Verdicts(HashMap<usize, Verdict>);

impl Verdicts {
    /// Read the batch behind a manifest, where there is one.
    pub(crate) fn read(batch: Option<&RecordBatch>) -> Result<Self> {
        let Some(batch) = batch else { return Ok(Self::default()) };
        let positions = column(batch, "position")?.as_primitive::<UInt32Type>();
        let kept = column(batch, "keeps_extension")?.as_primitive::<UInt8Type>();
        let ordinals = column(batch, "ordinal")?.as_primitive::<UInt64Type>();
        let kinds = column(batch, "problem_kind")?.as_string::<i32>();
        let messages = column(batch, "problem_message")?.as_string::<i32>();
        let verdict = |at: usize| {
            let ordinal = ordinals.is_valid(at).then(|| ordinals.value(at));
            let naming = Naming { keeps_extension: kept.value(at) == 1, ordinal };
            let problem = kinds
                .is_valid(at)
                .then(|| Problem { kind: kinds.value(at).to_owned(), message: messages.value(at).to_owned() });
            (positions.value(at) as usize, Verdict { naming, problem })
        };
        Ok(Self((0..batch.num_rows()).map(verdict).collect()))
    }

    /// What was decided about the entry at a position.
    pub fn of(&self, position: usize) -> Option<&Verdict> {
        self.0.get(&position)
    }
}

/// Encode what was decided about the entries of a task.
pub(super) fn encode_verdicts(verdicts: &[(u32, Verdict)]) -> Result<Vec<u8>> {
    let (mut positions, mut kept, mut ordinals) = (UInt32Builder::new(), UInt8Builder::new(), UInt64Builder::new());
    let (mut kinds, mut messages) = (StringBuilder::new(), StringBuilder::new());
    for (position, Verdict { naming, problem }) in verdicts {
        positions.append_value(*position);
        kept.append_value(u8::from(naming.keeps_extension));
        ordinals.append_option(naming.ordinal);
        kinds.append_option(problem.as_ref().map(|problem| &problem.kind));
        messages.append_option(problem.as_ref().map(|problem| &problem.message));
    }
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("position", Arc::new(positions.finish()) as Arc<dyn Array>, false),
        ("keeps_extension", Arc::new(kept.finish()), false),
        ("ordinal", Arc::new(ordinals.finish()), true),
        ("problem_kind", Arc::new(kinds.finish()), true),
        ("problem_message", Arc::new(messages.finish()), true),
    ]);
    encode(&batch.map_err(|error| Error::DamagedBlob { what: "verdicts", message: error.to_string() })?)
}
