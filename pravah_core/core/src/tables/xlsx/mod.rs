//! Workbooks of Excel (xlsx, ECMA-376), read without trust in what they declare: also for `extract_headers`.
//!
//! - `archive`: members of the zip file; `book`: its sheets and its XML
//! - `styles`: numbers that are times; `texts`: what sheets share; `rows`: the rows of one
//! - `read`: one sheet as a table

mod archive;
pub mod book;
mod read;
mod rows;
pub mod styles;
pub mod texts;

pub use archive::{Archive, Content, Seen};
pub use read::{SheetChoice, XlsxReader, most_text_bytes};
pub use rows::{Cell, Meaning, Row, Rows, SHEET_COLUMNS};

/// What a zip file begins with.
pub const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";
