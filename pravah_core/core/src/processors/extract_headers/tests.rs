//! Whole files through the step: what its record says, and that pieces don't matter.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::Schema;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::*;
use crate::processors::Event;

/// The record of a file that comes in pieces of this size.
fn headers_by(params: &Value, name: &str, content: &[u8], piece_bytes: usize) -> Result<Option<Value>> {
    let processor = build(params.as_object().expect("is a map"))?;
    let mut step = processor.open()?;
    let mut record = None;
    let begin = Event::Begin {
        name: Bytes::copy_from_slice(name.as_bytes()),
        size_bytes: None,
        source_bytes: None,
        path: None,
    };
    let pieces = content.chunks(piece_bytes).map(|piece| Event::Bytes(Bytes::copy_from_slice(piece)));
    for event in std::iter::once(begin).chain(pieces).chain([Event::End]) {
        step.push(event)?;
        while let Some(event) = step.pull()? {
            if let Event::Record(found) = event {
                record = Some(Value::Object(found));
            }
        }
    }
    Ok(record)
}

fn headers(name: &str, content: impl AsRef<[u8]>) -> Value {
    let found = headers_by(&json!({}), name, content.as_ref(), usize::MAX).expect("is read");
    found.expect("there is a record")
}

fn failure(name: &str, content: impl AsRef<[u8]>) -> (&'static str, String) {
    let error = headers_by(&json!({}), name, content.as_ref(), usize::MAX).expect_err("is refused");
    (error.kind(), error.to_string())
}

/// `name: type` of each column.
fn columns(record: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("is text").to_owned();
    let columns = record["columns"].as_array().expect("is a list").iter();
    columns.map(|column| format!("{}: {}", text(&column["name"]), text(&column["type"]))).collect()
}

#[test]
fn test_types_of_csv_hold_all_values_of_their_columns() {
    let record = headers(
        "a.csv",
        "id,zip,amount,day,at,ok,empty,name\n\
         1,01234,2,2026-01-01,2026-01-01,true,,Asha\n\
         -2,99,0.5,2026-01-02,2026-01-02,FALSE,,\"Rao, \"\"K\"\"\"\n\
         ,,,,,,,\n",
    );
    let expected = [
        "id: int64",
        "zip: text",
        "amount: float64",
        "day: date",
        "at: date",
        "ok: boolean",
        "empty: text",
        "name: text",
    ];
    assert_eq!(columns(&record), expected);
    assert_eq!((&record["row_estimate"], &record["exact"]), (&json!(3), &json!(true)));
}

#[test]
fn test_delimiter_and_quote_are_told_by_the_first_rows() {
    for (name, text, format, delimiter, quote, names) in [
        ("a.csv", "a;b\n1,5;2\n2,5;3\n", "csv", ";", "\"", vec!["a", "b"]),
        ("a.csv", "a|b|c\n1|x,y|3\n", "csv", "|", "\"", vec!["a", "b", "c"]),
        ("a.tsv", "a\tb,c,d\n1\t2,3,4\n", "tsv", "\t", "\"", vec!["a", "b,c,d"]),
        ("a.tsv", "a,b\n1,2\n", "tsv", ",", "\"", vec!["a", "b"]),
        ("a.csv", "a\n1\n", "csv", ",", "\"", vec!["a"]),
        ("a.csv", "a,\"b;c;d\"\n1,\"x;y;z\"\n", "csv", ",", "\"", vec!["a", "b;c;d"]),
        ("a.csv", "'a','b,c'\n'1','2,3'\n", "csv", ",", "'", vec!["a", "b,c"]),
        ("a.csv", "a,b\nit's,o'clock\n", "csv", ",", "\"", vec!["a", "b"]),
        ("a.csv", "a^b\n1:2,5^2\n3:4^2\n", "csv", "^", "\"", vec!["a", "b"]),
        ("a.csv", "a:b\n1:2\n", "csv", ":", "\"", vec!["a", "b"]),
        ("a.csv", "at,n\n12:30:00,1\n12:31:00,2\n", "csv", ",", "\"", vec!["at", "n"]),
        ("unnamed", "a\tb\n1\t2\n", "tsv", "\t", "\"", vec!["a", "b"]),
        ("a.txt", "a;b\n1;2\n", "csv", ";", "\"", vec!["a", "b"]),
    ] {
        let record = headers(name, text);
        let found = columns(&record);
        let found: Vec<&str> =
            found.iter().filter_map(|column| column.rsplit_once(": ")).map(|(name, _)| name).collect();
        assert_eq!((&record["format"], &record["delimiter"]), (&json!(format), &json!(delimiter)), "{text}");
        assert_eq!((&record["quote"], found), (&json!(quote), names), "{text}");
    }
}

