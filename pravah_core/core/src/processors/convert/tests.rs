//! Tables through `convert`: values come through every pair of formats, pieces do not matter, bad input is typed.

use std::fmt::Write;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Error, processors::Event};

const FORMATS: [&str; 5] = ["csv", "tsv", "ndjson", "parquet", "arrow"];

/// Convert a file that is pushed in pieces of these sizes, over and over.
fn convert_in(params: Value, name: &str, file: &[u8], sizes: &[usize]) -> Result<Vec<u8>> {
    let processor = build(params.as_object().expect("a map"))?;
    let mut step = processor.open()?;
    let mut output = Vec::new();
    let mut feed = |event| -> Result<()> {
        step.push(event)?;
        while let Some(event) = step.pull()? {
            if let Event::Bytes(bytes) = event {
                output.extend_from_slice(&bytes);
            }
        }
        Ok(())
    };
    feed(Event::Begin { name: Bytes::copy_from_slice(name.as_bytes()), size_bytes: None, path: None })?;
    let (mut rest, mut sizes) = (file, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at((*sizes.next().expect("endless")).clamp(1, rest.len()));
        feed(Event::Bytes(Bytes::copy_from_slice(piece)))?;
        rest = behind;
    }
    feed(Event::End)?;
    Ok(output)
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
        if format != "ndjson" {
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
    assert_eq!(csv_refused(b"a\n\"x\n"), "csv_bad_quotes: the quote that opens on line 2 is never closed");
    assert!(csv_refused(b"a,b\n1,\"x\"y\n").starts_with("csv_bad_quotes: line 2, field 2: there is text behind"));
    assert!(csv_refused(b"a,b,a\n").starts_with("csv_bad_header: columns 1 and 3 are both called `a`"));
    assert_eq!(csv_refused(b"a,b\nx,\xff\n"), "invalid_utf8: line 2, column `b`: the text is not UTF-8");
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

#[test]
fn test_value_behind_the_sample_that_does_not_fit_is_refused_with_its_place() {
    let mut file = String::from("id,name\n");
    let filler = "x".repeat(1_000);
    let rows = SAMPLE_WEIGHT / 600;
    for row in 0..rows {
        writeln!(file, "{row},{filler}").expect("is written");
    }
    writeln!(file, "n/a,y").expect("is written");
    let told = csv_refused(file.as_bytes());
    let line = rows + 2;
    assert!(
        told.starts_with(&format!("csv_bad_value: line {line}, column `id`: `n/a` is no int64 as those of the sample")),
        "{told}"
    );
    let json: String = (0..rows).map(|row| format!("{{\"id\":{row},\"name\":\"{filler}\"}}\n")).collect();
    for (last, told) in [
        ("{\"id\":1.5}", format!("ndjson_bad_value: line {}, column `id`: `1.5` is no int64 as", rows + 1)),
        (
            "{\"more\":1}",
            format!("ndjson_bad_value: line {} has a field `more` that no line of the sample has", rows + 1),
        ),
    ] {
        let found = refused(json!({"format": "csv"}), "a.ndjson", format!("{json}{last}\n").as_bytes());
        assert!(found.starts_with(&told), "{found}");
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
    for format in ["parquet", "arrow"] {
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
                    Event::Block(block) => output.extend_from_slice(&block.run().expect("is done")),
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
        (json!({"format": "csv", "compression": "zstd"}), "compression is for `format: parquet` only"),
        (json!({"format": "parquet", "row_group_rows": 0}), "row_group_rows is 0"),
        (json!({"format": "csv", "delimiter": ";;"}), "delimiter is \";;\""),
        (json!({"format": "csv", "delimiter": "\""}), "delimiter is `\"`"),
    ] {
        let error: Error = build(params.as_object().expect("a map")).err().expect("is refused");
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

/// A field as people type them, and as they do not.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (0u32..200).prop_map(|number| format!("{number:04}")),
        "[0-9]{18,24}",
        "(true|False|NaN|null|-0|2024-0[1-9]-1[0-9]|2024-02-28T0[0-9]:00:00Z?)",
        "[a-zäß€\u{1f600}\", ;\t\r\n\\\\\u{feff}]{0,12}",
    ]
}

fn table() -> impl Strategy<Value = Vec<Vec<Option<String>>>> {
    (1usize..5).prop_flat_map(|width| {
        let cell = prop::option::weighted(0.9, field());
        prop::collection::vec(prop::collection::vec(cell, width), 0..20)
    })
}

/// Write a table with every field quoted, and nulls empty.
fn quoted(table: &[Vec<Option<String>>]) -> String {
    let width = table.first().map_or(1, Vec::len);
    let mut file: String = (0..width).map(|at| format!("\"c{at}\"")).collect::<Vec<_>>().join(",");
    for row in table {
        let cells = row.iter().map(|cell| match cell {
            Some(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            None => String::new(),
        });
        file.push('\n');
        file.push_str(&cells.collect::<Vec<_>>().join(","));
    }
    file + "\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_random_table_comes_back_equal_whatever_the_formats_and_pieces(
        table in table(),
        sizes in prop::collection::vec(1usize..40, 1..8),
        format in prop::sample::select(&FORMATS[..]),
    ) {
        // With each column declared as text, every byte of a field is kept.
        let width = table.first().map_or(1, Vec::len);
        let types: Map<String, Value> = (0..width).map(|at| (format!("c{at}"), json!("text"))).collect();
        let (params, file) = (json!({"format": format, "types": types}), quoted(&table));
        let whole = convert(params.clone(), "a.csv", file.as_bytes()).expect("converts");
        prop_assert_eq!(&convert_in(params, "a.csv", file.as_bytes(), &sizes).expect("converts"), &whole);
        if format == "ndjson" && table.is_empty() {
            return Ok(()); // names no columns
        }
        let name = format!("a.{format}");
        let back_params = match format {
            "csv" | "tsv" => json!({"format": "ndjson", "types": types}),
            _ => json!({"format": "ndjson"}),
        };
        let back = convert_in(back_params, &name, &whole, &sizes).expect("converts");
        let rows: Vec<Value> = back.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("is JSON")).collect();
        let expected: Vec<Value> = table.iter().map(|row| {
            Value::Object(row.iter().enumerate().map(|(at, cell)| (format!("c{at}"), json!(cell))).collect())
        }).collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn test_random_table_with_inferred_types_keeps_values_between_formats(
        table in table(),
        format in prop::sample::select(&["parquet", "arrow", "ndjson"][..]),
    ) {
        prop_assume!(!table.is_empty());
        // What was written once is in the one form that this processor writes.
        let first = converted("csv", "a.csv", quoted(&table).as_bytes());
        let there = converted(format, "a.csv", &first);
        let back = converted("csv", &format!("a.{format}"), &there);
        prop_assert_eq!(String::from_utf8_lossy(&back), String::from_utf8_lossy(&first));
    }

    #[test]
    fn test_random_bytes_convert_or_fail_the_same_in_pieces(
        file in prop::collection::vec(prop::sample::select(&b"ab1,\"\"\n\r\xc3\xa9{}:[]"[..]), 0..60),
        sizes in prop::collection::vec(1usize..9, 1..5),
        name in prop::sample::select(&["a.csv", "a.tsv", "a.ndjson", "a.parquet", "a.arrow"][..]),
    ) {
        let told = |sizes: &[usize]| convert_in(json!({"format": "ndjson"}), name, &file, sizes)
            .map_err(|error| format!("{}: {error}", error.kind()));
        prop_assert_eq!(told(&sizes), told(&[usize::MAX]));
    }
}
