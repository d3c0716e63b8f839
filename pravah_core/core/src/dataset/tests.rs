use arrow_array::{Array, cast::AsArray};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

/// A dataset of these records, the path of each being its number.
fn dataset(scratch: &Path, lines: &[&str]) -> Dataset {
    let mut dataset = Dataset::new(scratch);
    for (number, line) in lines.iter().enumerate() {
        let path = format!("{number:06}").into_bytes();
        dataset.gathered.push(Record { path, lines: format!("{line}\n") });
    }
    dataset
}

fn written(lines: &[&str], format: Format) -> Vec<u8> {
    let (scratch, mut output) = (tempfile::tempdir().expect("makes a directory"), Vec::new());
    let written = dataset(scratch.path(), lines).write(&mut output, format).expect("writes");
    assert_eq!(written.records as usize, lines.len());
    assert_eq!(written.first, lines[..lines.len().min(3)]);
    output
}

fn csv(lines: &[&str]) -> String {
    String::from_utf8(written(lines, Format::Csv)).expect("is UTF-8")
}

fn types(lines: &[&str]) -> Vec<(String, DataType)> {
    let scratch = tempfile::tempdir().expect("makes a directory");
    let table = dataset(scratch.path(), lines).nested().expect("is a table");
    let schema = table.batches().expect("reads").schema();
    schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

/// The type of the field `x`, whose values these are.
fn type_of(values: &[&str]) -> DataType {
    let lines: Vec<String> = values.iter().map(|value| format!("{{\"path\":\"p\",\"x\":{value}}}")).collect();
    types(&lines.iter().map(String::as_str).collect::<Vec<_>>()).pop().expect("has a column").1
}

#[test]
fn write_after_spills_gives_all_records_in_bytewise_order() {
    let scratch = tempfile::tempdir().expect("makes a directory");
    let mut dataset = Dataset::new(scratch.path());
    let path = |number: usize| format!("d{}/{number}\n", number * 7919 % 100).into_bytes();
    for number in 0..300 {
        dataset.gathered.push(Record { path: path(number), lines: format!("{{\"n\":{number}}}\n") });
        if number % 70 == 69 {
            dataset.spill().expect("spills");
        }
    }
    assert_eq!(scratch.path().read_dir().expect("lists").count(), 0);
    let mut written = Vec::new();
    assert_eq!(dataset.write(&mut written, Format::Ndjson).expect("writes").records, 300);
    let mut numbers: Vec<usize> = (0..300).collect();
    numbers.sort_by_key(|number| path(*number));
    let expected: String = numbers.iter().map(|number| format!("{{\"n\":{number}}}\n")).collect();
    assert_eq!(String::from_utf8(written).expect("is UTF-8"), expected);
}

#[test]
fn types_are_those_of_all_values() {
    assert_eq!(type_of(&["1", "null", "-9223372036854775808"]), DataType::Int64);
    assert_eq!(type_of(&["true", "false"]), DataType::Boolean);
    assert_eq!(type_of(&["1", "2.5"]), DataType::Float64);
    assert_eq!(type_of(&["2.5e3", "9007199254740992"]), DataType::Float64);
    assert_eq!(type_of(&["null", "null"]), DataType::Utf8);
}

#[test]
fn numbers_that_no_type_holds_exactly_are_text() {
    assert_eq!(type_of(&["9007199254740993", "0.5"]), DataType::Utf8);
    assert_eq!(type_of(&["0.5", "9007199254740993"]), DataType::Utf8);
    assert_eq!(type_of(&["18446744073709551615"]), DataType::Utf8);
    assert_eq!(type_of(&["1", "true"]), DataType::Utf8);
    assert_eq!(csv(&["{\"x\":18446744073709551615}", "{\"x\":\"a\"}"]), "path,x\n,18446744073709551615\n,a\n");
}

#[test]
fn regular_nested_values_are_lists_and_structs() {
    let item = DataType::Struct(
        vec![
            arrow_schema::Field::new("name", DataType::Utf8, true),
            arrow_schema::Field::new("n", DataType::Int64, true),
        ]
        .into(),
    );
    let columns = ["[{\"name\":\"a\"}]", "null", "[]", "[{\"n\":1},null]"];
    assert_eq!(type_of(&columns), DataType::new_list(item, true));
    assert_eq!(type_of(&["[1]", "{}"]), DataType::Utf8);
    assert_eq!(type_of(&["{}", "{}"]), DataType::Utf8);
    assert_eq!(type_of(&["\"a\"", "[1]"]), DataType::Utf8);
    assert_eq!(type_of(&["[]"]), DataType::new_list(DataType::Utf8, true));
}

#[test]
fn nested_deeper_than_the_bound_is_text() {
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let mut found = type_of(&[&deep]);
    let mut levels = 0;
    while let DataType::List(item) = found {
        found = item.data_type().clone();
        levels += 1;
    }
    assert_eq!((levels, found), (16, DataType::Utf8));
}

#[test]
fn structs_of_any_names_become_text_and_columns_of_any_names_are_refused() {
    let object = |from: usize| {
        let fields: Vec<String> = (from..from + 3_000).map(|number| format!("\"k{number}\":1")).collect();
        format!("{{{}}}", fields.join(","))
    };
    assert_eq!(type_of(&[&object(0), &object(3_000)]), DataType::Utf8);
    let (scratch, lines) = (tempfile::tempdir().expect("makes a directory"), [object(0), object(3_000)]);
    let error = dataset(scratch.path(), &[&lines[0], &lines[1]]).write(Vec::new(), Format::Parquet);
    assert_eq!(error.expect_err("has too many columns").kind(), "unsupported_input");
}

#[test]
fn csv_has_nested_values_as_json_and_tells_nulls_from_empty_text() {
    let lines = [
        "{\"path\":\"a,b\",\"x\":[1,{\"y\":\"\"}],\"z\":1}",
        "{\"path\":\"\",\"z\":2.0}",
        "{\"path\":\"c\",\"x\":null}",
    ];
    assert_eq!(csv(&lines), "path,x,z\n\"a,b\",\"[1,{\"\"y\"\":\"\"\"\"}]\",1.0\n\"\",,2.0\nc,,\n");
}

#[test]
fn parquet_holds_the_values_of_the_records() {
    let lines: Vec<String> = (0..20_000)
        .map(|number| {
            format!("{{\"path\":\"f{number}\",\"n\":{number},\"c\":[{{\"name\":\"x\\u00e9\",\"size\":{number}.5}}]}}")
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let bytes = Bytes::from(written(&lines, Format::Parquet));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("is Parquet").build().expect("reads");
    let mut row = 0;
    for batch in reader {
        let batch = batch.expect("reads");
        let lists = batch["c"].as_list::<i32>();
        for at in 0..batch.num_rows() {
            assert_eq!(batch["n"].as_primitive::<arrow_array::types::Int64Type>().value(at), row);
            let item = lists.value(at);
            let item = item.as_struct();
            assert_eq!(item["name"].as_string::<i32>().value(0), "xé");
            let size = item["size"].as_primitive::<arrow_array::types::Float64Type>().value(0);
            assert_eq!(size, row as f64 + 0.5);
            row += 1;
        }
    }
    assert_eq!(row, 20_000);
}

#[test]
fn the_same_records_in_other_runs_give_the_same_bytes() {
    let lines: Vec<String> =
        (0..500).map(|number| format!("{{\"path\":\"{number}\",\"k{}\":[1]}}", number % 7)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = written(&lines, Format::Parquet);
    let scratch = tempfile::tempdir().expect("makes a directory");
    let mut spilled = Dataset::new(scratch.path());
    for (number, record) in dataset(scratch.path(), &lines).gathered.into_iter().rev().enumerate() {
        spilled.gathered.push(record);
        if number % 90 == 89 {
            spilled.spill().expect("spills");
        }
    }
    let mut output = Vec::new();
    spilled.write(&mut output, Format::Parquet).expect("writes");
    assert!(output == expected);
}

#[test]
fn no_records_are_a_table_with_the_column_of_paths() {
    assert_eq!(csv(&[]), "path\n");
    assert_eq!(types(&[]), [("path".to_owned(), DataType::Utf8)]);
    let bytes = Bytes::from(written(&[], Format::Parquet));
    assert_eq!(ParquetRecordBatchReaderBuilder::try_new(bytes).expect("is Parquet").schema().fields().len(), 1);
}

#[test]
fn batches_can_be_read_again() {
    let scratch = tempfile::tempdir().expect("makes a directory");
    let table = dataset(scratch.path(), &["{\"path\":\"a\"}", "{\"path\":\"b\"}"]).nested().expect("is a table");
    let (mut first, second) = (table.batches().expect("reads"), table.batches().expect("reads"));
    assert_eq!(first.next().expect("has a batch").expect("reads").num_rows(), 2);
    assert_eq!(second.map(|batch| batch.expect("reads").column(0).len()).sum::<usize>(), 2);
    assert_eq!(table.records(), 2);
}
