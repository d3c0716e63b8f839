//! `merge`: puts lines of text, or rows of tables, together, many files into few.
//!
//! The one step so far that takes several files: what belongs together is told by [`GroupRule`], before any is read.
//! What would be garbage behind something else (a compressed stream, a file of binary data) is refused.
//!
//! - `tables`: the rows of tables; `columns`: which columns they have together; `partitions`: rows in directories
//!
//! Beyond 500 lines, because its descriptor with its examples stands beside its tests.

mod columns;
mod partitions;
mod tables;

use std::collections::VecDeque;

use tables::TablesStep;

use bytes::{Bytes, BytesMut};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Descriptor, Event, Example, Expected, Native, Payload, Processor, Sample, Shape, Step,
    codecs::{Codec, MAGIC_BYTES},
    parameters::{self, invalid, parse},
    unpack::{codec_of, codec_of_name},
};
use crate::{Error, Result, naming::Template, plan::StepConfig};

/// The registry's line.
pub const NATIVE: Native = Native { name: "merge", describe, build };

/// Bytes at the beginning of each input in which a NUL tells that it is no text, as grep and git do.
const TOLD_BYTES: usize = 8 << 10;

/// Longest header line: what has none in so many bytes is no table.
const HEADER_BYTES: usize = 1 << 20;

/// Bytes of a batch, as a rule.
const BATCH_BYTES: u64 = 24 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// What files that belong together have in common, by the fields of `sink.path`: `{dir}`, or names that
    /// `source.capture` gives; if not given, all files belong together.
    #[serde(default)]
    group_by: Option<String>,
    /// Most bytes of inputs, such as `256MiB`, that one output is made of: the next whole input that goes beyond
    /// begins another output, which `{index}` numbers; if not given, each group has one output.
    #[serde(default, deserialize_with = "parameters::size")]
    #[schemars(with = "Option<parameters::SizeForm>")]
    target_size: Option<u64>,
    /// Whether each input begins with a header line, which the output has once; if not given, those do that are
    /// called `.csv` or `.tsv`. For lines only.
    #[serde(default)]
    header: Option<bool>,
    /// Which columns the output has, where tables are put together by the names of their columns; if not given, and
    /// `partition_by` is not, inputs are lines of text.
    #[serde(default)]
    columns: Option<Columns>,
    /// Columns of tables by whose values rows are laid into directories, as `day=2026-01-31`; files don't have them.
    #[serde(default)]
    #[schemars(extend("expands" = true))]
    partition_by: Vec<String>,
}

/// Which columns tables have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Columns {
    /// All that any of them has: null where a table has none
    Union,
    /// Those of the first one, which all have; another one fails
    Same,
    /// Those that all have
    Intersection,
}

/// Which files belong together, and how much of them makes one output.
pub struct GroupRule {
    /// What they have in common; none: they are of one job.
    pub group_by: Option<Template>,
    /// Bytes of inputs beyond which another output begins.
    pub target_size_bytes: Option<u64>,
}

impl GroupRule {
    /// The rule of the step that reduces, if there is one.
    pub fn of(steps: &[StepConfig]) -> Result<Option<Self>> {
        let Some(step) = steps.iter().find(|step| is_reducing(step)) else { return Ok(None) };
        let Parameters { group_by, target_size, .. } = parse(NATIVE.name, &step.params)?;
        let template = |text: String| Template::parse_as("merge.group_by", &text);
        Ok(Some(Self { group_by: group_by.map(template).transpose()?, target_size_bytes: target_size }))
    }
}

/// Whether a step takes several files.
pub fn is_reducing(step: &StepConfig) -> bool {
    step.name == NATIVE.name
}

/// Whether a step lays its rows into directories by the values in them.
pub fn is_partitioning(step: &StepConfig) -> bool {
    let columns = step.params.get("partition_by").and_then(Value::as_array);
    is_reducing(step) && columns.is_some_and(|columns| !columns.is_empty())
}

struct Merge {
    header: Option<bool>,
    /// How tables are put together, and what parts their rows; none: inputs are lines.
    tables: Option<(Columns, Vec<String>)>,
}

struct MergeStep {
    header: Option<bool>,
    has_begun: bool,
    /// The last byte that was passed on; none: nothing was yet.
    last: Option<u8>,
    /// The header line of the output, without its end.
    first_header: Option<Bytes>,
    input: Input,
    given: VecDeque<Event>,
}

