//! One decoder for all libraries that take some input, give some output and remember where they are.

use super::{Decoded, Decoder, Input};
use crate::{Error, Result, processors::PULL_BYTES};

/// A library's decoder of one stream.
pub trait Pump: Send {
    /// Decode from `input` into `output`; tell how much of both was used, and whether the stream is complete.
    ///
    fn pump(&mut self, input: &[u8], output: &mut [u8], input_ends: bool) -> Result<Pumped, Refusal>;
}

/// Why a stream is given up.
#[derive(Debug)]
pub enum Refusal {
    /// It is damaged, and this is what the library says.
    Damaged(String),
    /// It is well-formed, and does this ("needs …").
    Unsupported(String),
    /// It looks further back than this thread has room for.
    TooFarBack,
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
    /// Zeros between and behind streams are padding where they are a multiple of so many; 0: there is none.
    pub padding_bytes: u64,
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
    /// Zeros that have come behind the last one.
    zeros: u64,
}

impl StreamDecoder {
    /// Start at the first stream.
    pub fn new(format: &'static Format) -> Self {
        Self { format, pump: None, begun: 0, complete_streams: 0, zeros: 0 }
    }

    /// Begin with the next stream, if there is one; none: the file is complete, or more input is wanted.
    fn begin(&mut self, input: &mut Input) -> Result<bool> {
        if self.complete_streams > 0 && self.format.padding_bytes > 0 {
            self.skip_padding(input)?;
        }
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

    /// Take the zeros behind a stream; what follows them, or the end, tells whether they are padding.
    fn skip_padding(&mut self, input: &mut Input) -> Result<()> {
        let zeros = input.bytes().iter().take_while(|&&byte| byte == 0).count();
        input.advance(zeros);
        self.zeros += zeros as u64;
        if input.bytes().is_empty() && !input.has_ended() {
            return Ok(());
        }
        let (name, zeros, unit) = (self.format.name, std::mem::take(&mut self.zeros), self.format.padding_bytes);
        if zeros.is_multiple_of(unit) {
            return Ok(());
        }
        let end = input.offset();
        Err(Error::CorruptInput(format!(
            "the {name} stream is followed by {zeros} zeros up to byte {end}, and padding comes in multiples of {unit}"
        )))
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let stream = format!("the {} stream at byte {}", self.format.name, self.begun);
        match refusal {
            Refusal::Damaged(reason) => Error::CorruptInput(format!("{stream} is damaged: {reason}")),
            Refusal::Unsupported(what) => Error::UnsupportedInput(format!("{stream} {what}")),
            Refusal::TooFarBack => Error::WindowTooLarge,
        }
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
            let pumped = pump.pump(input.bytes(), &mut output, input.has_ended());
            let pumped = pumped.map_err(|refusal| self.refused(refusal))?;
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
