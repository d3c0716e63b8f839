//! `grep`: finds the lines that a pattern matches; one record a hit.
//!
//! Lines end at newlines, as in the tool of that name, and a carriage return before it is part of the line. Of a line
//! longer than 1 MiB only so much is searched and nothing more is held. What is compressed is searched as what it is
//! unpacked to.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use regex::bytes::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    codecs::DECODER_BLOCK_BYTES,
    parameters::{self, invalid, parse},
    unpack::{self, Unpacker},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "grep", describe, build };

/// Bytes of a line that are searched.
const LINE_BYTES: usize = 1 << 20;

/// Bytes of a line that a record shows: enough for lines that people read.
const SHOWN_BYTES: usize = 1_000;

/// Hits a file that can be asked for: a record takes up to some kB, and those of a file are held in memory.
const MOST_RESULTS: u64 = 100_000;

/// Lines that a search of many at once has named wrongly, after which lines are searched one by one.
const PATIENCE: u32 = 16;

/// What a search keeps from one call to the next, in each thread (the `regex` crate's limit of its lazy automata,
/// forwards and backwards).
const CACHE_BYTES: u64 = 2 * (2 << 20);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// A regular expression as the Rust crate regex has them; it is matched against one line at a time.
    pattern: String,
    /// Take the pattern for a text, not for an expression.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    literal: bool,
    /// Take capital and small letters for equal.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    ignore_case: bool,
    /// Most hits of a file that are told; behind them a file is not searched.
    #[serde(default = "default_max_results")]
    #[schemars(range(min = 1, max = MOST_RESULTS), extend("default" = DEFAULT_MAX_RESULTS))]
    max_results: u64,
}

const DEFAULT_MAX_RESULTS: u64 = 100;

fn default_max_results() -> u64 {
    DEFAULT_MAX_RESULTS
}

struct Grep {
    search: Arc<Search>,
    max_results: u64,
}

/// A pattern, and whether many lines can be searched for it at once.
struct Search {
    regex: Regex,
    by_blocks: bool,
}

struct GrepStep {
    search: Arc<Search>,
    content: Unpacker,
    /// Hits that may still be told.
    room: u64,
    /// The number of the line that comes next.
    line: u64,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    is_within: bool,
    /// Lines that a search at once has named wrongly.
    misses: u32,
    records: VecDeque<Event>,
    passing: Option<Event>,
}

fn describe() -> Descriptor {
    let log = "INFO up\nERROR no disk\nerror: 7\n";
    let example = |step, explains, params: Value, records| Example {
        step,
        params: params.as_object().cloned().unwrap_or_default(),
        explains,
        name: "a.log",
        input: Sample::Text(log),
        expected: Expected::File { name: "a.log", content: Sample::Text(log), records },
    };
    let hit = |line, column, text| json!({"line": line, "column": column, "text": text});
    Descriptor {
        name: NATIVE.name,
        version: 2,
        summary: "find the lines of each file that a pattern matches",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: Some("pattern"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            example(
                "grep:ERROR",
                "gives number, column and text of each line with `ERROR` in it",
                json!({"pattern": "ERROR"}),
                vec![hit(2, 1, "ERROR no disk")],
            ),
            example(
                "{grep: {pattern: 'r: \\d|up$', ignore_case: true, max_results: 1}}",
                "takes regular expressions, and tells the first hit of a file only",
                json!({"pattern": "r: \\d|up$", "ignore_case": true, "max_results": 1}),
                vec![hit(1, 6, "INFO up")],
            ),
        ],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { pattern, literal, ignore_case, max_results } = parse(NATIVE.name, params)?;
    if !(1..=MOST_RESULTS).contains(&max_results) {
        return Err(invalid(NATIVE.name, format!("max_results is {max_results}, 1 to {MOST_RESULTS} is expected")));
    }
    let expression = if literal { regex::escape(&pattern) } else { pattern.clone() };
    let regex = RegexBuilder::new(&expression).case_insensitive(ignore_case).multi_line(true).build();
    let regex = regex.map_err(|error| {
        let told = error.to_string();
        let why = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
        invalid(NATIVE.name, format!("pattern is `{pattern}`, which is no regular expression: {why}"))
    })?;
    // The ends of a text are those of a line only where lines are searched one by one.
    let by_blocks = literal || !["\\A", "\\z", "(?"].iter().any(|part| pattern.contains(part));
    Ok(Box::new(Grep { search: Arc::new(Search { regex, by_blocks }), max_results }))
}

impl Processor for Grep {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        // A line that grows by doubling, and the hits of one piece: letters may take six bytes in JSON.
        let results = self.max_results * (6 * SHOWN_BYTES as u64 + 500);
        2 * LINE_BYTES as u64
            + CACHE_BYTES
            + results.min(6 * DECODER_BLOCK_BYTES + 500 * self.max_results)
            + unpack::need(size_bytes)
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(GrepStep {
            search: Arc::clone(&self.search),
            content: Unpacker::default(),
            room: self.max_results,
            line: 1,
            begun: Vec::new(),
            is_within: false,
            misses: 0,
            records: VecDeque::new(),
            passing: None,
        }))
    }
}

