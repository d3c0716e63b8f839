//! gzip decompression: members in a row, checksums and lengths checked, zero padding at the end.
//!
//! Members that tell their sizes (BGZF's, and those of `compress`) are decoded as blocks, any number at once.

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::Crc;

use super::{
    Decoded, Decoder, Input,
    group::{Extent, Gathered, Group, STREAM_BYTES, gather},
    gzip::TRAILER_BYTES,
    gzip_header,
    inflater::Inflater,
};
use crate::{
    Error, Result,
    processors::{PULL_BYTES, contexts::Shelf},
};

/// Window and state of the streaming decoder, one header or trailer that spans pieces, and one output.
pub const MEMORY_BYTES: u64 = (PULL_BYTES + (512 << 10)) as u64;

/// Least output buffer of a pull, for inputs that come in tiny pieces.
const OUTPUT_MIN_BYTES: usize = 16 << 10;

thread_local! {
    static INFLATERS: Shelf<Inflater> = const { Shelf::new() };
    static STREAMS: Shelf<Decompress> = const { Shelf::new() };
}

/// Decodes one gzip file.
pub struct GzipDecoder {
    part: Part,
    /// Where the current member began, for messages.
    member_offset: u64,
    crc: Crc,
    /// Length of the current member's content so far, modulo 2^32 as its trailer has it.
    length: u32,
    /// Whether members that tell their sizes become blocks.
    gathers: bool,
}

/// What comes next in the file.
enum Part {
    Header,
    /// DEFLATE blocks; if the last output was filled up, more may come without further input.
    Body {
        stream: Decompress,
        was_full: bool,
    },
    Trailer,
    /// A further member, padding or the end.
    Between,
    Padding,
}

/// What a look at a part came to.
enum Next {
    /// Go on with the part that follows.
    Part,
    /// Bytes of the content.
    Output(Vec<u8>),
    /// Members that are decoded for themselves.
    Group(Group),
    /// More input is wanted, or the file is complete.
    Input,
}

impl Decoder for GzipDecoder {
    fn decode(&mut self, input: &mut Input) -> Result<Option<Decoded>> {
        loop {
            let next = match self.part {
                Part::Header => self.header(input)?,
                Part::Body { .. } => self.body(input)?,
                Part::Trailer => self.trailer(input)?,
                Part::Between => self.between(input)?,
                Part::Padding => padding(input)?,
            };
            match next {
                Next::Output(output) if !output.is_empty() => {
                    self.crc.update(&output);
                    self.length = self.length.wrapping_add(output.len() as u32);
                    return Ok(Some(output.into()));
                }
                Next::Group(group) => return Ok(Some(group.decoded_by(decode))),
                Next::Input => return Ok(None),
                Next::Output(_) | Next::Part => {}
            }
        }
    }
}

impl GzipDecoder {
    /// Start at the first member.
    pub fn new() -> Self {
        Self { part: Part::Header, member_offset: 0, crc: Crc::new(), length: 0, gathers: true }
    }

    fn header(&mut self, input: &mut Input) -> Result<Next> {
        if self.gathers {
            match gather(input, extent) {
                Gathered::Group(group) => {
                    self.part = Part::Between;
                    return Ok(Next::Group(group));
                }
                Gathered::Cut => return Ok(Next::Input),
                Gathered::Nothing => {}
            }
        }
        self.member_offset = input.offset();
        let Some(size) = gzip_header::length(input.bytes()).map_err(|reason| self.corrupt(&reason))? else {
            return wait(input);
        };
        input.advance(size);
        self.crc = Crc::new();
        self.length = 0;
        if let Some(output) = whole_body(input) {
            self.part = Part::Trailer;
            return Ok(Next::Output(output));
        }
        let stream = STREAMS.with(|shelf| shelf.take(|_| true)).unwrap_or_else(|| Decompress::new(false));
        self.part = Part::Body { stream, was_full: false };
        Ok(Next::Part)
    }

