//! `nested: structs`: lists and objects in JSON as lists and structs, and back; what is not regular stays JSON text.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{SAMPLE_BYTES, beyond_sample, convert, convert_in, run};
use crate::{pipeline::Workers, processors::RowCounts};

fn structs(format: &str) -> Value {
    json!({"format": format, "nested": "structs"})
}

fn rows(ndjson: &[u8]) -> Vec<Value> {
    let lines = ndjson.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("is JSON")).collect()
}

/// Rows that have gone to Parquet and back; the same as those that only became NDJSON again.
fn through(name: &str, file: &[u8]) -> Vec<Value> {
    let there = convert(structs("parquet"), name, file).expect("converts");
    let back = convert(json!({"format": "ndjson"}), "a.parquet", &there).expect("converts");
    let direct = convert(structs("ndjson"), name, file).expect("converts");
    assert_eq!(String::from_utf8_lossy(&back), String::from_utf8_lossy(&direct));
    rows(&back)
}

const ORDERS: &str = r#"{"id":1,"tags":["a","b\n\"c\""],"who":{"name":"Asha","age":3,"at":{"x":1,"y":[]}},"lines":[{"n":1},{"n":2,"m":true}]}
{"id":2,"tags":[],"who":null,"lines":[null]}
{"id":3,"who":{"age":null,"at":{"x":0.5,"y":[[1],[2,null]]}},"lines":[]}
"#;

#[test]
fn test_lists_and_objects_become_lists_and_structs_and_come_back() {
    let expected = [
        json!({"id": 1, "tags": ["a", "b\n\"c\""], "who": {"name": "Asha", "age": 3, "at": {"x": 1.0, "y": []}},
            "lines": [{"n": 1, "m": null}, {"n": 2, "m": true}]}),
        json!({"id": 2, "tags": [], "who": null, "lines": [null]}),
        json!({"id": 3, "tags": null, "who": {"name": null, "age": null, "at": {"x": 0.5, "y": [[1], [2, null]]}},
            "lines": []}),
    ];
    assert_eq!(through("a.ndjson", ORDERS.as_bytes()), expected);
    let lines: Vec<&str> = ORDERS.lines().collect();
    assert_eq!(through("a.json", format!("[{}]", lines.join(",")).as_bytes()), expected);
    // Without it they are text, as ever.
    let text = convert(json!({"format": "ndjson"}), "a.ndjson", ORDERS.as_bytes()).expect("converts");
    assert_eq!(rows(&text)[2]["lines"], json!("[]"));
}

