//! Files that other libraries made (`samples/make.py`) under the inspect steps, whole, damaged and cut.

use std::path::Path;

use bytes::Bytes;
use pravah_core::{
    pipeline::{Pipeline, Workers},
    processors::Event,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::run::{Batching, pipeline, run_named};

/// What damage may end as.
const KINDS: [&str; 4] = ["corrupt_input", "truncated_input", "unsupported_input", "decompression_budget"];

fn samples() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut samples: Vec<_> = std::fs::read_dir(directory)
        .expect("lists")
        .map(|entry| entry.expect("lists").path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "py"))
        .map(|path| {
            let name = path.file_name().expect("has one").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("is read"))
        })
        .collect();
    samples.sort();
    let page = "<!doctype html><html lang=de><meta charset=utf-8><title>A &amp; B</title>\
        <h1>One <b>two</b></h1><script>\"<h2>\"</script><h3>three<h2>four</h2>";
    let guide = "---\ntitle: front\n---\n# One `two`\n\n```\n# none\n```\n\nThree\n-----\n";
    let table = "id;name;at\n1;\"Rao; K\";2026-01-01\n2;x;2026-01-02\n";
    let lines = "{\"a\": [1, {\"b\": 2}]}\n{\"a\": null, \"c\": \"x\"}\n";
    let texts = [("page.html", page), ("guide.md", guide), ("table.csv", table), ("lines.ndjson", lines)];
    samples.extend(texts.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())));
    samples
}

fn sample(name: &str) -> Vec<u8> {
    samples().into_iter().find(|(found, _)| found == name).expect("there is one").1
}

fn headers(name: &str) -> Vec<Value> {
    let headers = pipeline("extract_headers", json!({}));
    run_named(name, Workers::NONE, &headers, &sample(name), &Batching::Whole).expect("is read").records
}

fn columns(record: &Value) -> Vec<(&str, &str)> {
    let columns = record["columns"].as_array().expect("is a list").iter();
    columns.map(|c| (c["name"].as_str().expect("is text"), c["type"].as_str().expect("is text"))).collect()
}

#[test]
fn test_each_sheet_of_a_workbook_is_a_table() {
    let records = headers("openpyxl.xlsx");
    let names: Vec<_> = records.iter().map(|record| &record["sheet"]).collect();
    assert_eq!(names, ["People", "Places <2>", "Empty"]);
    let expected = [
        ("id", "int64"),
        ("name", "text"),
        ("born", "date"),
        ("seen", "timestamp"),
        ("share", "float64"),
        ("ok", "boolean"),
    ];
    assert_eq!(columns(&records[0]), expected);
    assert_eq!(columns(&records[1]), [("zip", "text"), ("größe", "int64")]);
    assert_eq!(columns(&records[2]), []);
    let rows = records.iter().map(|record| (&record["row_estimate"], &record["exact"]));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [2, 1, 0].map(|rows| (json!(rows), json!(true))).each_ref().map(|(a, b)| (a, b))
    );
}

#[test]
fn test_large_workbook_is_looked_at_in_parts() {
    let mut book = sample("openpyxl.xlsx");
    let end = book.len() - 22;
    let list = u32::from_le_bytes(book[end + 16..end + 20].try_into().expect("are four bytes"));
    let room = 3 << 20;
    book[end + 16..end + 20].copy_from_slice(&(list + room).to_le_bytes());
    book.splice(list as usize..list as usize, vec![0; room as usize]);
    let (mut records, mut read_bytes) = (Vec::new(), 0);
    let mut read = |range: std::ops::Range<u64>| {
        read_bytes += range.end - range.start;
        Ok(Bytes::copy_from_slice(&book[range.start as usize..range.end as usize]))
    };
    let keep = &mut |event| {
        if let Event::Record(record) = event {
            records.push(Value::Object(record));
        }
        Ok(())
    };
    let headers = pipeline("extract_headers", json!({}));
    headers.look((b"a", book.len() as u64), &mut read, keep).expect("is read");
    assert_eq!(records, self::headers("openpyxl.xlsx"));
    assert!(read_bytes < 200_000, "{read_bytes}");
}

#[test]
fn test_file_that_is_shorter_than_it_was_has_changed_while_it_was_looked_at() {
    let headers = pipeline("extract_headers", json!({}));
    let mut read = |_: std::ops::Range<u64>| Ok(Bytes::from_static(b"id\n1\n"));
    let failure = headers.look((b"a.csv", 2 << 20), &mut read, &mut |_| Ok(())).expect_err("is refused");
    assert_eq!((failure.step, failure.error.kind()), (None, "changed_while_read"));
}

#[test]
fn test_avro_gives_schema_and_counted_rows() {
    let record = &headers("fastavro.avro")[0];
    let expected = [
        ("id", "int64"),
        ("name", "text"),
        ("born", "date"),
        ("tags", "list<text>"),
        ("either", "mixed"),
        ("price", "decimal(9,2)"),
    ];
    assert_eq!(columns(record), expected);
    assert_eq!((&record["row_estimate"], &record["exact"]), (&json!(500), &json!(true)));
}

#[test]
fn test_arrow_of_pyarrow_has_counted_rows() {
    let record = &headers("pyarrow.arrow")[0];
    assert_eq!(columns(record), [("id", "int64"), ("name", "text")]);
    assert_eq!((&record["row_estimate"], &record["exact"]), (&json!(3), &json!(true)));
}

