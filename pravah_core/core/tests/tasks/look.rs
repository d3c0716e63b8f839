//! Files of which only parts are looked at.

use std::fs::File;

use serde_json::{Value, json};

use crate::bench::Bench;

fn records(bench: &Bench) -> Vec<Value> {
    let plan = bench.plan();
    let mut dataset = pravah_core::dataset::Dataset::new(bench.directory.path());
    dataset.add(&plan, &bench.task.manifest, &bench.task.windows).expect("reads");
    let mut lines = Vec::new();
    dataset.write(&mut lines, pravah_core::dataset::Format::Ndjson).expect("writes");
    String::from_utf8(lines)
        .expect("is text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("is JSON"))
        .collect()
}

#[test]
fn sparse_table_of_a_terabyte_is_answered_by_its_first_part() {
    let table = "id,name\n1,Asha\n".as_bytes();
    let mut bench = Bench::new(&[("small.csv", table), ("vast.csv", table)]);
    let vast = File::options().write(true).open(bench.source().join("vast.csv")).expect("opens");
    vast.set_len(1 << 40).expect("grows");
    bench.steps = json!([{"name": "extract_headers", "params": {"unknown": "pass"}}, {"name": "detect_type"}]);
    bench.plan_keys = json!({"sink": null});
    bench.manifest();
    let counts = bench.run_through().counts;
    assert_eq!(counts.done, 2);
    assert!(counts.bytes_in < 3 << 20, "{}", counts.bytes_in);
    let types: Vec<Value> =
        records(&bench).into_iter().filter_map(|mut r| r.get_mut("type").map(Value::take)).collect();
    assert_eq!(types, ["csv", "binary"]); // holes are NULs
}

#[test]
fn file_that_a_step_has_to_see_whole_is_read_whole() {
    let content = b"a\n".repeat(3 << 20);
    let mut bench = Bench::new(&[("a.txt", &content)]);
    bench.steps = json!([{"name": "detect_type"}, {"name": "count"}]);
    bench.plan_keys = json!({"sink": null});
    bench.manifest();
    assert_eq!(bench.run_through().counts.bytes_in, content.len() as u64);
    assert_eq!(records(&bench)[1]["lines"], 3 << 20);
}