impl Step for GrepStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Begin { name, size_bytes, source_bytes, .. } => {
                self.content = Unpacker::new(name, *size_bytes).of_source(*source_bytes);
            }
            // Once all hits are told, what is behind them need not be unpacked.
            Event::Bytes(bytes) if self.room > 0 => self.content.push(bytes.clone()),
            Event::End => self.content.end(),
            _ => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    /// Searches no more of the content at once than gives a hit: what is unpacked may be large.
    fn pull(&mut self) -> Result<Option<Event>> {
        while self.records.is_empty() && self.room > 0 {
            match self.content.pull()? {
                Some(bytes) => self.take(&bytes),
                None if self.content.has_ended() && self.is_within => self.end_line(),
                None => break,
            }
        }
        Ok(self.records.pop_front().or_else(|| self.passing.take()))
    }
}

impl GrepStep {
    fn take(&mut self, bytes: &Bytes) {
        if self.room == 0 {
            return;
        }
        let mut rest: &[u8] = bytes;
        if self.is_within {
            let Some(end) = memchr::memchr(b'\n', rest) else { return self.begin_line(rest) };
            self.begin_line(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        let end = memchr::memrchr(b'\n', rest).map_or(0, |end| end + 1);
        self.search_lines(&rest[..end]);
        if end < rest.len() {
            self.begin_line(&rest[end..]);
        }
    }

    /// Take a part of a line without its end.
    fn begin_line(&mut self, part: &[u8]) {
        let room = LINE_BYTES - self.begun.len();
        self.begun.extend_from_slice(&part[..part.len().min(room)]);
        self.is_within = true;
    }

    fn end_line(&mut self) {
        if self.is_within {
            let mut line = std::mem::take(&mut self.begun);
            self.search_line(&line);
            line.clear();
            (self.begun, self.is_within) = (line, false);
        }
    }

    /// Search lines that are complete, each with its end.
    fn search_lines(&mut self, mut lines: &[u8]) {
        let search = Arc::clone(&self.search);
        while !lines.is_empty() && self.room > 0 {
            if search.by_blocks && self.misses < PATIENCE {
                let Some(found) = search.regex.find(lines).filter(|found| found.start() < lines.len()) else {
                    self.line += memchr::memchr_iter(b'\n', lines).count() as u64;
                    return;
                };
                // No line before that of the first match has one.
                let start = memchr::memrchr(b'\n', &lines[..found.start()]).map_or(0, |end| end + 1);
                self.line += memchr::memchr_iter(b'\n', &lines[..start]).count() as u64;
                lines = &lines[start..];
            }
            let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len() - 1);
            let is_hit = self.search_line(&lines[..end]);
            self.misses += u32::from(!is_hit && self.misses < PATIENCE);
            lines = &lines[end + 1..];
        }
    }

    /// Search one line, without its end; whether it is a hit.
    fn search_line(&mut self, line: &[u8]) -> bool {
        let searched = &line[..line.len().min(LINE_BYTES)];
        let found = if self.room > 0 { self.search.regex.find(searched) } else { None };
        if let Some(found) = &found {
            let shown = searched.strip_suffix(b"\r").unwrap_or(searched);
            let record = [
                ("line", json!(self.line)),
                ("column", json!(found.start() + 1)),
                ("text", json!(text(&shown[..shown.len().min(SHOWN_BYTES)]))),
            ];
            self.records
                .push_back(Event::Record(record.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()));
            self.room -= 1;
        }
        self.line += 1;
        found.is_some()
    }
}

/// Bytes as text; a letter that the cut has hit is left out.
fn text(bytes: &[u8]) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    String::from_utf8_lossy(&bytes[..whole]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hits(params: Value, content: &[u8], piece_bytes: usize) -> Vec<(u64, u64, String)> {
        let processor = build(params.as_object().expect("is a map")).expect("is built");
        let mut step = processor.open().expect("opened");
        let mut hits = Vec::new();
        let pieces = content.chunks(piece_bytes).map(|piece| Event::Bytes(Bytes::copy_from_slice(piece)));
        for event in pieces.chain([Event::End]) {
            step.push(event).expect("taken");
            while let Some(event) = step.pull().expect("pulled") {
                if let Event::Record(record) = event {
                    let number = |key: &str| record[key].as_u64().expect("is a number");
                    hits.push((number("line"), number("column"), record["text"].as_str().expect("is text").to_owned()));
                }
            }
        }
        hits
    }

    fn lines(params: Value, content: &[u8]) -> Vec<u64> {
        hits(params, content, usize::MAX).iter().map(|hit| hit.0).collect()
    }

    #[test]
    fn test_hit_has_line_column_and_text() {
        let found = hits(json!({"pattern": "b+"}), "a\nxébb\r\n\nb".as_bytes(), usize::MAX);
        assert_eq!(found, [(2, 4, "xébb".to_owned()), (4, 1, "b".to_owned())]);
    }

    #[test]
    fn test_parameters_change_what_is_found() {
        let content = b"a.c\nabc\nA.C\n";
        assert_eq!(lines(json!({"pattern": "a.c"}), content), [1, 2]);
        assert_eq!(lines(json!({"pattern": "a.c", "literal": true}), content), [1]);
        assert_eq!(lines(json!({"pattern": "a.c", "literal": true, "ignore_case": true}), content), [1, 3]);
        assert_eq!(lines(json!({"pattern": "c", "ignore_case": true, "max_results": 2}), content), [1, 2]);
        assert_eq!(lines(json!({"pattern": ""}), content), [1, 2, 3]);
        assert_eq!(lines(json!({"pattern": "^$"}), b"a\n\nb\n"), [2]);
        assert_eq!(lines(json!({"pattern": "\\Ab\\z"}), b"a\nb\nbb\n"), [2]);
        assert_eq!(lines(json!({"pattern": "\\xff"}), b"a\n"), [0; 0]);
    }

    #[test]
    fn test_pattern_never_matches_across_lines() {
        assert_eq!(lines(json!({"pattern": "a\\s+b"}), b"a\nb\na b\n"), [3]);
        let content = [b"x\n".repeat(100), b"x y\n".to_vec()].concat();
        assert_eq!(lines(json!({"pattern": "[^z]+y"}), &content), [101]);
    }

    #[test]
    fn test_line_beyond_the_bound_is_searched_so_far_only() {
        let long = [b"a".repeat(LINE_BYTES - 1), b"bc\nc\n".to_vec()].concat();
        for piece_bytes in [usize::MAX, 1 << 20, 300_007] {
            let found = hits(json!({"pattern": "b"}), &long, piece_bytes);
            assert_eq!(found, [(1, LINE_BYTES as u64, "a".repeat(SHOWN_BYTES))]);
            assert_eq!(hits(json!({"pattern": "c"}), &long, piece_bytes), [(2, 1, "c".to_owned())]);
        }
    }

    #[test]
    fn test_compressed_file_is_searched_as_what_it_holds() {
        use crate::processors::codecs::Codec;
        let log = "INFO up\n".repeat(99_999) + "ERROR down\n";
        for codec in [Codec::Gzip, Codec::Zstd, Codec::Xz] {
            let packed = codec.compress(codec.default_level(), log.as_bytes()).expect("is compressed");
            for piece_bytes in [10, usize::MAX] {
                let found = hits(json!({"pattern": "ERROR"}), &packed, piece_bytes);
                assert_eq!(found, [(100_000, 1, "ERROR down".to_owned())]);
            }
        }
    }

    #[test]
    fn test_text_is_cut_between_letters() {
        let line = format!("{}é", "x".repeat(SHOWN_BYTES - 1));
        let found = hits(json!({"pattern": "x"}), line.as_bytes(), usize::MAX);
        assert_eq!(found[0].2, "x".repeat(SHOWN_BYTES - 1));
    }

    #[test]
    fn test_wrong_parameters_are_refused() {
        let told = |params: Value| build(params.as_object().expect("is a map")).err().expect("refused").to_string();
        assert!(told(json!({"pattern": "a("})).contains("`a(`, which is no regular expression: unclosed group"));
        assert!(told(json!({"pattern": "a", "max_results": 0})).contains("max_results is 0"));
        assert!(told(json!({})).contains("missing field `pattern`"));
    }

    proptest! {
        #[test]
        fn test_hits_are_those_of_lines_one_by_one_however_the_file_is_cut(
            content in "[abc \n]{0,200}",
            pattern in prop::sample::select(vec!["a", "^a", "b$", "a.*b", "\\s", "[^a]b", "^$", "c\\s*a", "(?s)a.b", "\\bab\\b", ""]),
            piece_bytes in 1usize..30,
        ) {
            let regex = Regex::new(pattern).expect("is one");
            let expected: Vec<(u64, u64, String)> = content
                .lines()
                .zip(1..)
                .filter_map(|(line, number)| Some((number, regex.find(line.as_bytes())?.start() as u64 + 1, line.to_owned())))
                .collect();
            let params = json!({"pattern": pattern, "max_results": 1000});
            prop_assert_eq!(&hits(params.clone(), content.as_bytes(), piece_bytes), &expected);
            prop_assert_eq!(&hits(params, content.as_bytes(), usize::MAX), &expected);
        }
    }
}
