//! How blocks of Avro are packed, and unpacked within a bound.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use crate::{Error, Result};

/// Bytes of a block, packed or not, at most: other writers cut them at some 64 KiB, we at 1 MiB.
pub const MOST_BLOCK_BYTES: usize = 64 << 20;

/// The logarithm of the largest window of zstd that is given memory, which is that of a block.
const MOST_WINDOW_LOG: u32 = 26;

/// Memory that a decoder of xz may take: its highest level has a dictionary of 64 MiB.
const XZ_BYTES: u64 = 80 << 20;

/// A codec by the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
    Xz,
}

impl Codec {
    const ALL: [Self; 6] = [Self::Null, Self::Deflate, Self::Snappy, Self::Zstandard, Self::Bzip2, Self::Xz];

    /// The name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Zstandard => "zstandard",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }

    /// Find the codec of a header.
    pub fn of_name(name: Option<&str>) -> Result<Self> {
        let Some(name) = name else { return Ok(Self::Null) };
        Self::ALL.into_iter().find(|codec| codec.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            let shown: String = name.chars().take(40).collect();
            Error::UnsupportedInput(format!("the Avro file is packed with `{shown}`; known are {known}"))
        })
    }

    /// Unpack a block.
    pub fn unpack(self, packed: &[u8]) -> Result<Cow<'_, [u8]>> {
        let unpacked = match self {
            Self::Null => return Ok(Cow::Borrowed(packed)),
            Self::Deflate => all(flate2::bufread::DeflateDecoder::new(packed)),
            Self::Snappy => snappy(packed),
            Self::Zstandard => zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
                decoder.window_log_max(MOST_WINDOW_LOG)?;
                all(decoder)
            }),
            Self::Bzip2 => all(bzip2::bufread::BzDecoder::new(packed)),
            Self::Xz => liblzma::stream::Stream::new_stream_decoder(XZ_BYTES, 0)
                .map_err(io::Error::from)
                .and_then(|stream| all(liblzma::bufread::XzDecoder::new_stream(packed, stream))),
        };
        let unpacked = unpacked.map_err(|error| self.damaged(&error))?;
        if unpacked.len() > MOST_BLOCK_BYTES {
            return Err(Error::DecompressionBudget(format!(
                "a block of {} bytes unpacks to more than {MOST_BLOCK_BYTES}",
                packed.len()
            )));
        }
        Ok(Cow::Owned(unpacked))
    }

    fn damaged(self, error: &io::Error) -> Error {
        let told = format!("a block can't be unpacked by {}: {error}", self.name());
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::TruncatedInput(told),
            _ => Error::CorruptInput(told),
        }
    }

    /// Pack a block: by the first four codecs, which are those that we write.
    pub fn pack(self, content: Vec<u8>) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::InvalidPlan(format!("a block can't be packed by {}: {error}", self.name()))
        };
        match self {
            Self::Deflate => {
                let mut encoder = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
                let mut packed = vec![0; encoder.deflate_compress_bound(content.len())];
                let size = encoder.deflate_compress(&content, &mut packed).map_err(|error| failed(&error))?;
                packed.truncate(size);
                Ok(packed)
            }
            Self::Zstandard => zstd::bulk::compress(&content, 3).map_err(|error| failed(&error)),
            Self::Snappy => {
                let mut packed = snap::raw::Encoder::new().compress_vec(&content).map_err(|error| failed(&error))?;
                packed.extend(libdeflater::crc32(&content).to_be_bytes());
                Ok(packed)
            }
            Self::Null => Ok(content),
            Self::Bzip2 | Self::Xz => Err(failed(&"it is only read")),
        }
    }
}

/// Read all of it, up to a byte beyond the bound.
fn all(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(MOST_BLOCK_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Snappy without frames, and behind it the CRC-32 of the content.
fn snappy(packed: &[u8]) -> io::Result<Vec<u8>> {
    let (body, crc) = packed.split_last_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
    // What it declares is allocated at once: a byte of it can't make more than 64.
    if snap::raw::decompress_len(body)? > (64 * body.len()).min(MOST_BLOCK_BYTES) {
        return Err(io::Error::other("it declares a size that it can't have"));
    }
    let content = snap::raw::Decoder::new().decompress_vec(body)?;
    if libdeflater::crc32(&content) != u32::from_be_bytes(*crc) {
        return Err(io::Error::other("its checksum differs"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn test_every_codec_unpacks_and_bombs_are_refused() {
        let content = b"what is packed, what is packed".repeat(50);
        for codec in [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Zstandard] {
            let packed = codec.pack(content.clone()).expect("packs");
            assert_eq!(codec.unpack(&packed).expect("unpacks"), content, "{codec:?}");
            assert!(codec == Codec::Null || codec.unpack(&packed[..packed.len() / 2]).is_err(), "{codec:?}");
        }
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&content).expect("is written");
        assert_eq!(Codec::Bzip2.unpack(&bzip2.finish().expect("ends")).expect("unpacks"), content);
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
        xz.write_all(&content).expect("is written");
        assert_eq!(Codec::Xz.unpack(&xz.finish().expect("ends")).expect("unpacks"), content);
        let bomb = Codec::Zstandard.pack(vec![0; MOST_BLOCK_BYTES + 1]).expect("packs");
        assert_eq!(Codec::Zstandard.unpack(&bomb).expect_err("is refused").kind(), "decompression_budget");
        assert_eq!(Codec::Snappy.unpack(b"\xff\xff\xff\x7f\0\0\0\0").expect_err("is refused").kind(), "corrupt_input");
        assert_eq!(Codec::of_name(Some("lzo")).expect_err("is refused").kind(), "unsupported_input");
    }
}
