//! brotli (RFC 7932): one stream per file, as streams can't stand in a row; nothing at its beginning tells it.

use std::io::Write;

use brotli::{
    BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter,
    enc::{BrotliEncoderParams, StandardAlloc},
};
use bytes::Bytes;

use super::{
    StreamEncoder,
    pump::{Format, Pump, Pumped, Refusal},
    window,
};
use crate::{Error, Result};

/// Most bytes that decoding takes: a window of 16 MiB, and its tables.
pub const MEMORY_BYTES: u64 = 36 << 20;

/// How the decoder is told from others.
pub static FORMAT: Format = Format { name: "brotli", magic: &[], padding_bytes: 0, pump: decoder };

/// Input bytes that are handed over at once.
pub const PIECE_BYTES: usize = 1 << 20;

/// The default window of the command line tool, 4 MiB.
const WINDOW_BITS: i32 = 22;

/// Most bytes that a stream of `size_bytes` takes (`BrotliEncoderMaxCompressedSize`, and its flushes).
pub fn bound(size_bytes: u64) -> u64 {
    size_bytes + (size_bytes >> 10) + 1024
}

/// Most bytes that the encoder takes, as measured; levels 10 and 11 keep the costs of all paths.
pub fn context_bytes(level: i32) -> u64 {
    if level < 10 { 64 << 20 } else { 256 << 20 }
}

/// Start on a stream.
pub fn encoder(level: i32) -> Box<dyn StreamEncoder> {
    let parameters = BrotliEncoderParams { quality: level, lgwin: WINDOW_BITS, ..BrotliEncoderParams::default() };
    Box::new(Encoder(CompressorWriter::with_params(Vec::new(), 64 << 10, &parameters)))
}

struct Encoder(CompressorWriter<Vec<u8>>);

impl StreamEncoder for Encoder {
    fn push(&mut self, piece: &[u8]) -> Result<Bytes> {
        self.0.write_all(piece).map_err(|error| Error::Panicked(format!("brotli refused its input: {error}")))?;
        Ok(std::mem::take(self.0.get_mut()).into())
    }

    fn finish(self: Box<Self>) -> Result<Bytes> {
        Ok(self.0.into_inner().into())
    }
}

fn decoder() -> Result<Box<dyn Pump>> {
    let new = StandardAlloc::default;
    let state = Box::new(BrotliState::new(new(), new(), new()));
    Ok(Box::new(BrotliPump { state, is_admitted: false }))
}

struct BrotliPump {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    /// There is room for its window, which its first bits tell.
    is_admitted: bool,
}

impl Pump for BrotliPump {
    fn pump(&mut self, input: &[u8], output: &mut [u8], _input_ends: bool) -> Result<Pumped, Refusal> {
        if !self.is_admitted
            && let Some(&first) = input.first()
        {
            window::admit(window_bytes(first)).or(Err(Refusal::TooFarBack))?;
            self.is_admitted = true;
        }
        let (mut left, mut taken, mut room, mut given, mut total) = (input.len(), 0, output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            input,
            &mut room,
            &mut given,
            output,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => Err(Refusal::Damaged("its bytes make no sense".to_owned())),
            result => Ok(Pumped { taken, given, complete: matches!(result, BrotliResult::ResultSuccess) }),
        }
    }
}

/// The window that the first byte of a stream tells (RFC 7932, section 9.1).
fn window_bytes(first: u8) -> u64 {
    let bits = match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, ..) => 16,
        (_, 0, 0) => 17,
        (_, 0, 1) => 30, // "large windows", which the RFC does not have: the next byte tells, up to this
        (_, 0, few) => 8 + few,
        (_, more, _) => 17 + more,
    };
    1 << bits
}