/// The input at hand.
#[derive(Default)]
struct Input {
    name: Bytes,
    /// Bytes of it so far.
    offset: usize,
    has_header: bool,
    /// Its beginning, until that has told what it is and its header line is whole; none: the rest is passed on.
    start: Option<BytesMut>,
    /// Something of it was passed on.
    has_passed: bool,
}

fn describe() -> Descriptor {
    let text = |text| Sample::Text(text);
    Descriptor {
        name: "merge",
        version: 1,
        summary: "put lines or tables of many files together, in order of their paths",
        shape: Shape::Reduce,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: None,
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            Example {
                step: "merge",
                params: Map::new(),
                explains: "makes one file of all files; a line that is not ended is ended before the next file",
                name: "a.log",
                input: text("one\ntwo"),
                expected: Expected::File { name: "a.log", content: text("one\ntwo"), records: Vec::new() },
            },
            Example {
                step: "merge:group_by={dir},target_size=256MiB",
                params: Map::from_iter([
                    ("group_by".to_owned(), "{dir}".into()),
                    ("target_size".to_owned(), "256MiB".into()),
                ]),
                explains: "makes files of about 256 MiB of those of each directory",
                name: "a.csv",
                input: text("id,name\n1,Asha\n"),
                expected: Expected::File { name: "a.csv", content: text("id,name\n1,Asha\n"), records: Vec::new() },
            },
            Example {
                step: "merge:columns=union",
                params: Map::from_iter([("columns".to_owned(), "union".into())]),
                explains: "makes one table of all tables, with the columns of all",
                name: "a.csv",
                input: text("id,name\n1,Asha\n"),
                expected: Expected::File { name: "a.csv", content: text("id,name\n1,Asha\n"), records: Vec::new() },
            },
            Example {
                step: "merge:{partition_by: [city]}",
                params: Map::from_iter([("partition_by".to_owned(), Value::from(vec!["city"]))]),
                explains: "lays rows into directories by a column: `city=Delhi`, then `city=Pune`",
                name: "a.csv",
                input: text("id,city\n1,Pune\n2,Delhi\n3,Pune\n"),
                expected: Expected::Parts(vec![text("id\n2\n"), text("id\n1\n3\n")]),
            },
            Example {
                step: "merge",
                params: Map::new(),
                explains: "refuses what is compressed: `decompress` stands before it",
                name: "a.gz",
                input: Sample::Hex("1f8b08000000000002ff03000000000000000000"),
                expected: Expected::Error("not_text"),
            },
        ],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { group_by, header, columns, partition_by, .. } = parse(NATIVE.name, params)?;
    if let Some(text) = group_by {
        let template = Template::parse_as("merge.group_by", &text)?;
        if template.needs_hash() || template.needs_index() || template.needs_part() {
            return Err(invalid(
                NATIVE.name,
                format!("group_by is `{text}`: `{{hash}}`, `{{index}}` and `{{part}}` group nothing"),
            ));
        }
    }
    let are_tables = columns.is_some() || !partition_by.is_empty();
    if are_tables && header.is_some() {
        return Err(invalid(NATIVE.name, "header is for lines: `convert` says whether tables have one"));
    }
    let tables = are_tables.then(|| (columns.unwrap_or(Columns::Same), partition_by));
    Ok(Box::new(Merge { header, tables }))
}

impl Processor for Merge {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        match &self.tables {
            // A header line and the piece that ends it, in memory that grows by doubling.
            None => 4 * HEADER_BYTES as u64,
            // A batch under other columns.
            Some((_, by)) if by.is_empty() => 2 * size_bytes.min(BATCH_BYTES),
            // And what is gathered, of which the largest file is put together.
            Some(_) => 2 * size_bytes.min(BATCH_BYTES) + 2 * partitions::GATHERED_BYTES as u64,
        }
    }

    fn output_bound(&self, _size_bytes: u64) -> u64 {
        u64::MAX
    }

    fn reduces(&self) -> bool {
        true
    }

    fn expands(&self) -> bool {
        self.tables.as_ref().is_some_and(|(_, by)| !by.is_empty())
    }

    fn payload(&self) -> Payload {
        if self.tables.is_some() { Payload::Table } else { Payload::Bytes }
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        if let Some((columns, partition_by)) = &self.tables {
            return Ok(Box::new(TablesStep::new(*columns, partition_by)));
        }
        Ok(Box::new(MergeStep {
            header: self.header,
            has_begun: false,
            last: None,
            first_header: None,
            input: Input::default(),
            given: VecDeque::new(),
        }))
    }
}

