//! Tables through steps: values come through every pair of formats, pieces do not matter, bad input is typed.

mod avro;
mod misfits;
mod nested;
mod random;
mod xlsx;

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Value, json};

use super::text::{PIECE_BYTES, SAMPLE_BYTES};
use crate::{
    Error, Result,
    pipeline::{Failure, Pipeline, Workers},
    plan::StepConfig,
    processors::{Event, RowCounts, build},
};

const FORMATS: [&str; 7] = ["csv", "tsv", "ndjson", "json", "parquet", "arrow", "avro"];

/// What came of a file.
#[derive(Debug, Default, PartialEq)]
struct Converted {
    bytes: Vec<u8>,
    records: Vec<Value>,
    rows: RowCounts,
}

/// Run a file that is pushed in pieces of these sizes, over and over; it is read again where a step wants that.
fn run(
    steps: &[(&str, Value)],
    name: &str,
    file: &[u8],
    sizes: &[usize],
    workers: Workers<'_>,
) -> Result<Converted, Failure> {
    let steps = steps.iter().map(|(name, params)| StepConfig {
        name: (*name).to_owned(),
        params: params.as_object().expect("a map").clone(),
    });
    let pipeline = Pipeline::new(&steps.collect::<Vec<_>>())?;
    let mut memo = None;
    loop {
        let mut converted = Converted::default();
        let mut take = |event| {
            match event {
                Event::Bytes(bytes) => converted.bytes.extend_from_slice(&bytes),
                Event::Record(record) => converted.records.push(Value::Object(record)),
                Event::Rows(counts) => converted.rows += counts,
                _ => {}
            }
            Ok(())
        };
        let mut flow = pipeline.open(workers)?;
        if let Some(memo) = &memo {
            flow.remember(memo);
        }
        let name = Bytes::copy_from_slice(name.as_bytes());
        let mut feed = || {
            flow.feed(
                Event::Begin { name: name.clone(), size_bytes: None, source_bytes: None, path: None },
                &mut take,
            )?;
            let (mut rest, mut sizes) = (file, sizes.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*sizes.next().expect("endless")).clamp(1, rest.len()));
                flow.feed(Event::Bytes(Bytes::copy_from_slice(piece)), &mut take)?;
                rest = behind;
            }
            flow.feed(Event::End, &mut take)
        };
        match feed() {
            Err(Failure { error: Error::ReadAgain(found), .. }) => memo = Some(found),
            Err(failure) => return Err(failure),
            Ok(()) => return Ok(converted),
        }
    }
}

/// Convert a file that is pushed in pieces of these sizes, over and over.
fn convert_in(params: Value, name: &str, file: &[u8], sizes: &[usize]) -> Result<Vec<u8>> {
    let converted = run(&[("convert", params)], name, file, sizes, Workers::NONE);
    converted.map(|converted| converted.bytes).map_err(|failure| failure.error)
}

fn convert(params: Value, name: &str, file: &[u8]) -> Result<Vec<u8>> {
    convert_in(params, name, file, &[usize::MAX])
}

fn converted(format: &str, name: &str, file: &[u8]) -> Vec<u8> {
    convert(json!({"format": format}), name, file).unwrap_or_else(|error| panic!("{name} to {format}: {error}"))
}

fn text(format: &str, name: &str, file: &str) -> String {
    String::from_utf8(converted(format, name, file.as_bytes())).expect("is text")
}

/// The kind and the message of the error that a file ends with.
fn refused(params: Value, name: &str, file: &[u8]) -> String {
    let error = convert(params, name, file).map(drop).expect_err("is refused");
    format!("{}: {error}", error.kind())
}

fn csv_refused(file: &[u8]) -> String {
    refused(json!({"format": "ndjson"}), "a.csv", file)
}

const EVERY_TYPE: &str = "\
id,big,price,ok,day,at,utc,code,name,none
1,9223372036854775808,0.1,true,2024-02-29,2024-02-29T12:00:00,2024-02-29T12:00:00Z,007,\"a,\"\"b\"\"\nc\",
-9223372036854775808,1,1e+300,false,1969-12-31,1969-12-31T23:59:59.999999,1969-12-31T23:59:59.999999Z,7,\"\",
,,,,,,,,,
3,,-0.0,true,9999-12-31,2024-02-29T12:00:00.500,2024-02-29T12:00:00.500Z,+5,ÄÖ €,
";