    fn body(&mut self, input: &mut Input) -> Result<Next> {
        let Part::Body { stream, was_full } = &mut self.part else { return Ok(Next::Part) };
        if input.bytes().is_empty() && !*was_full {
            return wait(input);
        }
        let size = input.bytes().len().saturating_mul(4).clamp(OUTPUT_MIN_BYTES, PULL_BYTES);
        let mut output = Vec::with_capacity(size);
        let taken_before = stream.total_in();
        let status = match stream.decompress_vec(input.bytes(), &mut output, FlushDecompress::None) {
            Ok(status) => status,
            Err(error) => return Err(self.corrupt(error.message().unwrap_or("invalid DEFLATE data"))),
        };
        input.advance((stream.total_in() - taken_before) as usize);
        *was_full = output.len() == output.capacity();
        if status == Status::StreamEnd
            && let Part::Body { mut stream, .. } = std::mem::replace(&mut self.part, Part::Trailer)
        {
            stream.reset(false);
            STREAMS.with(|shelf| shelf.put(stream));
        }
        Ok(Next::Output(output))
    }

    fn trailer(&mut self, input: &mut Input) -> Result<Next> {
        let Some(&[c0, c1, c2, c3, l0, l1, l2, l3]) = input.bytes().first_chunk::<TRAILER_BYTES>() else {
            return wait(input);
        };
        let (stored_crc, crc) = (u32::from_le_bytes([c0, c1, c2, c3]), self.crc.sum());
        if stored_crc != crc {
            return Err(self.corrupt(&format!("its content's CRC-32 is {crc:08x}, {stored_crc:08x} is stored")));
        }
        let (stored_length, length) = (u32::from_le_bytes([l0, l1, l2, l3]), self.length);
        if stored_length != length {
            return Err(self.corrupt(&format!("its content has {length} bytes, {stored_length} are stored")));
        }
        input.advance(TRAILER_BYTES);
        self.part = Part::Between;
        Ok(Next::Part)
    }

    fn between(&mut self, input: &mut Input) -> Result<Next> {
        self.part = match input.bytes() {
            [] => return Ok(Next::Input),
            [0, ..] => Part::Padding,
            [first] if *first == gzip_header::MAGIC[0] => return wait(input),
            bytes if bytes.starts_with(&gzip_header::MAGIC) => Part::Header,
            _ => return Err(garbage(input.offset())),
        };
        Ok(Next::Part)
    }

    fn corrupt(&self, reason: &str) -> Error {
        Error::CorruptInput(format!("the gzip member at byte {} is damaged: {reason}", self.member_offset))
    }
}

/// Decode a body at once, where input and content are small and whole.
///
/// The file's last four bytes tell the size of its last, usually only, member. Whatever libdeflate
/// refuses goes to the streaming decoder, so that output and errors are the same on both ways. (The two
/// differ on no stream that RFC 1951 allows; libdeflate takes the unused length codes 286 and 287 in a table.)
fn whole_body(input: &mut Input) -> Option<Vec<u8>> {
    let size = u32::from_le_bytes(*input.bytes().last_chunk()?) as usize;
    if !input.is_whole() || size > PULL_BYTES {
        return None;
    }
    let mut output = Vec::new();
    let taken = inflated(|inflater| inflater.inflate(input.bytes(), size, &mut output))?;
    input.advance(taken);
    Some(output)
}

/// Use this thread's inflater.
fn inflated<T>(inflate: impl FnOnce(&mut Inflater) -> Option<T>) -> Option<T> {
    let mut inflater = INFLATERS.with(|shelf| shelf.take(|_| true)).or_else(Inflater::new)?;
    let done = inflate(&mut inflater);
    INFLATERS.with(|shelf| shelf.put(inflater));
    done
}

