//! `decompress`: removes one layer of compression, told by its first bytes; brotli, which has none, by its name.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Event, Example, Expected, Native, PULL_BYTES, Processor, Sample, Shape, Step,
    codecs::{Codec, DECODER_BLOCK_BYTES, Decoded, Decoder, Input, MAGIC_BYTES, spaced_hex},
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
    /// Most bytes that a file may become; if not given, there is no such limit.
    #[serde(default)]
    #[schemars(range(min = 1))]
    max_size_bytes: Option<u64>,
    /// Most times its size that a file may become, judged from 1 GiB on: what grows more is a bomb, or mostly zeros.
    #[serde(default = "default_max_ratio")]
    #[schemars(range(min = 1), extend("default" = DEFAULT_MAX_RATIO))]
    max_ratio: u64,
}

/// Above what DEFLATE can reach (1,032), below what bombs of newer formats are made for.
pub(super) const DEFAULT_MAX_RATIO: u64 = 2_000;

/// Output from which on the ratio is judged: less harms nobody.
const JUDGED_FROM_BYTES: u64 = 1 << 30;

fn default_max_ratio() -> u64 {
    DEFAULT_MAX_RATIO
}

#[derive(Debug, Clone, Copy)]
struct Decompress {
    codec: Option<Codec>,
    max_size_bytes: u64,
    max_ratio: u64,
}

struct DecompressStep {
    decompress: Decompress,
    /// Bytes that have come out so far.
    size_bytes: u64,
    /// Size of the entry that the file was made from, where it is known.
    source_bytes: Option<u64>,
    begin: Option<Event>,
    input: Input,
    /// The name says what the first bytes can't.
    is_brotli_by_name: bool,
    /// None until the first bytes have told the codec.
    decoder: Option<Box<dyn Decoder>>,
    has_ended: bool,
}

