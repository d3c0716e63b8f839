//! `count`: lines, words and bytes of each file, as `wc` counts them, and the rows of tables; one record a file.
//!
//! What is compressed is counted as what it is unpacked to.
//!
//! - `rows`: the rows of tables of text

mod rows;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::rows::RowCounter;
use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    decompress::strip_extension,
    parameters::{self, parse},
    unpack::{self, Unpacker},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "count", describe, build };

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Whether the first row of csv and tsv has names, and does not count as a row.
    #[serde(default = "yes")]
    #[schemars(extend("default" = true))]
    header: bool,
}

fn yes() -> bool {
    true
}

struct Count(Parameters);

struct CountStep {
    parameters: Parameters,
    content: Unpacker,
    tally: Tally,
    rows: Option<RowCounter>,
    record: Option<Event>,
    passing: Option<Event>,
}

/// What has been counted so far.
struct Tally {
    lines: u64,
    words: u64,
    size_bytes: u64,
    /// The last byte was a blank, or there was none: what comes next may begin a word.
    is_between: bool,
}

fn describe() -> Descriptor {
    let example = |explains, name, text, record| Example {
        step: "count",
        params: Map::new(),
        explains,
        name,
        input: Sample::Text(text),
        expected: Expected::File { name, content: Sample::Text(text), records: vec![record] },
    };
    Descriptor {
        name: NATIVE.name,
        version: 2,
        summary: "count lines, words and bytes of each file, as wc does, and rows of tables",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: None,
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            example(
                "gives what `wc` prints: lines are line ends, words are what blanks are around",
                "a.txt",
                "Pune is\nin India",
                json!({"lines": 1, "words": 4, "size_bytes": 16, "rows": null, "compression": null}),
            ),
            example(
                "gives the rows of csv, tsv and ndjson beside the lines",
                "a.csv",
                "id,note\n1,\"two\nlines\"\n2,one\n",
                json!({"lines": 4, "words": 4, "size_bytes": 28, "rows": 2, "compression": null}),
            ),
        ],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    Ok(Box::new(Count(parse(NATIVE.name, params)?)))
}

impl Processor for Count {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        unpack::need(size_bytes) + rows::need(size_bytes)
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(CountStep {
            parameters: self.0,
            content: Unpacker::default(),
            tally: Tally { lines: 0, words: 0, size_bytes: 0, is_between: true },
            rows: None,
            record: None,
            passing: None,
        }))
    }
}

impl Step for CountStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Begin { name, size_bytes, source_bytes, .. } => {
                self.content = Unpacker::new(name, *size_bytes).of_source(*source_bytes);
                self.rows = RowCounter::of(&strip_extension(name), self.parameters.header);
            }
            Event::Bytes(bytes) => {
                self.content.push(bytes.clone());
                self.take()?;
            }
            Event::End => {
                self.content.end();
                self.take()?;
                self.record = Some(self.record());
            }
            _ => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.record.take().or_else(|| self.passing.take()))
    }
}

impl CountStep {
    /// Take what there is of the content.
    fn take(&mut self) -> Result<()> {
        while let Some(bytes) = self.content.pull()? {
            self.tally.take(&bytes);
            if let Some(rows) = &mut self.rows {
                rows.take(&bytes);
            }
        }
        Ok(())
    }

    fn record(&mut self) -> Event {
        let Tally { lines, words, size_bytes, .. } = self.tally;
        let record = [
            ("lines", json!(lines)),
            ("words", json!(words)),
            ("size_bytes", json!(size_bytes)),
            ("rows", json!(self.rows.as_mut().and_then(RowCounter::end))),
            ("compression", json!(self.content.codec().map(|codec| codec.name()))),
        ];
        Event::Record(record.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
    }
}

impl Tally {
    fn take(&mut self, bytes: &Bytes) {
        let Some((&first, &last)) = bytes.first().zip(bytes.last()) else { return };
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        // Without a branch on what came before, so that many bytes are looked at at once.
        let begun = bytes.iter().zip(&bytes[1..]).filter(|(before, byte)| is_blank(**before) & !is_blank(**byte));
        self.words += begun.count() as u64 + u64::from(self.is_between && !is_blank(first));
        self.size_bytes += bytes.len() as u64;
        self.is_between = is_blank(last);
    }
}

/// What `isspace` takes for a blank in the C locale.
fn is_blank(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::processors::codecs::Codec;

    fn counted<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Value {
        let mut step = Count(Parameters { header: true }).open().expect("opened");
        let mut record = Value::Null;
        for event in pieces.map(|piece| Event::Bytes(Bytes::copy_from_slice(piece))).chain([Event::End]) {
            step.push(event).expect("taken");
            while let Some(event) = step.pull().expect("pulled") {
                if let Event::Record(found) = event {
                    record = Value::Object(found);
                }
            }
        }
        record
    }

    #[test]
    fn test_last_line_without_an_end_is_none_as_in_wc() {
        let expected = json!({"lines": 0, "words": 0, "size_bytes": 0, "rows": null, "compression": null});
        assert_eq!(counted(std::iter::empty()), expected);
        let expected = json!({"lines": 1, "words": 3, "size_bytes": 9, "rows": null, "compression": null});
        assert_eq!(counted([&b" a\x0bbb\t\nc"[..], b"d"].into_iter()), expected);
    }

    #[test]
    fn test_what_is_compressed_is_counted_as_what_it_holds() {
        let table = "id,name\n1,a b\n".repeat(40_000);
        for codec in [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Bzip2, Codec::Lz4, Codec::Snappy] {
            let packed = codec.compress(codec.default_level(), table.as_bytes()).expect("is compressed");
            for piece_bytes in [1, 4_096, usize::MAX] {
                let expected = json!({
                    "lines": 80_000, "words": 120_000, "size_bytes": table.len(), "rows": null,
                    "compression": codec.name(),
                });
                assert_eq!(counted(packed.chunks(piece_bytes)), expected, "{}", codec.name());
            }
        }
    }

    proptest! {
        #[test]
        fn test_counts_are_those_of_a_plain_reading_however_the_file_is_cut(
            text in "[a-zé \t\n\u{b}\r]{0,300}",
            piece_bytes in 1usize..40,
        ) {
            let expected = json!({
                "lines": text.matches('\n').count(),
                "words": text.split(|letter: char| " \t\n\u{b}\u{c}\r".contains(letter)).filter(|word| !word.is_empty()).count(),
                "size_bytes": text.len(),
                "rows": null,
                "compression": null,
            });
            prop_assert_eq!(&counted(text.as_bytes().chunks(piece_bytes)), &expected);
            prop_assert_eq!(&counted(std::iter::once(text.as_bytes())), &expected);
        }
    }
}
