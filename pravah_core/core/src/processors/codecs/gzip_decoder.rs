//! gzip decompression: members in a row (BGZF too), checksums and lengths checked, zero padding at the end.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::Crc;

use super::{Decoder, Input, gzip_header, inflater::Inflater};
use crate::{
    Error, Result,
    processors::{PULL_BYTES, contexts::Shelf},
};

/// Window and state of the streaming decoder, one header or trailer that spans pieces, and one output.
pub const MEMORY_BYTES: u64 = (PULL_BYTES + (512 << 10)) as u64;

/// Least output buffer of a pull, for inputs that come in tiny pieces.
const OUTPUT_MIN_BYTES: usize = 16 << 10;

const TRAILER_BYTES: usize = 8;

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
    /// More input is wanted, or the file is complete.
    Input,
}

impl Decoder for GzipDecoder {
    fn decode(&mut self, input: &mut Input) -> Result<Option<Bytes>> {
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
                Next::Input => return Ok(None),
                Next::Output(_) | Next::Part => {}
            }
        }
    }
}

impl GzipDecoder {
    /// Start at the first member.
    pub fn new() -> Self {
        Self { part: Part::Header, member_offset: 0, crc: Crc::new(), length: 0 }
    }

    fn header(&mut self, input: &mut Input) -> Result<Next> {
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
    let mut inflater = INFLATERS.with(|shelf| shelf.take(|_| true)).or_else(Inflater::new)?;
    let inflated = inflater.inflate(input.bytes(), size);
    INFLATERS.with(|shelf| shelf.put(inflater));
    let (taken, output) = inflated?;
    input.advance(taken);
    Some(output)
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
                content.extend_from_slice(&output);
            }
        }
        input.end();
        assert!(decoder.decode(&mut input)?.is_none());
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
        while let Some(output) = decoder.decode(&mut input).expect("decoded") {
            assert!(output.len() <= PULL_BYTES);
            size += output.len();
        }
        assert_eq!(size, content.len());
    }
}
