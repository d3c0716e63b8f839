//! The codecs: whole blocks are compressed, streams are decompressed piece by piece.
//!
//! Compressed bytes depend on the block, the level and the codec library's version only.

mod brotli;
mod bzip2;
mod group;
mod gzip;
mod gzip_decoder;
mod gzip_header;
mod inflater;
mod input;
mod lz4;
mod pump;
mod seek_table;
mod snappy;
mod window;
mod xz;
mod zstd;
mod zstd_decoder;
mod zstd_header;

use std::ops::RangeInclusive;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Block;
use crate::Result;
use pump::StreamDecoder;

pub use group::MOST_BYTES as DECODER_BLOCK_BYTES;
pub use input::Input;
pub use seek_table::{SeekTable, bytes as seek_table_bytes};
pub use window::confined;

/// A compressed format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// gzip (RFC 1952), which every tool reads
    Gzip,
    /// Zstandard (RFC 8878), several times faster in both directions
    Zstd,
    /// LZ4 frames: the fastest, and the largest outputs
    Lz4,
    /// xz (LZMA2): the smallest outputs, and slow
    Xz,
    /// bzip2
    Bzip2,
    /// Brotli (RFC 7932), for the web; a file of it can't be told by its content
    Brotli,
    /// Snappy in its framing format
    Snappy,
}

/// Compresses pieces of a file into one stream, for formats whose streams can't stand in a row.
pub trait StreamEncoder: Send {
    /// Take the next piece; give what is ready.
    fn push(&mut self, piece: &[u8]) -> Result<Bytes>;

    /// Give the rest.
    fn finish(self: Box<Self>) -> Result<Bytes>;
}

/// First bytes that tell a codec.
pub const MAGIC_BYTES: usize = 10;

/// The next part of what was compressed.
pub enum Decoded {
    /// Its bytes, at most [`super::PULL_BYTES`].
    Now(Bytes),
    /// The work that gives them, which needs nothing else.
    Later {
        /// What the work gives at most.
        content_bytes: u64,
        block: Block,
    },
}

#[cfg(test)]
impl Decoded {
    /// Have the bytes made, and give them.
    fn bytes(self) -> Result<Bytes> {
        match self {
            Self::Now(bytes) => Ok(bytes),
            Self::Later { block, .. } => block.run_bytes(),
        }
    }
}

impl From<Vec<u8>> for Decoded {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Now(bytes.into())
    }
}

/// Turns one compressed stream back into what was compressed.
pub trait Decoder: Send {
    /// Give the next part; none: more input is wanted, or, once the input has ended, the stream is complete and
    /// checked.
    fn decode(&mut self, input: &mut Input) -> Result<Option<Decoded>>;
}

