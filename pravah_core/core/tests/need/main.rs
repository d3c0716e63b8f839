//! What processors say they need is what they take: Rust's heap is counted (codec contexts are measured beside them).

mod workbook;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use pravah_core::{
    pipeline::{Pipeline, Workers},
    plan::StepConfig,
    processors::{Descriptor, Event, Shape, descriptors},
};
use serde_json::{Map, Value, json};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator unchanged; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Small allocations that no processor counts: boxes of steps, the record's words, names.
const SLACK_BYTES: u64 = 16 << 10;

/// Bytes that are held at most while the file goes through, beside its own buffer and one piece of it.
fn peak(pipeline: &Pipeline, file: &Bytes, piece_bytes: usize, workers: Workers<'_>) -> u64 {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut flow = pipeline.open(workers).expect("opened");
    let mut ignore = |_| Ok(());
    let begin = Event::Begin {
        name: Bytes::from_static(b"a.csv"),
        size_bytes: Some(file.len() as u64),
        source_bytes: None,
        path: None,
    };
    flow.feed(begin, &mut ignore).expect("begun");
    for start in (0..file.len()).step_by(piece_bytes) {
        let piece = file.slice(start..file.len().min(start + piece_bytes));
        flow.feed(Event::Bytes(piece), &mut ignore).expect("fed");
    }
    flow.feed(Event::End, &mut ignore).expect("ended");
    (PEAK.load(Ordering::Relaxed) - before) as u64
}

fn packed(codec: &str, content: &Bytes) -> Bytes {
    let params = Map::from_iter([("codec".to_owned(), json!(codec)), ("level".to_owned(), json!(1))]);
    let pipeline = Pipeline::new(&[StepConfig { name: "compress".to_owned(), params }]).expect("built");
    let mut file = Vec::new();
    let keep = &mut |event| {
        if let Event::Bytes(bytes) = event {
            file.extend_from_slice(&bytes);
        }
        Ok(())
    };
    pipeline.run_whole(Bytes::new(), content.clone(), keep).expect("compressed");
    file.into()
}

/// A table of about this size.
fn table(size_bytes: usize) -> Bytes {
    let row = "1,Asha,\"Rao, K.\",2.5\n";
    row.repeat(size_bytes / row.len()).into()
}

/// Rows of numbers, words and empty fields.
fn rows(size_bytes: usize) -> Bytes {
    let mut rows = b"id,word,price,flag,note\n".to_vec();
    while rows.len() < size_bytes {
        let id = rows.len();
        rows.extend_from_slice(format!("{id},word {},{}.25,{},\n", id % 977, id / 3, id.is_multiple_of(2)).as_bytes());
    }
    rows.into()
}

/// Objects with lists and objects in them.
fn documents(size_bytes: usize) -> Bytes {
    let mut lines = Vec::new();
    while lines.len() < size_bytes {
        let id = lines.len();
        let user = json!({"name": format!("name {}", id % 977), "ages": [id % 90, null, 7]});
        let line = json!({"id": id, "user": user, "lines": [{"n": 1, "of": {"x": 0.5}}, {"n": id, "of": null}, {}]});
        lines.extend_from_slice(format!("{line}\n").as_bytes());
    }
    lines.into()
}

fn converting(from: &str, format: &str) -> Pipeline {
    let params = json!({"from": from, "format": format, "nested": "structs"}).as_object().cloned().unwrap_or_default();
    Pipeline::new(&[StepConfig { name: "convert".to_owned(), params }]).expect("built")
}

fn check_convert(small: usize, large: usize) {
    let formats = ["csv", "ndjson", "json", "parquet", "arrow", "avro"];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("built");
    for size_bytes in [small, large] {
        let alone = [(Workers::NONE, 1)];
        let both = [(Workers::NONE, 1), (Workers::new(&pool, 4), 4)];
        for from in formats {
            let ways = if from == "avro" { &both[..] } else { &alone };
            check_conversions((from, &converted(from, rows(size_bytes))), &formats, ways);
        }
        check_conversions(("ndjson", &documents(size_bytes)), &["ndjson", "parquet"], &both);
        check_conversions(("xlsx", &workbook::workbook(size_bytes)), &["ndjson", "parquet"], &both);
    }
}

