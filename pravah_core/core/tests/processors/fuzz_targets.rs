//! What is done to hostile bytes, target by target: the one list of the tests here and of `pravah_core/fuzz`.
//!
//! A target ends well or with a typed error. A panic, a hang or memory beyond the bounds is what is looked for.

use bytes::Bytes;
use pravah_core::{
    Error,
    naming::{Capture, Template},
    pipeline::Pipeline,
    plan::StepConfig,
    processors::Event,
    scan::{Filter, FilterRules, Glob},
};
use serde_json::{Value, json};

/// Something that reads bytes of a stranger.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// Bytes of output after which a file is given up: a few bytes of some formats may stand for any number of rows.
const MOST_OUTPUT_BYTES: usize = 16 << 20;

/// Every target, by the name that `cargo fuzz run` knows it by.
pub const TARGETS: &[Target] = &[
    Target { name: "csv", run: |bytes| table("csv", bytes) },
    Target { name: "ndjson", run: |bytes| table("ndjson", bytes) },
    Target { name: "json", run: |bytes| table("json", bytes) },
    Target { name: "nested", run: nested },
    Target { name: "parquet", run: |bytes| table("parquet", bytes) },
    Target { name: "arrow", run: |bytes| table("arrow", bytes) },
    Target { name: "avro", run: |bytes| table("avro", bytes) },
    Target { name: "xlsx", run: |bytes| table("xlsx", bytes) },
    Target { name: "headers", run: headers },
    Target { name: "types", run: |bytes| run("detect_type", json!({}), "a", bytes) },
    Target { name: "codecs", run: codecs },
    Target { name: "globs", run: globs },
    Target { name: "templates", run: templates },
    Target { name: "predicates", run: predicates },
    Target { name: "patterns", run: patterns },
];

/// Read a table of this format.
fn table(format: &str, bytes: &[u8]) {
    run("convert", json!({"from": format, "format": "csv", "on_bad_row": "drop"}), "a", bytes);
}

/// Read objects with lists and structs of their own.
fn nested(bytes: &[u8]) {
    let params = json!({"from": "ndjson", "format": "parquet", "nested": "structs", "on_bad_row": "drop"});
    run("convert", params, "a", bytes);
}

/// Read the headers of a file whose name the first byte tells.
fn headers(bytes: &[u8]) {
    let names = ["a", "a.csv", "a.json", "a.parquet", "a.avro", "a.xlsx", "a.eml", "a.html", "a.md", "a.mbox"];
    let Some((first, rest)) = bytes.split_first() else { return };
    run("extract_headers", json!({}), names[usize::from(*first) % names.len()], rest);
}

/// Remove the layer of compression that the bytes show.
fn codecs(bytes: &[u8]) {
    run("decompress", json!({}), "a", bytes);
    run("decompress", json!({}), "a.br", bytes);
}

fn globs(bytes: &[u8]) {
    let patterns: Vec<String> = String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
    let _ = Glob::new(&patterns);
    let _ = Filter::new(&FilterRules { include: patterns.clone(), exclude: patterns, ..FilterRules::default() });
}

/// Read a template and a pattern for names, and find the pattern in itself.
fn templates(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Template::parse(&text);
    if let Ok(capture) = Capture::parse(&text) {
        let _ = capture.find(bytes);
    }
}

fn predicates(bytes: &[u8]) {
    run("filter_rows", json!({"where": String::from_utf8_lossy(bytes)}), "a.csv", b"a,b\n1,x\n2,\n");
}

fn patterns(bytes: &[u8]) {
    run("grep", json!({"pattern": String::from_utf8_lossy(bytes)}), "a", b"a,b\n1,x\n2,\n");
}

/// Run a step over a file, and see that it does not panic.
fn run(step: &str, params: Value, name: &str, bytes: &[u8]) {
    let params = params.as_object().cloned().unwrap_or_default();
    let Ok(pipeline) = Pipeline::new(&[StepConfig { name: step.to_owned(), params }]) else { return };
    let mut output_bytes = 0;
    let mut take = |event| {
        if let Event::Bytes(bytes) = &event {
            output_bytes += bytes.len();
        }
        if output_bytes > MOST_OUTPUT_BYTES { Err(Error::Cancelled) } else { Ok(()) }
    };
    let (name, file) = (Bytes::copy_from_slice(name.as_bytes()), Bytes::copy_from_slice(bytes));
    if let Err(failure) = pipeline.run_whole(name, file, &mut take) {
        assert_ne!(failure.error.kind(), "processor_panicked", "{step}: {}", failure.error);
    }
}
