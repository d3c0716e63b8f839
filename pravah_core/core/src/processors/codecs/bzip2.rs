//! bzip2: one stream per block, which `bzip2 -d` reads in a row.

use bzip2::{Action, Compress, Compression, Decompress, Status};

use super::pump::{Format, Pump, Pumped, Refusal};
use crate::Result;

/// First bytes of a stream.
pub const MAGIC: [u8; 3] = *b"BZh";

/// Most bytes that decoding takes: 100 kB and four times the largest block of 900 kB (bzip2(1)).
pub const MEMORY_BYTES: u64 = 6 << 20;

/// How the decoder is told from others.
pub static FORMAT: Format = Format { name: "bzip2", magic: &MAGIC, padding_bytes: 0, pump: decoder };

/// Input bytes of a stream: four of the largest blocks that bzip2 sorts.
pub const BLOCK_BYTES: usize = 3_600_000;

/// Compress one block into a stream.
pub fn compress(level: i32, block: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = Compress::new(Compression::new(level.unsigned_abs()), 0);
    let mut output = Vec::with_capacity(usize::try_from(bound(block.len() as u64)).unwrap_or(block.len()));
    loop {
        let taken = usize::try_from(compressor.total_in()).unwrap_or(usize::MAX);
        match compressor.compress_vec(&block[taken..], &mut output, Action::Finish) {
            Ok(Status::StreamEnd) => return Ok(output),
            // Finishing goes on until the end; the calls come in the order that the library wants.
            Ok(_) | Err(_) => output.reserve(64 << 10),
        }
    }
}

/// Most bytes that a stream of `size_bytes` takes (the manual of libbzip2, section 3.5.1).
pub fn bound(size_bytes: u64) -> u64 {
    size_bytes + size_bytes / 100 + 600
}

/// Most bytes that the encoder takes: 400 kB and eight times its block (bzip2(1)).
pub fn context_bytes(level: i32) -> u64 {
    400_000 + 8 * 100_000 * u64::from(level.unsigned_abs())
}

fn decoder() -> Result<Box<dyn Pump>> {
    Ok(Box::new(Bzip2Pump(Decompress::new(false))))
}

struct Bzip2Pump(Decompress);

impl Pump for Bzip2Pump {
    fn pump(&mut self, input: &[u8], output: &mut [u8], _input_ends: bool) -> Result<Pumped, Refusal> {
        let (taken, given) = (self.0.total_in(), self.0.total_out());
        let damaged = |error: bzip2::Error| Refusal::Damaged(error.to_string().to_lowercase());
        let status = self.0.decompress(input, output).map_err(damaged)?;
        let used = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        Ok(Pumped {
            taken: used(self.0.total_in(), taken),
            given: used(self.0.total_out(), given),
            complete: status == Status::StreamEnd,
        })
    }
}
