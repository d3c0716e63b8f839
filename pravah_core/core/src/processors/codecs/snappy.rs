//! Snappy in its framing format: chunks of at most 64 KiB, each with a checksum.
//!
//! Source: <https://github.com/google/snappy/blob/main/framing_format.txt>.

use std::io::Write;

use crc_fast::{CrcAlgorithm, checksum};
use snap::{raw, write::FrameEncoder};

use super::{Decoded, Decoder, Input};
use crate::{Error, Result};

/// The chunk that every stream begins with.
pub const MAGIC: [u8; 10] = *b"\xff\x06\x00\x00sNaPpY";

/// Most bytes that decoding takes: a chunk of the largest length that its header can say, and its content.
pub const MEMORY_BYTES: u64 = (16 << 20) + (1 << 20);

/// Input bytes of a stream; an identifier of 10 bytes is repeated in front of each.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Most content of a chunk (section 4.2).
const CHUNK_CONTENT_BYTES: usize = 65_536;
const HEADER_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;

/// Compress one block into a stream.
pub fn compress(block: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = FrameEncoder::new(Vec::with_capacity(block.len() / 2));
    let failed = |error: String| Error::Panicked(format!("snappy refused its input: {error}"));
    encoder.write_all(block).map_err(|error| failed(error.to_string()))?;
    let mut output = encoder.into_inner().map_err(|error| failed(error.to_string()))?;
    if output.is_empty() {
        output.extend_from_slice(&MAGIC); // an empty file is a stream without chunks
    }
    Ok(output)
}

/// Most bytes that a stream of `size_bytes` takes: what does not compress is stored.
pub fn bound(size_bytes: u64) -> u64 {
    let chunks = size_bytes.div_ceil(CHUNK_CONTENT_BYTES as u64);
    MAGIC.len() as u64 + size_bytes + chunks * (HEADER_BYTES + CHECKSUM_BYTES) as u64
}

/// Decodes a file of chunks.
#[derive(Default)]
pub struct SnappyDecoder {
    has_begun: bool,
}

impl Decoder for SnappyDecoder {
    fn decode(&mut self, input: &mut Input) -> Result<Option<Decoded>> {
        while let Some((kind, length)) = self.header(input)? {
            let offset = input.offset();
            let body = &input.bytes()[HEADER_BYTES..HEADER_BYTES + length];
            let content = match kind {
                0x00 => Some(compressed(body).map_err(|reason| damaged(offset, reason))?),
                0x01 => Some(stored(body).map_err(|reason| damaged(offset, reason))?),
                0xff if body != &MAGIC[HEADER_BYTES..] => return Err(damaged(offset, "its identifier is another")),
                0x02..=0x7f => return Err(damaged(offset, "its kind is unknown")),
                _ => None, // identifiers and padding (sections 4.1 and 4.4 to 4.6)
            };
            input.advance(HEADER_BYTES + length);
            self.has_begun = true;
            if let Some(content) = content.filter(|content| !content.is_empty()) {
                return Ok(Some(content.into()));
            }
        }
        Ok(None)
    }
}

impl SnappyDecoder {
    /// Give kind and length of the next chunk once it is here whole; none: more is wanted, or the file is complete.
    fn header(&self, input: &Input) -> Result<Option<(u8, usize)>> {
        let bytes = input.bytes();
        if bytes.is_empty() && self.has_begun {
            return Ok(None);
        }
        let whole = bytes.get(..HEADER_BYTES).map(|header| {
            (header[0], usize::from(header[1]) | usize::from(header[2]) << 8 | usize::from(header[3]) << 16)
        });
        match whole.filter(|(_, length)| bytes.len() >= HEADER_BYTES + length) {
            None if input.has_ended() => Err(input.truncated("snappy")),
            found => Ok(found),
        }
    }
}

fn compressed(body: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (sum, packed) = body.split_at_checked(CHECKSUM_BYTES).ok_or("it is too short")?;
    let size = raw::decompress_len(packed).map_err(|_| "its length makes no sense")?;
    if size > CHUNK_CONTENT_BYTES {
        return Err("it holds more than 64 KiB");
    }
    let content = raw::Decoder::new().decompress_vec(packed).map_err(|_| "its bytes make no sense")?;
    checked(sum, content)
}

fn stored(body: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (sum, content) = body.split_at_checked(CHECKSUM_BYTES).ok_or("it is too short")?;
    if content.len() > CHUNK_CONTENT_BYTES {
        return Err("it holds more than 64 KiB");
    }
    checked(sum, content.to_vec())
}

/// Compare the masked CRC-32C (section 3).
fn checked(sum: &[u8], content: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let crc = u32::try_from(checksum(CrcAlgorithm::Crc32Iscsi, &content)).unwrap_or(0);
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    if sum == masked.to_le_bytes() { Ok(content) } else { Err("its checksum is another") }
}

fn damaged(offset: u64, reason: &str) -> Error {
    Error::CorruptInput(format!("the snappy chunk at byte {offset} is damaged: {reason}"))
}