#[test]
fn test_mail_gives_decoded_fields() {
    let subject = "Grüße aus München, und noch viel mehr als in eine einzige Zeile passen kann, ja";
    for (name, messages) in [("python.eml", None), ("python.mbox", Some(2))] {
        let record = &headers(name)[0];
        assert_eq!(record["subject"], subject);
        assert_eq!(record["from"], "Jörg Müller <jm@example.org>");
        assert_eq!(record["date"], "2026-01-31T23:59:59+05:30");
        assert_eq!(record.get("messages"), messages.map(|count| json!(count)).as_ref());
        let fields = record["fields"].as_array().expect("is a list").iter();
        let received: Vec<_> =
            fields.filter(|field| field["name"] == "Received").map(|field| &field["value"]).collect();
        assert_eq!(received, ["from a by b", "from c by d"]);
    }
}

#[test]
fn test_documents_give_title_and_headings() {
    let page = &headers("page.html")[0];
    assert_eq!((&page["title"], &page["language"], &page["charset"]), (&json!("A & B"), &json!("de"), &json!("utf-8")));
    let heading = |level, text| json!({"level": level, "text": text});
    assert_eq!(page["headings"], json!([heading(1, "One two"), heading(3, "three"), heading(2, "four")]));
    let guide = &headers("guide.md")[0];
    assert_eq!(guide["headings"], json!([heading(1, "One two"), heading(2, "Three")]));
    assert_eq!(guide["title"], "One two");
}

#[test]
fn test_html_is_read_in_the_encoding_that_it_declares() {
    let (shown, _, _) = encoding_rs::SHIFT_JIS.encode("<meta charset=Shift_JIS><title>東京</title>");
    let headers = pipeline("extract_headers", json!({}));
    let found = run_named("a.html", Workers::NONE, &headers, &shown, &Batching::Whole).expect("is read");
    assert_eq!((&found.records[0]["title"], &found.records[0]["encoding"]), (&json!("東京"), &json!("Shift_JIS")));
}

#[test]
fn test_images_give_dimensions_and_exif() {
    for (name, width, height) in [
        ("pillow.jpg", 33, 21),
        ("pillow.webp", 33, 21),
        ("pillow.png", 33, 21),
        ("pillow.gif", 33, 21),
        ("pillow.bmp", 9, 5),
        ("pillow.tiff", 9, 5),
    ] {
        let record = &headers(name)[0];
        assert_eq!((&record["width_px"], &record["height_px"]), (&json!(width), &json!(height)), "{name}");
    }
    for name in ["pillow.jpg", "pillow.webp"] {
        let record = &headers(name)[0];
        let told = record["exif"].as_array().expect("is a list").iter();
        let told: Vec<_> = told.map(|field| (field["name"].as_str(), field["value"].as_str())).collect();
        for expected in [("Make", "Pravah"), ("DateTimeOriginal", "2026-01-31 23:59:59"), ("ExposureTime", "1/60 s")] {
            assert!(told.contains(&(Some(expected.0), Some(expected.1))), "{name}: {told:?}");
        }
    }
}

#[test]
fn test_types_of_samples_are_told_without_their_names() {
    let detect = pipeline("detect_type", json!({}));
    for (name, expected) in [
        ("openpyxl.xlsx", "xlsx"),
        ("fastavro.avro", "avro"),
        ("pyarrow.arrow", "arrow"),
        ("python.eml", "email"),
        ("python.mbox", "mbox"),
        ("pillow.jpg", "jpeg"),
        ("pillow.webp", "webp"),
        ("pillow.png", "png"),
        ("pillow.gif", "gif"),
        ("pillow.bmp", "bmp"),
        ("pillow.tiff", "tiff"),
        ("page.html", "html"),
        ("table.csv", "csv"),
        ("lines.ndjson", "ndjson"),
    ] {
        let found = run_named("a", Workers::NONE, &detect, &sample(name), &Batching::Whole).expect("is told");
        assert_eq!(found.records[0]["type"], expected, "{name}");
    }
}

/// The records, or the kind of the failure, which is one of damage.
fn verdict(step: &Pipeline, name: &str, content: &[u8], batching: &Batching) -> Result<Vec<Value>, String> {
    let outcome = run_named(name, Workers::NONE, step, content, batching);
    outcome.map(|outcome| outcome.records).map_err(|failure| {
        assert!(KINDS.contains(&failure.error.kind()), "{name}: {}: {}", failure.error.kind(), failure.error);
        failure.error.to_string()
    })
}

fn check(name: &str, content: &[u8], piece_bytes: usize) {
    for (step, params) in [
        ("extract_headers", json!({})),
        ("extract_headers", json!({"header": false})),
        ("detect_type", json!({})),
        ("count", json!({})),
        ("grep", json!({"pattern": "[a-z]{3}"})),
    ] {
        let pipeline = pipeline(step, params);
        let whole = verdict(&pipeline, name, content, &Batching::Whole);
        assert_eq!(verdict(&pipeline, name, content, &Batching::Pieces(vec![piece_bytes])), whole, "{step} of {name}");
    }
}

/// Cases of each property: few here, `PRAVAH_PROPERTY_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PRAVAH_PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_damaged_file_is_read_or_refused(
        (name, content) in prop::sample::select(samples()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        piece_bytes in 1usize..700,
    ) {
        let mut content = content;
        for (at, byte) in &changes {
            let at = at.index(content.len());
            content[at] = *byte;
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(content.len()));
        }
        check(&name, &content, piece_bytes);
        check("a", &content, piece_bytes);
    }

    #[test]
    fn test_any_bytes_behind_a_mark_are_read_or_refused(
        (name, content) in prop::sample::select(samples()),
        kept in 0usize..40,
        behind in prop::collection::vec(any::<u8>(), 0..600),
        ends in 0usize..60,
        piece_bytes in 1usize..90,
    ) {
        let (start, end) = (&content[..kept.min(content.len())], &content[content.len().saturating_sub(ends)..]);
        check(&name, &[start, &behind, end].concat(), piece_bytes);
    }
}
