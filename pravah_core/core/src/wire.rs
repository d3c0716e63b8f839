//! What leaves the engine for people and programs: the per-file account and the records of inspect steps.
//!
//! The forms are those of the API. A path that is not UTF-8 is shown with replacement characters, and comes
//! whole in `path_b64` beside it.

use std::{collections::HashSet, fs::File, sync::Arc};

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    builder::{Float64Builder, StringBuilder, UInt32Builder, UInt64Builder},
};
use arrow_schema::{DataType, Field, Schema};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    entry::join,
    manifest::Manifest,
    outcome::{Outcome, Recorded, Row},
    pipeline::Pipeline,
    plan::{Plan, place_path},
    stores::s3::is_object_uri,
};

/// One entry's line in the account.
#[derive(Debug, Serialize)]
pub struct FileLine {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    outputs: Vec<String>,
    size_bytes: u64,
    output_bytes: u64,
    checksum: Option<String>,
    attempts: u32,
    duration_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<FileError>,
}

#[derive(Debug, Serialize)]
struct FileError {
    kind: String,
    message: String,
    step: Option<String>,
}

/// The account of a task's entries, in the order of its manifest.
///
/// Entries that no window acknowledged are `remaining`; those that moved to a later round's task are told there.
pub fn file_lines(plan: &Plan, manifest: &[u8], windows: &[Recorded]) -> Result<Vec<FileLine>> {
    let (manifest, pipeline) = (Manifest::decode(manifest)?, plan.pipeline()?);
    lines_of(plan, &pipeline, &manifest, windows, &|_| true)
}

/// What one asks about a file.
#[derive(Debug, Clone, Copy)]
pub enum Question<'q> {
    /// What became of the source with this absolute path, or URI of an object.
    Source(&'q [u8]),
    /// What the output with this absolute path, or URI of an object, was made of.
    Output(&'q [u8]),
}

/// The account of the entries of a task that answer a question: one, or none.
///
/// Costs about a millisecond for a task of 8,192 entries that has none.
pub fn answer(plan: &Plan, manifest: &[u8], windows: &[Recorded], question: Question<'_>) -> Result<Vec<FileLine>> {
    let (manifest, pipeline) = (Manifest::decode(manifest)?, plan.pipeline()?);
    let sink = plan.sink.as_ref().and_then(|sink| place_path(&sink.uri).ok());
    let found: HashSet<usize> = match question {
        Question::Source(path) => {
            let roots: Vec<_> = (0..plan.roots.len()).map(|root| relative_to(plan, root, path)).collect();
            let is_it = |&index: &usize| {
                let wanted = roots[usize::from(manifest.root(index))];
                wanted.is_some_and(|wanted| wanted == (manifest.directory(index), manifest.name(index)))
            };
            (0..manifest.len()).filter(is_it).collect()
        }
        Question::Output(path) if plan.names_at_run_time() || plan.expands() => {
            let Some(wanted) = sink.as_deref().and_then(|sink| below(sink, path)) else { return Ok(Vec::new()) };
            // Only what was acknowledged has a name.
            let mut found = HashSet::new();
            for row in acknowledged(windows)? {
                let named = manifest.named(row.index as usize).read(row.hash);
                let is_it = |part| {
                    let name = plan.output_name(&pipeline, &named.part(part));
                    name.is_ok_and(|(directory, name)| join(&directory, &name) == wanted)
                };
                if row.outputs().any(|(part, _)| is_it(part)) {
                    found.insert(row.index as usize);
                }
            }
            found
        }
        Question::Output(path) => {
            let Some(wanted) = sink.as_deref().and_then(|sink| below(sink, path)) else { return Ok(Vec::new()) };
            let is_it = |&index: &usize| {
                let named = plan.output_name(&pipeline, &manifest.named(index));
                named.is_ok_and(|(directory, name)| join(&directory, &name) == wanted)
            };
            (0..manifest.len()).filter(is_it).collect()
        }
    };
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = lines_of(plan, &pipeline, &manifest, windows, &|index| found.contains(&index))?;
    if matches!(question, Question::Output(_)) {
        lines.retain(|line| !line.outputs.is_empty());
    }
    Ok(lines)
}

/// A path as directory and name relative to a root; none where it is not below it.
fn relative_to<'p>(plan: &Plan, root: usize, path: &'p [u8]) -> Option<(&'p [u8], &'p [u8])> {
    let relative = below(&plan.roots[root].shown_path().ok()?, path)?;
    Some(match relative.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&relative[..slash], &relative[slash + 1..]),
        None => (b"", relative),
    })
}

