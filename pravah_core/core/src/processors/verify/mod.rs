//! `verify`: compares each file with what a list of checksums says of it, and passes it on.
//!
//! The list is read before the first file, once a process; `sums` has its forms. A file is looked up by its path
//! relative to the source, then by that relative to the directory of the list, then by its whole path.

mod line;
mod sums;

use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::sums::{Expected as Sum, Place, Sums};
use super::{
    Descriptor, Event, Example, Expected, Native, Processor, Sample, Shape, SourcePath, Step,
    digest::{Algorithm, Digest},
    parameters::{self, parse},
};
use crate::{Error, Result};

/// The registry's line.
pub const NATIVE: Native = Native { name: "verify", describe, build };

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The list of checksums: lines of sha256sum and the like, of BSD, or of Pravah's own checksum step.
    #[schemars(extend("format" = "path"))]
    manifest: String,
    /// How its checksums were made; unset: as its lines say, or as their length tells.
    #[serde(default)]
    algorithm: Option<Algorithm>,
    /// What becomes of a file that the list does not name: it fails, or it passes unverified.
    #[serde(default)]
    #[schemars(extend("default" = "fail"))]
    unlisted: Unlisted,
    /// SHA-256 of the list; Pravah sets it when a job is created, and the list has to stay as it was.
    #[serde(default)]
    manifest_sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unlisted {
    /// `not_in_manifest`
    #[default]
    Fail,
    /// Its record says that it was not verified
    Pass,
}

struct Verify {
    place: Place,
    unlisted: Unlisted,
    sums: OnceLock<Arc<Sums>>,
}

struct VerifyStep {
    manifest: String,
    sums: Arc<Sums>,
    unlisted: Unlisted,
    /// What the list says of the current file, and what is computed of it.
    checks: Vec<(Sum, Digest)>,
    size_bytes: u64,
    record: Option<Event>,
    passing: Option<Event>,
}

fn describe() -> Descriptor {
    let record = json!({"verified": false, "size_bytes": 3});
    Descriptor {
        name: "verify",
        version: 1,
        summary: "compare each file with a list of checksums",
        shape: Shape::Inspect,
        input: "bytes",
        output: "bytes",
        pure: true,
        primary: Some("manifest"),
        parameters: parameters::schema::<Parameters>(),
        examples: vec![Example {
            step: "verify:manifest=/dev/null,unlisted=pass",
            params: Map::from_iter([
                ("manifest".to_owned(), json!("/dev/null")),
                ("unlisted".to_owned(), json!("pass")),
            ]),
            explains: "passes on what the list does not name; this one names nothing",
            name: "abc.txt",
            input: Sample::Text("abc"),
            expected: Expected::File { name: "abc.txt", content: Sample::Text("abc"), records: vec![record] },
        }],
    }
}

fn build(params: &Map<String, Value>) -> Result<Box<dyn Processor>> {
    let Parameters { manifest, algorithm, unlisted, manifest_sha256 } = parse(NATIVE.name, params)?;
    let place = Place { manifest, algorithm, sha256: manifest_sha256 };
    Ok(Box::new(Verify { place, unlisted, sums: OnceLock::new() }))
}

impl Verify {
    fn sums(&self) -> Result<Arc<Sums>> {
        if let Some(sums) = self.sums.get() {
            return Ok(Arc::clone(sums));
        }
        let read = Sums::shared(&self.place)?;
        Ok(Arc::clone(self.sums.get_or_init(|| read)))
    }
}

impl Processor for Verify {
    fn need(&self, _size_bytes: u64, _blocks: u64) -> u64 {
        // As `checksum`; the list is shared by all files.
        2 << 10
    }

    fn prepare(&self) -> Result<()> {
        self.sums().map(drop)
    }

    fn wants_path(&self) -> bool {
        true
    }

    fn open(&self) -> Result<Box<dyn Step>> {
        Ok(Box::new(VerifyStep {
            manifest: self.place.manifest.clone(),
            sums: self.sums()?,
            unlisted: self.unlisted,
            checks: Vec::new(),
            size_bytes: 0,
            record: None,
            passing: None,
        }))
    }
}

