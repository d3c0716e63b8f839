//! `detect_type`: the type of each file, by its content; one record a file.

use std::collections::VecDeque;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Event, Example, Expected, Look, Looked, Native, Parts, Processor, Sample, Shape, Step,
    blocks::Blocks,
    codecs::Codec,
    extract_headers::text::{self, Text},
    file_type::{self, START_BYTES},
    parameters::{self, parse},
    unpack::{codec_of, codec_of_name},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "detect_type", describe, build };

/// `detect_type` has no parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {}

struct DetectType;

struct DetectStep {
    name: Bytes,
    start: Blocks,
    size_bytes: u64,
    /// The file's first bytes, once it is known that there are more.
    seen: Option<Bytes>,
    events: VecDeque<Event>,
}

fn describe() -> Descriptor {
    let example = |explains, name, input, record| Example {
        step: "detect_type",
        params: Map::new(),
        explains,
        name,
        input,
        expected: Expected::File { name, content: input, records: vec![record] },
    };
    Descriptor {
        name: NATIVE.name,
        version: 1,
        summary: "tell the type of each file by its content",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: None,
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            example(
                "tells the type, and that the name says another one",
                "photo.jpg",
                Sample::Hex("89504e470d0a1a0a0000000d49484452"),
                json!({
                    "type": "png", "media_type": "image/png", "extension": "png", "extension_agrees": false,
                    "charset": null, "compression": null,
                }),
            ),
            example(
                "tells texts by their form, and how they are encoded",
                "people",
                Sample::Text("id,name\n1,José\n2,Asha\n"),
                json!({
                    "type": "csv", "media_type": "text/csv", "extension": "csv", "extension_agrees": null,
                    "charset": "utf-8", "compression": null,
                }),
            ),
        ],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters {} = parse(NATIVE.name, params)?;
    Ok(Box::new(DetectType))
}

impl Processor for DetectType {
    fn need(&self, size_bytes: u64, _blocks: u64) -> u64 {
        // The start twice, what it is unpacked or recoded to, and the fields of a row.
        2 * START_BYTES.min(size_bytes) + text::UNPACKED_BYTES as u64 + Codec::Zstd.decoder_bytes() + (3 << 20)
    }

    fn look(&self) -> Option<&dyn Look> {
        Some(self)
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(DetectStep {
            name: Bytes::new(),
            start: Blocks::new(START_BYTES as usize, None),
            size_bytes: 0,
            seen: None,
            events: VecDeque::new(),
        }))
    }
}

impl Look for DetectType {
    fn find(&self, name: &[u8], parts: &Parts) -> Looked<Vec<Map<String, Value>>> {
        let start = parts.first(START_BYTES)?;
        Ok(vec![record(name, &start, start.len() as u64 == parts.size_bytes())])
    }
}

fn record(name: &[u8], start: &Bytes, is_whole: bool) -> Map<String, Value> {
    let codec = codec_of(codec_of_name(name), start);
    // What can't be unpacked has a type that is not known, and it is not our task to say why.
    let told = Text::read(start, name, is_whole).ok().map(|(text, name)| (file_type::of(name, &text), text, name));
    let is_text = told.as_ref().is_some_and(|(_, text, _)| !text.bytes.is_empty() && file_type::is_text(text));
    let agrees = told.as_ref().and_then(|(found, _, name)| {
        file_type::extension(name).map(|extension| found.extensions.contains(&extension.as_str()))
    });
    let found = told.as_ref().map(|(found, ..)| found);
    let record = [
        ("type", json!(found.map(|found| found.name))),
        ("media_type", json!(found.map(|found| found.media_type))),
        ("extension", json!(found.and_then(|found| found.extensions.first()))),
        ("extension_agrees", json!(agrees)),
        ("charset", json!(told.as_ref().filter(|_| is_text).map(|(_, text, _)| text.encoding))),
        ("compression", json!(codec.map(Codec::name))),
    ];
    record.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

impl Step for DetectStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Begin { name, size_bytes, .. } => {
                self.name = name.clone();
                self.start = Blocks::new(START_BYTES as usize, *size_bytes);
            }
            Event::Bytes(bytes) => {
                self.size_bytes += bytes.len() as u64;
                if self.seen.is_none() {
                    self.start.push(bytes.clone());
                    // Only a byte beyond tells that it is not the whole file.
                    if self.size_bytes > START_BYTES {
                        self.seen = self.start.full();
                        self.start = Blocks::new(1, None);
                    }
                }
            }
            Event::End => self.finish(),
            // No pipeline pushes these.
            Event::Table(_) | Event::Record(_) | Event::Rows(_) | Event::Part(_) | Event::Block(_) => {}
        }
        self.events.push_back(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.events.pop_front())
    }
}

impl DetectStep {
    fn finish(&mut self) {
        let is_whole = self.seen.is_none();
        let start = self.seen.take().or_else(|| self.start.full()).unwrap_or_else(|| self.start.rest());
        self.events.push_back(Event::Record(record(&self.name, &start, is_whole)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, content: &[u8]) -> (Value, Value, Value) {
        let start = Bytes::copy_from_slice(&content[..content.len().min(START_BYTES as usize)]);
        let mut record = record(name.as_bytes(), &start, start.len() == content.len());
        let mut take = |key: &str| record.remove(key).expect("is told");
        (take("type"), take("charset"), take("compression"))
    }

    #[test]
    fn test_texts_are_told_by_beginning_name_and_form() {
        let mail = b"Received: from a\n\tby b\nFrom: a@b.c\nTo: d@e.f\nSubject: =?utf-8?q?h?=\n\nhello\n";
        for (name, content, expected) in [
            ("a", &b"{\"a\": 1}\n{\"a\": 2}\n"[..], "ndjson"),
            ("a", b"{\n  \"a\": [1,\n 2]\n}\n", "json"),
            ("a", b"[1, 2, 3]", "json"),
            ("a.json", b"[{\"a\": 1}]", "json"),
            ("a.csv", b"id\n1\n", "csv"),
            ("a", b"a\tb\n1\t2\n", "tsv"),
            ("a.txt", b"Some words, in a line.\nAnd more of them\n", "text"),
            ("README.md", b"# Title\n", "markdown"),
            ("a", b"  <!DOCTYPE HTML>\n<p>", "html"),
            ("a", b"<?xml version='1.0'?><svg/>", "svg"),
            ("a", b"<?xml version='1.0'?><rows/>", "xml"),
            ("run", b"#!/usr/bin/env python3\n", "python"),
            ("run", b"#!/bin/sh\n", "shell"),
            ("a", mail, "email"),
            ("a", &[b"From me Mon Jan 1 2026\n", &mail[..]].concat(), "mbox"),
            ("a", b"\0\x01\x02", "binary"),
            ("a", b"", "empty"),
        ] {
            assert_eq!(told(name, content).0, expected, "{name}: {:?}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn test_encodings_and_compressions_are_told() {
        assert_eq!(told("a.txt", b"gr\xf6\xdfe\n"), (json!("text"), json!("latin-1"), Value::Null));
        assert_eq!(told("a.txt", b"\xff\xfeh\0i\0"), (json!("text"), json!("utf-16le"), Value::Null));
        let packed = Codec::Gzip.compress(6, b"id,name\n1,a\n2,b\n").expect("is compressed");
        assert_eq!(told("a.gz", &packed), (json!("csv"), json!("utf-8"), json!("gzip")));
        assert_eq!(told("a.gz", &packed[..20]), (Value::Null, Value::Null, json!("gzip")));
    }
}