#[test]
fn test_values_are_kept_between_every_pair_of_formats() {
    for first in FORMATS {
        let there = converted(first, "a.csv", EVERY_TYPE.as_bytes());
        for second in FORMATS {
            let through = converted(second, &format!("a.{first}"), &there);
            let back = converted("csv", &format!("a.{second}"), &through);
            assert_eq!(String::from_utf8_lossy(&back), EVERY_TYPE, "{first}, {second}");
        }
    }
}

#[test]
fn test_types_reach_json_and_come_back_from_text() {
    assert_eq!(
        text("ndjson", "a.csv", EVERY_TYPE).lines().next(),
        Some(
            r#"{"id":1,"big":"9223372036854775808","price":0.1,"ok":true,"day":"2024-02-29","at":"2024-02-29T12:00:00","utc":"2024-02-29T12:00:00Z","code":"007","name":"a,\"b\"\nc","none":null}"#
        )
    );
}

#[test]
fn test_csv_takes_marks_every_end_of_line_and_fields_within_quotes() {
    let file = "\u{feff}a,b\r\n1,\"x\r\ny\"\r2,\n\n3,\"z\"";
    assert_eq!(text("csv", "a.csv", file), "a,b\n1,\"x\r\ny\"\n2,\n3,z\n");
    assert_eq!(text("ndjson", "a.csv", "a\n\n\"\"\nx"), "{\"a\":null}\n{\"a\":\"\"}\n{\"a\":\"x\"}\n");
    assert_eq!(text("tsv", "a.csv", "a,b\n\"x\ty\",\"1,2\"\n"), "a\tb\n\"x\ty\"\t1,2\n");
}

#[test]
fn test_header_only_gives_columns_without_rows_and_an_empty_file_is_refused() {
    for format in FORMATS {
        let file = converted(format, "a.csv", b"a,b\n");
        if !format.ends_with("json") {
            assert_eq!(converted("csv", &format!("a.{format}"), &file), b"a,b\n", "{format}");
        }
    }
    for (name, file) in
        [("a.csv", &b""[..]), ("a.csv", "\u{feff}".as_bytes()), ("a.ndjson", b"\n"), ("a.ndjson", b"{}\n")]
    {
        assert!(refused(json!({"format": "csv"}), name, file).starts_with("no_columns: "), "{name}");
    }
}

#[test]
fn test_csv_without_header_numbers_its_columns() {
    let params = json!({"format": "ndjson", "header": false, "delimiter": ";"});
    assert_eq!(
        convert(params, "a.csv", b"1;x\n2;\n").expect("converts"),
        b"{\"column_1\":1,\"column_2\":\"x\"}\n{\"column_1\":2,\"column_2\":null}\n"
    );
}

#[test]
fn test_bad_csv_is_refused_with_its_line() {
    assert_eq!(csv_refused(b"a,b\n1,2\n3\n"), "csv_ragged_row: line 3 has 1 fields, the first row has 2");
    assert_eq!(csv_refused(b"a,b\n1,\"\n\n\"\n3,4,5\n"), "csv_ragged_row: line 5 has 3 fields, the first row has 2");
    assert_eq!(csv_refused(b"a\n\"x\n"), "csv_bad_quotes: the quote that opens in the row of line 2 is never closed");
    assert!(csv_refused(b"a,b\n1,\"x\"y\n").starts_with("csv_bad_quotes: line 2, field 2: there is text behind"));
    assert!(csv_refused(b"a,b,a\n").starts_with("csv_bad_header: columns 1 and 3 are both called `a`"));
    assert_eq!(
        csv_refused(b"a,b\nx,\xff\n"),
        "invalid_utf8: line 2, column `b`: the text is not UTF-8; `encoding` tells what it is"
    );
    assert_eq!(csv_refused(b"a,\xff\n"), "invalid_utf8: the name of column 2 is not UTF-8");
    // Each half of a character in a cell of its own.
    assert!(csv_refused(b"a\n\xc3\n\xa9\n").starts_with("invalid_utf8: line 2, "));
}

