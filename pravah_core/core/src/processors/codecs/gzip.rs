//! gzip compression by libdeflate: one member per block.

use libdeflater::{CompressionLvl, Compressor, crc32};

use super::gzip_header;
use crate::{Error, Result, processors::contexts::Shelf};

/// Input bytes of a member. A member costs 18 bytes and a fresh 32 KiB of history, below 0.2 % at this size,
/// and 1 MiB is enough to keep a core busy for 10 ms when blocks are compressed in parallel.
pub const BLOCK_BYTES: usize = 1 << 20;

/// CRC-32 and length behind each member.
pub const TRAILER_BYTES: usize = 8;

/// libdeflate's level for each of gzip's: the fastest whose output is no more than 3 % larger than gzip's.
///
/// Its own levels are another scale: 6 packs 5 % tighter than `gzip -6` and takes half as long again as 4. Measured
/// over CSV in files of 15 kB and in blocks of 1 MiB: 4 gives 0.99 and 1.03 of the size of `gzip -6` in 0.27 of its
/// time. What is beyond 9 has no like in gzip: these levels search optimal parses.
const LIBDEFLATE_LEVELS: [i32; 12] = [1, 1, 2, 3, 4, 4, 5, 6, 8, 10, 11, 12];

thread_local! {
    static COMPRESSORS: Shelf<(i32, Compressor)> = const { Shelf::new() };
}

/// Compress one block into a member. Its header has neither time nor name, so equal blocks give equal members.
///
/// That of a full block, which others may follow, has the member's size: so readers find the next one without
/// decoding this one.
pub fn compress(level: i32, block: &[u8]) -> Result<Vec<u8>> {
    let (level, mut compressor) = COMPRESSORS
        .with(|shelf| shelf.take(|&(kept, _)| kept == level))
        .map_or_else(|| Ok((level, Compressor::new(libdeflate_level(level)?))), Ok::<_, Error>)?;
    let member = if block.len() == BLOCK_BYTES { sized(&mut compressor, block) } else { plain(&mut compressor, block) };
    COMPRESSORS.with(|shelf| shelf.put((level, compressor)));
    Ok(member)
}

fn plain(compressor: &mut Compressor, block: &[u8]) -> Vec<u8> {
    let mut member = vec![0; compressor.gzip_compress_bound(block.len())];
    let size = compressor.gzip_compress(block, &mut member).expect("the bound is enough for every block");
    member.truncate(size);
    member
}

fn sized(compressor: &mut Compressor, block: &[u8]) -> Vec<u8> {
    const HEADER_BYTES: usize = gzip_header::SIZED_BYTES;
    let mut member = vec![0; HEADER_BYTES + compressor.deflate_compress_bound(block.len()) + TRAILER_BYTES];
    let body = &mut member[HEADER_BYTES..];
    let size = compressor.deflate_compress(block, body).expect("the bound is enough for every block");
    member.truncate(HEADER_BYTES + size);
    member.extend_from_slice(&crc32(block).to_le_bytes());
    member.extend_from_slice(&(block.len() as u32).to_le_bytes());
    let header = gzip_header::with_member_bytes(member.len());
    member[..HEADER_BYTES].copy_from_slice(&header);
    member.shrink_to_fit(); // it may wait for those before it
    member
}

/// Most bytes that a member of `size_bytes` takes: stored DEFLATE blocks of 5,000 bytes at least, each with a
/// header of 5 bytes (`libdeflate_deflate_compress_bound`), and 28 bytes around them.
pub fn bound(size_bytes: u64) -> u64 {
    size_bytes + 5 * size_bytes.div_ceil(5_000).max(1) + 1 + (gzip_header::SIZED_BYTES + TRAILER_BYTES) as u64
}

/// Size of libdeflate's compressor (652 KiB, and 8,800 KiB from level 10 on, which search optimal parses).
pub fn context_bytes(level: i32) -> u64 {
    if level < 10 { 1 << 20 } else { 9 << 20 }
}

fn libdeflate_level(level: i32) -> Result<CompressionLvl> {
    let known = usize::try_from(level - 1).ok().and_then(|at| LIBDEFLATE_LEVELS.get(at));
    known.and_then(|&level| CompressionLvl::new(level).ok()).ok_or_else(|| Error::InvalidParameter {
        step: "compress".to_owned(),
        message: format!("level is {level}, gzip takes 1 to 12"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_member_header_tells_neither_time_nor_name() {
        let member = compress(6, b"").expect("compressed");
        assert_eq!(member[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    }

    #[test]
    fn test_member_of_a_full_block_tells_its_size() {
        let (full, less) = (vec![b'x'; BLOCK_BYTES], vec![b'x'; BLOCK_BYTES - 1]);
        let member = compress(6, &full).expect("compressed");
        assert_eq!(gzip_header::member_bytes(&member), Some(member.len()));
        assert_eq!(gzip_header::member_bytes(&compress(6, &less).expect("compressed")), None);
    }

    #[test]
    fn test_bound_is_that_of_libdeflate() {
        let mut compressor = Compressor::new(libdeflate_level(6).expect("a level"));
        for size in [0, 1, 4_999, 5_000, 5_001, 15_000, BLOCK_BYTES] {
            assert!(bound(size as u64) >= compressor.gzip_compress_bound(size) as u64, "{size}");
        }
    }
}
