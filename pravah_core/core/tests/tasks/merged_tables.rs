//! Tables that are put together: columns of all files, types that hold all values, rows laid into directories.

use std::{fs, path::Path};

use pravah_core::{
    engine::{Ending, WindowRecord, undo},
    outcome::Recorded,
};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, Stop, age},
    merged::grouped,
};

/// A task of one output of these tables.
fn tables(files: &[(&str, &str)], merge: Value, path: &str) -> Bench {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let mut bench = Bench::new(&files);
    bench.steps = json!([{"name": "merge", "params": merge}]);
    bench.sink_keys = json!({"path": path});
    grouped(&mut bench);
    bench
}

fn text(bench: &Bench, path: &str) -> String {
    String::from_utf8(bench.output(path)).expect("is text")
}

/// The files below a directory, with what they hold.
fn tree(root: &Path) -> Vec<(String, String)> {
    let files = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(|entry| entry.expect("lists"));
    let files = files.filter(|entry| entry.file_type().is_file());
    let read = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(root).expect("is below").display().to_string();
        (path, fs::read_to_string(entry.path()).expect("is text"))
    };
    files.map(read).collect()
}

const DRIFTING: [(&str, &str); 3] =
    [("a.csv", "id,price\n1,2\n2,\n"), ("b.csv", "price,city,id\n2.5,Pune,3\n"), ("c.csv", "id,city\n4,Delhi\n")];