#[test]
fn test_what_is_not_regular_is_text() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let map: Map<String, Value> = (0..1_001).map(|key| (format!("k{key}"), json!(key))).collect();
    for (one, other, expected) in [
        ("[1]", r#"{"a":1}"#, [json!("[1]"), json!(r#"{"a":1}"#)]),
        ("[1]", "5", [json!("[1]"), json!("5")]),
        ("{}", "{}", [json!("{}"), json!("{}")]),
        ("{}", r#"{"a":1}"#, [json!({"a": null}), json!({"a": 1})]),
        (r#"[1,"x",[2]]"#, "[]", [json!(["1", "x", "[2]"]), json!([])]),
        (r#"{"a":[1]}"#, r#"{"a":true}"#, [json!({"a": "[1]"}), json!({"a": "true"})]),
        ("null", "[null]", [json!(null), json!([null])]),
    ] {
        let file = format!("{{\"v\":{one}}}\n{{\"v\":{other}}}\n");
        let found: Vec<Value> = through("a.ndjson", file.as_bytes()).into_iter().map(|row| row["v"].clone()).collect();
        assert_eq!(found, expected, "{one} {other}");
    }
    let file = format!("{{\"v\":{},\"w\":{},\"map\":{}}}\n", deep(16), deep(17), json!(map));
    let row = &through("a.ndjson", file.as_bytes())[0];
    assert_eq!(row["v"], serde_json::from_str::<Value>(&deep(16)).expect("is JSON"));
    let mut innermost = &row["w"];
    while let Some(items) = innermost.as_array() {
        innermost = &items[0];
    }
    assert_eq!(innermost, "[1]");
    assert_eq!(row["map"].as_str().map(|text| serde_json::from_str(text).expect("is JSON")), Some(Value::from(map)));
    let declared = json!({"format": "ndjson", "nested": "structs", "types": {"v": "text"}});
    let text = convert(declared, "a.ndjson", b"{\"v\":[1],\"w\":[1]}\n").expect("converts");
    assert_eq!(rows(&text), [json!({"v": "[1]", "w": [1]})]);
}

#[test]
fn test_nested_value_behind_the_sample_that_does_not_fit_widens_its_column() {
    let (filler, count) = beyond_sample("ndjson");
    assert!(filler.len() > SAMPLE_BYTES);
    let file =
        format!("{{\"id\":0,\"v\":{{\"a\":[1]}},\"u\":[1]}}\n{filler}{{\"v\":{{\"a\":[2.5],\"b\":\"x\"}},\"u\":7}}\n");
    for pieces in [&[usize::MAX][..], &[100_003]] {
        let found = rows(&convert_in(structs("ndjson"), "a.ndjson", file.as_bytes(), pieces).expect("converts"));
        assert_eq!(found.len(), count + 2);
        assert_eq!((&found[0]["v"], &found[0]["u"]), (&json!({"a": [1.0], "b": null}), &json!("[1]")));
        let last = &found[count + 1];
        assert_eq!((&last["v"], &last["u"]), (&json!({"a": [2.5], "b": "x"}), &json!("7")));
    }
}

#[test]
fn test_rows_with_nested_values_that_can_not_be_read_are_bad_ones() {
    let file =
        b"{\"v\":{\"a\":[1]}}\n{\"v\":{\"a\":[2],\"a\":[3]}}\n{\"v\":{\"a\":[4,\"\\ud800\"]}}\n{\"v\":{\"a\":[5]}}\n";
    let steps = [("convert", json!({"format": "ndjson", "nested": "structs", "on_bad_row": "quarantine"}))];
    let kept = run(&steps, "a.ndjson", file, &[usize::MAX], Workers::NONE).expect("converts");
    assert_eq!(kept.rows, RowCounts { input: 4, output: 2, quarantined: 2, ..RowCounts::default() });
    let told: Vec<_> = kept.records.iter().map(|bad| (bad["line"].as_u64(), bad["kind"].as_str())).collect();
    assert_eq!(told, [(Some(2), Some("ndjson_bad_line")), (Some(3), Some("ndjson_bad_line"))]);
    let values: Vec<Value> = rows(&kept.bytes).into_iter().map(|row| row["v"]["a"][0].clone()).collect();
    assert_eq!(values.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "5"]);
}

#[test]
fn test_rows_and_items_that_mention_few_of_many_fields_are_refused_before_they_fill_the_memory() {
    let fields: Map<String, Value> = (0..900).map(|at| (format!("f{at}"), json!(at))).collect();
    let told = |file: String, nested: &str| {
        let params = json!({"format": "parquet", "nested": nested});
        let error = convert(params, "a.ndjson", file.as_bytes()).map(drop).expect_err("is refused");
        format!("{}: {error}", error.kind())
    };
    let rows = format!("{}\n{}", json!(fields), "{}\n".repeat(20_000));
    assert!(told(rows, "text").starts_with("unsupported_input: it has 900 columns, and rows that mention few"));
    let items = format!("{{\"v\":[{}{}]}}\n", json!(fields), ",{}".repeat(20_000));
    assert!(told(items, "structs").starts_with("unsupported_input: the row at line 1 has lists of nearly empty"));
}

/// Any document of JSON; names are few, so that they come again.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9_999i32..9_999).prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)), // exact in the reader below
        "[a-c\"\\\\\n€]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

/// Whether a value came through: fields that others have are null, and what has no other type is text.
fn came_through(value: &Value, found: &Value) -> bool {
    match (value, found) {
        (Value::String(text), Value::String(found)) => text == found,
        (Value::Null, found) => found.is_null(),
        (value, Value::String(text)) => serde_json::from_str::<Value>(text).is_ok_and(|told| told == *value),
        (Value::Array(values), Value::Array(found)) => {
            values.len() == found.len() && values.iter().zip(found).all(|(value, found)| came_through(value, found))
        }
        (Value::Object(fields), Value::Object(found)) => {
            fields.keys().all(|name| found.contains_key(name))
                && found.iter().all(|(name, found)| came_through(fields.get(name).unwrap_or(&Value::Null), found))
        }
        (Value::Number(value), Value::Number(found)) => value == found || value.as_f64() == found.as_f64(),
        (value, found) => value == found,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_random_documents_come_through_parquet_whatever_the_pieces(
        documents in prop::collection::vec(prop::collection::btree_map("[a-c]", document(), 1..4), 1..8),
        sizes in prop::collection::vec(1usize..40, 1..8),
    ) {
        let documents: Vec<Value> = documents.into_iter().map(Value::from_iter).collect();
        let file: String = documents.iter().map(|row| format!("{row}\n")).collect();
        let found = through("a.ndjson", file.as_bytes());
        prop_assert_eq!(found.len(), documents.len());
        for (row, found) in documents.iter().zip(&found) {
            prop_assert!(came_through(row, found), "{} {}", row, found);
        }
        let whole = convert(structs("arrow"), "a.ndjson", file.as_bytes()).expect("converts");
        prop_assert_eq!(convert_in(structs("arrow"), "a.ndjson", file.as_bytes(), &sizes).expect("converts"), whole);
    }
}