fn check_conversions((from, file): (&str, &Bytes), formats: &[&str], ways: &[(Workers<'_>, u64)]) {
    for format in formats {
        let pipeline = converting(from, format);
        for &(workers, blocks) in ways {
            let peak = peak(&pipeline, file, 1 << 20, workers);
            let need = pipeline.need(b"a.csv", file.len() as u64, blocks);
            let told = format!("{from} of {} bytes to {format} took {peak} with {blocks} blocks", file.len());
            println!("{told}, said {need}");
            assert!(peak <= need, "{told}, said {need}");
        }
    }
}

/// Rows of CSV in another format.
fn converted(format: &str, rows: Bytes) -> Bytes {
    let mut file = Vec::new();
    let keep = &mut |event| {
        if let Event::Bytes(bytes) = event {
            file.extend_from_slice(&bytes);
        }
        Ok(())
    };
    converting("csv", format).run_whole(Bytes::new(), rows, keep).expect("converted");
    file.into()
}

/// Steps that work on rows, between files of CSV, and what cuts a file into several.
fn check_rows(size_bytes: usize, workers: Workers<'_>, blocks: u64) {
    for (name, params) in [
        ("split", json!({"rows": 1_000})),
        ("split", json!({"bytes": "1MiB", "whole": "lines"})),
        ("split", json!({"bytes": "1MiB"})),
        ("select", json!({"exclude": ["note"], "cast": {"price": "text"}})),
        ("filter_rows", json!({"where": "id > 100 and word like '%7'"})),
        ("sample", json!({"rows": 1_000})),
    ] {
        let params = params.as_object().cloned().unwrap_or_default();
        let pipeline = Pipeline::new(&[StepConfig { name: name.to_owned(), params }]).expect("built");
        let file = rows(size_bytes);
        let peak = peak(&pipeline, &file, 1 << 20, workers);
        let need = pipeline.need(b"a.csv", file.len() as u64, blocks);
        assert!(peak <= need + SLACK_BYTES, "{name} of {} bytes took {peak}, said {need}", file.len());
    }
}

/// What damaged files of other libraries make inspect steps hold; that they are refused is checked elsewhere.
fn check_samples() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let steps = ["extract_headers", "detect_type", "count"]
        .map(|name| Pipeline::new(&[StepConfig { name: name.to_owned(), params: Map::new() }]).expect("built"));
    let rounds = std::env::var("PRAVAH_PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40_u32);
    for path in std::fs::read_dir(directory).expect("lists").map(|entry| entry.expect("lists").path()) {
        let original = std::fs::read(&path).expect("is read");
        for round in 0..rounds {
            let mut file = original.clone();
            for _ in 0..round % 6 {
                let at = random(file.len());
                file[at] = random(256) as u8;
            }
            for pipeline in &steps {
                let file = Bytes::from(file.clone());
                let before = HELD.load(Ordering::Relaxed);
                PEAK.store(before, Ordering::Relaxed);
                // The result does not matter here.
                let _ = pipeline.run_whole(Bytes::from_static(b"a"), file.clone(), &mut |_| Ok(()));
                let peak = (PEAK.load(Ordering::Relaxed) - before) as u64;
                let need = pipeline.need(b"a", file.len() as u64, 1);
                assert!(peak <= need + SLACK_BYTES, "{} took {peak}, said {need}", path.display());
            }
        }
    }
}

/// One test alone in its process, so that nothing else is counted.
#[test]
fn test_peak_is_within_what_was_said() {
    check_convert(15_000, 12_000_000);
    check_samples();
    let large: Bytes = (0..12_000_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect::<Vec<_>>().into();
    let small = large.slice(..15_000);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("built");
    for size_bytes in [15_000, 12_000_000] {
        check_rows(size_bytes, Workers::NONE, 1);
        check_rows(size_bytes, Workers::new(&pool, 4), 4);
    }
    let is_other = |descriptor: &Descriptor| descriptor.input != "table" && descriptor.shape != Shape::Expand;
    let others = descriptors().into_iter().filter(is_other);
    let examples = others.flat_map(|d| d.examples.into_iter().map(move |e| (d.name, e.params)));
    let gzip_only = Map::from_iter([("codec".to_owned(), json!("gzip"))]);
    for (name, params) in examples.chain([("decompress", gzip_only)]) {
        let codec = params.get("codec").and_then(Value::as_str).unwrap_or("zstd").to_owned();
        let pipeline = Pipeline::new(&[StepConfig { name: name.to_owned(), params }]).expect("built");
        pipeline.prepare().expect("prepared"); // what all files share is no file's need
        for content in [&large, &small] {
            let file = match name {
                "decompress" => packed(&codec, content),
                "extract_headers" | "merge" => table(content.len()),
                _ => content.clone(),
            };
            for (piece_bytes, blocks) in [(1 << 20, 1), (900_001, 1), (1 << 20, 2), (900_001, 4)] {
                let peak = peak(&pipeline, &file, piece_bytes, Workers::new(&pool, blocks));
                let need = pipeline.need(b"a.csv", file.len() as u64, blocks as u64);
                assert!(
                    peak <= need + SLACK_BYTES,
                    "{name} of {} bytes took {peak} with {blocks} blocks, said {need}",
                    file.len()
                );
            }
        }
    }
}
