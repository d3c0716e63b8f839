//! Workbooks: cells of every kind, dates of both calendars, the sheet that is wanted, and bombs.

use std::io::Write;

use serde_json::{Value, json};

use super::{convert, convert_in, refused, run};
use crate::pipeline::Workers;

const OPENPYXL: &[u8] = include_bytes!("../../../tests/samples/openpyxl.xlsx");

/// A zip file of these members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut list) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        deflated.write_all(content).expect("is written");
        let packed = deflated.finish().expect("ends");
        let short = |number: usize| (number as u16).to_le_bytes();
        let long = |number: usize| (number as u32).to_le_bytes();
        let common = [
            &short(20)[..],
            &short(0),
            &short(8),
            &[0; 8],
            &long(packed.len()),
            &long(content.len()),
            &short(name.len()),
            &short(0),
        ]
        .concat();
        let offset = file.len();
        file.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), &packed].concat());
        list.extend([&b"PK\x01\x02\x14\0"[..], &common, &[0; 10], &long(offset), name.as_bytes()].concat());
    }
    let (start, size) = (file.len() as u32, list.len() as u32);
    file.extend(list);
    file.extend([&b"PK\x05\x06\0\0\0\0\0\0\0\0"[..], &size.to_le_bytes(), &start.to_le_bytes(), &[0; 2]].concat());
    file
}

