//! Values that fit no type of their column, or not the one that it is to become: nothing is lost without a word.

use serde_json::json;

use super::{PIECE_BYTES, SAMPLE_BYTES, beyond_sample, refused, run};
use crate::{pipeline::Workers, processors::RowCounts};

#[test]
fn test_value_right_behind_the_sample_widens_its_column_on_many_threads_too() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("built");
    // Pieces behind the sample are looked at before the types are known, and read with them later.
    for behind in [0, PIECE_BYTES, 2 * PIECE_BYTES] {
        for (format, misfit) in [("csv", "1.5,y\n"), ("ndjson", "{\"id\":7,\"more\":true}\n")] {
            let (mut file, rows) = beyond_sample(format);
            let at = file[..SAMPLE_BYTES + behind + 5_000].rfind('\n').expect("there are rows") + 1;
            file.insert_str(at, misfit);
            let steps = [("convert", json!({"format": "tsv"}))];
            let name = format!("a.{format}");
            let alone = run(&steps, &name, file.as_bytes(), &[usize::MAX], Workers::NONE).expect("converts");
            let many = run(&steps, &name, file.as_bytes(), &[usize::MAX], Workers::new(&pool, 6)).expect("converts");
            let all = rows as u64 + 1;
            assert_eq!(many.rows, RowCounts { input: all, output: all, ..RowCounts::default() }, "{format}, {behind}");
            assert!(many == alone, "{format}, {behind}");
        }
    }
}

#[test]
fn test_bad_row_whose_cells_fit_no_column_takes_no_other_row_with_it() {
    let bad = "2,Smith, John,3.5\n";
    let small = (format!("id,name,price\n1,A,2.5\n{bad}3,B,1.5\n"), 2);
    let large = |bytes: usize, at: usize| {
        let mut rows = vec![format!("1,{},2.5\n", "x".repeat(1_000)); bytes / 1_000];
        let good = rows.len();
        rows.insert(at / 1_000, bad.to_owned());
        (format!("id,name,price\n{}", rows.concat()), good)
    };
    let whole = [small, large(5 << 20, 4 << 20), large(12 << 20, 10 << 20)];
    for (file, good) in &whole {
        for policy in ["drop", "quarantine"] {
            let steps = [("convert", json!({"format": "tsv", "on_bad_row": policy}))];
            let kept = run(&steps, "a.csv", file.as_bytes(), &[usize::MAX], Workers::NONE).expect("converts");
            assert_eq!((kept.rows.input, kept.rows.output), (*good as u64 + 1, *good as u64), "{policy}");
            assert_eq!(kept.bytes.iter().filter(|&&byte| byte == b'\n').count(), good + 1);
        }
        let told = refused(json!({"format": "tsv"}), "a.csv", file.as_bytes());
        assert!(told.starts_with("csv_ragged_row: "), "{told}");
    }
}

#[test]
fn test_select_refuses_a_cast_that_would_lose_something() {
    let cast = |file: &str, column_type: &str| {
        let steps = [("select", json!({"cast": {"a": column_type}}))];
        run(&steps, "a.csv", file.as_bytes(), &[usize::MAX], Workers::NONE)
            .map(|done| String::from_utf8_lossy(&done.bytes).into_owned())
            .map_err(|failure| failure.error.to_string())
    };
    assert_eq!(cast("a\n2.0\n-0.0\n", "int64").as_deref(), Ok("a\n2\n0\n"));
    assert_eq!(cast("a\n0\n1\n", "boolean").as_deref(), Ok("a\nfalse\ntrue\n"));
    for (file, column_type, told) in [
        ("a\n2.0\n1.5\n", "int64", "`1.5` is no Int64"),
        ("a\n9007199254740993\n", "float64", "`9007199254740993` is no Float64"),
        ("a\n7\n", "boolean", "`7` is no Boolean"),
        ("a\n2024-10-04 12:00:00\n", "date", "`2024-10-04T12:00:00` is no Date32"),
    ] {
        let refused = cast(file, column_type).expect_err("is refused");
        assert!(refused.contains(told), "{refused}");
    }
    let twice = [("select", json!({"rename": {"a": "b"}}))];
    let twice = run(&twice, "a.csv", b"a,b\n1,2\n", &[usize::MAX], Workers::NONE).expect_err("is refused");
    assert!(twice.error.to_string().contains("two columns would have the name `b`"));
}
