//! Workbooks of any size, as spreadsheets write them: numbers in the sheet, texts shared.

use std::{fmt::Write as _, io::Write};

use bytes::Bytes;
use flate2::{Compression, write::DeflateEncoder};

const BOOK: &str = "<workbook xmlns:r='r'><sheets><sheet name='S' r:id='a'/></sheets></workbook>";
const RELATIONS: &str = "<Relationships><Relationship Id='a' Target='worksheets/sheet1.xml'/></Relationships>";

/// Make one whose file has about so many bytes: each row has a number, a text of its own and one that comes again.
pub fn workbook(size_bytes: usize) -> Bytes {
    // What a row takes when it is packed, measured.
    let rows = (size_bytes / 23).max(10);
    let (mut sheet, mut texts) = (String::from("<worksheet><sheetData>"), String::from("<sst>"));
    (0..977).for_each(|at| write!(texts, "<si><t>word {at}</t></si>").expect("is written"));
    for row in 0..rows {
        let (id, own) = (row * 7_919 % 1_000_003, 977 + row);
        write!(texts, "<si><t>the text of {id}</t></si>").expect("is written");
        write!(sheet, "<row><c><v>{id}.25</v></c><c t='s'><v>{own}</v></c><c t='s'><v>{}</v></c></row>", id % 977)
            .expect("is written");
    }
    sheet += "</sheetData></worksheet>";
    texts += "</sst>";
    let members = [
        ("xl/workbook.xml", BOOK),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/sharedStrings.xml", &texts),
        ("xl/worksheets/sheet1.xml", &sheet),
    ];
    zip(&members).into()
}

/// A zip file of these members.
fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let (mut file, mut list) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(content.as_bytes()).expect("is written");
        let packed = deflated.finish().expect("ends");
        let short = |number: usize| (number as u16).to_le_bytes();
        let long = |number: usize| (number as u32).to_le_bytes();
        let sizes = [long(packed.len()), long(content.len())].concat();
        let common = [&short(20)[..], &short(0), &short(8), &[0; 8], &sizes, &short(name.len()), &short(0)].concat();
        let offset = file.len();
        file.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), &packed].concat());
        list.extend([&b"PK\x01\x02\x14\0"[..], &common, &[0; 10], &long(offset), name.as_bytes()].concat());
    }
    let (start, size) = (file.len() as u32, list.len() as u32);
    file.extend(list);
    file.extend([&b"PK\x05\x06\0\0\0\0\0\0\0\0"[..], &size.to_le_bytes(), &start.to_le_bytes(), &[0; 2]].concat());
    file
}