#[test]
fn test_declared_types_hold_or_the_file_fails() {
    let params = json!({"format": "ndjson", "types": {"a": "text", "b": "int64"}});
    assert_eq!(
        convert(params.clone(), "a.csv", b"a,b\n1,007\n2,\"\"\n").expect("converts"),
        b"{\"a\":\"1\",\"b\":7}\n{\"a\":\"2\",\"b\":null}\n"
    );
    assert_eq!(
        refused(params.clone(), "a.csv", b"a,b\n1,2\n1,x\n"),
        "csv_bad_value: line 3, column `b`: `x` is no int64, which `types` declares"
    );
    assert!(refused(params, "a.csv", b"a\n1\n").contains("`types` names the column `b`"));
}

/// Rows of a number and a filler, more of them than the sample has.
fn beyond_sample(format: &str) -> (String, usize) {
    let filler = "x".repeat(1_000);
    let rows = (SAMPLE_BYTES + 3 * PIECE_BYTES) / 1_000;
    let mut file = String::from(if format == "csv" { "id,name\n" } else { "" });
    for row in 0..rows {
        match format {
            "csv" => writeln!(file, "{row},{filler}"),
            _ => writeln!(file, "{{\"id\":{row},\"name\":\"{filler}\"}}"),
        }
        .expect("is written");
    }
    (file, rows)
}

#[test]
fn test_value_behind_the_sample_that_does_not_fit_widens_its_column() {
    let (file, rows) = beyond_sample("csv");
    let csv = convert(json!({"format": "csv"}), "a.csv", format!("{file}1.5,y\n2,z\n").as_bytes()).expect("converts");
    let csv = String::from_utf8(csv).expect("is text");
    assert_eq!(csv.lines().nth(1).map(|line| &line[..4]), Some("0.0,"));
    assert!(csv.ends_with("x\n1.5,y\n2.0,z\n"), "{}", &csv[csv.len() - 40..]);
    assert_eq!(csv.lines().count(), rows + 3);
    // Each reading finds less: a number, and then text.
    let both = format!("{file}1.5,y\n{}n/a,z\n", "7,x\n".repeat(PIECE_BYTES / 2));
    let text = converted("ndjson", "a.csv", both.as_bytes());
    assert!(text.starts_with(b"{\"id\":\"0\",") && text.ends_with(b"{\"id\":\"n/a\",\"name\":\"z\"}\n"));
    let (file, _) = beyond_sample("ndjson");
    let more = converted("csv", "a.ndjson", format!("{file}{{\"more\":true}}\n").as_bytes());
    assert!(more.starts_with(b"id,name,more\n0,x") && more.ends_with(b"\n,,true\n"));
}

#[test]
fn test_bad_rows_are_kept_with_their_place_and_the_books_close() {
    let (file, rows) = beyond_sample("csv");
    let file = format!("{file}7\n8,\"a\nb\"\n9,\"x\"y\nx,z\n");
    let steps = |policy: &str| [("convert", json!({"format": "csv", "types": {"id": "int64"}, "on_bad_row": policy}))];
    let failed = run(&steps("fail"), "a.csv", file.as_bytes(), &[usize::MAX], Workers::NONE).expect_err("fails");
    let line = rows + 2;
    assert_eq!(failed.error.to_string(), format!("line {line} has 1 fields, the first row has 2"));
    for sizes in [&[usize::MAX][..], &[PIECE_BYTES / 3]] {
        let kept = run(&steps("quarantine"), "a.csv", file.as_bytes(), sizes, Workers::NONE).expect("converts");
        let found: Vec<_> =
            kept.records.iter().map(|bad| (bad["line"].as_u64(), bad["kind"].as_str(), bad["text"].as_str())).collect();
        let line = line as u64;
        let expected = [
            (Some(line), Some("csv_ragged_row"), Some("7")),
            (Some(line + 3), Some("csv_bad_quotes"), Some("9,\"x\"y")),
            (Some(line + 4), Some("csv_bad_value"), Some("x,z")),
        ];
        assert_eq!(found, expected);
        let rows = rows as u64;
        let books = RowCounts { input: rows + 4, output: rows + 1, quarantined: 3, ..RowCounts::default() };
        assert_eq!(kept.rows, books);
        let dropped = run(&steps("drop"), "a.csv", file.as_bytes(), sizes, Workers::NONE).expect("converts");
        assert_eq!(dropped.rows, RowCounts { dropped: 3, quarantined: 0, ..books });
        assert_eq!((dropped.records.len(), &dropped.records[2]["text"]), (3, &Value::Null));
        assert_eq!(dropped.bytes, kept.bytes);
    }
}