#[test]
fn test_first_row_is_told_from_names_where_types_tell() {
    for (text, expected) in [
        ("id,name\n1,a\n2,b\n", json!(true)),
        ("1,a\n2,b\n", json!(false)),
        ("1,a\n2.5,b\n", json!(false)),
        ("name,city\na,b\n", Value::Null),
        ("id,1\n2,3\n", Value::Null),
        ("", Value::Null),
    ] {
        assert_eq!(headers("a.csv", text)["header_likely"], expected, "{text}");
    }
}

#[test]
fn test_encodings_are_told_and_names_are_read_by_them() {
    let utf16 = |read: fn(u16) -> [u8; 2]| "\u{feff}größe,n\n1,2\n".encode_utf16().flat_map(read).collect::<Vec<u8>>();
    for (content, encoding, is_marked) in [
        ("größe,n\n1,2\n".as_bytes().to_vec(), "utf-8", false),
        ("\u{feff}größe,n\n1,2\n".as_bytes().to_vec(), "utf-8", true),
        (utf16(u16::to_le_bytes), "utf-16le", true),
        (utf16(u16::to_be_bytes), "utf-16be", true),
        (b"gr\xf6\xdfe,n\n1,2\n".to_vec(), "latin-1", false),
    ] {
        let record = headers("a.csv", &content);
        assert_eq!((&record["encoding"], &record["bom"]), (&json!(encoding), &json!(is_marked)));
        assert_eq!(columns(&record), ["größe: int64", "n: int64"]);
        assert_eq!(record["row_estimate"], 1);
    }
}

#[test]
fn test_empty_table_has_no_columns_and_no_rows() {
    for name in ["a.csv", "a.tsv", "a.ndjson"] {
        let record = headers(name, "");
        assert_eq!((columns(&record).len(), &record["row_estimate"], &record["exact"]), (0, &json!(0), &json!(true)));
    }
    assert_eq!(columns(&headers("a.csv", "a,b")), ["a: text", "b: text"]);
}

#[test]
fn test_rows_of_a_large_file_are_estimated_by_its_size() {
    let row = "1,abcdefgh,2.5\n";
    let table = format!("id,name,amount\n{}", row.repeat(300_000));
    let record = headers("a.csv", &table);
    let estimate = record["row_estimate"].as_u64().expect("a number");
    assert!(estimate.abs_diff(300_000) <= 1, "{estimate}");
    assert_eq!(record["exact"], false);
    let lines = "{\"id\": 1, \"name\": \"abc\"}\n".repeat(100_000);
    let estimate = headers("a.ndjson", &lines)["row_estimate"].as_u64().expect("a number");
    assert!(estimate.abs_diff(100_000) <= 1, "{estimate}");
    // Types and names are those of the sample only.
    assert_eq!(columns(&headers("a.csv", table + "x,y,z\n")), ["id: int64", "name: text", "amount: float64"]);
}

#[test]
fn test_sample_that_is_the_whole_file_is_exact_to_its_last_byte() {
    let row = "1,abcdefgh,2.55\n"; // 16 bytes
    let table = row.repeat(SAMPLE_BYTES / 16);
    assert_eq!(table.len(), SAMPLE_BYTES);
    for piece_bytes in [SAMPLE_BYTES, 1_000, 1 << 19] {
        let record =
            headers_by(&json!({}), "a.csv", table.as_bytes(), piece_bytes).expect("is read").expect("a record");
        assert_eq!((&record["row_estimate"], &record["exact"]), (&json!(SAMPLE_BYTES / 16 - 1), &json!(true)));
        let longer = format!("{table}1");
        let record =
            headers_by(&json!({}), "a.csv", longer.as_bytes(), piece_bytes).expect("is read").expect("a record");
        assert_eq!(record["exact"], false);
    }
}

