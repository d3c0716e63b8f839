//! Members of a zip file (APPNOTE 6.3), unpacked up to a bound.

use std::{
    io::{self, BufRead, BufReader, Read},
    ops::Range,
};

use bytes::{Buf, Bytes};
use flate2::bufread::DeflateDecoder;

use crate::{
    Error, Result,
    processors::{Looked, Parts},
};

/// Bytes that the end of a zip file takes: 22, and a comment.
const END_BYTES: u64 = 22 + 0xffff;

/// Bytes that the list of members may have.
const LIST_BYTES: u64 = 1 << 20;

/// Packed bytes of a member whose beginning is looked at: thousands of rows of a sheet.
const PACKED_BYTES: u64 = 128 << 10;

/// Unpacked bytes of a member whose beginning is looked at.
const UNPACKED_BYTES: u64 = 2 << 20;

/// Most times its size that a member may become, judged from [`JUDGED_FROM_BYTES`] on: sheets of numbers become some
/// ten times as large, of nothing but one value a hundred times.
const MOST_RATIO: u64 = 300;

/// Output from which on the ratio is judged: less harms nobody.
const JUDGED_FROM_BYTES: u64 = 64 << 20;

/// Bytes that a row or a text may take in XML.
const MOST_PART_BYTES: usize = 16 << 20;

/// Room for what stands between a member's name and its content.
const EXTRA_BYTES: u64 = 1 << 10;

/// A zip file.
pub struct Archive<'p> {
    parts: &'p Parts,
    list: Bytes,
    seen: Seen,
}

/// How much of a member is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Beginning,
    All,
}

/// A member as the list has it.
struct Member {
    is_deflated: bool,
    packed_bytes: u64,
    offset: u64,
}

/// A member's content, or the beginning of it.
pub struct Content {
    packed: Bytes,
    is_deflated: bool,
    most_bytes: u64,
    /// How much of it is wanted.
    pub seen: Seen,
    /// Whether all of it is there.
    pub is_whole: bool,
}

impl<'p> Archive<'p> {
    /// Find the list of members, at the file's end.
    pub fn open(parts: &'p Parts, seen: Seen) -> Looked<Self> {
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
        Ok(Self { parts, list: parts.get(offset..offset + length)?, seen })
    }

    /// The content of a member, if there is one of this name.
    pub fn content(&self, name: &str) -> Looked<Option<Content>> {
        let Some(member) = self.find(name)? else { return Ok(None) };
        let size = self.parts.size_bytes();
        let seen = match self.seen {
            Seen::Beginning => member.packed_bytes.min(PACKED_BYTES),
            Seen::All => member.packed_bytes,
        };
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
        if self.seen == Seen::All && !is_whole {
            return Err(corrupt(&format!("its member `{name}` goes on behind its end")).into());
        }
        let most_bytes = match self.seen {
            Seen::Beginning => UNPACKED_BYTES,
            Seen::All => JUDGED_FROM_BYTES.max(MOST_RATIO.saturating_mul(member.packed_bytes)),
        };
        Ok(Some(Content { packed, is_deflated: member.is_deflated, most_bytes, seen: self.seen, is_whole }))
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
    pub fn reader(&self) -> Bounded {
        let packed = self.packed.clone().reader();
        let inner: Box<dyn Read + Send> =
            if self.is_deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
        let most_bytes = self.most_bytes;
        Bounded { inner: BufReader::new(inner), left_bytes: most_bytes, most_bytes, part_bytes: 0, failure: None }
    }
}

/// Reads a member within its bounds.
pub struct Bounded {
    inner: BufReader<Box<dyn Read + Send>>,
    most_bytes: u64,
    left_bytes: u64,
    /// Bytes since the part under way has begun.
    part_bytes: usize,
    /// Why it can't be read further.
    failure: Option<Error>,
}

impl Bounded {
    /// Begin with another part.
    pub fn begin_part(&mut self) {
        self.part_bytes = 0;
    }

    /// Why it could not be read further, if it could not.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.failure = Some(error);
        io::ErrorKind::Other.into()
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Bounded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left_bytes == 0 {
            let most = self.most_bytes;
            return Err(self.fail(Error::DecompressionBudget(format!(
                "a member of the zip file has more than {most} bytes, which is more than {MOST_RATIO} times its size"
            ))));
        }
        if self.part_bytes > MOST_PART_BYTES {
            let most = MOST_PART_BYTES >> 20;
            return Err(
                self.fail(Error::UnsupportedInput(format!("a row or a text of the workbook has more than {most} MiB")))
            );
        }
        if let Err(error) = self.inner.fill_buf() {
            let error = match error.kind() {
                io::ErrorKind::UnexpectedEof => Error::TruncatedInput("a member of the zip file is cut off".to_owned()),
                _ => Error::CorruptInput(format!("a member of the zip file can't be unpacked: {error}")),
            };
            return Err(self.fail(error));
        }
        let filled = self.inner.buffer();
        Ok(&filled[..filled.len().min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX))])
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.left_bytes = self.left_bytes.saturating_sub(count as u64);
        self.part_bytes += count;
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
