//! `compress`: cuts each file at fixed offsets, and makes a member, frame or stream of each block.
//!
//! Blocks depend on nothing but their own bytes, so the same file gives the same output in whatever
//! pieces it arrives, and blocks of one file may be compressed in parallel. Brotli alone is one stream a file.
//! A zstd file of several frames ends with a table of where they are.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Block, Descriptor, Event, Example, Expected, Native, PULL_BYTES, Processor, Sample, Shape, Step,
    blocks::Blocks,
    codecs::{Codec, SeekTable, StreamEncoder, seek_table_bytes},
    parameters::{self, invalid, parse},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "compress", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The format.
    #[serde(default = "default_codec")]
    #[schemars(extend("default" = "zstd"))]
    codec: Codec,
    /// How hard to try: zstd takes 1 to 22 (3 if not given), gzip 1 to 12 (6), xz 0 to 9 (6), bzip2 1 to 9 (9),
    /// brotli 0 to 11 (5); lz4 and snappy have one level, 1.
    #[serde(default)]
    #[schemars(range(min = 0))]
    level: Option<i64>,
}

/// Codec and level, checked.
#[derive(Debug, Clone, Copy)]
struct Compress {
    codec: Codec,
    level: i32,
}

struct CompressStep {
    compress: Compress,
    begin: Option<Event>,
    blocks: Blocks,
    /// Blocks so far.
    count: usize,
    /// Of a format that has one stream for all blocks.
    stream: Option<Box<dyn StreamEncoder>>,
    /// What remains of such a stream's output, to be pulled.
    output: Bytes,
    /// Of a format that has one.
    table: Option<Arc<SeekTable>>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// More input may come.
    Filling,
    /// All input is here.
    Ending,
    /// The last block has been compressed.
    Flushing,
    Ended,
}

fn describe() -> Descriptor {
    Descriptor {
        name: "compress",
        version: 3,
        summary: "compress each file with zstd, gzip, lz4, xz, bzip2, brotli or snappy",
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
    let example = |step, params, explains, name, content| Example {
        step,
        params,
        explains,
        name: "a.txt",
        input: Sample::Text("Pravah Pravah Pravah Pravah\n"),
        expected: Expected::File { name, content: Sample::Hex(content), records: Vec::new() },
    };
    vec![
        example(
            "compress",
            Map::new(),
            "compresses with zstd at level 3, `a.txt` to `a.txt.zst`",
            "a.txt.zst",
            "28b52ffd241c75000040507261766168200a0100a28b11414bd41c",
        ),
        example(
            "compress:codec=gzip,level=9",
            Map::from_iter([("codec".to_owned(), json!("gzip")), ("level".to_owned(), json!(9))]),
            "compresses with gzip, small rather than fast",
            "a.txt.gz",
            "1f8b08000000000002ff0b284a2c4bcc5008c04271010000e2dc2d1c000000",
        ),
    ]
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { codec, level } = parse(NATIVE.name, params)?;
    Ok(Box::new(Compress { codec, level: checked_level(codec, level)? }))
}

fn checked_level(codec: Codec, level: Option<i64>) -> Result<i32> {
    let Some(level) = level else { return Ok(codec.default_level()) };
    let levels = codec.levels();
    i32::try_from(level).ok().filter(|level| levels.contains(level)).ok_or_else(|| {
        let (name, first, last) = (codec.name(), levels.start(), levels.end());
        invalid(NATIVE.name, format!("level is {level}, {name} takes {first} to {last}"))
    })
}

fn default_codec() -> Codec {
    Codec::Zstd
}

impl Compress {
    fn block_bytes(&self) -> usize {
        self.codec.block_bytes(self.level)
    }

    fn append_extension(&self, name: &[u8]) -> Vec<u8> {
        [name, self.codec.extension()].concat()
    }
}

impl Processor for Compress {
    fn need(&self, size_bytes: u64, blocks: u64) -> u64 {
        let block_bytes = self.block_bytes() as u64;
        let block = size_bytes.min(block_bytes);
        let each = block + self.codec.bound(block) + self.codec.context_bytes(self.level, block);
        match blocks.min(size_bytes.div_ceil(block_bytes)) {
            0 | 1 => each,
            _ if self.codec.is_one_stream() => each,
            // While they are in work, the next one is put together.
            blocks => blocks * each + block,
        }
    }

    fn output_bound(&self, size_bytes: u64) -> u64 {
        let block_bytes = self.block_bytes() as u64;
        let full = (size_bytes / block_bytes).saturating_mul(self.codec.bound(block_bytes));
        let all = full.saturating_add(self.codec.bound(size_bytes % block_bytes));
        if self.codec.has_seek_table() {
            all.saturating_add(seek_table_bytes(size_bytes.div_ceil(block_bytes)))
        } else {
            all
        }
    }

    fn piece_bytes(&self) -> usize {
        self.block_bytes()
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(CompressStep {
            compress: *self,
            begin: None,
            blocks: Blocks::new(self.block_bytes(), None),
            count: 0,
            stream: self.codec.stream_encoder(self.level),
            output: Bytes::new(),
            table: self.codec.has_seek_table().then(Arc::default),
            phase: Phase::Filling,
        }))
    }

    fn output_name(&self, name: &[u8]) -> Vec<u8> {
        self.append_extension(name)
    }
}

