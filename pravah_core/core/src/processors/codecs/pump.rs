//! One decoder for all libraries that take some input, give some output and remember where they are.

use super::{Decoded, Decoder, Input};
use crate::{Error, Result, processors::PULL_BYTES};

/// A library's decoder of one stream.
pub trait Pump: Send {
    /// Decode from `input` into `output`; tell how much of both was used, and whether the stream is complete.
    ///
    /// The error is what the library says of a damaged stream.
    fn pump(&mut self, input: &[u8], output: &mut [u8], input_ends: bool) -> Result<Pumped, String>;
}

/// What one call came to.
#[derive(Debug, Clone, Copy)]
pub struct Pumped {
    /// Bytes of the input that were taken.
    pub taken: usize,
    /// Bytes of the output that were written.
    pub given: usize,
    /// The stream is complete and checked.
    pub complete: bool,
}

/// A format, as far as the bytes around its streams are concerned.
pub struct Format {
    /// The codec's name, for messages.
    pub name: &'static str,
    /// First bytes of a stream; empty where a format has none, and no further stream may follow.
    pub magic: &'static [u8],
    /// Start on a stream.
    pub pump: fn() -> Result<Box<dyn Pump>>,
}

/// Decodes a file of one or more streams in a row.
pub struct StreamDecoder {
    format: &'static Format,
    pump: Option<Box<dyn Pump>>,
    /// Where the current stream began, for messages.
    begun: u64,
    complete_streams: u64,
}

impl StreamDecoder {
    /// Start at the first stream.
    pub fn new(format: &'static Format) -> Self {
        Self { format, pump: None, begun: 0, complete_streams: 0 }
    }

    /// Begin with the next stream, if there is one; none: the file is complete, or more input is wanted.
    fn begin(&mut self, input: &Input) -> Result<bool> {
        let (start, magic) = (input.bytes(), self.format.magic);
        if start.is_empty() && (self.complete_streams > 0 || !input.has_ended()) {
            return Ok(false);
        }
        let compared = start.len().min(magic.len());
        if self.complete_streams > 0 && (magic.is_empty() || start[..compared] != magic[..compared]) {
            let (name, offset) = (self.format.name, input.offset());
            return Err(Error::CorruptInput(format!("what follows the {name} stream at byte {offset} is no stream")));
        }
        if compared < magic.len() {
            return if input.has_ended() { Err(input.truncated(self.format.name)) } else { Ok(false) };
        }
        self.begun = input.offset();
        self.pump = Some((self.format.pump)()?);
        Ok(true)
    }
}

impl Decoder for StreamDecoder {
    fn decode(&mut self, input: &mut Input) -> Result<Option<Decoded>> {
        loop {
            if self.pump.is_none() && !self.begin(input)? {
                return Ok(None);
            }
            let Some(pump) = self.pump.as_mut() else { return Ok(None) };
            let mut output = vec![0; input.bytes().len().saturating_mul(4).clamp(OUTPUT_MIN_BYTES, PULL_BYTES)];
            let pumped = pump.pump(input.bytes(), &mut output, input.has_ended()).map_err(|reason| {
                let (name, begun) = (self.format.name, self.begun);
                Error::CorruptInput(format!("the {name} stream at byte {begun} is damaged: {reason}"))
            })?;
            input.advance(pumped.taken);
            if pumped.complete {
                self.pump = None;
                self.complete_streams += 1;
            }
            if pumped.given > 0 {
                output.truncate(pumped.given);
                return Ok(Some(output.into()));
            }
            if !pumped.complete && pumped.taken == 0 {
                return if input.has_ended() { Err(input.truncated(self.format.name)) } else { Ok(None) };
            }
        }
    }
}

/// Least output buffer of a pull, for inputs that come in tiny pieces.
const OUTPUT_MIN_BYTES: usize = 64 << 10;