#[test]
fn test_keys_of_json_are_in_the_order_of_their_first_appearance() {
    let rows = [
        r#"{"id": 1, "tags": ["a"], "at": {"x": 1}, "n": 1}"#,
        r#"{"new": null, "n": 2.5, "id": 18446744073709551615, "at": "here"}"#,
        r#"{"ok": true, "id": 3}"#,
    ];
    let expected = ["id: float64", "tags: list", "at: mixed", "n: float64", "new: null", "ok: boolean"];
    let array = format!(" [\n{}\n]\n", rows.join(",\n"));
    for (name, content, format) in [
        ("a.ndjson", rows.join("\n"), "ndjson"),
        ("a.jsonl", rows.join("\n\n"), "ndjson"),
        ("a.json", rows.join("\n"), "ndjson"),
        ("a.json", array.clone(), "json"),
        ("a", rows.join("\n"), "ndjson"),
        ("a", array, "json"),
    ] {
        let record = headers(name, content);
        assert_eq!(
            (columns(&record), &record["format"]),
            (expected.map(str::to_owned).to_vec(), &json!(format)),
            "{name}"
        );
        assert_eq!((&record["row_estimate"], &record["exact"]), (&json!(3), &json!(true)));
    }
}

#[test]
fn test_damage_in_json_is_told_with_its_row() {
    for (name, content, kind, told) in [
        ("a.ndjson", "{\"a\": 1}\n{\"a\" 2}\n", "corrupt_input", "row 2, at line 2"),
        ("a.ndjson", "{\"a\": 1}\n{\"a\":", "truncated_input", "not closed"),
        ("a.json", "[{\"a\": 1}, {\"a\": 2}", "truncated_input", "not closed"),
        ("a.json", "[{\"a\": 1} {\"a\": 2}]", "corrupt_input", "`,` or `]`"),
        ("a.json", "[{\"a\": 1}] x", "corrupt_input", "nothing is expected"),
        ("a.json", "[1, 2]", "unsupported_input", "no object"),
        ("a.json", "[[1]]", "unsupported_input", "no object"),
        ("a.json", "", "truncated_input", "no JSON"),
        ("a.json", "hello", "corrupt_input", "an array of objects"),
    ] {
        let (found, message) = failure(name, content);
        assert_eq!(found, kind, "{content}: {message}");
        assert!(message.contains(told), "{content}: {message}");
    }
}

fn batch() -> RecordBatch {
    let arrays: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        ("amount", Arc::new(Float32Array::from(vec![0.5, 1.5, 2.5]))),
        ("day", Arc::new(Date32Array::from(vec![1, 2, 3]))),
    ];
    RecordBatch::try_from_iter(arrays).expect("is a batch")
}

const BATCH_COLUMNS: [&str; 4] = ["id: int64", "name: text", "amount: float32", "day: date"];

fn parquet(schema: &Arc<Schema>, batches: &[RecordBatch]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, Arc::clone(schema), None).expect("begins");
    for batch in batches {
        writer.write(batch).expect("writes");
        writer.flush().expect("ends a row group");
    }
    writer.close().expect("ends");
    file
}

#[test]
fn test_parquet_gives_schema_and_rows_of_its_footer() {
    let batch = batch();
    let file = parquet(&batch.schema(), &vec![batch.clone(); 3]);
    let record = headers("a.parquet", &file);
    assert_eq!(columns(&record), BATCH_COLUMNS);
    assert_eq!(
        (&record["format"], &record["row_estimate"], &record["exact"]),
        (&json!("parquet"), &json!(9), &json!(true))
    );
    assert_eq!((&record["encoding"], &record["delimiter"]), (&Value::Null, &Value::Null));
}

#[test]
fn test_parquet_beyond_the_sample_is_read_from_its_end() {
    let random: Int64Array = (0..400_000_i64).map(|number| Some(number.wrapping_mul(0x5851_f42d_4c95_7f2d))).collect();
    let batch = RecordBatch::try_from_iter([("n", Arc::new(random) as ArrayRef)]).expect("is a batch");
    let file = parquet(&batch.schema(), &[batch]);
    assert!(file.len() > 3 * SAMPLE_BYTES);
    for piece_bytes in [1 << 20, 700_001, usize::MAX] {
        let record = headers_by(&json!({}), "a", &file, piece_bytes).expect("is read").expect("a record");
        assert_eq!((columns(&record), &record["row_estimate"]), (vec!["n: int64".to_owned()], &json!(400_000)));
    }
}

