//! A source of entries without files, `synthetic:N`: the ledger is measured with it, apart from any file system.
//!
//! Sizes and times are as different from each other as those of real files, so that blobs are as large as theirs;
//! contents are zeros. It is never planned for anybody: only benchmarks and tests write such plans.

use std::{any::Any, ops::Range, sync::Arc};

use rustix::io::Errno;

use super::{Attributes, Reading, Source, SourceDirectory};
use crate::{Error, Result, outcome::SourceFingerprint, plan::Root};

/// How the URI of a synthetic root begins.
const SCHEME: &str = "synthetic:";

/// The number of entries of a root that is synthetic.
pub fn entries_of(root: &Root) -> Option<u64> {
    root.uri.strip_prefix(SCHEME)?.parse().ok()
}

/// Size and modification time of the entry with this number.
pub fn stat(number: u64) -> (u64, i64) {
    // Fibonacci hashing: https://probablydance.com/2018/06/16/fibonacci-hashing-the-optimization-that-the-world-forgot
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let size_bytes = mixed >> 52; // below 4 KiB
    let modified_ns = 1_700_000_000_000_000_000 + i64::try_from(mixed >> 20).unwrap_or_default();
    (size_bytes, modified_ns)
}

/// Gives zeros for every name.
pub(super) struct SyntheticSource;

impl Source for SyntheticSource {
    fn open_directory(&self, _: u16, _: &[u8]) -> Result<Arc<dyn SourceDirectory>> {
        Ok(Arc::new(SyntheticDirectory))
    }
}

struct SyntheticDirectory;

impl SourceDirectory for SyntheticDirectory {
    fn fingerprint(&self, name: &[u8]) -> Result<SourceFingerprint> {
        let number = std::str::from_utf8(name).ok().and_then(|name| name.parse::<u64>().ok());
        let number = number.ok_or_else(|| Error::system("open the source")(Errno::NOENT))?;
        let (size_bytes, modified_ns) = stat(number);
        Ok(SourceFingerprint { size_bytes, modified_ns, changed_ns: modified_ns, inode: number })
    }

    fn open(&self, name: &[u8]) -> Result<Box<dyn Reading>> {
        let fingerprint = self.fingerprint(name)?;
        Ok(Box::new(Zeros { fingerprint, rest_bytes: fingerprint.size_bytes }))
    }

    fn is_near(&self, _: &[u8]) -> bool {
        true
    }

    fn fetch_ahead(&self, _: &[u8]) {}

    fn read_link(&self, _: &[u8]) -> Result<Vec<u8>> {
        Err(Error::system("open the source")(Errno::INVAL))
    }

    fn remove(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn id(&self) -> Result<(u64, u64)> {
        Ok((0, 1))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Zeros {
    fingerprint: SourceFingerprint,
    rest_bytes: u64,
}

impl Reading for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = usize::try_from(self.rest_bytes).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        buffer[..length].fill(0);
        self.rest_bytes -= length as u64;
        Ok(length)
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
        let rest_bytes = self.fingerprint.size_bytes.saturating_sub(offset_bytes);
        let length = usize::try_from(rest_bytes).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        buffer[..length].fill(0);
        Ok(length)
    }

    fn seek_data(&mut self, _: u64) -> Result<Option<Range<u64>>> {
        Ok(None)
    }

    fn look(&self) -> Result<(SourceFingerprint, Attributes)> {
        let modified_ns = self.fingerprint.modified_ns;
        Ok((self.fingerprint, Attributes { modified_ns, mode: 0o644, user: 0, group: 0, names: 1, object: None }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
