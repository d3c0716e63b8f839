//! `checksum`: digests the bytes that pass through; one record a file.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, Step,
    digest::{Algorithm, Digest},
    parameters::{self, parse},
};
use crate::Result;

/// The registry's line.
pub const NATIVE: Native = Native { name: "checksum", describe, build };

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// What is computed. xxh3 and crc64nvme find damage; blake3 and sha256 also withstand forgery.
    #[serde(default)]
    #[schemars(extend("default" = "xxh3"))]
    algorithm: Algorithm,
}

struct Checksum(Algorithm);

struct ChecksumStep {
    algorithm: Algorithm,
    digest: Digest,
    size_bytes: u64,
    record: Option<Event>,
    passing: Option<Event>,
}

fn describe() -> Descriptor {
    Descriptor {
        name: "checksum",
        version: 1,
        summary: "compute a checksum of each file",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: Some("algorithm"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![
            example("checksum", "gives the XXH3 of each file", Map::new(), "xxh3", "78af5f94892f3950"),
            example(
                "checksum:sha256",
                "gives what `sha256sum` prints",
                Map::from_iter([("algorithm".to_owned(), json!("sha256"))]),
                "sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            example(
                "checksum:md5",
                "gives what `md5sum` prints",
                Map::from_iter([("algorithm".to_owned(), json!("md5"))]),
                "md5",
                "900150983cd24fb0d6963f7d28e17f72",
            ),
            example(
                "checksum:sha1",
                "gives what `sha1sum` prints",
                Map::from_iter([("algorithm".to_owned(), json!("sha1"))]),
                "sha1",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
        ],
    }
}

/// An example whose file is `abc`, the usual test vector.
fn example(
    step: &'static str,
    explains: &'static str,
    params: Map<String, Value>,
    algorithm: &str,
    checksum: &str,
) -> Example {
    let record = json!({"algorithm": algorithm, "checksum": checksum, "size_bytes": 3});
    let expected = Expected::File { name: "abc.txt", content: Sample::Text("abc"), records: vec![record] };
    Example { step, params, explains, name: "abc.txt", input: Sample::Text("abc"), expected }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { algorithm } = parse(NATIVE.name, params)?;
    Ok(Box::new(Checksum(algorithm)))
}

impl Processor for Checksum {
    fn need(&self, _size_bytes: u64, _blocks: u64) -> u64 {
        // The largest state is that of BLAKE3, just below 2 kB.
        2 << 10
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        let digest = Digest::new(self.0);
        Ok(Box::new(ChecksumStep { algorithm: self.0, digest, size_bytes: 0, record: None, passing: None }))
    }
}

impl Step for ChecksumStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Bytes(bytes) => {
                self.digest.update(bytes);
                self.size_bytes += bytes.len() as u64;
            }
            Event::End => self.record = Some(self.record()),
            _ => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.record.take().or_else(|| self.passing.take()))
    }
}

impl ChecksumStep {
    fn record(&self) -> Event {
        Event::Record(Map::from_iter([
            ("algorithm".to_owned(), json!(self.algorithm.name())),
            ("checksum".to_owned(), json!(self.digest.hex())),
            ("size_bytes".to_owned(), json!(self.size_bytes)),
        ]))
    }
}