#[test]
fn test_damaged_parquet_is_a_typed_error() {
    let batch = batch();
    let file = parquet(&batch.schema(), &[batch]);
    for end in 4..file.len() {
        let (kind, _) = failure("a.parquet", &file[..end]);
        assert!(["truncated_input", "corrupt_input", "unsupported_input"].contains(&kind), "{end}: {kind}");
    }
    let mut encrypted = file.clone();
    encrypted.truncate(file.len() - 1);
    encrypted.push(b'E');
    assert_eq!(failure("a.parquet", encrypted).0, "unsupported_input");
    assert_eq!(failure("a.parquet", "id,name\n").0, "corrupt_input");
}

fn arrow(batches: usize) -> Vec<u8> {
    let batch = batch();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).expect("begins");
    for _ in 0..batches {
        writer.write(&batch).expect("writes");
    }
    writer.into_inner().expect("ends")
}

#[test]
fn test_arrow_file_gives_schema_and_rows() {
    for (batches, exact) in [(0, true), (3, true), (300, false)] {
        let record = headers("a.arrow", arrow(batches));
        assert_eq!(columns(&record), BATCH_COLUMNS);
        assert_eq!(
            (&record["format"], &record["row_estimate"], &record["exact"]),
            (&json!("arrow"), &json!(3 * batches), &json!(exact))
        );
    }
    let file = arrow(2);
    for end in 8..file.len() {
        let (kind, message) = failure("a.arrow", &file[..end]);
        assert!(["truncated_input", "corrupt_input"].contains(&kind), "{end}: {message}");
    }
    let packed = Codec::Zstd.compress(3, &file).expect("is compressed");
    assert_eq!(headers("a.arrow.zst", packed)["row_estimate"], 6);
}

/// The records of a file of which only what is looked at is read, and how much that is.
fn looked(name: &str, content: &[u8]) -> (Vec<Value>, u64) {
    let pipeline =
        crate::pipeline::Pipeline::new(&[crate::plan::StepConfig { name: NATIVE.name.to_owned(), params: Map::new() }])
            .expect("built");
    let (mut records, mut read_bytes) = (Vec::new(), 0);
    let mut read = |range: std::ops::Range<u64>| {
        read_bytes += range.end - range.start;
        Ok(Bytes::copy_from_slice(&content[range.start as usize..range.end as usize]))
    };
    let keep = &mut |event| {
        if let Event::Record(record) = event {
            records.push(Value::Object(record));
        }
        Ok(())
    };
    pipeline.look((name.as_bytes(), content.len() as u64), &mut read, keep).expect("is read");
    (records, read_bytes)
}

#[test]
fn test_look_finds_what_a_whole_reading_does_in_a_part_of_the_file() {
    let batch = batch();
    let random: Int64Array = (0..400_000_i64).map(|number| Some(number.wrapping_mul(0x5851_f42d_4c95_7f2d))).collect();
    let random = RecordBatch::try_from_iter([("n", Arc::new(random) as ArrayRef)]).expect("is a batch");
    let mut long = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &random.schema()).expect("begins");
    (0..4).for_each(|_| long.write(&random).expect("writes"));
    for (name, content, most_read_bytes) in [
        ("a.csv", "1,abcdefgh,2.5\n".repeat(300_000).into_bytes(), 1_100_000),
        ("a.ndjson", "{\"id\": 1}\n".repeat(300_000).into_bytes(), 1_100_000),
        ("a.parquet", parquet(&batch.schema(), std::slice::from_ref(&batch)), 70_000),
        ("a.parquet", parquet(&random.schema(), std::slice::from_ref(&random)), 70_000),
        ("a.arrow", long.into_inner().expect("ends"), 75_000),
    ] {
        let (records, read_bytes) = looked(name, &content);
        assert_eq!(records[0]["columns"], headers(name, &content)["columns"], "{name}");
        assert!(read_bytes <= most_read_bytes, "{name}: {read_bytes} of {}", content.len());
    }
}

#[test]
fn test_rows_of_an_arrow_file_that_has_passed_are_not_told_where_they_are_gone() {
    let zeros = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0; 400_000])) as ArrayRef)]);
    let zeros = zeros.expect("is a batch");
    let mut long = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &zeros.schema()).expect("begins");
    (0..4).for_each(|_| long.write(&zeros).expect("writes"));
    let file = long.into_inner().expect("ends");
    let passed = headers_by(&json!({}), "a", &file, 1 << 20).expect("is read").expect("a record");
    assert_eq!((&passed["row_estimate"], columns(&passed)), (&Value::Null, vec!["n: int64".to_owned()]));
    assert_eq!(looked("a", &file).0[0]["row_estimate"], 1_600_000);
}