impl Step for VerifyStep {
    fn push(&mut self, event: Event) -> Result<()> {
        match &event {
            Event::Begin { name, path, .. } => {
                let nowhere = || SourcePath::new(name.to_vec(), 0);
                self.begin(path.as_ref().unwrap_or(&nowhere()))?;
            }
            Event::Bytes(bytes) => {
                self.checks.iter_mut().for_each(|(_, digest)| digest.update(bytes));
                self.size_bytes += bytes.len() as u64;
            }
            Event::End => self.record = Some(self.compare()?),
            // No pipeline pushes these.
            Event::Table(_) | Event::Record(_) | Event::Rows(_) | Event::Part(_) | Event::Block(_) => {}
        }
        self.passing = Some(event);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<Event>> {
        Ok(self.record.take().or_else(|| self.passing.take()))
    }
}

impl VerifyStep {
    fn begin(&mut self, path: &SourcePath) -> Result<()> {
        let expected = self.sums.find(path);
        if expected.is_empty() && self.unlisted == Unlisted::Fail {
            return Err(Error::NotInManifest(self.manifest.clone()));
        }
        self.checks = expected.into_iter().map(|sum| (sum, Digest::new(sum.algorithm))).collect();
        Ok(())
    }

    fn compare(&self) -> Result<Event> {
        let mut record = Map::new();
        for (expected, digest) in &self.checks {
            let (algorithm, found) = (expected.algorithm.name(), digest.hex());
            let wanted = self.sums.hex(expected);
            if found != wanted {
                let message = format!("its {algorithm} is {found}, the manifest says {wanted}");
                return Err(Error::ChecksumMismatch(message));
            }
            record.insert("algorithm".to_owned(), json!(algorithm));
            record.insert("checksum".to_owned(), json!(found));
        }
        record.insert("verified".to_owned(), json!(!self.checks.is_empty()));
        record.insert("size_bytes".to_owned(), json!(self.size_bytes));
        Ok(Event::Record(record))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use bytes::Bytes;

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn verify(params: &Value, path: &SourcePath, content: &'static [u8]) -> Result<Map<String, Value>> {
        let processor = build(params.as_object().expect("is a map"))?;
        let mut step = processor.open()?;
        let begin = Event::Begin {
            name: Bytes::from_static(b"a"),
            size_bytes: None,
            source_bytes: None,
            path: Some(path.clone()),
        };
        let mut record = Map::new();
        for event in [begin, Event::Bytes(Bytes::from_static(content)), Event::End] {
            step.push(event)?;
            while let Some(event) = step.pull()? {
                if let Event::Record(found) = event {
                    record = found;
                }
            }
        }
        Ok(record)
    }

    fn listed(root: &Path, relative: &str) -> SourcePath {
        let root = root.to_str().expect("is text");
        SourcePath::new(format!("{root}/{relative}").into_bytes(), root.len())
    }

    #[test]
    fn test_file_is_found_below_the_source_then_below_the_list_then_by_its_whole_path() {
        let place = tempfile::tempdir().expect("creates");
        let (source, manifest) = (place.path().join("data"), place.path().join("SHA256SUMS"));
        let names = ["d/a", "data/d/a", &format!("{}/d/a", source.display())].map(str::to_owned);
        for name in names {
            fs::write(&manifest, format!("{ABC}  ./x\n{ABC} *{name}\n")).expect("writes");
            let record = verify(&json!({"manifest": manifest}), &listed(&source, "d/a"), b"abc").expect("verifies");
            assert_eq!(
                Value::from(record),
                json!({"algorithm": "sha256", "checksum": ABC, "verified": true, "size_bytes": 3})
            );
        }
        let error = verify(&json!({"manifest": manifest}), &listed(&source, "d/b"), b"abc").expect_err("is not there");
        assert_eq!(error.kind(), "not_in_manifest");
    }

    #[test]
    fn test_file_that_differs_fails_with_both_checksums() {
        let place = tempfile::tempdir().expect("creates");
        let manifest = place.path().join("sums");
        fs::write(&manifest, format!("{ABC}  a\n")).expect("writes");
        let error = verify(&json!({"manifest": manifest}), &listed(place.path(), "a"), b"abd").expect_err("differs");
        assert_eq!(error.kind(), "checksum_mismatch");
        assert!(error.to_string().contains(ABC) && error.to_string().contains("its sha256 is a52d159f"), "{error}");
    }

    #[test]
    fn test_list_that_is_not_the_one_of_the_plan_is_refused() {
        let place = tempfile::tempdir().expect("creates");
        let manifest = place.path().join("sums");
        fs::write(&manifest, format!("{ABC}  a\n")).expect("writes");
        let params = json!({"manifest": manifest, "manifest_sha256": ABC});
        let error = verify(&params, &listed(place.path(), "a"), b"abc").expect_err("has changed");
        assert!(error.to_string().contains("has changed"), "{error}");
    }
}
