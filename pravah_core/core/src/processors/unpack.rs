//! Reads an input through one layer of compression, which its first bytes show, or, for brotli, its name.
//!
//! For processors of formats; those of bytes take an input as it is.

use bytes::Bytes;

use super::{
    PULL_BYTES,
    codecs::{Codec, DECODER_BLOCK_BYTES, Decoded, Decoder, Input, MAGIC_BYTES},
    decompress::{DEFAULT_MAX_RATIO, check_ratio},
};
use crate::Result;

/// Gives the content of one file.
#[derive(Default)]
pub struct Unpacker {
    input: Input,
    by_name: Option<Codec>,
    /// None until the first bytes have told.
    content: Option<Content>,
    /// Bytes that came out of a decoder.
    size_bytes: u64,
    /// Size of the entry that the file was made from, where it is known.
    source_bytes: Option<u64>,
}

enum Content {
    Plain,
    Packed(Codec, Box<dyn Decoder>),
}

/// Bytes that are held while a file of this size is read through its compression.
pub fn need(size_bytes: u64) -> u64 {
    // A block is put together in a buffer that grows by doubling.
    let input = size_bytes.min(DECODER_BLOCK_BYTES);
    Codec::Zstd.decoder_bytes() + 3 * input + DECODER_BLOCK_BYTES + PULL_BYTES as u64
}

/// What follows `BZh` and a level in a file of bzip2; the three letters alone may begin any text.
const BZIP2_BLOCK: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
/// What follows them in one without content.
const BZIP2_END: &[u8] = &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

impl Unpacker {
    /// Begin on a file.
    pub fn new(name: &[u8], size_bytes: Option<u64>) -> Self {
        Self { input: Input::new(size_bytes), by_name: codec_of_name(name), ..Self::default() }
    }

    /// Know how large the entry is that the file was made from.
    #[must_use]
    pub fn of_source(self, source_bytes: Option<u64>) -> Self {
        Self { source_bytes, ..self }
    }

    /// Take the next bytes of the file.
    pub fn push(&mut self, piece: Bytes) {
        self.input.push(piece);
    }

    /// Take the end of the file.
    pub fn end(&mut self) {
        self.input.end();
    }

    /// Whether the file has ended; once nothing more is pulled, that was all.
    pub fn has_ended(&self) -> bool {
        self.input.has_ended()
    }

    /// Bytes of the file that have been used up.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// What the file is compressed with, once its first bytes have told.
    pub fn codec(&self) -> Option<Codec> {
        match self.content {
            Some(Content::Packed(codec, _)) => Some(codec),
            _ => None,
        }
    }

    /// Give the next bytes of the content; none: more of the file is wanted, or all has been given.
    pub fn pull(&mut self) -> Result<Option<Bytes>> {
        let content = match &mut self.content {
            Some(content) => content,
            None => match self.tell()? {
                Some(content) => self.content.insert(content),
                None => return Ok(None),
            },
        };
        let Content::Packed(_, decoder) = content else {
            let all = self.input.bytes().len();
            return Ok((all > 0).then(|| self.input.take(all)));
        };
        let Some(decoded) = decoder.decode(&mut self.input)? else { return Ok(None) };
        let bytes = match decoded {
            Decoded::Now(bytes) => bytes,
            Decoded::Later { block, .. } => block.run_bytes()?,
        };
        self.size_bytes += bytes.len() as u64;
        check_ratio((self.input.offset(), self.source_bytes), self.size_bytes, DEFAULT_MAX_RATIO)?;
        Ok(Some(bytes))
    }

    fn tell(&self) -> Result<Option<Content>> {
        let start = self.input.bytes();
        if start.len() < MAGIC_BYTES && !self.input.has_ended() {
            return Ok(None);
        }
        Ok(Some(match codec_of(self.by_name, start) {
            Some(codec) => Content::Packed(codec, codec.decoder()?),
            None => Content::Plain,
        }))
    }
}

/// Tell what a name says, where the content can't: of brotli.
pub fn codec_of_name(name: &[u8]) -> Option<Codec> {
    name.to_ascii_lowercase().ends_with(Codec::Brotli.extension()).then_some(Codec::Brotli)
}

/// Tell what a file that begins like this is compressed with, if it is.
pub fn codec_of(by_name: Option<Codec>, start: &[u8]) -> Option<Codec> {
    by_name.filter(|_| !start.is_empty()).or_else(|| shown(start))
}

fn shown(start: &[u8]) -> Option<Codec> {
    let is_meant = |codec: &Codec| {
        let behind = start.get(4..MAGIC_BYTES);
        *codec != Codec::Bzip2 || behind == Some(BZIP2_BLOCK) || behind == Some(BZIP2_END)
    };
    Codec::of_magic(start).filter(is_meant)
}