/// What a member tells of itself at its beginning, and at its end once that is here. Others use these extra fields for
/// what they like, so that what follows must be what may follow a member.
fn extent(bytes: &[u8], is_all: bool) -> Extent {
    let start = &bytes[..bytes.len().min(gzip_header::MAGIC.len())];
    if !gzip_header::MAGIC.starts_with(start) || !gzip_header::may_tell_member_bytes(bytes) {
        return Extent::Unknown;
    }
    let header_bytes = match gzip_header::length(bytes) {
        Ok(Some(header_bytes)) => header_bytes,
        Ok(None) => return Extent::Cut,
        Err(_) => return Extent::Unknown,
    };
    match gzip_header::member_bytes(&bytes[..header_bytes]) {
        Some(stream_bytes) if (header_bytes + TRAILER_BYTES..=STREAM_BYTES).contains(&stream_bytes) => {
            let Some((member, behind)) = bytes.split_at_checked(stream_bytes) else { return Extent::Cut };
            let magic = &gzip_header::MAGIC[..behind.len().min(gzip_header::MAGIC.len())];
            if behind.len() < gzip_header::MAGIC.len() && !is_all {
                return Extent::Cut;
            }
            let may_follow = behind.starts_with(magic) || behind[0] == 0;
            if !may_follow {
                return Extent::Unknown;
            }
            Extent::Whole { stream_bytes, content_bytes: trailer(member).1 }
        }
        _ => Extent::Unknown,
    }
}

/// CRC-32 and length of a member's content.
fn trailer(member: &[u8]) -> (u32, usize) {
    let stored = member.last_chunk::<TRAILER_BYTES>().map_or(0, |trailer| u64::from_le_bytes(*trailer));
    (stored as u32, (stored >> 32) as usize)
}

/// Decode members that told their sizes. What libdeflate refuses, the streaming decoder tells.
fn decode(group: Group) -> Result<Vec<u8>> {
    let inflate = |inflater: &mut Inflater| inflate_members(inflater, &group);
    inflated(inflate).map_or_else(|| decode_streaming(group), Ok)
}

fn inflate_members(inflater: &mut Inflater, group: &Group) -> Option<Vec<u8>> {
    let (mut members, mut output) = (&group.bytes[..], Vec::with_capacity(group.content_bytes));
    while !members.is_empty() {
        let header_bytes = gzip_header::length(members).ok()??;
        let (member, behind) = members.split_at(gzip_header::member_bytes(&members[..header_bytes])?);
        let (crc, size) = trailer(member);
        let (body, begun) = (&member[header_bytes..member.len() - TRAILER_BYTES], output.len());
        let taken = inflater.inflate(body, size, &mut output)?;
        let content = &output[begun..];
        if taken != body.len() || content.len() != size || libdeflater::crc32(content) != crc {
            return None;
        }
        members = behind;
    }
    Some(output)
}

fn decode_streaming(group: Group) -> Result<Vec<u8>> {
    let (end, expected) = (group.offset + group.bytes.len() as u64, group.content_bytes);
    let mut decoder = GzipDecoder { gathers: false, ..GzipDecoder::new() };
    let (mut input, mut output) = (Input::whole(group.bytes, group.offset), Vec::new());
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(Decoded::Now(bytes))) => output.extend_from_slice(&bytes),
            Ok(_) => return Ok(output),
            Err(Error::TruncatedInput(_)) => {
                return Err(decoder.corrupt(&format!("it does not end at byte {end}, as its header tells")));
            }
            Err(error) => return Err(error),
        }
        if output.len() > expected {
            return Err(decoder.corrupt(&format!("its content has more bytes than the {expected} that are stored")));
        }
    }
}

fn padding(input: &mut Input) -> Result<Next> {
    let zeros = input.bytes().iter().take_while(|&&byte| byte == 0).count();
    input.advance(zeros);
    if input.bytes().is_empty() { Ok(Next::Input) } else { Err(garbage(input.offset())) }
}

fn wait(input: &Input) -> Result<Next> {
    if input.has_ended() { Err(input.truncated("gzip")) } else { Ok(Next::Input) }
}

