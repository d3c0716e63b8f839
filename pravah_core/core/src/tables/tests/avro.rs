//! Avro: types come back, files of other hands are read, damage and bombs are refused.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array, Int8Array,
    Int64Array, ListArray, NullArray, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt32Array, UInt64Array, types::Int32Type,
};
use arrow_buffer::i256;
use arrow_ipc::reader::FileReader;
use serde_json::json;

use super::{convert, convert_in, converted, refused};
use crate::tables::{
    Encoder, Format,
    avro::{MAGIC, write_long},
};

const FASTAVRO: &[u8] = include_bytes!("../../../tests/samples/fastavro.avro");

fn table(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let columns = columns.iter().map(|(name, column)| (*name, ArrayRef::clone(column), true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("is a table")
}

/// Write a table as Avro, and read it into Arrow.
fn there_and_back(table: &RecordBatch) -> RecordBatch {
    let mut encoder = Encoder::new(Format::Avro, &table.schema()).expect("begins");
    let mut file = encoder.write(table.clone()).expect("is written");
    file.extend(encoder.end().expect("ends"));
    let arrow = converted("arrow", "a.avro", &file);
    let mut batches = FileReader::try_new(std::io::Cursor::new(arrow), None).expect("opens");
    batches.next().expect("has a batch").expect("is read")
}

#[test]
fn test_types_that_avro_has_come_back_equal() {
    let wide = i256::from_string("-12345678901234567890123456789012345678901234567890").expect("is a number");
    let given = table(&[
        ("long", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("float", Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::NAN), None]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), Some(0), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(1), None, Some(86_399_999_999)]))),
        ("local", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(1)]))),
        ("utc", Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None, Some(1)]).with_timezone("UTC"))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\xff\0"[..]), None, Some(b"")]))),
        ("text", Arc::new(StringArray::from(vec![Some(""), None, Some("ä€😀")]))),
        ("nothing", Arc::new(NullArray::new(3))),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![Some(-128), Some(99_999), None])
                    .with_precision_and_scale(5, 2)
                    .expect("is a decimal"),
            ),
        ),
        (
            "wide",
            Arc::new(
                Decimal256Array::from(vec![Some(wide), None, Some(i256::ZERO)])
                    .with_precision_and_scale(60, 9)
                    .expect("is a decimal"),
            ),
        ),
    ]);
    let back = there_and_back(&given);
    assert_eq!(format!("{:?}", back.columns()), format!("{:?}", given.columns()));
    assert_eq!(back.schema().fields(), given.schema().fields());
}

#[test]
fn test_types_that_avro_lacks_become_wider_ones_or_text() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None]);
    let back = there_and_back(&table(&[
        ("small", Arc::new(Int8Array::from(vec![Some(-1), None]))),
        ("unsigned", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None]))),
        ("huge", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("list", Arc::new(lists)),
    ]));
    let types: Vec<_> = back.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Int32", "Int64", "Decimal128(20, 0)", "Utf8"]);
    let csv = converted("csv", "a.arrow", &{
        let mut encoder = Encoder::new(Format::Arrow, &back.schema()).expect("begins");
        [encoder.write(back).expect("is written"), encoder.end().expect("ends")].concat()
    });
    assert_eq!(
        String::from_utf8_lossy(&csv),
        "small,unsigned,huge,list\n-1,4294967295,18446744073709551615,\"[1,null]\"\n,,,\n"
    );
}

#[test]
fn test_file_of_another_hand_is_read_whatever_its_name() {
    for name in ["a.avro", "a"] {
        let rows = text_of(name, FASTAVRO);
        let first = r#"{"id":0,"name":"a","born":"1990-02-28","tags":"[\"x\"]","either":"0","price":1.50}"#;
        assert_eq!((rows.lines().next(), rows.lines().count()), (Some(first), 500));
    }
    let in_pieces = convert_in(json!({"format": "ndjson"}), "a.avro", FASTAVRO, &[7, 1_000]).expect("converts");
    assert_eq!(in_pieces, converted("ndjson", "a.avro", FASTAVRO));
}

fn text_of(name: &str, file: &[u8]) -> String {
    String::from_utf8(converted("ndjson", name, file)).expect("is text")
}

#[test]
fn test_columns_keep_names_that_avro_does_not_take() {
    let file = converted("avro", "a.csv", "a b,ä,1\n1,2,3\n".as_bytes());
    assert_eq!(converted("csv", "a.avro", &file), "a b,ä,1\n1,2,3\n".as_bytes());
}