#[test]
fn union_has_the_columns_of_all_tables_and_types_that_hold_all_values() {
    let mut bench = tables(&DRIFTING, json!({"columns": "union"}), "all.csv");
    let last = bench.run_through();
    assert_eq!(last.counts.done, 3);
    assert_eq!(text(&bench, "all.csv"), "id,price,city\n1,2.0,\n2,,\n3,2.5,Pune\n4,,Delhi\n");
    assert!(last.summary.contains(r#""rows":{"in":4,"out":4,"#), "{}", last.summary);
}

#[test]
fn intersection_has_the_columns_that_all_tables_have() {
    let mut bench = tables(&DRIFTING, json!({"columns": "intersection"}), "all.csv");
    assert_eq!(bench.run_through().counts.done, 3);
    assert_eq!(text(&bench, "all.csv"), "id\n1\n2\n3\n4\n");
}

#[test]
fn same_fails_at_the_first_table_that_has_others_and_names_both() {
    let mut bench = tables(&DRIFTING, json!({"columns": "same"}), "all.csv");
    assert_eq!(bench.run_through().counts.failed, 3);
    let error = bench.account()[1]["error"].clone();
    assert_eq!(error["kind"], "columns_differ");
    assert_eq!(error["message"], "its columns are not those of `a.csv`: it has `city`");
    assert_eq!(bench.account()[0]["error"]["kind"], "group_incomplete");
    assert!(!bench.sink().join("all.csv").exists());
    let mut bench = tables(&[("a.csv", "x,y\n1,2\n"), ("b.csv", "y,x\n4,3\n")], json!({"columns": "same"}), "all.csv");
    bench.run_through();
    assert_eq!(text(&bench, "all.csv"), "x,y\n1,2\n3,4\n", "in whatever order they stand");
}

#[test]
fn types_are_widened_without_loss() {
    for (one, other, expected) in [
        ("1", "true", "1\ntrue\n"),
        ("9007199254740993", "0.5", "9007199254740993\n0.5\n"),
        ("2026-01-31", "7", "2026-01-31\n7\n"),
        ("\"\"", "3", "\"\"\n3\n"),
        ("NULLS", "", "NULLS\n\n"),
    ] {
        let (one, other) = (format!("k,v\n1,{one}\n"), format!("k,v\n1,{other}\n"));
        let mut bench = tables(&[("a.csv", &one), ("b.csv", &other)], json!({"columns": "union"}), "all.csv");
        bench.run_through();
        let values: String = text(&bench, "all.csv").lines().skip(1).map(|line| format!("{}\n", &line[2..])).collect();
        assert_eq!(values, expected, "{one} {other}");
    }
    let mut bench =
        tables(&[("a.csv", "k,v\n1,\n"), ("b.csv", "k,v\n2,3\n")], json!({"columns": "same"}), "all.ndjson");
    bench.steps = json!([
        {"name": "merge", "params": {"columns": "same"}}, {"name": "convert", "params": {"format": "ndjson"}},
    ]);
    bench.run_through();
    assert_eq!(text(&bench, "all.ndjson"), "{\"k\":1,\"v\":null}\n{\"k\":2,\"v\":3}\n", "an empty column has any type");
}

#[test]
fn tables_of_several_formats_become_one() {
    let mut bench = Bench::new(&[("a.csv", b"id,name\n1,Asha\n")]);
    bench.steps = json!([{"name": "convert", "params": {"format": "parquet"}}]);
    bench.manifest();
    bench.run_through();
    let parquet = bench.output("a.parquet");
    let mut bench = tables(&[("b.ndjson", "{\"id\":2.5}\n"), ("c.tsv", "id\tname\n3\tUma\n")], json!({}), "all.csv");
    bench.write(&bench.source().join("a.parquet"), &parquet);
    bench.steps = json!([
        {"name": "merge", "params": {"columns": "union"}}, {"name": "convert", "params": {"format": "csv"}},
    ]);
    grouped(&mut bench);
    assert_eq!(bench.run_through().counts.done, 3);
    assert_eq!(text(&bench, "all.csv"), "id,name\n1.0,Asha\n2.5,\n3.0,Uma\n");
}

fn parted() -> Bench {
    let files = [("d/a.csv", "n,city\n1,Pune\n2,Delhi\n3,\n"), ("d/b.csv", "n,city\n4,Pune\n")];
    tables(&files, json!({"group_by": "{dir}", "partition_by": ["city"]}), "{dir}/{part:02}.csv")
}

fn laid_out() -> Vec<(String, String)> {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    vec![
        file("d/city=Delhi/00.csv", "n\n2\n"),
        file("d/city=Pune/00.csv", "n\n1\n4\n"),
        file("d/city=__HIVE_DEFAULT_PARTITION__/00.csv", "n\n3\n"),
    ]
}

#[test]
fn rows_are_laid_into_directories_through_kills() {
    let kills = [(Stop::Never, 9), (Stop::Before, 0), (Stop::After, 0), (Stop::Before, 1), (Stop::After, 1)];
    for (stop, at) in kills {
        let mut bench = parted();
        bench.overwrite = "error"; // our own half-acknowledged outputs must not make it fail
        let (ending, _) = bench.run(|number, _| if number == at { stop } else { Stop::Never }).expect("runs");
        if ending == Ending::Fenced {
            bench.task.unclean = true;
            assert_eq!(bench.run_through().counts.done, 2, "{stop:?} {at}");
        }
        assert_eq!(tree(&bench.sink()), laid_out(), "{stop:?} {at}");
        assert_eq!(bench.account()[1]["outputs"].as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn rows_of_a_table_without_the_column_that_parts_them_have_no_value() {
    let files = [("a.csv", "n\n1\n"), ("b.csv", "n,city\n2,Pune\n")];
    let mut bench = tables(&files, json!({"columns": "union", "partition_by": ["city"]}), "{part}.csv");
    assert_eq!(bench.run_through().counts.done, 2);
    let paths: Vec<String> = tree(&bench.sink()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["city=Pune/00000.csv", "city=__HIVE_DEFAULT_PARTITION__/00000.csv"]);
    let mut bench = tables(&files, json!({"columns": "union", "partition_by": ["town"]}), "{part}.csv");
    assert_eq!(bench.run_through().counts.failed, 2);
    assert_eq!(bench.account()[0]["error"]["kind"], "no_such_column");
}

#[test]
fn directories_that_got_rows_before_a_kill_are_made_again() {
    let mut bench = parted();
    bench
        .run(|_, record: &WindowRecord| if record.window.is_none() { Stop::Before } else { Stop::Never })
        .expect("runs");
    fs::remove_dir_all(bench.sink().join("d/city=Pune")).expect("removes");
    bench.task.unclean = true;
    assert_eq!(bench.run_through().counts.done, 2);
    assert_eq!(tree(&bench.sink()), laid_out());
}

#[test]
fn changed_removes_the_files_of_directories_that_have_no_rows_any_more() {
    let mut bench = parted();
    age(&bench.source().join("d/a.csv"));
    age(&bench.source().join("d/b.csv"));
    std::thread::sleep(std::time::Duration::from_millis(2_100)); // younger inodes are racy
    bench.run_through();
    let again = |bench: &mut Bench| {
        grouped(bench);
        bench.task.windows.clear();
        let counts = bench.run_through().counts;
        (counts.done, counts.skipped, counts.failed)
    };
    assert_eq!(again(&mut bench), (0, 2, 0));
    bench.write(&bench.source().join("d/a.csv"), b"n,city\n1,Pune\n");
    assert_eq!(again(&mut bench), (2, 0, 0));
    assert_eq!(tree(&bench.sink()), [("d/city=Pune/00.csv".to_owned(), "n\n1\n4\n".to_owned())]);
    bench.write(&bench.source().join("d/a.csv"), b"n,city\n");
    bench.write(&bench.source().join("d/b.csv"), b"n,city\n");
    assert_eq!(again(&mut bench), (2, 0, 0));
    assert!(tree(&bench.sink()).is_empty());
}

#[test]
fn undo_and_the_fate_of_sources_see_all_directories() {
    let mut bench = parted();
    bench.plan_keys = json!({"after": "delete"});
    bench.run_through();
    let windows: &[Recorded] = &bench.task.windows;
    let undone = undo::undo(&bench.plan(), &bench.task.manifest, windows, undo::Undo::Look).expect("runs");
    assert_eq!(undone.account.counts.done, 3);
    assert_eq!(bench.finish_sources().counts.done, 2);
    assert!(!bench.source().join("d/a.csv").exists());
}
