//! Random tables and random bytes through every format, in whatever pieces.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{FORMATS, convert, convert_in, converted};

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
        if format.ends_with("json") && table.is_empty() {
            return Ok(()); // names no columns
        }
        let name = format!("a.{format}");
        let back_params = match format {
            "csv" | "tsv" => json!({"format": "ndjson", "types": types, "delimiter": if format == "csv" { "," } else { "\t" }}),
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
        format in prop::sample::select(&["parquet", "arrow", "avro", "ndjson", "json"][..]),
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
        name in prop::sample::select(&["a.csv", "a.tsv", "a.ndjson", "a.json", "a.parquet", "a.arrow", "a.avro", "a.xlsx"][..]),
    ) {
        let told = |sizes: &[usize]| convert_in(json!({"format": "ndjson"}), name, &file, sizes)
            .map_err(|error| format!("{}: {error}", error.kind()));
        prop_assert_eq!(told(&sizes), told(&[usize::MAX]));
    }
}