#[test]
fn test_every_compression_comes_back_and_bytes_are_the_same_at_every_run() {
    let csv = format!("id,text\n{}", "1,some text\n2,\n".repeat(20_000));
    for compression in ["none", "deflate", "snappy", "zstd"] {
        let params = json!({"format": "avro", "compression": compression});
        let file = convert(params.clone(), "a.csv", csv.as_bytes()).expect("converts");
        assert_eq!(convert_in(params, "a.csv", csv.as_bytes(), &[10_001]).expect("converts"), file);
        assert_eq!(converted("csv", "a.avro", &file), csv.as_bytes(), "{compression}");
    }
}

/// A file of this schema with one block.
fn file(schema: &str, rows: i64, content: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    write_long(1, &mut file);
    for part in ["avro.schema", schema] {
        write_long(part.len() as i64, &mut file);
        file.extend_from_slice(part.as_bytes());
    }
    write_long(0, &mut file);
    file.extend([7; 16]);
    write_long(rows, &mut file);
    write_long(content.len() as i64, &mut file);
    file.extend_from_slice(content);
    file.extend([7; 16]);
    file
}

#[test]
fn test_values_of_every_kind_are_text_where_they_nest() {
    let schema = json!({"type": "record", "name": "r", "fields": [
        {"name": "m", "type": {"type": "map", "values": ["null", "r", "double"]}},
        {"name": "u", "type": ["string", "long", {"type": "int", "logicalType": "date"}]},
        {"name": "n", "type": ["int", "null", "long"]},
    ]});
    // {"a": {m: {}, u: "x\"", n: 3}, "b": 1.5}, u: a day, n: null
    let mut content = vec![4, 2, b'a', 2, 0, 0, 4, b'x', b'"', 0, 6, 2, b'b', 4];
    content.extend(1.5_f64.to_le_bytes());
    content.extend([0, 4, 2, 2]);
    assert_eq!(
        text_of("a.avro", &file(&schema.to_string(), 1, &content)),
        "{\"m\":\"{\\\"a\\\":{\\\"m\\\":{},\\\"u\\\":\\\"x\\\\\\\"\\\",\\\"n\\\":3},\\\"b\\\":1.5}\",\"u\":\"1970-01-02\",\"n\":null}\n"
    );
}

#[test]
fn test_what_is_damaged_or_declares_too_much_is_refused() {
    let told = |file: &[u8]| refused(json!({"format": "csv"}), "a.avro", file);
    assert_eq!(told(b"x"), "corrupt_input: no Avro file: it does not begin with `Obj` and a 1");
    assert_eq!(told(&FASTAVRO[..100]), "truncated_input: the Avro file is cut off: its header goes on behind its end");
    let cut = &FASTAVRO[..FASTAVRO.len() - 1];
    assert_eq!(told(cut), "truncated_input: the Avro file is cut off: a block goes on behind its end");
    let mut marked = FASTAVRO.to_vec();
    *marked.last_mut().expect("has bytes") ^= 1;
    assert!(told(&marked).ends_with("it does not end as the header does"));
    for (schema, rows, content, expected) in [
        ("\"long\"", 2, &b"\x02"[..], "corrupt_input: the block at byte "),
        ("\"long\"", 1, b"\x02\x02", "corrupt_input: "),
        ("\"long\"", -1, b"", "corrupt_input: "),
        ("\"boolean\"", 1, b"\x02", "corrupt_input: "),
        ("\"string\"", 1, b"\x02\xff", "corrupt_input: "),
        ("\"string\"", 1, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "corrupt_input: "),
        ("\"null\"", i64::MAX, b"", "unsupported_input: "),
        ("[\"null\",\"long\"]", 1, b"\x04", "corrupt_input: "),
        (r#"{"type":"record","name":"r","fields":[{"name":"r","type":"r"}]}"#, 1, b"", "unsupported_input: "),
        (r#"{"type":"array","items":"null"}"#, 1, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "unsupported_input: "),
        (r#"{"type":"record","name":"r","fields":[]}"#, 1, b"", "no_columns: "),
        ("\"what\"", 1, b"", "corrupt_input: no Avro file: its schema has no type `what`"),
    ] {
        let found = told(&file(schema, rows, content));
        assert!(found.starts_with(expected), "{schema}, {rows}, {content:?}: {found}");
    }
}
