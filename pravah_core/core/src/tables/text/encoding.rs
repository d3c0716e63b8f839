//! Turns text of any encoding into UTF-8, and takes the mark off its beginning; nothing is ever replaced.

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::cut::Cutter;
use crate::{Error, Result};

/// Bytes that are decoded at once.
const DECODED_BYTES: usize = 64 << 10;

/// Bytes of the longest mark at the beginning of text.
const MARK_BYTES: usize = 3;

/// Turns one file of text into UTF-8.
pub struct Transcoder {
    /// What the user has said.
    given: Option<&'static Encoding>,
    /// The first bytes, until it is clear whether they are a mark.
    head: Vec<u8>,
    state: State,
    /// Bytes of the file that were decoded.
    offset: u64,
    buffer: String,
}

enum State {
    Beginning,
    Utf8,
    Other(Box<Decoder>, &'static Encoding),
}

impl Transcoder {
    /// Begin; without an encoding it is UTF-8, or what a mark says.
    pub fn new(given: Option<&'static Encoding>) -> Self {
        Self { given, head: Vec::new(), state: State::Beginning, offset: 0, buffer: String::new() }
    }

    /// Take the next bytes; what they say goes into the cutter.
    pub fn push(&mut self, bytes: &[u8], cutter: &mut Cutter) -> Result<()> {
        if matches!(self.state, State::Beginning) {
            self.head.extend_from_slice(bytes);
            return if self.head.len() < MARK_BYTES { Ok(()) } else { self.begin(cutter) };
        }
        self.decode(bytes, false, cutter)
    }

    /// Take the end of the file.
    pub fn end(&mut self, cutter: &mut Cutter) -> Result<()> {
        if matches!(self.state, State::Beginning) {
            self.begin(cutter)?;
        }
        self.decode(b"", true, cutter)
    }

    fn begin(&mut self, cutter: &mut Cutter) -> Result<()> {
        let head = std::mem::take(&mut self.head);
        let marked = Encoding::for_bom(&head);
        let (encoding, mark_bytes) = match (self.given, marked) {
            (Some(given), Some((marked, bytes))) if given == marked => (given, bytes),
            // `utf-16` alone is little endian by its standard; a mark says more.
            (Some(given), Some((marked, bytes))) if given == UTF_16LE && marked == UTF_16BE => (marked, bytes),
            (Some(given), _) => (given, 0),
            (None, Some((marked, bytes))) => (marked, bytes),
            (None, None) => (UTF_8, 0),
        };
        self.offset = mark_bytes as u64;
        self.state = if encoding == UTF_8 {
            State::Utf8
        } else {
            State::Other(Box::new(encoding.new_decoder_without_bom_handling()), encoding)
        };
        self.decode(&head[mark_bytes..], false, cutter)
    }

    fn decode(&mut self, mut bytes: &[u8], is_last: bool, cutter: &mut Cutter) -> Result<()> {
        let State::Other(decoder, encoding) = &mut self.state else {
            cutter.push(bytes); // readers of rows see whether it is UTF-8, and name the line
            return Ok(());
        };
        self.buffer.reserve(DECODED_BYTES);
        loop {
            self.buffer.clear();
            let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut self.buffer, is_last);
            cutter.push(self.buffer.as_bytes());
            self.offset += read as u64;
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    return Err(Error::InvalidUtf8(format!(
                        "the bytes before offset {} are no {}",
                        self.offset,
                        encoding.name()
                    )));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::cut::RowEnd, *};

    fn decoded(label: Option<&str>, bytes: &[u8], part_bytes: usize) -> Result<String> {
        let given = label.map(|label| Encoding::for_label(label.as_bytes()).expect("is known"));
        let (mut transcoder, mut cutter) = (Transcoder::new(given), Cutter::new(RowEnd::Line));
        for part in bytes.chunks(part_bytes) {
            transcoder.push(part, &mut cutter)?;
        }
        transcoder.end(&mut cutter)?;
        Ok(String::from_utf8(cutter.rest().to_vec()).expect("is UTF-8"))
    }

    #[test]
    fn test_text_of_any_encoding_becomes_utf_8_wherever_it_is_parted() {
        let utf_16 = |order: fn(u16) -> [u8; 2]| "\u{feff}ä😀,x\n".encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for part_bytes in [1, 2, 3, 5, 100] {
            for (label, bytes, expected) in [
                (None, "\u{feff}ä,x".as_bytes().to_vec(), "ä,x"),
                (None, b"".to_vec(), ""),
                (None, utf_16(u16::to_le_bytes), "ä😀,x\n"),
                (None, utf_16(u16::to_be_bytes), "ä😀,x\n"),
                (Some("utf-16"), utf_16(u16::to_be_bytes), "ä😀,x\n"),
                (Some("latin1"), b"\xe4;\x80".to_vec(), "ä;€"),
            ] {
                assert_eq!(decoded(label, &bytes, part_bytes).expect("decodes"), expected, "{label:?}, {part_bytes}");
            }
        }
    }

    #[test]
    fn test_malformed_text_is_refused_with_its_offset() {
        let error = decoded(Some("utf-16le"), b"a\0\x00\xd8b\0", 100).expect_err("is refused");
        assert_eq!((error.kind(), error.to_string().contains("UTF-16LE")), ("invalid_utf8", true));
    }
}