impl Step for MergeStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, .. } => self.begin(name),
            Event::Bytes(bytes) => self.take(bytes),
            Event::End => self.settle(true),
            event => {
                self.given.push_back(event);
                Ok(())
            }
        }
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.given.pop_front())
    }

    fn finish(&mut self) -> Result<()> {
        self.given.push_back(Event::End);
        Ok(())
    }
}

impl MergeStep {
    fn begin(&mut self, name: Bytes) -> Result<()> {
        if !self.has_begun {
            self.given.push_back(Event::Begin { name: name.clone(), size_bytes: None, source_bytes: None, path: None });
            self.has_begun = true;
        }
        let lower = name.to_ascii_lowercase();
        let has_header = self.header.unwrap_or(lower.ends_with(b".csv") || lower.ends_with(b".tsv"));
        self.input = Input { name, has_header, start: Some(BytesMut::new()), ..Input::default() };
        Ok(())
    }

    fn take(&mut self, bytes: Bytes) -> Result<()> {
        if let Some(start) = &mut self.input.start {
            start.extend_from_slice(&bytes);
        }
        self.input.refuse_binary(&bytes)?;
        if self.input.start.is_some() {
            return self.settle(false);
        }
        self.pass(bytes);
        Ok(())
    }

    /// Pass on the beginning of the input, once it has told what it is and, where it has one, its header line is whole.
    fn settle(&mut self, is_all: bool) -> Result<()> {
        let Some(start) = self.input.start.take() else { return Ok(()) };
        if start.len() < MAGIC_BYTES && !is_all {
            self.input.start = Some(start);
            return Ok(());
        }
        self.input.refuse_compressed(&start)?;
        let mark = if start.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let text = &start[mark..];
        let length = if self.input.has_header { line_length(text) } else { Some(0) };
        let Some(length) = length.or(is_all.then_some(text.len())) else {
            if start.len() > HEADER_BYTES {
                let message = format!("the header line has no end within {HEADER_BYTES} bytes");
                return Err(Error::HeaderMismatch(message));
            }
            self.input.start = Some(start);
            return Ok(());
        };
        let is_known = length > 0 && self.knows_header(&text[..length])?;
        let passed_over = match (self.last, is_known) {
            (None, _) => 0,
            (Some(_), false) => mark,
            (Some(_), true) => mark + length,
        };
        self.pass(start.freeze().split_off(passed_over));
        Ok(())
    }

    /// Whether the output has this header line already; the first one is remembered, and another one refused.
    fn knows_header(&mut self, line: &[u8]) -> Result<bool> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match &self.first_header {
            None => {
                self.first_header = Some(Bytes::copy_from_slice(line));
                Ok(false)
            }
            Some(first) if first == line => Ok(true),
            Some(first) => Err(Error::HeaderMismatch(format!(
                "its header line is `{}`, that of the files before it is `{}`",
                shown(line),
                shown(first)
            ))),
        }
    }

    fn pass(&mut self, bytes: Bytes) {
        let Some(&last) = bytes.last() else { return };
        let follows_open_line = self.last.is_some_and(|last| last != b'\n');
        if !self.input.has_passed && follows_open_line {
            self.given.push_back(Event::Bytes(Bytes::from_static(b"\n")));
        }
        (self.input.has_passed, self.last) = (true, Some(last));
        self.given.push_back(Event::Bytes(bytes));
    }
}

impl Input {
    fn refuse_binary(&mut self, bytes: &[u8]) -> Result<()> {
        let looked_at = &bytes[..bytes.len().min(TOLD_BYTES.saturating_sub(self.offset))];
        if let Some(at) = looked_at.iter().position(|byte| *byte == 0)
            && self.start.as_ref().is_none_or(|start| codec_of(self.codec_by_name(), start).is_none())
        {
            let at = self.offset + at;
            return Err(Error::NotText(format!("byte {at} is a NUL, and merge puts lines of text together")));
        }
        self.offset += bytes.len();
        Ok(())
    }

    fn refuse_compressed(&self, start: &[u8]) -> Result<()> {
        let Some(codec) = codec_of(self.codec_by_name(), start) else { return Ok(()) };
        let name = codec.name();
        Err(Error::NotText(format!(
            "it is compressed ({name}), and merge puts lines of text together: decompress first"
        )))
    }

    fn codec_by_name(&self) -> Option<Codec> {
        codec_of_name(&self.name)
    }
}

