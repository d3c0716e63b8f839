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
    frame.shrink_to_fit(); // it may wait for those before it
    Ok(frame)
}

/// Most bytes that a frame of `size_bytes` takes (`ZSTD_COMPRESSBOUND`).
pub fn bound(size_bytes: u64) -> u64 {
    let margin = (128_u64 << 10).saturating_sub(size_bytes) >> 11;
    size_bytes.saturating_add((size_bytes >> 8) + margin)
}

/// Most bytes that the context takes for a block of `size_bytes`, as measured (the test below measures again).
pub fn context_bytes(level: i32, size_bytes: u64) -> u64 {
    let full: u64 = match level {
        ..=5 => 4 << 20,
        6..=8 => 6 << 20,
        9..=11 => 22 << 20,
        12..=15 => 68 << 20,
        _ => 134 << 20,
    };
    // Tables shrink with the block: the greediest levels take up to 40 bytes for each of its bytes.
    full.min((256 << 10) + 44 * size_bytes.min(full))
}

fn new_context() -> Result<CCtx<'static>> {
    CCtx::try_create().ok_or(Error::System { action: "allocate a zstd context", errno: Errno::NOMEM })
}

/// With parameters checked and room for the bound, compression fails for want of memory only.
fn failed(code: usize) -> Error {
    debug_assert_eq!(get_error_name(code), "Allocation error : not enough memory");
    Error::System { action: "compress with zstd", errno: Errno::NOMEM }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_context_is_no_larger_than_told() {
        for level in 1..=22 {
            for size in [0, 15_000, 16_385, 65_537, 131_073, 262_145, 1 << 20, block_bytes(level)] {
                let mut context = new_context().expect("made");
                context.set_parameter(CParameter::CompressionLevel(level)).expect("set");
                let mut frame = Vec::with_capacity(compress_bound(size));
                context.compress2(&mut frame, &vec![0; size]).expect("compressed");
                let (actual, told) = (context.sizeof() as u64, context_bytes(level, size as u64));
                assert!(actual <= told, "level {level}, {size} bytes: {actual}, told {told}");
            }
        }
    }

    #[test]
    fn test_bound_is_that_of_libzstd() {
        for size in [0, 1, 15_000, 128 << 10, 4 << 20] {
            assert_eq!(bound(size as u64), compress_bound(size) as u64);
        }
    }

    #[test]
    fn test_frame_does_not_depend_on_what_the_context_did_before() {
        let text: Vec<u8> =
            (0..100_000_u32).flat_map(|i| (i.wrapping_mul(i) % 1000).to_string().into_bytes()).collect();
        let fresh = |level| std::thread::scope(|scope| scope.spawn(|| compress(level, &text)).join().expect("joined"));
        for level in [1, 19, 3, 9, 3] {
            compress(level, &text[..5_000]).expect("compressed");
            assert_eq!(compress(level, &text).expect("compressed"), fresh(level).expect("compressed"), "{level}");
        }
    }
}
