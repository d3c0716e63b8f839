//! Members of a zip file (APPNOTE 6.3), unpacked from their beginning up to a bound.

use std::{
    io::{BufReader, Read},
    ops::Range,
};

use bytes::Bytes;
use flate2::bufread::DeflateDecoder;

use super::super::super::{Looked, Parts};
use crate::{Error, Result};

/// Bytes that the end of a zip file takes: 22, and a comment.
const END_BYTES: u64 = 22 + 0xffff;

/// Bytes that the list of members may have.
const LIST_BYTES: u64 = 1 << 20;

/// Packed bytes of a member that are looked at: thousands of rows of a sheet.
const PACKED_BYTES: u64 = 128 << 10;

/// Unpacked bytes of a member that are looked at.
const UNPACKED_BYTES: u64 = 2 << 20;

/// Room for what stands between a member's name and its content.
const EXTRA_BYTES: u64 = 1 << 10;

/// A zip file.
pub struct Archive<'p> {
    parts: &'p Parts,
    list: Bytes,
}

/// A member as the list has it.
struct Member {
    is_deflated: bool,
    packed_bytes: u64,
    offset: u64,
}

/// The beginning of a member's content.
pub struct Content {
    packed: Bytes,
    is_deflated: bool,
    /// Whether all of it is there.
    pub is_whole: bool,
}

impl<'p> Archive<'p> {
    /// Find the list of members, at the file's end.
    pub fn open(parts: &'p Parts) -> Looked<Self> {
        let size = parts.size_bytes();
        let start = size.saturating_sub(END_BYTES);
        let tail = parts.get(start..size)?;
        let cut = || Error::TruncatedInput("the zip file has no end: its list of members is missing".to_owned());
        let at = memchr::memmem::rfind(&tail, b"PK\x05\x06").filter(|at| at + 22 <= tail.len()).ok_or_else(cut)?;
        let (length, offset) = (u64::from(long(&tail, at + 12)), u64::from(long(&tail, at + 16)));
        if offset == 0xffff_ffff {
            return Err(Error::UnsupportedInput("the zip file is of the form for more than 4 GiB".to_owned()).into());
        }
        if offset + length > start + at as u64 {
            return Err(corrupt("its list of members is outside the file").into());
        }
        if length > LIST_BYTES {
            let told = format!("the zip file's list of members has {length} bytes, at most {LIST_BYTES} are read");
            return Err(Error::UnsupportedInput(told).into());
        }
        Ok(Self { parts, list: parts.get(offset..offset + length)? })
    }

    /// The content of a member, if there is one of this name.
    pub fn content(&self, name: &str) -> Looked<Option<Content>> {
        let Some(member) = self.find(name)? else { return Ok(None) };
        let size = self.parts.size_bytes();
        let seen = member.packed_bytes.min(PACKED_BYTES);
        let end = member.offset + 30 + name.len() as u64 + EXTRA_BYTES + seen;
        let range: Range<u64> = member.offset..end.min(size);
        if range.is_empty() {
            return Err(corrupt(&format!("its member `{name}` is outside the file")).into());
        }
        let bytes = self.parts.get(range)?;
        if !bytes.starts_with(b"PK\x03\x04") || bytes.len() < 30 {
            return Err(corrupt(&format!("its member `{name}` is not where the list says")).into());
        }
        let start = 30 + usize::from(short(&bytes, 26)) + usize::from(short(&bytes, 28));
        let packed = bytes.slice(start.min(bytes.len())..);
        let packed = packed.slice(..packed.len().min(usize::try_from(seen).unwrap_or(usize::MAX)));
        let is_whole = packed.len() as u64 == member.packed_bytes;
        Ok(Some(Content { packed, is_deflated: member.is_deflated, is_whole }))
    }

    fn find(&self, name: &str) -> Result<Option<Member>> {
        let mut rest = &self.list[..];
        while rest.len() >= 46 && rest.starts_with(b"PK\x01\x02") {
            let name_bytes = usize::from(short(rest, 28));
            let behind = 46 + name_bytes + usize::from(short(rest, 30)) + usize::from(short(rest, 32));
            // Some writers have names with backslashes, or in capitals.
            let found = rest.get(46..46 + name_bytes).unwrap_or_default();
            let is_it = found.len() == name.len()
                && found
                    .iter()
                    .zip(name.as_bytes())
                    .all(|(a, b)| a.eq_ignore_ascii_case(b) || (*a == b'\\' && *b == b'/'));
            if is_it {
                let is_deflated = match (short(rest, 10), short(rest, 8) & 1) {
                    (_, 1) => return Err(Error::UnsupportedInput("the workbook is encrypted".to_owned())),
                    (0, _) => false,
                    (8, _) => true,
                    (method, _) => {
                        let told = format!("its member `{name}` is packed by method {method}, 0 and 8 are read");
                        return Err(Error::UnsupportedInput(told));
                    }
                };
                let (packed_bytes, offset) = (u64::from(long(rest, 20)), u64::from(long(rest, 42)));
                return Ok(Some(Member { is_deflated, packed_bytes, offset }));
            }
            rest = rest.get(behind..).unwrap_or_default();
        }
        Ok(None)
    }
}

impl Content {
    /// Read it, unpacked, up to a bound.
    pub fn reader(&self) -> BufReader<Box<dyn Read + '_>> {
        let reader: Box<dyn Read + '_> = if self.is_deflated {
            Box::new(DeflateDecoder::new(&self.packed[..]).take(UNPACKED_BYTES))
        } else {
            Box::new((&self.packed[..]).take(UNPACKED_BYTES))
        };
        BufReader::new(reader)
    }
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]))
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(short(bytes, at)) | u32::from(short(bytes, at + 2)) << 16
}

fn corrupt(what: &str) -> Error {
    Error::CorruptInput(format!("no zip file: {what}"))
}
