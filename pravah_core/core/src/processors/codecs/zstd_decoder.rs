//! zstd decompression: frames in a row, skippable ones between them, checksums checked, windows limited.
//!
//! Frames that tell the size of their content are decoded as blocks, any number at once, where they are not large.

use ::zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, ResetDirective, find_frame_compressed_size, get_error_name};
use rustix::io::Errno;

use super::{
    Decoded, Decoder, Input,
    group::{CONTENT_BYTES, Extent, Gathered, Group, STREAM_BYTES, gather},
    window, zstd,
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
    /// Whether frames that tell their sizes become blocks.
    gathers: bool,
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
    /// Frames that are decoded for themselves.
    Group(Group),
    /// More input is wanted, or the file is complete.
    Input,
}

impl Decoder for ZstdDecoder {
    fn decode(&mut self, input: &mut Input) -> Result<Option<Decoded>> {
        loop {
            let next = match self.part {
                Part::Header => self.header(input)?,
                Part::Frame { output_bytes, was_full } => self.frame(input, output_bytes, was_full)?,
                Part::Skippable { remaining_bytes } => self.skip(input, remaining_bytes)?,
            };
            match next {
                Next::Output(output) if !output.is_empty() => return Ok(Some(output.into())),
                Next::Group(group) => return Ok(Some(group.decoded_by(decode))),
                Next::Input => return Ok(None),
                Next::Output(_) | Next::Part => {}
            }
        }
    }
}

impl ZstdDecoder {
    /// Start at the first frame.
    pub fn new() -> Result<Self> {
        Ok(Self { context: Some(context()?), part: Part::Header, frame_offset: 0, gathers: true })
    }

    fn header(&mut self, input: &mut Input) -> Result<Next> {
        if self.gathers {
            match gather(input, |bytes, _| extent(bytes)) {
                Gathered::Group(group) => return Ok(Next::Group(group)),
                Gathered::Cut => return Ok(Next::Input),
                Gathered::Nothing => {}
            }
        }
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
                window::admit(window_bytes.min(content_bytes.unwrap_or(u64::MAX)))?; // libzstd takes no more than either
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
        if let Some(context) = self.context.take() {
            keep(context);
        }
    }
}

fn context() -> Result<DCtx<'static>> {
    let kept = CONTEXTS.with(|shelf| shelf.take(|_| true));
    kept.or_else(DCtx::try_create).ok_or(Error::System { action: "allocate a zstd context", errno: Errno::NOMEM })
}

fn keep(mut context: DCtx<'static>) {
    if !std::thread::panicking() && context.sizeof() <= KEPT_BYTES && context.reset(ResetDirective::SessionOnly).is_ok()
    {
        CONTEXTS.with(|shelf| shelf.put(context));
    }
}

/// What a frame tells of itself: the headers of its blocks, which are walked through, have their sizes.
fn extent(bytes: &[u8]) -> Extent {
    if !zstd_header::is_magic(bytes) {
        let may_become = bytes.len() < 4 && zstd_header::is_magic_prefix(bytes);
        return if may_become { Extent::Cut } else { Extent::Unknown };
    }
    let (most_bytes, content_bytes) = match zstd_header::read(bytes) {
        None => return Extent::Cut,
        Some(Header::Skippable { frame_bytes }) => (frame_bytes, 0),
        Some(Header::Frame { window_bytes, content_bytes: Some(content_bytes), dictionary: 0 })
            if window_bytes <= WINDOW_LIMIT_BYTES && content_bytes <= CONTENT_BYTES as u64 =>
        {
            // Whoever writes frames that are larger than they need be has them streamed.
            (zstd::bound(content_bytes), content_bytes)
        }
        Some(Header::Frame { .. }) => return Extent::Unknown,
    };
    match find_frame_compressed_size(bytes) {
        Ok(stream_bytes) => Extent::Whole { stream_bytes, content_bytes: content_bytes as usize },
        Err(_) if most_bytes <= STREAM_BYTES as u64 && (bytes.len() as u64) < most_bytes => Extent::Cut,
        Err(_) => Extent::Unknown,
    }
}

/// Decode frames that told their sizes. What they do not hold to, the streaming decoder tells.
fn decode(group: Group) -> Result<Vec<u8>> {
    let (mut context, mut output) = (context()?, Vec::with_capacity(group.content_bytes));
    let decoded = context.decompress(&mut output, &group.bytes);
    keep(context);
    if decoded == Ok(group.content_bytes) { Ok(output) } else { decode_streaming(group) }
}

fn decode_streaming(group: Group) -> Result<Vec<u8>> {
    let (mut input, mut output) = (Input::whole(group.bytes, group.offset), Vec::new());
    let mut decoder = ZstdDecoder::new()?;
    decoder.gathers = false;
    while let Some(Decoded::Now(bytes)) = decoder.decode(&mut input)? {
        output.extend_from_slice(&bytes);
        if output.len() > group.content_bytes {
            let (offset, told) = (decoder.frame_offset, group.content_bytes);
            return Err(Error::CorruptInput(format!(
                "the zstd frame at byte {offset} is damaged: its content has more bytes than the {told} that it says"
            )));
        }
    }
    Ok(output)
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
