//! Counts the rows of a table that goes by, as `extract_headers` counts those of a whole one.

use super::super::extract_headers::{
    dialect,
    format::Format,
    rows::Dialect,
    text::{self, Text},
};

/// Bytes of text that delimiter and quote are told by.
const SNIFFED_BYTES: usize = dialect::SNIFFED_BYTES;

/// Rows of a table of text.
pub struct RowCounter {
    format: Format,
    has_header: bool,
    /// The beginning, until it tells how the table is written.
    begun: Vec<u8>,
    dialect: Option<Dialect>,
    /// The text is one whose bytes are not those of its letters.
    is_recoded: bool,
    at: At,
    rows: u64,
}

/// Where in a row the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between two rows.
    RowStart,
    /// Behind a delimiter.
    FieldStart,
    Field,
    Quoted,
    /// Behind a quote within quotes: what follows tells what it was.
    Quote,
}

/// Bytes that are held while rows are counted.
pub fn need(size_bytes: u64) -> u64 {
    // The beginning, in a vector that grows; the fields of a row of it.
    let begun = size_bytes.min(2 * SNIFFED_BYTES as u64);
    3 * begun + super::super::extract_headers::rows::need(begun)
}

impl RowCounter {
    /// Count the rows of a file whose name, without extensions of compression, says that it is a table of text.
    pub fn of(name: &[u8], has_header: bool) -> Option<Self> {
        let format = Format::of_name(name);
        let format = format.filter(|format| matches!(format, Format::Csv | Format::Tsv | Format::Ndjson))?;
        let (begun, dialect, at) = (Vec::new(), None, At::RowStart);
        Some(Self { format, has_header, begun, dialect, is_recoded: false, at, rows: 0 })
    }

    /// Take the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        if self.dialect.is_some() {
            return self.count(bytes);
        }
        self.begun.extend_from_slice(bytes);
        if self.begun.len() >= SNIFFED_BYTES {
            self.begin(false);
        }
    }

    /// Take the end; gives the rows, where they can be counted.
    pub fn end(&mut self) -> Option<u64> {
        if self.dialect.is_none() {
            self.begin(true);
        }
        let has_header = self.has_header && self.format != Format::Ndjson;
        (!self.is_recoded).then(|| self.rows.saturating_sub(u64::from(has_header)))
    }

    /// Tell how the table is written, and count what has come.
    fn begin(&mut self, is_whole: bool) {
        let begun = std::mem::take(&mut self.begun);
        let text: Text<'_> = text::decode(begun.as_slice().into(), is_whole, begun.len() as u64);
        self.is_recoded = text.encoding.starts_with("utf-16");
        self.dialect = Some(dialect::of(&text, self.format));
        self.count(&text.bytes);
    }

    fn count(&mut self, bytes: &[u8]) {
        let Some(Dialect { delimiter, quote }) = self.dialect else { return };
        let is_open = matches!(self.at, At::Quoted | At::Quote);
        if self.format == Format::Ndjson || (!is_open && memchr::memchr(quote, bytes).is_none()) {
            return self.count_lines(bytes, delimiter);
        }
        for &byte in bytes {
            self.at = match (self.at, byte) {
                (At::Quoted, byte) if byte == quote => At::Quote,
                (At::Quoted, _) => At::Quoted,
                (At::Quote, byte) if byte == quote => At::Quoted,
                (At::RowStart, b'\n' | b'\r') => At::RowStart,
                (_, b'\n' | b'\r') => At::RowStart,
                (before, byte) => {
                    self.rows += u64::from(before == At::RowStart);
                    match before {
                        _ if byte == delimiter => At::FieldStart,
                        At::RowStart | At::FieldStart if byte == quote => At::Quoted,
                        _ => At::Field,
                    }
                }
            };
        }
    }

    /// Count rows where none spans lines: without a branch on what came before, so that many bytes are looked at at
    /// once.
    fn count_lines(&mut self, bytes: &[u8], delimiter: u8) {
        let Some((&first, &last)) = bytes.first().zip(bytes.last()) else { return };
        let begun = bytes.iter().zip(&bytes[1..]).filter(|(before, byte)| is_end(**before) & !is_end(**byte));
        self.rows += begun.count() as u64 + u64::from(self.at == At::RowStart && !is_end(first));
        self.at = match last {
            last if is_end(last) => At::RowStart,
            last if last == delimiter => At::FieldStart,
            _ => At::Field,
        };
    }
}

fn is_end(byte: u8) -> bool {
    (byte == b'\n') | (byte == b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::processors::extract_headers::rows::Rows;

    fn counted(name: &str, text: &[u8], piece_bytes: usize) -> Option<u64> {
        let mut counter = RowCounter::of(name.as_bytes(), true)?;
        text.chunks(piece_bytes).for_each(|piece| counter.take(piece));
        counter.end()
    }

    #[test]
    fn test_rows_are_those_of_tables_of_text_only() {
        assert_eq!(counted("a.csv", b"id,name\n1,\"a\nb\"\n\n2,c", 3), Some(2));
        assert_eq!(counted("a.ndjson", b"{}\n\n{\"a\": \"\\\"\"}\n", 4), Some(2));
        assert_eq!(counted("a.csv", b"", 1), Some(0));
        assert_eq!(counted("a.csv", b"\xef\xbb\xbf\"id\nx\"\n1\n", 1), Some(1));
        assert_eq!(counted("a.csv", b"\xff\xfea\0", 1), None);
        assert_eq!(counted("a.txt", b"a\n", 1), None);
    }

    #[test]
    fn test_rows_beyond_the_sniffed_part_are_counted() {
        let table = "a,b\n".to_owned() + &"1,\"x\ny\"\n2,z\n".repeat(20_000);
        for piece_bytes in [usize::MAX, 1 << 20, 7_001] {
            assert_eq!(counted("a.csv", table.as_bytes(), piece_bytes), Some(40_000));
        }
    }

    proptest! {
        #[test]
        fn test_rows_are_those_of_a_reading_of_the_whole(text in "[ab,\"\n\r]{0,60}", piece_bytes in 1usize..20) {
            let read = text::decode(text.as_bytes().into(), true, 0);
            let mut rows = Rows::new(text.as_bytes(), dialect::of(&read, Format::Csv), true);
            let mut expected = 0_u64;
            while rows.next(&mut Vec::new()) {
                expected += 1;
            }
            prop_assert_eq!(counted("a.csv", text.as_bytes(), piece_bytes), Some(expected.saturating_sub(1)));
        }
    }
}
