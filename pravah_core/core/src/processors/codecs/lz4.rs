//! LZ4 in its frame format: one frame per block, which `lz4 -d` reads in a row.
//!
//! Source: <https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>.

use std::io::Write;

use lz4_flex::{
    block::decompress_into_with_dict,
    frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo},
};
use xxhash_rust::xxh32::{Xxh32, xxh32};

use super::{Decoded, Decoder, Input};
use crate::{Error, Result};

/// First bytes of a frame.
pub const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// Most bytes that decoding takes: a block of 4 MiB, its content, the room in which that is made, and what it may refer
/// to.
pub const MEMORY_BYTES: u64 = 14 << 20;

/// Input bytes of a frame.
pub const BLOCK_BYTES: usize = 4 << 20;

/// How far back a block may refer into those before it.
const WINDOW_BYTES: usize = 64 << 10;

/// Compress one block into a frame with its size and a checksum.
pub fn compress(block: &[u8]) -> Result<Vec<u8>> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max4MB)
        .block_mode(BlockMode::Independent)
        .content_size(Some(block.len() as u64))
        .content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(block.len() / 2));
    let failed = |error: String| Error::Panicked(format!("lz4 refused its input: {error}"));
    encoder.write_all(block).map_err(|error| failed(error.to_string()))?;
    encoder.finish().map_err(|error| failed(error.to_string()))
}

/// Most bytes that a frame of `size_bytes` takes: what does not compress is stored.
pub fn bound(size_bytes: u64) -> u64 {
    size_bytes + 4 * size_bytes.div_ceil(BLOCK_BYTES as u64) + 64
}

/// Decodes a file of frames, skippable ones between them.
#[derive(Default)]
pub struct Lz4Decoder {
    frame: Option<Frame>,
    /// What is left of a skippable frame.
    skipped_bytes: u64,
    has_begun: bool,
}

struct Frame {
    offset: u64,
    independent: bool,
    block_checksums: bool,
    content_checksum: Option<Xxh32>,
    content_bytes: Option<u64>,
    given_bytes: u64,
    block_bytes: usize,
    window: Vec<u8>,
    /// Room for any block, made once: most blocks of most files fill little of it.
    scratch: Vec<u8>,
}

impl Decoder for Lz4Decoder {
    fn decode(&mut self, input: &mut Input) -> Result<Option<Decoded>> {
        loop {
            if self.skipped_bytes > 0 {
                let count = (input.bytes().len() as u64).min(self.skipped_bytes);
                input.advance(usize::try_from(count).unwrap_or(usize::MAX));
                self.skipped_bytes -= count;
                if self.skipped_bytes > 0 {
                    return wait(input);
                }
            }
            let Some(frame) = self.frame.as_mut() else {
                if !self.begin(input)? {
                    return Ok(None);
                }
                continue;
            };
            match frame.next(input)? {
                Some(Next::Content(content)) if !content.is_empty() => return Ok(Some(content.into())),
                Some(Next::Content(_)) => {}
                Some(Next::End) => self.frame = None,
                None => return wait(input),
            }
        }
    }
}

impl Lz4Decoder {
    /// Read the next frame's header; false: more is wanted, or the file is complete.
    fn begin(&mut self, input: &mut Input) -> Result<bool> {
        if input.bytes().is_empty() && self.has_begun {
            return Ok(false);
        }
        let Some(magic) = input.bytes().first_chunk::<4>() else { return wait(input).map(|_| false) };
        if magic[1..] == [0x2a, 0x4d, 0x18] && magic[0] >> 4 == 5 {
            let Some(header) = input.bytes().first_chunk::<8>() else { return wait(input).map(|_| false) };
            self.skipped_bytes = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
            input.advance(8);
            self.has_begun = true;
            return Ok(true);
        }
        if *magic != MAGIC {
            let offset = input.offset();
            return Err(Error::CorruptInput(format!("what follows the lz4 stream at byte {offset} is no frame")));
        }
        let Some(frame) = Frame::read(input)? else { return wait(input).map(|_| false) };
        self.frame = Some(frame);
        self.has_begun = true;
        Ok(true)
    }
}

/// What comes next in a frame.
enum Next {
    Content(Vec<u8>),
    End,
}

