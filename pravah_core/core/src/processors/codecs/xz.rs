//! xz by liblzma: one stream per block, which `xz -d` reads in a row.

use liblzma::stream::{Action, Check, Error as LzmaError, Filters, LzmaOptions, Status, Stream};
use rustix::io::Errno;

use super::{
    pump::{Format, Pump, Pumped, Refusal},
    window,
};
use crate::{Error, Result};

/// First bytes of a stream (the .xz file format, section 2.1.1.1).
pub const MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

/// Most bytes that decoding takes: the dictionary of `xz -9` is 64 MiB.
pub const MEMORY_BYTES: u64 = 72 << 20;

/// What the decoder takes beside the dictionary, at most: liblzma counts some 100 kB.
const BESIDE_BYTES: u64 = 1 << 20;

/// How the decoder is told from others.
pub static FORMAT: Format = Format { name: "xz", magic: &MAGIC, padding_bytes: PADDING_BYTES, pump: decoder };

/// Streams may be padded to multiples of so many zeros (the .xz file format, section 2.2).
const PADDING_BYTES: u64 = 4;

/// Input bytes of a stream: the dictionary of the levels up to 6, larger ones look no further back.
pub const BLOCK_BYTES: usize = 8 << 20;

/// Compress one block into a stream.
pub fn compress(level: i32, block: &[u8]) -> Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(level.unsigned_abs()).map_err(failed)?;
    options.dict_size(dictionary_bytes(level, block.len() as u64));
    let mut stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc64).map_err(failed)?;
    let mut output = Vec::with_capacity(block.len() / 3 + 1024);
    loop {
        let taken = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        match stream.process_vec(&block[taken..], &mut output, Action::Finish).map_err(failed)? {
            Status::StreamEnd => return Ok(output),
            _ => output.reserve(output.capacity().max(64 << 10)),
        }
    }
}

/// Most bytes that a stream of `size_bytes` takes: LZMA2 stores what it can't compress in chunks of 64 KiB.
pub fn bound(size_bytes: u64) -> u64 {
    size_bytes + size_bytes / 1024 + 1024
}

/// Most bytes that the encoder takes: 11.5 times the dictionary and some constant (xz(1), "Memory usage").
pub fn context_bytes(level: i32, size_bytes: u64) -> u64 {
    12 * u64::from(dictionary_bytes(level, size_bytes)) + (8 << 20)
}

fn dictionary_bytes(level: i32, size_bytes: u64) -> u32 {
    // Of xz(1): 256 KiB, 1, 2, 4, 4, 8, 8, 16, 32 and 64 MiB; more than a block is never used.
    let preset: u32 = match level {
        0 => 256 << 10,
        1 => 1 << 20,
        2 => 2 << 20,
        3 | 4 => 4 << 20,
        _ => 8 << 20,
    };
    preset.min(u32::try_from(size_bytes).unwrap_or(u32::MAX)).max(4096)
}

fn decoder() -> Result<Box<dyn Pump>> {
    let limit = if window::is_confined() { window::USUAL_BYTES + BESIDE_BYTES } else { MEMORY_BYTES };
    Ok(Box::new(XzPump(Stream::new_stream_decoder(limit, 0).map_err(failed)?)))
}

struct XzPump(Stream);

impl Pump for XzPump {
    fn pump(&mut self, input: &[u8], output: &mut [u8], _input_ends: bool) -> Result<Pumped, Refusal> {
        let (taken, given) = (self.0.total_in(), self.0.total_out());
        let status = self.0.process(input, output, Action::Run).map_err(|error| match error {
            LzmaError::MemLimit if window::is_confined() => Refusal::TooFarBack,
            LzmaError::MemLimit => {
                Refusal::Unsupported(format!("needs a dictionary beyond the limit of {} MiB", MEMORY_BYTES >> 20))
            }
            LzmaError::Options => Refusal::Unsupported("needs filters that are not known".to_owned()),
            error => Refusal::Damaged(error.to_string().to_lowercase()),
        })?;
        let used = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        Ok(Pumped {
            taken: used(self.0.total_in(), taken),
            given: used(self.0.total_out(), given),
            complete: status == Status::StreamEnd,
        })
    }
}

/// With checked levels, liblzma fails for want of memory only.
fn failed(_: LzmaError) -> Error {
    Error::System { action: "compress with xz", errno: Errno::NOMEM }
}