fn describe() -> Descriptor {
    Descriptor {
        name: "decompress",
        version: 1,
        summary: "remove one layer of compression: gzip, BGZF, zstd, lz4, xz, bzip2, brotli or snappy",
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
            explains: "decompresses whatever the first bytes tell, `a.txt.gz` to `a.txt`",
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
    let Parameters { codec, max_size_bytes, max_ratio } = parse(NATIVE.name, params)?;
    Ok(Box::new(Decompress { codec, max_size_bytes: max_size_bytes.unwrap_or(u64::MAX), max_ratio }))
}

impl Processor for Decompress {
    fn need(&self, size_bytes: u64, blocks: u64) -> u64 {
        let most = Codec::Zstd.decoder_bytes(); // of all codecs
        let stream = self.codec.map_or(most, Codec::decoder_bytes);
        if !self.codec.is_none_or(Codec::decodes_in_blocks) {
            return stream;
        }
        let input = size_bytes.min(DECODER_BLOCK_BYTES);
        // The next block is put together in a buffer that grows by doubling.
        stream + blocks * (input + DECODER_BLOCK_BYTES) + 2 * input + PULL_BYTES as u64
    }

    /// A few bytes may hold any number of them.
    fn output_bound(&self, _size_bytes: u64) -> u64 {
        u64::MAX
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        let input = Input::new(None);
        Ok(Box::new(DecompressStep {
            decompress: *self,
            size_bytes: 0,
            source_bytes: None,
            begin: None,
            input,
            is_brotli_by_name: false,
            decoder: None,
            has_ended: false,
        }))
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
            Event::Begin { name, size_bytes, source_bytes, path } => {
                self.input = Input::new(size_bytes);
                self.source_bytes = source_bytes;
                self.is_brotli_by_name = name.to_ascii_lowercase().ends_with(Codec::Brotli.extension());
                let name = strip_extension(&name).into();
                self.begin = Some(Event::Begin { name, size_bytes: None, source_bytes, path });
            }
            Event::Bytes(bytes) => self.input.push(bytes),
            Event::End => self.input.end(),
            // No pipeline pushes these.
            Event::Table(_) | Event::Record(_) | Event::Rows(_) | Event::Part(_) | Event::Block(_) => {}
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
            && let Some(decoded) = decoder.decode(&mut self.input)?
        {
            let (size_bytes, event) = match decoded {
                Decoded::Now(bytes) => (bytes.len() as u64, Event::Bytes(bytes)),
                Decoded::Later { content_bytes, block } => (content_bytes, Event::Block(block)),
            };
            self.size_bytes += size_bytes;
            self.check_budget()?;
            return Ok(Some(event));
        }
        self.has_ended = self.input.has_ended();
        Ok(self.has_ended.then_some(Event::End))
    }
}

impl DecompressStep {
    fn check_budget(&self) -> Result<()> {
        let Decompress { max_size_bytes, max_ratio, .. } = self.decompress;
        if self.size_bytes > max_size_bytes {
            return Err(Error::DecompressionBudget(format!("the content has more than {max_size_bytes} bytes")));
        }
        check_ratio((self.input.offset(), self.source_bytes), self.size_bytes, max_ratio)
    }

    /// Tell the codec by the first bytes, once they are here.
    fn knows_codec(&mut self) -> Result<bool> {
        let start = self.input.bytes();
        if self.decoder.is_some() {
            return Ok(true);
        }
        if start.len() < MAGIC_BYTES && !self.input.has_ended() {
            return Ok(false);
        }
        let unmarked =
            self.decompress.codec == Some(Codec::Brotli) || (self.decompress.codec.is_none() && self.is_brotli_by_name);
        let told = Codec::of_magic(start).filter(|_| self.decompress.codec != Some(Codec::Brotli));
        let found = told
            .or((unmarked && !start.is_empty()).then_some(Codec::Brotli))
            .filter(|found| self.decompress.codec.is_none_or(|wanted| wanted == *found));
        let codec = found.ok_or_else(|| not_compressed(start, self.decompress.codec))?;
        self.decoder = Some(codec.decoder()?);
        Ok(true)
    }
}

/// Refuse what has grown to `size` bytes, if that is a bomb: of what was read, or of the entry behind it, which a bomb
/// within a bomb is judged by.
pub(super) fn check_ratio((read, source_bytes): (u64, Option<u64>), size: u64, max_ratio: u64) -> Result<()> {
    let read = read.min(source_bytes.unwrap_or(u64::MAX));
    if size > JUDGED_FROM_BYTES && size / max_ratio > read {
        return Err(Error::DecompressionBudget(format!(
            "{read} bytes have become {size}, more than {max_ratio} times as many"
        )));
    }
    Ok(())
}

/// First bytes that a message shows.
const SHOWN_BYTES: usize = 4;

fn not_compressed(start: &[u8], wanted: Option<Codec>) -> Error {
    if start.is_empty() {
        return Error::NotCompressed("the file is empty, without any compressed stream".to_owned());
    }
    let begins = spaced_hex(&start[..start.len().min(SHOWN_BYTES)]);
    let missing = wanted.map_or("no compressed format does".to_owned(), |codec| format!("{} does not", codec.name()));
    Error::NotCompressed(format!("the file begins with `{begins}`, as {missing}"))
}

/// Take the extension of a compressed format off; a name that is nothing else stays.
pub fn strip_extension(name: &[u8]) -> Vec<u8> {
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0) else {
        return name.to_vec();
    };
    let (stem, extension) = name.split_at(dot);
    match extension.to_ascii_lowercase().as_slice() {
        b".gz" | b".gzip" | b".zst" | b".zstd" | b".lz4" | b".xz" | b".bz2" | b".br" | b".sz" => stem.to_vec(),
        b".tgz" | b".tzst" | b".txz" | b".tbz2" | b".tlz4" => [stem, b".tar"].concat(),
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
            ("a.csv.xz", "a.csv"),
            ("a.txt.bz2", "a.txt"),
            ("a.html.br", "a.html"),
            ("a.tbz2", "a.tar"),
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
    fn test_content_beyond_the_budget_is_refused() {
        let packed = Codec::Zstd.compress(3, &vec![0; 3 << 20]).expect("packed");
        let told = |params: Value| {
            let mut step = build(params.as_object().expect("a map")).and_then(|built| built.open()).expect("opened");
            step.push(Event::Bytes(packed.clone().into())).and_then(|()| step.push(Event::End)).expect("pushed");
            loop {
                match step.pull() {
                    Ok(Some(Event::End)) => return "no error".to_owned(),
                    Ok(_) => {}
                    Err(error) => return format!("{}: {error}", error.kind()),
                }
            }
        };
        assert_eq!(told(json!({"max_size_bytes": 3 << 20})), "no error");
        assert_eq!(
            told(json!({"max_size_bytes": (3 << 20) - 1})),
            "decompression_budget: the content has more than 3145727 bytes"
        );
    }

    #[test]
    fn test_error_names_what_was_found() {
        assert!(not_compressed(b"", None).to_string().contains("empty"));
        assert_eq!(
            not_compressed(b"id,name", None).to_string(),
            "the file begins with `69 64 2c 6e`, as no compressed format does"
        );
        assert_eq!(
            not_compressed(b"\x1f\x8b\x08\x00", Some(Codec::Zstd)).to_string(),
            "the file begins with `1f 8b 08 00`, as zstd does not"
        );
    }
}
