//! The text of a sample: unpacked where it is compressed, and in UTF-8 or bytes of Latin-1.

use std::borrow::Cow;

use bytes::Bytes;

use super::super::{
    decompress::strip_extension,
    unpack::{Unpacker, codec_of, codec_of_name},
};
use crate::Result;

/// Unpacked bytes after which a sample is unpacked no further.
const ENOUGH_BYTES: usize = 2 << 20;

/// Most bytes that are unpacked of a sample: the last part that a decoder gives may reach beyond what is enough.
pub const UNPACKED_BYTES: usize = ENOUGH_BYTES + (8 << 20);

/// A file's first part, as text.
pub struct Text<'s> {
    pub bytes: Cow<'s, [u8]>,
    /// `utf-8`, `utf-16le`, `utf-16be` or `latin-1`.
    pub encoding: &'static str,
    /// Whether a byte order mark stood before it.
    pub is_marked: bool,
    pub compression: Option<&'static str>,
    /// Whether it is all of the file's text.
    pub is_whole: bool,
    /// Bytes of the file that became this text.
    pub file_bytes: u64,
}

impl<'s> Text<'s> {
    /// Read a sample of the file that is called `name`; gives its name without an extension of compression too.
    pub fn read(sample: &'s Bytes, name: &'s [u8], is_whole: bool) -> Result<(Self, &'s [u8])> {
        let Some(codec) = codec_of(codec_of_name(name), sample) else {
            return Ok((decode(Cow::Borrowed(sample), is_whole, sample.len() as u64), name));
        };
        let (unpacked, is_whole, file_bytes) = unpack(sample, name, is_whole)?;
        let inner = strip_extension(name).len().min(name.len());
        let text = decode(Cow::Owned(unpacked), is_whole, file_bytes);
        Ok((Self { compression: Some(codec.name()), ..text }, &name[..inner]))
    }

    /// Read bytes of it as they are encoded.
    pub fn string(&self, bytes: &[u8]) -> String {
        match self.encoding {
            "latin-1" => bytes.iter().map(|&byte| char::from(byte)).collect(),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// Unpack the beginning; tells whether that is all, and how many bytes it was made of.
///
/// All is done in one go over the same bytes, so neither the outcome nor an error depends on how they came.
fn unpack(sample: &Bytes, name: &[u8], is_whole: bool) -> Result<(Vec<u8>, bool, u64)> {
    let mut unpacker = Unpacker::new(name, is_whole.then_some(sample.len() as u64));
    unpacker.push(sample.clone());
    if is_whole {
        unpacker.end();
    }
    let mut unpacked = Vec::new();
    while unpacked.len() < ENOUGH_BYTES {
        match unpacker.pull()? {
            Some(bytes) => unpacked.extend_from_slice(&bytes),
            None => return Ok((unpacked, is_whole, unpacker.offset())),
        }
    }
    Ok((unpacked, false, unpacker.offset()))
}

/// Read text as it is encoded, of which so many bytes of the file were made.
pub fn decode(bytes: Cow<'_, [u8]>, is_whole: bool, file_bytes: u64) -> Text<'_> {
    let text =
        |bytes, encoding, is_marked| Text { bytes, encoding, is_marked, compression: None, is_whole, file_bytes };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return text(without(bytes, 3), "utf-8", true);
    }
    for (mark, encoding, read) in [
        (b"\xff\xfe", "utf-16le", u16::from_le_bytes as fn([u8; 2]) -> u16),
        (b"\xfe\xff", "utf-16be", u16::from_be_bytes),
    ] {
        if bytes.starts_with(mark) {
            return text(Cow::Owned(of_utf16(&bytes[2..], read)), encoding, true);
        }
    }
    let is_utf8 = match std::str::from_utf8(&bytes) {
        Ok(_) => true,
        // A letter that the sample's end has cut is none that is wrong.
        Err(error) => error.error_len().is_none() && !is_whole,
    };
    text(bytes, if is_utf8 { "utf-8" } else { "latin-1" }, false)
}

fn without(bytes: Cow<'_, [u8]>, count: usize) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[count..]),
        Cow::Owned(mut bytes) => {
            bytes.drain(..count);
            Cow::Owned(bytes)
        }
    }
}

fn of_utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> Vec<u8> {
    let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2);
    text.extend(char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text.into_bytes()
}