impl Codec {
    /// The codec's name in specs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Brotli => "brotli",
            Self::Snappy => "snappy",
        }
    }

    /// What is appended to the names of compressed files.
    pub fn extension(self) -> &'static [u8] {
        match self {
            Self::Gzip => b".gz",
            Self::Zstd => b".zst",
            Self::Lz4 => b".lz4",
            Self::Xz => b".xz",
            Self::Bzip2 => b".bz2",
            Self::Brotli => b".br",
            Self::Snappy => b".sz",
        }
    }

    /// The levels that can be asked for.
    pub fn levels(self) -> RangeInclusive<i32> {
        match self {
            Self::Gzip => 1..=12,
            Self::Zstd => 1..=22,
            Self::Xz => 0..=9,
            Self::Bzip2 => 1..=9,
            Self::Brotli => 0..=11,
            Self::Lz4 | Self::Snappy => 1..=1,
        }
    }

    /// The level of those who don't ask.
    pub fn default_level(self) -> i32 {
        match self {
            Self::Gzip => 6,
            Self::Zstd => 3,
            Self::Xz => 6,
            Self::Bzip2 => 9,
            Self::Brotli => 5,
            Self::Lz4 | Self::Snappy => 1,
        }
    }

    /// Size of the blocks that an input is cut into, each compressed for itself.
    pub fn block_bytes(self, level: i32) -> usize {
        match self {
            Self::Gzip => gzip::BLOCK_BYTES,
            Self::Zstd => zstd::block_bytes(level),
            Self::Lz4 => lz4::BLOCK_BYTES,
            Self::Xz => xz::BLOCK_BYTES,
            Self::Bzip2 => bzip2::BLOCK_BYTES,
            Self::Brotli => brotli::PIECE_BYTES,
            Self::Snappy => snappy::BLOCK_BYTES,
        }
    }

    /// Most bytes that a block of `size_bytes` has when it is compressed.
    pub fn bound(self, size_bytes: u64) -> u64 {
        match self {
            Self::Gzip => gzip::bound(size_bytes),
            Self::Zstd => zstd::bound(size_bytes),
            Self::Lz4 => lz4::bound(size_bytes),
            Self::Xz => xz::bound(size_bytes),
            Self::Bzip2 => bzip2::bound(size_bytes),
            Self::Brotli => brotli::bound(size_bytes),
            Self::Snappy => snappy::bound(size_bytes),
        }
    }

    /// Most bytes that the context takes which compresses a block of `size_bytes`.
    pub fn context_bytes(self, level: i32, size_bytes: u64) -> u64 {
        match self {
            Self::Gzip => gzip::context_bytes(level),
            Self::Zstd => zstd::context_bytes(level, size_bytes),
            Self::Xz => xz::context_bytes(level, size_bytes),
            Self::Bzip2 => bzip2::context_bytes(level),
            Self::Brotli => brotli::context_bytes(level),
            // A table of 64 KiB or less, and the block once more.
            Self::Lz4 | Self::Snappy => size_bytes + (1 << 20),
        }
    }

    /// Compress one block into a member, frame or stream of its own.
    pub fn compress(self, level: i32, block: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Gzip => gzip::compress(level, block),
            Self::Zstd => zstd::compress(level, block),
            Self::Lz4 => lz4::compress(block),
            Self::Xz => xz::compress(level, block),
            Self::Bzip2 => bzip2::compress(level, block),
            Self::Snappy => snappy::compress(block),
            Self::Brotli => {
                let mut encoder = brotli::encoder(level);
                let begun = encoder.push(block)?;
                Ok([begun, encoder.finish()?].concat())
            }
        }
    }

    /// Start on a stream, where the format allows only one in a file.
    pub fn stream_encoder(self, level: i32) -> Option<Box<dyn StreamEncoder>> {
        self.is_one_stream().then(|| brotli::encoder(level))
    }

    /// Whether the format allows only one stream in a file, so that blocks depend on those before them.
    pub fn is_one_stream(self) -> bool {
        self == Self::Brotli
    }

    /// Whether a file of several blocks ends with a table of where they are.
    pub fn has_seek_table(self) -> bool {
        self == Self::Zstd
    }

    /// Tell by its first [`MAGIC_BYTES`] what has compressed a file.
    pub fn of_magic(start: &[u8]) -> Option<Self> {
        if start.starts_with(&gzip_header::MAGIC) {
            return Some(Self::Gzip);
        }
        if zstd_header::is_magic(start) {
            return Some(Self::Zstd);
        }
        let magics: [(&[u8], Self); 4] = [
            (&lz4::MAGIC, Self::Lz4),
            (&xz::MAGIC, Self::Xz),
            (&bzip2::MAGIC, Self::Bzip2),
            (&snappy::MAGIC, Self::Snappy),
        ];
        magics.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, codec)| codec)
    }

    /// Start on a stream of this codec.
    pub fn decoder(self) -> Result<Box<dyn Decoder>> {
        match self {
            Self::Gzip => Ok(Box::new(gzip_decoder::GzipDecoder::new())),
            Self::Zstd => Ok(Box::new(zstd_decoder::ZstdDecoder::new()?)),
            Self::Lz4 => Ok(Box::new(lz4::Lz4Decoder::default())),
            Self::Xz => Ok(Box::new(StreamDecoder::new(&xz::FORMAT))),
            Self::Bzip2 => Ok(Box::new(StreamDecoder::new(&bzip2::FORMAT))),
            Self::Brotli => Ok(Box::new(StreamDecoder::new(&brotli::FORMAT))),
            Self::Snappy => Ok(Box::new(snappy::SnappyDecoder::default())),
        }
    }

    /// Whether a file of several streams may be decoded in blocks.
    pub fn decodes_in_blocks(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd)
    }

    /// Most bytes that decoding one stream takes, beside its input.
    pub fn decoder_bytes(self) -> u64 {
        match self {
            Self::Gzip => gzip_decoder::MEMORY_BYTES,
            Self::Zstd => zstd_decoder::MEMORY_BYTES,
            Self::Lz4 => lz4::MEMORY_BYTES,
            Self::Xz => xz::MEMORY_BYTES,
            Self::Bzip2 => bzip2::MEMORY_BYTES,
            Self::Brotli => brotli::MEMORY_BYTES,
            Self::Snappy => snappy::MEMORY_BYTES,
        }
    }
}

#[cfg(test)]
mod tests;

/// Write bytes for a message: `1f 8b 08`.
pub fn spaced_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