impl Step for CompressStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin { name, size_bytes, source_bytes, path } => {
                self.blocks = Blocks::new(self.compress.block_bytes(), size_bytes);
                let name = self.compress.append_extension(&name).into();
                self.begin = Some(Event::Begin { name, size_bytes: None, source_bytes, path });
            }
            Event::Bytes(bytes) => self.blocks.push(bytes),
            Event::End => self.phase = Phase::Ending,
            // No pipeline pushes these.
            Event::Table(_) | Event::Record(_) | Event::Rows(_) | Event::Part(_) | Event::Block(_) => {}
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        if let Some(begin) = self.begin.take() {
            return Ok(Some(begin));
        }
        while self.output.is_empty()
            && let Some(block) = self.next_block()
        {
            match self.stream.take() {
                Some(stream) => self.output = self.streamed(stream, &block)?,
                None => return Ok(Some(Event::Block(self.block(block)))),
            }
        }
        if !self.output.is_empty() {
            let size = self.output.len().min(PULL_BYTES);
            return Ok(Some(Event::Bytes(self.output.split_to(size))));
        }
        if self.phase != Phase::Flushing {
            return Ok(None);
        }
        if let Some(table) = self.table.take().filter(|_| self.count > 1) {
            return Ok(Some(Event::Block(Block::in_turn(move || Ok(table.encode())))));
        }
        self.phase = Phase::Ended;
        Ok(Some(Event::End))
    }
}

impl CompressStep {
    /// The work of compressing a block; all that it needs to know is there.
    fn block(&self, block: Bytes) -> Block {
        let Compress { codec, level } = self.compress;
        let (table, number) = (self.table.clone(), self.count - 1);
        Block::new(move || {
            let compressed = codec.compress(level, &block)?;
            if let Some(table) = table {
                table.note(number, compressed.len(), block.len());
            }
            Ok(compressed.into())
        })
    }

    /// Compress the block that was cut last into the stream; behind the last one comes its end.
    fn streamed(&mut self, mut stream: Box<dyn StreamEncoder>, block: &[u8]) -> Result<Bytes> {
        let begun = stream.push(block)?;
        if self.phase == Phase::Flushing {
            return Ok([begun, stream.finish()?].concat().into());
        }
        self.stream = Some(stream);
        Ok(begun)
    }

    /// Cut the next block off the input. An empty file is one empty block.
    fn next_block(&mut self) -> Option<Bytes> {
        if let Some(block) = self.blocks.full() {
            self.count += 1;
            return Some(block);
        }
        if self.phase != Phase::Ending {
            return None;
        }
        self.phase = Phase::Flushing;
        let rest = self.blocks.rest();
        let wanted = !rest.is_empty() || self.count == 0 || self.stream.is_some();
        self.count += usize::from(wanted);
        wanted.then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(params: Value) -> Result<Box<dyn Processor>> {
        build(&params.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn test_level_out_of_range_names_both_values() {
        let told = |params| built(params).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(told(json!({"codec": "zstd", "level": 99})), "compress: level is 99, zstd takes 1 to 22");
        assert_eq!(told(json!({"codec": "gzip", "level": 13})), "compress: level is 13, gzip takes 1 to 12");
        assert_eq!(told(json!({"codec": "lz4", "level": 2})), "compress: level is 2, lz4 takes 1 to 1");
        let unknown = told(json!({"codec": "lzma"}));
        assert!(unknown.starts_with("compress: codec is \"lzma\", "), "{unknown}");
    }

    #[test]
    fn test_names_get_the_extension_of_the_codec() {
        assert_eq!(built(json!({})).expect("built").output_name(b"a.csv"), b"a.csv.zst");
        assert_eq!(built(json!({"codec": "gzip"})).expect("built").output_name(b".gz"), b".gz.gz");
    }

    #[test]
    fn test_blocks_are_codec_units_of_their_own() {
        let compress = Compress { codec: Codec::Gzip, level: 1 };
        let content = vec![b'x'; compress.block_bytes() + 1];
        let mut step = compress.open().expect("opened");
        let mut output = Vec::new();
        for event in [Event::Bytes(content.clone().into()), Event::End] {
            step.push(event).expect("pushed");
            while let Some(Event::Block(block)) = step.pull().expect("pulled") {
                output.extend_from_slice(&block.run_bytes().expect("compressed"));
            }
        }
        let (first, second) = content.split_at(compress.block_bytes());
        let expected = [first, second].map(|block| Codec::Gzip.compress(1, block).expect("compressed"));
        assert_eq!(output, expected.concat());
    }

    #[test]
    fn test_need_grows_with_blocks_that_the_file_has() {
        let compress = Compress { codec: Codec::Zstd, level: 3 };
        let (small, large) = (1 << 20, 1 << 40);
        assert_eq!(compress.need(small, 4), compress.need(small, 1));
        assert!(compress.need(large, 4) >= 4 * compress.need(large, 1));
        assert_eq!(compress.need(9 << 20, 9), compress.need(9 << 20, 3));
    }
}