#[test]
fn test_large_file_is_the_same_on_many_threads_whatever_its_quotes() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("built");
    let mut file = String::from("id,text,more\n");
    for row in 0..60_000 {
        let text = match row % 5_000 {
            17 => "5\" pipe", // a quote that no count of quotes forgives
            18 => "\"lines\nof \"\"text\"\"\r\nhere\"",
            _ => "plain",
        };
        writeln!(file, "{row},{text},{}", "y".repeat(row % 90)).expect("is written");
    }
    for (format, steps) in [("csv", vec![]), ("parquet", vec![]), ("ndjson", vec![("compress", json!({}))])] {
        let steps = [vec![("convert", json!({"format": format}))], steps].concat();
        let alone = run(&steps, "a.csv", file.as_bytes(), &[usize::MAX], Workers::NONE).expect("converts");
        let many = run(&steps, "a.csv", file.as_bytes(), &[70_001], Workers::new(&pool, 5)).expect("converts");
        assert!(many == alone, "{format}");
        assert_eq!(alone.rows, RowCounts { input: 60_000, output: 60_000, ..RowCounts::default() });
    }
}

#[test]
fn test_dialect_is_told_by_the_first_rows_or_by_parameters() {
    for (file, expected) in [
        ("a;b\n1;x,y\n", "a,b\n1,\"x,y\"\n"),
        ("a\tb\n1\tx\n", "a,b\n1,x\n"),
        ("a|b\n1|x\n", "a,b\n1,x\n"),
        ("a;b,c\n1,2\n", "a;b,c\n1,2\n"),
        ("a;b\n1\n", "a;b\n1\n"),
    ] {
        assert_eq!(text("csv", "a.csv", file), expected, "{file}");
    }
    let params =
        json!({"format": "csv", "delimiter": "|", "quote": "'", "escape": "\\", "comment": "#", "skip_lines": 2});
    let file = b"made by\r\nsomebody\r\n# names\r\na|b\r\n1|'it\\'s | \\\\'\r\n#2|x\r\n3|\r\n";
    let converted = convert(params, "a.csv", file).expect("converts");
    assert_eq!(String::from_utf8_lossy(&converted), "a|b\n1|\"it's | \\\"\n3|\n");
    let params = json!({"format": "csv", "quote": "none"});
    assert_eq!(convert(params, "a.csv", b"a,b\n\"x,1\n").expect("converts"), b"a,b\n\"\"\"x\",1\n");
    let utf_16: Vec<u8> = "\u{feff}a,b\nä,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(converted_text(json!({"format": "csv"}), &utf_16), "a,b\nä,1\n");
    assert_eq!(converted_text(json!({"format": "csv", "encoding": "latin1"}), b"a\n\xe4\n"), "a\nä\n");
}

fn converted_text(params: Value, file: &[u8]) -> String {
    String::from_utf8(convert(params, "a.csv", file).expect("converts")).expect("is text")
}

