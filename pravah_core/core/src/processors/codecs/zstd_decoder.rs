//! zstd decompression: frames in a row, skippable ones between them, checksums checked, windows limited.

use bytes::Bytes;
use rustix::io::Errno;
use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, ResetDirective, get_error_name};

use super::{
    Decoder, Input,
    zstd_header::{self, Header},
};
use crate::{
    Error, Result,
    processors::{PULL_BYTES, contexts::Shelf},
};

/// Largest window that is decoded; the command line tool has the same limit (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`).
const WINDOW_LIMIT_BYTES: u64 = 128 << 20;

/// The largest window, what the decoder has beside it, and one output.
pub const MEMORY_BYTES: u64 = WINDOW_LIMIT_BYTES + (PULL_BYTES + (1 << 20)) as u64;

/// Largest context that a thread keeps: that of a window of 8 MiB, which is usual up to level 19.
const KEPT_BYTES: usize = 9 << 20;

/// Least output buffer of a pull, for inputs that come in tiny pieces.
const OUTPUT_MIN_BYTES: usize = 16 << 10;

thread_local! {
    static CONTEXTS: Shelf<DCtx<'static>> = const { Shelf::new() };
}

/// Decodes one zstd file.
pub struct ZstdDecoder {
    /// Put back when the decoder is dropped.
    context: Option<DCtx<'static>>,
    part: Part,
    /// Where the current frame began, for messages.
    frame_offset: u64,
}

/// What comes next in the file.
enum Part {
    /// A frame, or the end.
    Header,
    Frame {
        /// Size of the next output, as far as it is known.
        output_bytes: Option<u64>,
        /// The last output was filled up, so that more may come without further input.
        was_full: bool,
    },
    Skippable {
        remaining_bytes: u64,
    },
}

/// What a look at a part came to.
enum Next {
    /// Go on with the part that follows.
    Part,
    /// Bytes of the content.
    Output(Vec<u8>),
    /// More input is wanted, or the file is complete.
    Input,
}

impl Decoder for ZstdDecoder {
    fn decode(&mut self, input: &mut Input) -> Result<Option<Bytes>> {
        loop {
            let next = match self.part {
                Part::Header => self.header(input)?,
                Part::Frame { output_bytes, was_full } => self.frame(input, output_bytes, was_full)?,
                Part::Skippable { remaining_bytes } => self.skip(input, remaining_bytes)?,
            };
            match next {
                Next::Output(output) if !output.is_empty() => return Ok(Some(output.into())),
                Next::Input => return Ok(None),
                Next::Output(_) | Next::Part => {}
            }
        }
    }
}

impl ZstdDecoder {
    /// Start at the first frame.
    pub fn new() -> Result<Self> {
        let kept = CONTEXTS.with(|shelf| shelf.take(|_| true));
        let context = kept.or_else(DCtx::try_create);
        let context = context.ok_or(Error::System { action: "allocate a zstd context", errno: Errno::NOMEM })?;
        Ok(Self { context: Some(context), part: Part::Header, frame_offset: 0 })
    }

    fn header(&mut self, input: &mut Input) -> Result<Next> {
        self.frame_offset = input.offset();
        if input.bytes().is_empty() {
            return Ok(Next::Input);
        }
        if !zstd_header::is_magic(input.bytes()) {
            let may_become = input.bytes().len() < 4 && zstd_header::is_magic_prefix(input.bytes());
            return if may_become { wait(input) } else { Err(self.garbage()) };
        }
        self.part = match zstd_header::read(input.bytes()) {
            None => return wait(input),
            Some(Header::Skippable { frame_bytes }) => Part::Skippable { remaining_bytes: frame_bytes },
            Some(Header::Frame { window_bytes, content_bytes, dictionary }) => {
                self.check(window_bytes, dictionary)?;
                Part::Frame { output_bytes: content_bytes, was_full: false }
            }
        };
        Ok(Next::Part)
    }

    /// Refuse here what libzstd would, were it not for its shortcut for frames that lie in one piece.
    fn check(&self, window_bytes: u64, dictionary: u32) -> Result<()> {
        let frame = format!("the zstd frame at byte {}", self.frame_offset);
        if window_bytes > WINDOW_LIMIT_BYTES {
            let (window, limit) = (window_bytes.div_ceil(1 << 20), WINDOW_LIMIT_BYTES >> 20);
            return Err(Error::UnsupportedInput(format!(
                "{frame} needs a window of {window} MiB, the limit is {limit} MiB"
            )));
        }
        if dictionary != 0 {
            return Err(Error::UnsupportedInput(format!("{frame} needs dictionary {dictionary}, there is none")));
        }
        Ok(())
    }

    fn frame(&mut self, input: &mut Input, output_bytes: Option<u64>, was_full: bool) -> Result<Next> {
        if input.bytes().is_empty() && !was_full {
            return wait(input);
        }
        let context = self.context.as_mut().expect("the context stays until the decoder is dropped");
        let mut output = Vec::with_capacity(output_size(input, output_bytes));
        let (taken, outcome) = {
            let mut source = InBuffer::around(input.bytes());
            let outcome = context.decompress_stream(&mut OutBuffer::around(&mut output), &mut source);
            (source.pos(), outcome)
        };
        let is_complete = outcome.map_err(|code| self.corrupt(code))? == 0;
        input.advance(taken);
        self.part = if is_complete {
            Part::Header
        } else {
            let output_bytes = output_bytes.map(|size| size.saturating_sub(output.len() as u64));
            Part::Frame { output_bytes, was_full: output.len() == output.capacity() }
        };
        Ok(Next::Output(output))
    }

    fn skip(&mut self, input: &mut Input, remaining_bytes: u64) -> Result<Next> {
        let available = input.bytes().len();
        let count = usize::try_from(remaining_bytes).map_or(available, |remaining| remaining.min(available));
        input.advance(count);
        let remaining_bytes = remaining_bytes - count as u64;
        if remaining_bytes == 0 {
            self.part = Part::Header;
            return Ok(Next::Part);
        }
        self.part = Part::Skippable { remaining_bytes };
        wait(input)
    }

    fn corrupt(&self, code: usize) -> Error {
        let reason = get_error_name(code).to_lowercase();
        Error::CorruptInput(format!("the zstd frame at byte {} is damaged: {reason}", self.frame_offset))
    }

    fn garbage(&self) -> Error {
        Error::CorruptInput(format!("what follows the zstd stream at byte {} is no frame", self.frame_offset))
    }
}

impl Drop for ZstdDecoder {
    fn drop(&mut self) {
        if let Some(mut context) = self.context.take()
            && !std::thread::panicking()
            && context.sizeof() <= KEPT_BYTES
            && context.reset(ResetDirective::SessionOnly).is_ok()
        {
            CONTEXTS.with(|shelf| shelf.put(context));
        }
    }
}

/// Size an output buffer. With room for the whole content libzstd decodes a frame without a window of its own.
fn output_size(input: &Input, output_bytes: Option<u64>) -> usize {
    let known = output_bytes.and_then(|size| usize::try_from(size).ok()).filter(|&size| size <= PULL_BYTES);
    // A frame whose content is complete still wants a byte of room to be finished in.
    known.map_or_else(|| input.bytes().len().saturating_mul(4).clamp(OUTPUT_MIN_BYTES, PULL_BYTES), |size| size.max(1))
}

fn wait(input: &Input) -> Result<Next> {
    if input.has_ended() { Err(input.truncated("zstd")) } else { Ok(Next::Input) }
}