/// A workbook of one sheet with these rows; style 1 is a date, 2 a time with a date, 3 a time of day.
fn book(properties: &str, rows: &str) -> Vec<u8> {
    let book = format!(
        "<workbook xmlns:r='r'><workbookPr {properties}/><sheets><sheet name='S' r:id='a'/></sheets></workbook>"
    );
    let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let styles =
        "<styleSheet><cellXfs><xf/><xf numFmtId='14'/><xf numFmtId='22'/><xf numFmtId='46'/></cellXfs></styleSheet>";
    let relations = "<Relationships><Relationship Id='a' Target='worksheets/sheet1.xml'/></Relationships>";
    let texts = "<sst><si><t>Asha &amp; Co</t></si><si><r><t>r</t></r><r><t>ich</t></r><rPh><t>x</t></rPh></si><si><t/></si></sst>";
    zip(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/sharedStrings.xml", texts.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

fn row(cells: &[&str]) -> String {
    format!("<row>{}</row>", cells.concat())
}

fn shown(params: Value, file: &[u8]) -> String {
    String::from_utf8(convert(params, "a.xlsx", file).expect("converts")).expect("is text")
}

fn csv(file: &[u8]) -> String {
    shown(json!({"format": "csv"}), file)
}

#[test]
fn test_workbook_of_another_hand_is_read_by_its_sheets() {
    assert_eq!(
        csv(OPENPYXL),
        "id,name,born,seen,share,ok\n\
         1,Asha & Co,1990-02-28,2026-01-31T23:59:00,0.5,true\n\
         2,Rao,1990-02-28,2026-01-31T23:59:00,1.0,false\n"
    );
    for sheet in [json!("Places <2>"), json!(2), json!("2")] {
        assert_eq!(shown(json!({"format": "csv", "sheet": sheet}), OPENPYXL), "zip,größe\n01234,7\n");
    }
    let told = |sheet: Value| refused(json!({"format": "csv", "sheet": sheet}), "a.xlsx", OPENPYXL);
    assert_eq!(
        told(json!("places")),
        "no_such_sheet: the workbook has no sheet `places`; it has `People`, `Places <2>`, `Empty`"
    );
    assert!(told(json!(0)).starts_with("no_such_sheet: "));
    assert!(told(json!(3)).starts_with("no_columns: "));
    let in_pieces = convert_in(json!({"format": "csv"}), "a.xlsx", OPENPYXL, &[100, 7]).expect("converts");
    assert_eq!(in_pieces, csv(OPENPYXL).as_bytes());
}

#[test]
fn test_cells_of_every_kind_become_values_and_errors_and_empty_ones_nulls() {
    let names = ["s", "t", "n", "b", "e", "d"].map(|name| format!("<c t='inlineStr'><is><t>{name}</t></is></c>"));
    let rows = [
        row(&names.each_ref().map(String::as_str)),
        row(&[
            "<c t='s'><v>0</v></c>",
            "<c t='inlineStr'><is><t>007</t></is></c>",
            "<c><f>1+1</f><v>2</v></c>",
            "<c t='b'><v>1</v></c>",
            "<c t='e'><v>#N/A</v></c>",
            "<c t='d'><v>2026-01-31T00:00:00</v></c>",
        ]),
        "<row r='7'/>".to_owned(),
        row(&["<c t='s'><v>1</v></c>", "<c t='str'><f>A1</f><v></v></c>", "<c r='C9'><v>1.5</v></c>"]),
        row(&["<c r='B1' t='s'><v>2</v></c>", "<c r='C1'/>", "<c r='H1'><v>9</v></c>"]),
    ];
    assert_eq!(
        csv(&book("", &rows.concat())),
        "s,t,n,b,e,d,column_8\nAsha & Co,007,2.0,true,,2026-01-31T00:00:00,\nrich,,1.5,,,,\n,,,,,,9\n"
    );
}

#[test]
fn test_dates_are_told_by_their_format_in_both_calendars() {
    let rows = [
        row(&["<c t='str'><v>day</v></c>", "<c t='str'><v>mixed</v></c>", "<c t='str'><v>time</v></c>"]),
        row(&["<c s='1'><v>45351</v></c>", "<c s='2'><v>45351.5</v></c>", "<c s='3'><v>0.25</v></c>"]),
        row(&["<c s='1'><v>59</v></c>", "<c s='1'><v>45351</v></c>", "<c s='3'><v>2</v></c>"]),
    ];
    let rows = rows.concat();
    assert_eq!(
        csv(&book("", &rows)),
        "day,mixed,time\n2024-02-29,2024-02-29T12:00:00,06:00:00\n1900-02-28,2024-02-29T00:00:00,48:00:00\n"
    );
    assert!(csv(&book("date1904='1'", &rows)).contains("\n2028-03-01,2028-03-01T12:00:00,06:00:00\n1904-02-29,"));
}

#[test]
fn test_rows_without_names_number_their_columns_and_bad_ones_keep_their_place() {
    let rows = ["<row r='3'><c r='B3'><v>1</v></c></row>", "<row r='5'><c r='B5' t='str'><v>x</v></c></row>"].concat();
    let file = book("", &rows);
    assert_eq!(shown(json!({"format": "csv", "header": false}), &file), "1\nx\n");
    let params = json!({"format": "csv", "header": false, "types": {"column_1": "int64"}});
    assert_eq!(
        refused(params.clone(), "a.xlsx", &file),
        "xlsx_bad_value: line 5, column `column_1`: `x` is no int64, which `types` declares"
    );
    let mut params = params;
    params["on_bad_row"] = json!("quarantine");
    let kept = run(&[("convert", params)], "a.xlsx", &file, &[usize::MAX], Workers::NONE).expect("converts");
    assert_eq!((&kept.records[0]["line"], &kept.records[0]["text"]), (&json!(5), &json!("x")));
}

#[test]
fn test_value_behind_the_sample_widens_its_column() {
    let filler = format!("<c><v>1</v></c><c t='str'><v>{}</v></c>", "x".repeat(2_000));
    let header = row(&["<c t='str'><v>n</v></c>", "<c t='str'><v>t</v></c>"]);
    let rows = format!("{header}{}{}", row(&[&filler]).repeat(6_000), row(&["<c><v>0.5</v></c>"]));
    let csv = csv(&book("", &rows));
    assert!(csv.starts_with("n,t\n1.0,xxx") && csv.ends_with("\n0.5,\n"));
}

#[test]
fn test_damaged_workbooks_and_bombs_are_refused() {
    let told = |file: &[u8]| refused(json!({"format": "csv"}), "a.xlsx", file);
    for end in [0, 10, OPENPYXL.len() / 2, OPENPYXL.len() - 1] {
        assert!(told(&OPENPYXL[..end]).starts_with("truncated_input: "), "{end}");
    }
    assert!(told(&zip(&[("a", b"b")])).starts_with("corrupt_input: no workbook"));
    assert!(told(&book("", "<row><c><v>1</v></c></row><row><c")).starts_with("corrupt_input: the XML of the workbook"));
    assert!(told(&book("", &row(&["<c t='s'><v>9</v></c>"]))).starts_with("corrupt_input: the workbook is damaged"));
    let twice = row(&["<c t='str'><v>a</v></c>", "<c t='str'><v>a</v></c>"]);
    assert!(told(&book("", &twice)).contains("columns 1 and 2 are both called `a`"));
    let endless = format!("<row><c t='str'><v>{}</v></c></row>", "x".repeat(17 << 20));
    assert!(told(&book("", &endless)).starts_with("unsupported_input: a row or a text of the workbook has more"));
    let bomb = format!("<row x='{}'/>", "x".repeat(100_000)).repeat(700);
    assert!(told(&book("", &bomb)).starts_with("decompression_budget: a member of the zip file has more than"));
    assert!(refused(json!({"format": "avro"}), "a.csv", b"").starts_with("no_columns"));
}