#[test]
fn test_json_is_an_array_of_objects() {
    let file = " [ {\"a\":1,\"b\":\"x,]\"} ,\n{\"b\":[1,{\"c\":\"}\"}]}\n] \n";
    assert_eq!(text("csv", "a.json", file), "a,b\n1,\"x,]\"\n,\"[1,{\"\"c\"\":\"\"}\"\"}]\"\n");
    assert_eq!(text("json", "a.csv", "a\n"), "[]\n");
    assert_eq!(text("json", "a.csv", "a\n1\n2\n"), "[\n{\"a\":1},\n{\"a\":2}\n]\n");
    let told = |file: &str| refused(json!({"format": "csv"}), "a.json", file.as_bytes());
    for (file, expected) in [
        ("", "no_columns: the file has no columns: it is empty"),
        ("[]", "no_columns: "),
        ("{\"a\":1}", "json_bad_element: line 1, column 1: the document is one object"),
        ("\n3", "json_bad_element: line 2, column 1: an array of objects is expected"),
        ("[1]", "json_bad_element: line 1, column "),
        ("[{\"a\":1},\n]", "json_bad_element: line 2, column 1: the last comma"),
        ("[{\"a\":1}\n,\n,{}]", "json_bad_element: line 3, column 1: a comma"),
        ("[{\"a\":1}", "json_bad_element: line 1, column 1: the array is never closed"),
        ("[{\"a\":1}] x", "json_bad_element: line 1, column 1: the array ends here"),
        ("[{\"a\":1}}", "json_bad_element: "),
        ("[{\"a\":1,\"a\":2}]", "json_bad_element: line 1 has the field `a` twice"),
    ] {
        let found = told(file);
        assert!(found.starts_with(expected), "{file}: {found}");
    }
}

#[test]
fn test_ndjson_unites_fields_in_order_and_widens_mixed_values_to_text() {
    let file = "{\"b\":1,\"n\":1}\n\n{\"a\":\"x\",\"b\":2.5,\"n\":[1, {\"k\":null}]}\r\n{\"n\":18446744073709551616,\"a\":null}";
    assert_eq!(
        text("csv", "a.ndjson", file),
        "b,n,a\n1.0,1,\n2.5,\"[1, {\"\"k\"\":null}]\",x\n,18446744073709551616,\n"
    );
    assert_eq!(text("csv", "a.ndjson", "{\"a\":1}\n{\"a\":true}\n{\"a\":\"\\u00e9\"}\n"), "a\n1\ntrue\né\n");
}

#[test]
fn test_bad_ndjson_is_refused_with_its_line() {
    let told = |file: &[u8]| refused(json!({"format": "csv"}), "a.ndjson", file);
    assert!(told(b"{\"a\":1}\n{\"a\":}\n").starts_with("ndjson_bad_line: line 2, column 6: "));
    assert!(told(b"[1]\n").starts_with("ndjson_bad_line: line 1, column "));
    assert_eq!(told(b"{\"a\":1,\"a\":2}\n"), "ndjson_bad_line: line 1 has the field `a` twice");
    assert!(told(b"{\"a\":\"\\ud800\"}\n").starts_with("ndjson_bad_line: line 1"));
    assert_eq!(told(b"{}\n{\"a\":\"\xff\"}\n"), "invalid_utf8: line 2 is not UTF-8 at its byte 7");
}

#[test]
fn test_numbers_that_json_does_not_have_are_text_there() {
    assert_eq!(text("ndjson", "a.csv", "a\n1.5\nNaN\n-inf\n"), "{\"a\":1.5}\n{\"a\":\"NaN\"}\n{\"a\":\"-inf\"}\n");
}

#[test]
fn test_damaged_binary_files_are_typed() {
    for format in ["parquet", "arrow", "avro"] {
        let (file, name) = (converted(format, "a.csv", EVERY_TYPE.as_bytes()), format!("a.{format}"));
        for end in [0, 1, 8, file.len() / 2, file.len() - 1] {
            let told = refused(json!({"format": "csv"}), &name, &file[..end]);
            assert!(told.starts_with("corrupt_input: ") || told.starts_with("truncated_input: "), "{end}: {told}");
        }
    }
}

#[test]
fn test_name_without_an_extension_of_a_table_needs_from() {
    assert!(refused(json!({"format": "csv"}), "a.bin", b"a\n").starts_with("unsupported_input: the name `a.bin` has"));
    assert_eq!(convert(json!({"format": "csv", "from": "csv"}), "a.bin", b"a\n1\n").expect("converts"), b"a\n1\n");
}

