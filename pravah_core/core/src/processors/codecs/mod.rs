//! The codecs: whole blocks are compressed, streams are decompressed piece by piece.
//!
//! Compressed bytes depend on the block, the level and the codec library's version only.

mod gzip;
mod gzip_decoder;
mod gzip_header;
mod inflater;
mod input;
mod zstd;
mod zstd_decoder;
mod zstd_header;

use std::ops::RangeInclusive;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Result;

pub use input::Input;

/// A compressed format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// gzip (RFC 1952), which every tool reads
    Gzip,
    /// Zstandard (RFC 8878), several times faster in both directions
    Zstd,
}

/// First bytes that tell a codec.
pub const MAGIC_BYTES: usize = 4;

/// Turns one compressed stream back into what was compressed.
pub trait Decoder: Send {
    /// Give the next bytes, at most [`super::PULL_BYTES`]; none: more input is wanted,
    /// or, once the input has ended, the stream is complete and checked.
    fn decode(&mut self, input: &mut Input) -> Result<Option<Bytes>>;
}

impl Codec {
    /// The codec's name in specs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What is appended to the names of compressed files.
    pub fn extension(self) -> &'static [u8] {
        match self {
            Self::Gzip => b".gz",
            Self::Zstd => b".zst",
        }
    }

    /// The levels that can be asked for.
    pub fn levels(self) -> RangeInclusive<i32> {
        match self {
            Self::Gzip => 1..=12,
            Self::Zstd => 1..=22,
        }
    }

    /// The level of those who don't ask.
    pub fn default_level(self) -> i32 {
        match self {
            Self::Gzip => 6,
            Self::Zstd => 3,
        }
    }

    /// Size of the blocks that an input is cut into, each compressed for itself.
    pub fn block_bytes(self, level: i32) -> usize {
        match self {
            Self::Gzip => gzip::BLOCK_BYTES,
            Self::Zstd => zstd::block_bytes(level),
        }
    }

    /// Most bytes that a block of `size_bytes` has when it is compressed.
    pub fn bound(self, size_bytes: u64) -> u64 {
        match self {
            Self::Gzip => gzip::bound(size_bytes),
            Self::Zstd => zstd::bound(size_bytes),
        }
    }

    /// Most bytes that the context takes which compresses a block of `size_bytes`.
    pub fn context_bytes(self, level: i32, size_bytes: u64) -> u64 {
        match self {
            Self::Gzip => gzip::context_bytes(level),
            Self::Zstd => zstd::context_bytes(level, size_bytes),
        }
    }

    /// Compress one block into a gzip member or zstd frame of its own.
    pub fn compress(self, level: i32, block: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Gzip => gzip::compress(level, block),
            Self::Zstd => zstd::compress(level, block),
        }
    }

    /// Tell by its first [`MAGIC_BYTES`] what has compressed a file.
    pub fn of_magic(start: &[u8]) -> Option<Self> {
        if start.starts_with(&gzip_header::MAGIC) {
            return Some(Self::Gzip);
        }
        zstd_header::is_magic(start).then_some(Self::Zstd)
    }

    /// Start on a stream of this codec.
    pub fn decoder(self) -> Result<Box<dyn Decoder>> {
        match self {
            Self::Gzip => Ok(Box::new(gzip_decoder::GzipDecoder::new())),
            Self::Zstd => Ok(Box::new(zstd_decoder::ZstdDecoder::new()?)),
        }
    }

    /// Most bytes that decoding one stream takes, beside its input.
    pub fn decoder_bytes(self) -> u64 {
        match self {
            Self::Gzip => gzip_decoder::MEMORY_BYTES,
            Self::Zstd => zstd_decoder::MEMORY_BYTES,
        }
    }
}

/// Write bytes for a message: `1f 8b 08`.
pub fn spaced_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