fn below<'p>(directory: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    path.strip_prefix(directory.strip_suffix(b"/").unwrap_or(directory))?.strip_prefix(b"/")
}

fn lines_of(
    plan: &Plan,
    pipeline: &Pipeline,
    manifest: &Manifest,
    windows: &[Recorded],
    wanted: &dyn Fn(usize) -> bool,
) -> Result<Vec<FileLine>> {
    let mut rows: Vec<Option<Row>> = std::iter::repeat_with(|| None).take(manifest.len()).collect();
    for row in acknowledged(windows)? {
        let place = rows.get_mut(row.index as usize).ok_or_else(|| Error::DamagedBlob {
            what: "window",
            message: format!("entry {} of a manifest of {}", row.index, manifest.len()),
        })?;
        *place = Some(row);
    }
    let sink = plan.sink.as_ref().map(|sink| sink.uri.trim_end_matches('/'));
    let line = |(index, row): (usize, Option<Row>)| {
        let (root, directory, name) = (manifest.root(index), manifest.directory(index), manifest.name(index));
        let published = row.as_ref().filter(|row| row.outcome == Outcome::Done).zip(sink);
        let outputs = published.map(|(row, sink)| {
            let named = manifest.named(index).read(row.hash);
            let uri = |part| {
                let (directory, name) = plan.output_name(pipeline, &named.part(part)).ok()?;
                let path = join(&directory, &name);
                // Keys are text, and are told as people write them.
                Some(match is_object_uri(sink) {
                    true => {
                        format!("{}/{}", percent_decode_str(sink).decode_utf8_lossy(), String::from_utf8_lossy(&path))
                    }
                    false => format!("{sink}/{}", percent_encode(&path, PATH)),
                })
            };
            row.outputs().filter_map(|(part, _)| uri(part)).collect()
        });
        // Of several entries with one output the first counts its bytes; each tells them.
        let row = row.map(|row| match plan.reduces() && row.has_outputs() {
            true => Row { bytes_out: row.outputs().map(|(_, staged)| staged.identity.size_bytes).sum(), ..row },
            false => row,
        });
        file_line(
            &plan.source_path(root, directory, name),
            manifest.size_bytes(index),
            row,
            outputs.unwrap_or_default(),
        )
    };
    let here = |(_, row): &(usize, Option<Row>)| row.as_ref().is_none_or(|row| row.outcome != Outcome::Moved);
    Ok(rows.into_iter().enumerate().filter(|(index, _)| wanted(*index)).filter(here).map(line).collect())
}

fn acknowledged(windows: &[Recorded]) -> Result<Vec<Row>> {
    let rows = windows.iter().filter(|window| window.acknowledged).map(Recorded::rows);
    Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Lines as NDJSON, those of one outcome where one is given, at most `limit` of them.
pub fn ndjson(lines: &[FileLine], outcome: Option<&str>, limit: Option<usize>) -> String {
    let wanted = lines.iter().filter(|line| outcome.is_none_or(|outcome| outcome == line.outcome));
    let mut text = String::new();
    for line in wanted.take(limit.unwrap_or(usize::MAX)) {
        text.push_str(&serde_json::to_string(line).expect("a line has string keys only"));
        text.push('\n');
    }
    text
}

/// Append a record of an inspect step, as one line that begins with its path.
pub fn push_record(lines: &mut String, path: &[u8], record: Map<String, Value>) {
    let (shown, whole) = shown_path(path);
    lines.push_str("{\"path\":");
    lines.push_str(&Value::from(shown).to_string());
    if let Some(whole) = whole {
        lines.push_str(",\"path_b64\":");
        lines.push_str(&Value::from(whole).to_string());
    }
    for (key, value) in record {
        lines.push(',');
        lines.push_str(&Value::from(key).to_string());
        lines.push(':');
        lines.push_str(&value.to_string());
    }
    lines.push_str("}\n");
}

/// The path in UTF-8, and in base64 where that loses something.
fn shown_path(path: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(path) {
        Ok(path) => (path.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(path).into_owned(), Some(STANDARD.encode(path))),
    }
}

fn file_line(path: &[u8], size_bytes: u64, row: Option<Row>, outputs: Vec<String>) -> FileLine {
    let (path, path_b64) = shown_path(path);
    let outcome = row.as_ref().map_or(Outcome::Redo, |row| row.outcome);
    let checksum = row.as_ref().and_then(|row| row.records.as_deref()).and_then(checksum);
    let (reason, error) = match row.as_ref().and_then(|row| row.reason.clone()) {
        Some(reason) if outcome == Outcome::Skipped => (Some(reason.kind), None),
        Some(reason) => (None, Some(FileError { kind: reason.kind, message: reason.message, step: reason.step })),
        None => (None, None),
    };
    FileLine {
        path,
        path_b64,
        outcome: outcome.word(),
        reason,
        outputs,
        size_bytes: row.as_ref().and_then(|row| row.source).map_or(size_bytes, |source| source.size_bytes),
        output_bytes: row.as_ref().map_or(0, |row| row.bytes_out),
        checksum,
        attempts: row.as_ref().map_or(0, |row| row.attempts),
        duration_s: row.as_ref().map_or(0.0, |row| f64::from(row.duration_us) / 1e6),
        error,
    }
}

/// `algorithm:hex` of the first record that has a checksum.
fn checksum(records: &str) -> Option<String> {
    records.lines().find_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        Some(format!("{}:{}", record.get("algorithm")?.as_str()?, record.get("checksum")?.as_str()?))
    })
}

