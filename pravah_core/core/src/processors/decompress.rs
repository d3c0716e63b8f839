//! `decompress`: removes one layer of compression, told by its first bytes.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    codecs::{Codec, Decoder, Input, MAGIC_BYTES, spaced_hex},
    parameters::{self, parse},
};
use crate::{Error, Result};

/// The registry's line.
pub const NATIVE: Native = Native { name: "decompress", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The only format that is taken; if not given, each file's first bytes tell.
    #[serde(default)]
    codec: Option<Codec>,
}

struct Decompress {
    codec: Option<Codec>,
}

struct DecompressStep {
    codec: Option<Codec>,
    begin: Option<Event>,
    input: Input,
    /// None until the first bytes have told the codec.
    decoder: Option<Box<dyn Decoder>>,
    has_ended: bool,
}

fn describe() -> Descriptor {
    Descriptor {
        name: "decompress",
        version: 1,
        summary: "remove one layer of compression: gzip, BGZF or zstd",
        shape: Shape::Map,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: Some("codec"),
        parameters: parameters::schema::<Parameters>(),
        examples: examples(),
    }
}

fn examples() -> Vec<Example> {
    vec![
        Example {
            step: "decompress",
            params: Map::new(),
            explains: "decompresses gzip and zstd files, `a.txt.gz` to `a.txt`",
            name: "a.txt.gz",
            // What `printf abc | gzip -n` writes.
            input: Sample::Hex("1f8b08000000000000034b4c4a0600c241243503000000"),
            expected: Expected::File { name: "a.txt", content: Sample::Text("abc"), records: Vec::new() },
        },
        Example {
            step: "decompress:zstd",
            params: Map::from_iter([("codec".to_owned(), json!("zstd"))]),
            explains: "takes zstd files only; others fail as `not_compressed`",
            name: "a.csv",
            input: Sample::Text("id,name\n"),
            expected: Expected::Error("not_compressed"),
        },
    ]
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { codec } = parse(NATIVE.name, params)?;
    Ok(Box::new(Decompress { codec }))
}

impl Processor for Decompress {
    fn need(&self, _size_bytes: u64) -> u64 {
        let most = Codec::Gzip.decoder_bytes().max(Codec::Zstd.decoder_bytes());
        self.codec.map_or(most, Codec::decoder_bytes)
    }

    /// A few bytes may hold any number of them.
    fn output_bound(&self, _size_bytes: u64) -> u64 {
        u64::MAX
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        let input = Input::new(None);
        Ok(Box::new(DecompressStep { codec: self.codec, begin: None, input, decoder: None, has_ended: false }))
    }

    fn output_name(&self, name: &[u8]) -> Vec<u8> {
        strip_extension(name)
    }

    fn names_can_collide(&self) -> bool {
        true
    }
}

impl Step for DecompressStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, size_bytes } => {
                self.input = Input::new(size_bytes);
                self.begin = Some(Event::Begin { name: strip_extension(&name).into(), size_bytes: None });
            }
            Event::Bytes(bytes) => self.input.push(bytes),
            Event::End => self.input.end(),
            // Findings pass by; a pipeline never pushes them.
            Event::Record(_) => {}
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if let Some(begin) = self.begin.take() {
            return Ok(Some(begin));
        }
        if self.has_ended || !self.knows_codec()? {
            return Ok(None);
        }
        if let Some(decoder) = &mut self.decoder
            && let Some(bytes) = decoder.decode(&mut self.input)?
        {
            return Ok(Some(Event::Bytes(bytes)));
        }
        self.has_ended = self.input.has_ended();
        Ok(self.has_ended.then_some(Event::End))
    }
}

impl DecompressStep {
    /// Tell the codec by the first bytes, once they are here.
    fn knows_codec(&mut self) -> Result<bool> {
        let start = self.input.bytes();
        if self.decoder.is_some() {
            return Ok(true);
        }
        if start.len() < MAGIC_BYTES && !self.input.has_ended() {
            return Ok(false);
        }
        let found = Codec::of_magic(start).filter(|found| self.codec.is_none_or(|wanted| wanted == *found));
        let codec = found.ok_or_else(|| not_compressed(start, self.codec))?;
        self.decoder = Some(codec.decoder()?);
        Ok(true)
    }
}

fn not_compressed(start: &[u8], wanted: Option<Codec>) -> Error {
    if start.is_empty() {
        return Error::NotCompressed("the file is empty, without any compressed stream".to_owned());
    }
    let begins = spaced_hex(&start[..start.len().min(MAGIC_BYTES)]);
    let missing = wanted.map_or("neither gzip nor zstd does".to_owned(), |codec| format!("{} does not", codec.name()));
    Error::NotCompressed(format!("the file begins with `{begins}`, as {missing}"))
}

/// Take the extension of a compressed format off; a name that is nothing else stays.
fn strip_extension(name: &[u8]) -> Vec<u8> {
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0) else {
        return name.to_vec();
    };
    let (stem, extension) = name.split_at(dot);
    match extension.to_ascii_lowercase().as_slice() {
        b".gz" | b".gzip" | b".zst" | b".zstd" => stem.to_vec(),
        b".tgz" | b".tzst" => [stem, b".tar"].concat(),
        _ => name.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_names_lose_the_extension_of_a_codec_only() {
        for (name, expected) in [
            ("a.csv.gz", "a.csv"),
            ("a.CSV.GZ", "a.CSV"),
            ("a.gzip", "a"),
            ("a.tar.zst", "a.tar"),
            ("a.zstd", "a"),
            ("a.tgz", "a.tar"),
            ("a.TZST", "a.tar"),
            (".gz", ".gz"),
            (".tgz", ".tgz"),
            ("a.csv", "a.csv"),
            ("gz", "gz"),
            ("a.gz.gz", "a.gz"),
        ] {
            assert_eq!(strip_extension(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }

    #[test]
    fn test_error_names_what_was_found() {
        assert!(not_compressed(b"", None).to_string().contains("empty"));
        assert_eq!(
            not_compressed(b"id,name", None).to_string(),
            "the file begins with `69 64 2c 6e`, as neither gzip nor zstd does"
        );
        assert_eq!(
            not_compressed(b"\x1f\x8b\x08\x00", Some(Codec::Zstd)).to_string(),
            "the file begins with `1f 8b 08 00`, as zstd does not"
        );
    }
}