impl Frame {
    /// Read a header; none: it is not here whole.
    fn read(input: &mut Input) -> Result<Option<Self>> {
        let (bytes, offset) = (input.bytes(), input.offset());
        let Some(&flags) = bytes.get(4) else { return Ok(None) };
        let refused = |why: &str| Err(Error::UnsupportedInput(format!("the lz4 frame at byte {offset} {why}")));
        if flags >> 6 != 1 {
            return refused("is of another version");
        }
        if flags & 1 != 0 {
            return refused("needs a dictionary, there is none");
        }
        let has_size = flags & 0x08 != 0;
        let header_bytes = 7 + if has_size { 8 } else { 0 };
        let Some(header) = bytes.get(..header_bytes) else { return Ok(None) };
        let described = &header[4..header_bytes - 1];
        if (xxh32(described, 0) >> 8) as u8 != header[header_bytes - 1] {
            return Err(damaged(offset, "the checksum of its header is another"));
        }
        let block_bytes = match header[5] >> 4 & 7 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err(damaged(offset, "the size of its blocks is unknown")),
        };
        let content_bytes = has_size.then(|| {
            let mut size = [0; 8];
            size.copy_from_slice(&header[6..14]);
            u64::from_le_bytes(size)
        });
        let frame = Self {
            offset,
            independent: flags & 0x20 != 0,
            block_checksums: flags & 0x10 != 0,
            content_checksum: (flags & 0x04 != 0).then(|| Xxh32::new(0)),
            content_bytes,
            given_bytes: 0,
            block_bytes,
            window: Vec::new(),
            scratch: Vec::new(),
        };
        input.advance(header_bytes);
        Ok(Some(frame))
    }

    /// Decode the next block; none: it is not here whole.
    fn next(&mut self, input: &mut Input) -> Result<Option<Next>> {
        let Some(word) = number(input.bytes()) else { return Ok(None) };
        if word == 0 {
            return self.end(input);
        }
        let (is_stored, size) = (word >> 31 == 1, (word & 0x7fff_ffff) as usize);
        if size > self.block_bytes {
            return Err(damaged(self.offset, "a block is larger than it says"));
        }
        let whole = 4 + size + if self.block_checksums { 4 } else { 0 };
        let Some(bytes) = input.bytes().get(4..whole) else { return Ok(None) };
        let (body, sum) = bytes.split_at(size);
        if self.block_checksums && number(sum) != Some(xxh32(body, 0)) {
            return Err(damaged(self.offset, "the checksum of a block is another"));
        }
        let content = if is_stored { body.to_vec() } else { self.decompress(body)? };
        input.advance(whole);
        self.note(&content)?;
        Ok(Some(Next::Content(content)))
    }

    fn decompress(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        self.scratch.resize(self.block_bytes, 0);
        let size = decompress_into_with_dict(body, &mut self.scratch, &self.window)
            .map_err(|_| damaged(self.offset, "the bytes of a block make no sense"))?;
        Ok(self.scratch[..size].to_vec())
    }

    fn note(&mut self, content: &[u8]) -> Result<()> {
        self.given_bytes += content.len() as u64;
        if let Some(sum) = self.content_checksum.as_mut() {
            sum.update(content);
        }
        if !self.independent {
            self.window.extend_from_slice(content);
            let surplus = self.window.len().saturating_sub(WINDOW_BYTES);
            self.window.drain(..surplus);
        }
        Ok(())
    }

    fn end(&mut self, input: &mut Input) -> Result<Option<Next>> {
        let end_bytes = if self.content_checksum.is_some() { 8 } else { 4 };
        let Some(bytes) = input.bytes().get(..end_bytes) else { return Ok(None) };
        if let Some(sum) = &self.content_checksum
            && number(&bytes[4..]) != Some(sum.digest())
        {
            return Err(damaged(self.offset, "the checksum of its content is another"));
        }
        if self.content_bytes.is_some_and(|size| size != self.given_bytes) {
            return Err(damaged(self.offset, "its content has another size than it says"));
        }
        input.advance(end_bytes);
        Ok(Some(Next::End))
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
}

fn wait(input: &Input) -> Result<Option<Decoded>> {
    if input.has_ended() { Err(input.truncated("lz4")) } else { Ok(None) }
}

fn damaged(offset: u64, reason: &str) -> Error {
    Error::CorruptInput(format!("the lz4 frame at byte {offset} is damaged: {reason}"))
}