/// Writes the account of any number of tasks to one Parquet file.
pub struct ParquetAccount {
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
}

impl ParquetAccount {
    /// Begin the file.
    pub fn create(file: File) -> Result<Self> {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let number = |name| Field::new(name, DataType::UInt64, false);
        let schema = Arc::new(Schema::new(vec![
            Field::new("path", DataType::Utf8, false),
            text("path_b64"),
            Field::new("outcome", DataType::Utf8, false),
            text("reason"),
            text("output"),
            number("size_bytes"),
            number("output_bytes"),
            text("checksum"),
            Field::new("attempts", DataType::UInt32, false),
            Field::new("duration_s", DataType::Float64, false),
            text("error_kind"),
            text("error_message"),
            text("error_step"),
        ]));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(parquet_failed)?;
        Ok(Self { writer, schema })
    }

    /// Add the account of one task.
    pub fn add(&mut self, lines: &[FileLine]) -> Result<()> {
        let text = |value: &dyn Fn(&FileLine) -> Option<String>| -> ArrayRef {
            let mut builder = StringBuilder::new();
            lines.iter().for_each(|line| builder.append_option(value(line)));
            Arc::new(builder.finish())
        };
        let number = |value: &dyn Fn(&FileLine) -> u64| -> ArrayRef {
            let mut builder = UInt64Builder::new();
            lines.iter().for_each(|line| builder.append_value(value(line)));
            Arc::new(builder.finish())
        };
        let mut attempts = UInt32Builder::new();
        let mut duration = Float64Builder::new();
        for line in lines {
            attempts.append_value(line.attempts);
            duration.append_value(line.duration_s);
        }
        let error = |value: &dyn Fn(&FileError) -> Option<String>| text(&|line| line.error.as_ref().and_then(value));
        let columns: Vec<ArrayRef> = vec![
            text(&|line| Some(line.path.clone())),
            text(&|line| line.path_b64.clone()),
            text(&|line| Some(line.outcome.to_owned())),
            text(&|line| line.reason.clone()),
            text(&|line| line.outputs.first().cloned()),
            number(&|line| line.size_bytes),
            number(&|line| line.output_bytes),
            text(&|line| line.checksum.clone()),
            Arc::new(attempts.finish()) as Arc<dyn Array>,
            Arc::new(duration.finish()),
            error(&|error| Some(error.kind.clone())),
            error(&|error| Some(error.message.clone())),
            error(&|error| error.step.clone()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| Error::DamagedBlob { what: "account", message: error.to_string() })?;
        self.writer.write(&batch).map_err(parquet_failed)
    }

    /// End the file.
    pub fn finish(self) -> Result<()> {
        self.writer.close().map(drop).map_err(parquet_failed)
    }
}

fn parquet_failed(error: parquet::errors::ParquetError) -> Error {
    Error::DamagedBlob { what: "report", message: error.to_string() }
}

/// What is percent-encoded in the path of a URI (RFC 3986, section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_record_of_a_name_that_is_not_utf8_keeps_it_whole() {
        let mut lines = String::new();
        push_record(&mut lines, b"/a/\xff\n", Map::from_iter([("rows".to_owned(), 3.into())]));
        let record: Value = serde_json::from_str(&lines).expect("is JSON");
        assert_eq!(lines.lines().count(), 1);
        assert_eq!(record["path_b64"], STANDARD.encode(b"/a/\xff\n"));
        assert_eq!(record["rows"], 3);
    }

    #[test]
    fn checksum_of_records_names_its_algorithm() {
        assert_eq!(checksum("{\"rows\":1}\n{\"algorithm\":\"xxh3\",\"checksum\":\"ab\"}\n"), Some("xxh3:ab".into()));
    }
}