#[test]
fn test_file_is_read_through_its_compression() {
    let packed = |codec: &str| {
        let processor = crate::processors::build("compress", json!({"codec": codec}).as_object().expect("a map"));
        let mut step = processor.and_then(|processor| processor.open()).expect("opens");
        let mut output = Vec::new();
        for event in [Event::Bytes(Bytes::from_static(b"a,b\n1,x\n")), Event::End] {
            step.push(event).expect("is pushed");
            while let Some(event) = step.pull().expect("is pulled") {
                match event {
                    Event::Bytes(bytes) => output.extend_from_slice(&bytes),
                    Event::Block(block) => output.extend_from_slice(&block.run_bytes().expect("is done")),
                    _ => {}
                }
            }
        }
        output
    };
    for (codec, name) in [("gzip", "a.csv.gz"), ("zstd", "a.csv"), ("bzip2", "a.csv.bz2"), ("brotli", "a.csv.br")] {
        let file = packed(codec);
        assert_eq!(converted("ndjson", name, &file), b"{\"a\":1,\"b\":\"x\"}\n", "{codec}");
        let in_pieces = convert_in(json!({"format": "ndjson"}), name, &file, &[1]).expect("converts");
        assert_eq!(in_pieces, b"{\"a\":1,\"b\":\"x\"}\n", "{codec}");
    }
    assert_eq!(text("csv", "a.csv", "BZh9 is a name\n1\n"), "BZh9 is a name\n1\n");
}

#[test]
fn test_parameters_that_contradict_each_other_are_refused() {
    for (params, told) in [
        (json!({}), "missing field `format`"),
        (json!({"format": "xlsx"}), "format is \"xlsx\""),
        (
            json!({"format": "csv", "compression": "zstd"}),
            "compression is for `format: parquet` and `format: avro` only",
        ),
        (json!({"format": "avro", "compression": "lz4"}), "compression is lz4; avro has none"),
        (json!({"format": "parquet", "compression": "deflate"}), "deflate, which is for `format: avro` only"),
        (json!({"format": "csv", "statistics": "none"}), "statistics is for `format: parquet` only"),
        (json!({"format": "avro", "sorted_by": ["a"]}), "sorted_by is for `format: parquet` only"),
        (json!({"format": "parquet", "row_group_rows": 0}), "row_group_rows is 0"),
        (json!({"format": "csv", "delimiter": ";;"}), "delimiter is \";;\""),
        (json!({"format": "csv", "delimiter": "\""}), "delimiter and quote are the same"),
        (json!({"format": "csv", "encoding": "klingon"}), "encoding is \"klingon\""),
    ] {
        let error: Error = build("convert", params.as_object().expect("a map")).err().expect("is refused");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn test_every_compression_of_parquet_comes_back() {
    for compression in ["none", "snappy", "zstd", "lz4", "gzip", "brotli"] {
        let params = json!({"format": "parquet", "compression": compression, "row_group_rows": 2});
        let file = convert(params, "a.csv", EVERY_TYPE.as_bytes()).expect("converts");
        assert_eq!(String::from_utf8_lossy(&converted("csv", "a.parquet", &file)), EVERY_TYPE, "{compression}");
    }
}

#[test]
fn test_empty_quotes_are_empty_text_in_text_and_nulls_elsewhere() {
    let file = "id,name,none\n1,\"\",\"\"\n\"\",x,\"\"\n";
    assert_eq!(text("csv", "a.csv", file), "id,name,none\n1,\"\",\"\"\n,x,\"\"\n");
    assert_eq!(text("ndjson", "a.csv", file).lines().next(), Some("{\"id\":1,\"name\":\"\",\"none\":\"\"}"));
}

#[test]
fn test_order_that_parquet_tells_of_is_checked() {
    let params = |column: &str| json!({"format": "parquet", "sorted_by": [column], "row_group_rows": 2});
    let file = "a,b\n1,2\n2,1\n2,\n3,0\n";
    assert!(convert(params("a"), "a.csv", file.as_bytes()).is_ok());
    assert_eq!(
        refused(params("b"), "a.csv", file.as_bytes()),
        "not_sorted: row 2 should stand before row 1 by `b`, which `sorted_by` names"
    );
    assert_eq!(
        refused(params("b"), "a.csv", b"b\n1\n2\n0\n"),
        "not_sorted: row 3 should stand before row 2 by `b`, which `sorted_by` names"
    );
    assert!(refused(params("c"), "a.csv", file.as_bytes()).starts_with("no_such_column: `sorted_by` names `c`"));
}
