//! Where the fields of csv and tsv begin and end (RFC 4180, as lenient as Python's `csv`), without copying them.

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    pub quote: u8,
}

/// A field of a row: where its content is, without the quotes around it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub start: usize,
    pub end: usize,
    /// Quotes stood around it.
    pub is_quoted: bool,
    /// It has quotes in it that are not content: only [`Rows::content`] reads it.
    is_escaped: bool,
}

/// Walks over the rows of a text. Empty lines are none.
pub struct Rows<'t> {
    text: &'t [u8],
    dialect: Dialect,
    /// Whether the text's end ends a row.
    is_whole: bool,
    at: usize,
    /// Bytes that end a field, each eight times.
    stops: [u64; 3],
}

/// Bytes that the fields of a row take which has this size at most.
pub fn need(row_bytes: u64) -> u64 {
    // A field has a delimiter, and a vector that grows has up to twice the room, and the old one beside it.
    3 * row_bytes.min(MOST_FIELDS as u64) * size_of::<Field>() as u64
}

/// Fields of a row that are told; there are no tables with more, but files that are none.
pub const MOST_FIELDS: usize = super::MOST_COLUMNS + 1;

impl<'t> Rows<'t> {
    /// Begin at the text's beginning.
    pub fn new(text: &'t [u8], dialect: Dialect, is_whole: bool) -> Self {
        let stops = [dialect.delimiter, b'\n', b'\r'].map(|byte| u64::from_le_bytes([byte; 8]));
        Self { text, dialect, is_whole, at: 0, stops }
    }

    /// Where the next row begins.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Put the fields of the next row into `fields`; false: there is none that is complete.
    pub fn next(&mut self, fields: &mut Vec<Field>) -> bool {
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            self.at += 1;
        }
        fields.clear();
        let mut at = self.at;
        if at >= self.text.len() {
            return false;
        }
        loop {
            let field = self.field(at);
            if fields.len() < MOST_FIELDS {
                fields.push(field.0);
            }
            at = field.1;
            match self.text.get(at) {
                Some(&byte) if byte == self.dialect.delimiter => at += 1,
                Some(b'\r') if self.text.get(at + 1) == Some(&b'\n') => return self.ends(at + 2),
                Some(_) => return self.ends(at + 1),
                None => return self.is_whole && self.ends(at),
            }
        }
    }

    fn ends(&mut self, at: usize) -> bool {
        self.at = at;
        true
    }

    /// The field that begins here, and where the byte behind it is.
    fn field(&self, start: usize) -> (Field, usize) {
        let quote = self.dialect.quote;
        if self.text.get(start) != Some(&quote) {
            let end = self.stop(start);
            return (Field { start, end, is_quoted: false, is_escaped: false }, end);
        }
        let start = start + 1;
        let (mut at, mut is_escaped) = (start, false);
        loop {
            let Some(found) = memchr::memchr(quote, &self.text[at..]) else {
                // Nothing closes it: it goes on to the end.
                let end = self.text.len();
                return (Field { start, end, is_quoted: true, is_escaped }, end);
            };
            let end = at + found;
            if self.text.get(end + 1) == Some(&quote) {
                (at, is_escaped) = (end + 2, true);
                continue;
            }
            let stop = self.stop(end + 1);
            // What stands behind the closing quote belongs to it.
            let field = if stop == end + 1 {
                Field { start, end, is_quoted: true, is_escaped }
            } else {
                Field { start, end: stop, is_quoted: true, is_escaped: true }
            };
            return (field, stop);
        }
    }

    /// Where the field ends that goes on here. Fields are too short for vectors: eight bytes are looked at together
    /// (Warren, "Hacker's Delight", 6-1; the lowest byte that is told is one).
    fn stop(&self, from: usize) -> usize {
        const LOW: u64 = u64::from_le_bytes([0x01; 8]);
        const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
        let (words, rest) = self.text[from..].as_chunks::<8>();
        for (number, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let is_stop = |stop: u64| (word ^ stop).wrapping_sub(LOW) & !(word ^ stop) & HIGH;
            let found = self.stops.iter().fold(0, |found, &stop| found | is_stop(stop));
            if found != 0 {
                return from + 8 * number + found.trailing_zeros() as usize / 8;
            }
        }
        let is_stop = |byte: &u8| self.stops.contains(&u64::from_le_bytes([*byte; 8]));
        self.text.len() - rest.len() + rest.iter().position(is_stop).unwrap_or(rest.len())
    }

    /// Whether its quotes are around it, as they are under the right delimiter, and not somewhere in it.
    pub fn is_clean(&self, field: &Field) -> bool {
        let quote = self.dialect.quote;
        if field.is_quoted {
            return self.text.get(field.end) == Some(&quote);
        }
        memchr::memchr(quote, &self.text[field.start..field.end]).is_none()
    }

    /// The field's content; none where only [`Self::content`] can read it: quotes in it make it text.
    pub fn plain(&self, field: &Field) -> Option<&'t [u8]> {
        (!field.is_escaped).then(|| &self.text[field.start..field.end])
    }

    /// The field's content.
    pub fn content(&self, field: &Field) -> Vec<u8> {
        let raw = &self.text[field.start..field.end];
        if !field.is_escaped {
            return raw.to_vec();
        }
        let quote = self.dialect.quote;
        let mut content = Vec::with_capacity(raw.len());
        let (mut at, mut is_open) = (0, true);
        while let Some(&byte) = raw.get(at) {
            at += 1;
            if byte == quote && is_open {
                if raw.get(at) == Some(&quote) {
                    at += 1;
                } else {
                    is_open = false;
                    continue;
                }
            }
            content.push(byte);
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAS: Dialect = Dialect { delimiter: b',', quote: b'"' };

    fn rows(text: &str, is_whole: bool) -> Vec<Vec<String>> {
        let mut rows = Rows::new(text.as_bytes(), COMMAS, is_whole);
        let (mut fields, mut all) = (Vec::new(), Vec::new());
        while rows.next(&mut fields) {
            all.push(fields.iter().map(|field| String::from_utf8(rows.content(field)).expect("is text")).collect());
        }
        all
    }

    #[test]
    fn test_rows_end_at_each_kind_of_line_end_outside_quotes() {
        assert_eq!(
            rows("a,b\r\nc,\rd\n\n\"e\nf\",g\n", true),
            [["a", "b"], ["c", ""]]
                .map(|row| row.to_vec())
                .into_iter()
                .chain([vec!["d"], vec!["e\nf", "g"]])
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn test_fields_of_any_length_end_where_they_end() {
        for length in 0..40 {
            for before in 0..9 {
                let (first, second) = ("\u{e9}".repeat(before), "\u{b}-".repeat(length));
                for end in ["\n", "\r", "\r\n", ""] {
                    let text = format!("{first},{second}{end}");
                    assert_eq!(rows(&text, true), [[first.as_str(), second.as_str()]], "{text:?}");
                }
            }
        }
    }

    #[test]
    fn test_quotes_are_read_as_python_does() {
        assert_eq!(rows("\"a\"\"b\",\"c\"d\"e,f\"g,\"\",\"h", true), [["a\"b", "cd\"e", "f\"g", "", "h"]]);
    }

    #[test]
    fn test_row_that_a_sample_cuts_is_none() {
        assert_eq!(rows("a\nb", false), [["a"]]);
        assert_eq!(rows("a\n\"b\n", false), [["a"]]);
        assert_eq!(rows("a\nb", true), [["a"], ["b"]]);
    }
}