/// Bytes of the first line with its end, where that is there; an end in quotes is none.
fn line_length(text: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    let end = text.iter().position(|byte| {
        is_quoted ^= *byte == b'"';
        *byte == b'\n' && !is_quoted
    });
    end.map(|end| end + 1)
}

/// A header line in a message, cut where it is long.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(params: Value, inputs: &[(&str, &[u8])], piece_bytes: usize) -> Result<Vec<u8>> {
        let params = params.as_object().cloned().unwrap_or_default();
        let mut step = build(&params)?.open()?;
        let mut output = Vec::new();
        let mut drain = |step: &mut Box<dyn Step>| -> Result<()> {
            while let Some(event) = step.pull()? {
                if let Event::Bytes(bytes) = event {
                    output.extend_from_slice(&bytes);
                }
            }
            Ok(())
        };
        for (name, content) in inputs {
            step.push(Event::Begin {
                name: Bytes::copy_from_slice(name.as_bytes()),
                size_bytes: None,
                source_bytes: None,
                path: None,
            })?;
            for piece in content.chunks(piece_bytes) {
                step.push(Event::Bytes(Bytes::copy_from_slice(piece)))?;
                drain(&mut step)?;
            }
            step.push(Event::End)?;
            drain(&mut step)?;
        }
        step.finish()?;
        drain(&mut step)?;
        Ok(output)
    }

    fn check(inputs: &[(&str, &[u8])], expected: &str) {
        for piece_bytes in [1, 7, 1 << 20] {
            let output = merged(json!({}), inputs, piece_bytes).expect("merges");
            assert_eq!(String::from_utf8_lossy(&output), expected, "{piece_bytes}");
        }
    }

    #[test]
    fn test_merge_ends_lines_between_files_and_leaves_the_last_one() {
        check(&[("a", b"one\ntwo"), ("b", b""), ("c", b"three\n"), ("d", b"four")], "one\ntwo\nthree\nfour");
        check(&[("a", b""), ("b", b"")], "");
    }

    #[test]
    fn test_merge_of_csv_keeps_one_header_line() {
        check(
            &[("a.csv", b"id,\"a\nb\"\r\n1,2"), ("b.csv", b""), ("c.CSV", b"\xef\xbb\xbfid,\"a\nb\"\n3,4\n")],
            "id,\"a\nb\"\r\n1,2\n3,4\n",
        );
        check(&[("a.csv", b"id"), ("b.csv", b"id"), ("c.csv", b"id\n7")], "id\n7");
        check(&[("a.log", b"id\n1\n"), ("b.log", b"id\n2\n")], "id\n1\nid\n2\n");
        let plain = merged(json!({"header": false}), &[("a.csv", b"1\n"), ("b.csv", b"1\n")], 9).expect("merges");
        assert_eq!(plain, b"1\n1\n");
    }

    #[test]
    fn test_merge_refuses_other_headers_and_what_is_no_text() {
        let kind = |inputs: &[(&str, &[u8])]| {
            let kinds = [1, 1 << 20].map(|piece| merged(json!({}), inputs, piece).expect_err("refused").kind());
            assert_eq!(kinds[0], kinds[1]);
            kinds[0]
        };
        assert_eq!(kind(&[("a.csv", b"id\n"), ("b.csv", b"name\n")]), "header_mismatch");
        assert_eq!(kind(&[("a", b"x\n"), ("b", b"PAR1\0\0PAR1")]), "not_text");
        assert_eq!(kind(&[("a", &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0, 1, 2, 3])]), "not_text");
        assert_eq!(kind(&[("a.br", b"anything at all")]), "not_text");
        let gzip: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
        let message = merged(json!({}), &[("a.gz", gzip)], 99).expect_err("refused").to_string();
        assert!(message.contains("gzip"), "{message}");
    }

    #[test]
    fn test_target_size_has_a_unit_or_none() {
        let size = |value: Value| {
            let params = Map::from_iter([("target_size".to_owned(), value)]);
            let step = StepConfig { name: "merge".to_owned(), params };
            GroupRule::of(&[step]).ok().flatten().and_then(|rule| rule.target_size_bytes)
        };
        assert_eq!(size(json!("2MiB")), Some(2 << 20));
        assert_eq!(size(json!("3 kB")), Some(3_000));
        assert_eq!(size(json!(7)), Some(7));
        assert_eq!([json!("MiB"), json!(0), json!("1.5GB"), json!("1XB")].map(size), [None; 4]);
    }
}
