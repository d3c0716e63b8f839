//! The outputs of entries that have several, as one column of a window's blob.
//!
//! A cell has the outputs of a row one behind the other, all numbers little-endian. An empty cell means those of the row
//! before it: entries that are made into the same outputs tell them once.

use std::sync::Arc;

use arrow_array::{Array, BinaryArray, RecordBatch, builder::BinaryBuilder, cast::AsArray};

use super::{Identity, Publish, Staged, StagedPart, damaged};
use crate::{Result, naming::Part};

/// Gathers the column.
#[derive(Default)]
pub struct PartsColumn {
    cells: BinaryBuilder,
    last: Option<Arc<[StagedPart]>>,
}

impl PartsColumn {
    /// Add the outputs of a row.
    pub fn push(&mut self, parts: Option<&Arc<[StagedPart]>>) {
        match (parts, &self.last) {
            (None, _) => self.cells.append_null(),
            (Some(parts), Some(last)) if Arc::ptr_eq(parts, last) => self.cells.append_value(b""),
            (Some(parts), _) => {
                self.cells.append_value(parts.iter().flat_map(encoded).collect::<Vec<u8>>());
                self.last = Some(Arc::clone(parts));
            }
        }
    }

    /// Give the column; none where no row has several outputs.
    pub fn finish(mut self) -> Option<BinaryArray> {
        self.last.is_some().then(|| self.cells.finish())
    }
}

/// Reads the column from its beginning to its end.
pub struct Parts<'b> {
    /// Only where entries have several outputs.
    cells: Option<&'b BinaryArray>,
    last: Option<Arc<[StagedPart]>>,
}

impl<'b> Parts<'b> {
    /// The column of a window.
    pub fn of(batch: &'b RecordBatch) -> Self {
        Self { cells: batch.column_by_name("parts").map(|cells| cells.as_binary()), last: None }
    }

    /// The outputs of the next row.
    pub fn get(&mut self, at: usize) -> Result<Option<Arc<[StagedPart]>>> {
        let Some(mut cell) = self.cells.filter(|cells| cells.is_valid(at)).map(|cells| cells.value(at)) else {
            return Ok(None);
        };
        if !cell.is_empty() {
            let mut parts = Vec::new();
            while !cell.is_empty() {
                parts.push(decoded(&mut cell)?);
            }
            self.last = Some(parts.into());
        }
        Ok(self.last.clone())
    }
}

fn encoded(output: &StagedPart) -> Vec<u8> {
    let StagedPart { part, staged } = output;
    let Identity { device, inode, size_bytes, modified_ns, born_ns } = staged.identity;
    let mut bytes = Vec::with_capacity(FIXED_BYTES + part.directory.len());
    bytes.extend(part.number.to_le_bytes());
    bytes.push(staged.publish as u8);
    bytes.extend(staged.temporary.map_or(u64::MAX, u64::from).to_le_bytes());
    for number in [device, inode, size_bytes] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [modified_ns, born_ns] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(u32::try_from(part.directory.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(&part.directory);
    bytes
}

/// Bytes of an output without a directory.
const FIXED_BYTES: usize = 57;

fn decoded(cell: &mut &[u8]) -> Result<StagedPart> {
    let number = u32::from_le_bytes(take(cell)?);
    let [code] = take(cell)?;
    let publish = Publish::from_code(code)?;
    let temporary = u32::try_from(u64::from_le_bytes(take(cell)?)).ok();
    let [device, inode, size_bytes] = [take(cell)?, take(cell)?, take(cell)?].map(u64::from_le_bytes);
    let [modified_ns, born_ns] = [take(cell)?, take(cell)?].map(i64::from_le_bytes);
    let length = u32::from_le_bytes(take(cell)?) as usize;
    let (directory, rest) = cell.split_at_checked(length).ok_or_else(cut_off)?;
    *cell = rest;
    let identity = Identity { device, inode, size_bytes, modified_ns, born_ns };
    let part = Part { directory: directory.to_vec(), number };
    Ok(StagedPart { part, staged: Staged { temporary, publish, identity } })
}

fn take<const N: usize>(cell: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = cell.split_first_chunk::<N>().ok_or_else(cut_off)?;
    *cell = rest;
    Ok(*head)
}

fn cut_off() -> crate::Error {
    damaged("the outputs of an entry are cut off".into())
}