fn garbage(offset: u64) -> Error {
    Error::CorruptInput(format!("what follows the gzip stream at byte {offset} is neither a member nor zero padding"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::processors::codecs::gzip;

    /// Decode `file`, told as whole or in pieces of `piece_bytes`.
    fn decode(file: &[u8], piece_bytes: Option<usize>) -> Result<Vec<u8>> {
        let mut input = Input::new(piece_bytes.is_none().then_some(file.len() as u64));
        let mut decoder = GzipDecoder::new();
        let mut content = Vec::new();
        for piece in file.chunks(piece_bytes.unwrap_or(file.len())) {
            input.push(Bytes::copy_from_slice(piece));
            while let Some(output) = decoder.decode(&mut input)? {
                content.extend_from_slice(&output.bytes()?);
            }
        }
        input.end();
        while let Some(output) = decoder.decode(&mut input)? {
            content.extend_from_slice(&output.bytes()?);
        }
        Ok(content)
    }

    fn member(content: &[u8]) -> Vec<u8> {
        gzip::compress(6, content).expect("compressed")
    }

    #[test]
    fn test_members_in_a_row_are_one_content() {
        let file = [member(b"one "), member(b""), member(b"two "), member(b"three")].concat();
        for pieces in [None, Some(1), Some(7), Some(file.len())] {
            assert_eq!(decode(&file, pieces).expect("decoded"), b"one two three");
        }
    }

    #[test]
    fn test_equal_members_in_a_row_are_not_taken_for_one() {
        let file = [member(b"same"), member(b"same")].concat();
        assert_eq!(decode(&file, None).expect("decoded"), b"samesame");
    }

    #[test]
    fn test_size_of_a_stranger_in_an_extra_field_is_not_believed_where_no_member_ends_there() {
        let plain = member(b"some text, some more text");
        let file_with = |size: usize| {
            let field = [b"\x06\0BC\x02\0", &(size as u16 - 1).to_le_bytes()[..]].concat();
            let one = [&plain[..3], b"\x04", &plain[4..10], &field, &plain[10..]].concat();
            [one.clone(), one].concat()
        };
        let right = plain.len() + 8;
        for size in (right - 8)..(right + 12) {
            let file = file_with(size);
            if size != right && matches!(file[size], 0 | 0x1f) {
                continue; // as if a member ended there
            }
            for pieces in [None, Some(1), Some(file.len())] {
                let content = decode(&file, pieces).unwrap_or_else(|error| panic!("{size}, {pieces:?}: {error}"));
                assert_eq!(content, b"some text, some more text".repeat(2), "{size}");
            }
        }
    }

    #[test]
    fn test_zero_padding_is_accepted_and_other_garbage_is_not() {
        let padded = [member(b"text"), vec![0; 1000]].concat();
        let garbage = [member(b"text"), vec![0; 3], b"x".to_vec()].concat();
        for pieces in [None, Some(1), Some(padded.len())] {
            assert_eq!(decode(&padded, pieces).expect("decoded"), b"text");
            let message = decode(&garbage, pieces).expect_err("garbage").to_string();
            assert!(message.contains(&format!("at byte {} ", garbage.len() - 1)), "{message}");
        }
    }

    #[test]
    fn test_wrong_crc_and_length_are_told_with_both_values() {
        let good = member(b"text");
        for (at, what) in [(good.len() - 8, "CRC-32"), (good.len() - 4, "has 4 bytes, 5 are")] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            for pieces in [None, Some(1)] {
                let error = decode(&bad, pieces).expect_err("damaged");
                assert_eq!(error.kind(), "corrupt_input");
                assert!(error.to_string().contains(what), "{error}");
            }
        }
    }

    #[test]
    fn test_content_beyond_the_whole_path_is_streamed_in_bounded_outputs() {
        let content = vec![b'a'; 5 << 20];
        let file = member(&content);
        let mut input = Input::new(Some(file.len() as u64));
        input.push(file.into());
        let mut decoder = GzipDecoder::new();
        let mut size = 0;
        while let Some(Decoded::Now(output)) = decoder.decode(&mut input).expect("decoded") {
            assert!(output.len() <= PULL_BYTES);
            size += output.len();
        }
        assert_eq!(size, content.len());
    }
}
