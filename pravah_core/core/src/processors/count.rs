//! `count`: lines, words and bytes of each file, as `wc` counts them; one record a file.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    parameters::{self, parse},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "count", describe, build };

/// `count` has no parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {}

struct Count;

struct CountStep {
    tally: Tally,
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
    let text = "Pune is\nin India";
    let records = vec![json!({"lines": 1, "words": 4, "size_bytes": 16})];
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "count lines, words and bytes of each file, as wc does",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: None,
        parameters: parameters::schema::<Parameters>(),
        examples: vec![Example {
            step: "count",
            params: Map::new(),
            explains: "gives what `wc` prints: lines are line ends, words are what blanks are around",
            name: "a.txt",
            input: Sample::Text(text),
            expected: Expected::File { name: "a.txt", content: Sample::Text(text), records },
        }],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters {} = parse(NATIVE.name, params)?;
    Ok(Box::new(Count))
}

impl Processor for Count {
    fn need(&self, _size_bytes: u64, _blocks: u64) -> u64 {
        0
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        let tally = Tally { lines: 0, words: 0, size_bytes: 0, is_between: true };
        Ok(Box::new(CountStep { tally, record: None, passing: None }))
    }
}

impl Step for CountStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Bytes(bytes) => self.tally.take(bytes),
            Event::End => self.record = Some(self.tally.record()),
            _ => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.record.take().or_else(|| self.passing.take()))
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

    fn record(&self) -> Event {
        let Self { lines, words, size_bytes, .. } = self;
        let counts = [("lines", lines), ("words", words), ("size_bytes", size_bytes)];
        Event::Record(counts.map(|(name, count)| (name.to_owned(), json!(count))).into_iter().collect())
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

    fn counted<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Value {
        let mut step = Count.open().expect("opened");
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
        let expected = json!({"lines": 0, "words": 0, "size_bytes": 0});
        assert_eq!(counted(std::iter::empty()), expected);
        let expected = json!({"lines": 1, "words": 3, "size_bytes": 9});
        assert_eq!(counted([&b" a\x0bbb\t\nc"[..], b"d"].into_iter()), expected);
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
            });
            prop_assert_eq!(&counted(text.as_bytes().chunks(piece_bytes)), &expected);
            prop_assert_eq!(&counted(std::iter::once(text.as_bytes())), &expected);
        }
    }
}