#[test]
fn test_compressed_table_is_read_through() {
    let table = "id,name\n1,Asha\n2,Ravi\n";
    for (codec, extension) in [
        (Codec::Gzip, "gz"),
        (Codec::Zstd, "zst"),
        (Codec::Xz, "xz"),
        (Codec::Bzip2, "bz2"),
        (Codec::Lz4, "lz4"),
        (Codec::Brotli, "br"),
    ] {
        let packed = codec.compress(codec.default_level(), table.as_bytes()).expect("is compressed");
        let record = headers(&format!("a.csv.{extension}"), &packed);
        assert_eq!((&record["format"], &record["compression"]), (&json!("csv"), &json!(codec.name())));
        assert_eq!(
            (columns(&record), &record["row_estimate"]),
            (vec!["id: int64".to_owned(), "name: text".to_owned()], &json!(2))
        );
        let cut = &packed[..packed.len() - 1];
        assert_eq!(failure(&format!("a.csv.{extension}"), cut).0, "truncated_input", "{extension}");
    }
}

#[test]
fn test_large_compressed_table_has_an_estimate() {
    let mut table = "id,name,amount\n".to_owned();
    for row in 0..400_000_u64 {
        table.push_str(&format!(
            "{:06},name,{}\n",
            100_000 + row,
            row.wrapping_mul(0x5851_f42d_4c95_7f2d) % 100_000_000
        ));
    }
    let packed = Codec::Gzip.compress(6, table.as_bytes()).expect("is compressed");
    assert!(packed.len() > SAMPLE_BYTES, "{}", packed.len());
    let record = headers("a.csv.gz", &packed);
    let estimate = record["row_estimate"].as_u64().expect("a number");
    assert!(estimate.abs_diff(400_000) < 40_000, "{estimate}");
    assert_eq!(record["exact"], false);
}

#[test]
fn test_file_that_is_no_table_fails_or_passes_without_a_record() {
    for (name, content) in [
        ("a.bin", &b"\0\x01\x02,\n"[..]),
        ("README", b"Some words, in a line.\nAnd more of them\n"),
        ("a", b""),
        ("a.csv", b"a,b\0\n"),
    ] {
        let (kind, message) = failure(name, content);
        assert_eq!(kind, "unsupported_input");
        assert!(message.ends_with("markdown, image"), "{message}");
        let passed = headers_by(&json!({"unknown": "pass"}), name, content, 3).expect("passes");
        assert_eq!(passed, None);
    }
}

#[test]
fn test_row_that_is_longer_than_the_sample_is_unsupported() {
    let long = "x".repeat(2 * SAMPLE_BYTES);
    assert_eq!(failure("a.csv", &long).0, "unsupported_input");
    assert_eq!(failure("a.json", format!("[{{\"a\": \"{long}\"}}]")).0, "unsupported_input");
    let wide = ",".repeat(MOST_COLUMNS);
    assert_eq!(failure("a.csv", wide).0, "unsupported_input");
}

/// Text that looks like a table of one kind or another, now and then damaged.
fn tables() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let cell = prop_oneof!["[0-9]{1,4}", "[a-zé ]{0,5}", "\"[a-z,\n\"]{0,6}\"", Just(String::new())];
    let table = prop::collection::vec(prop::collection::vec(cell, 1..5), 0..20);
    let csv = table.prop_map(|rows| rows.iter().map(|row| row.join(",") + "\n").collect::<String>().into_bytes());
    let json =
        prop::collection::vec("\\{\"[ab]\": ([0-9]|\"x\"|null)\\}", 0..9).prop_map(|rows| rows.join("\n").into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    (prop::sample::select(vec!["a.csv", "a.tsv", "a.json", "a.ndjson", "a"]), prop_oneof![csv, json, bytes])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_records_do_not_depend_on_pieces((name, content) in tables(), piece_bytes in 1usize..50) {
        let told = |piece_bytes| {
            headers_by(&json!({}), name, &content, piece_bytes).map_err(|error| (error.kind(), error.to_string()))
        };
        prop_assert_eq!(told(piece_bytes), told(usize::MAX));
    }
}
