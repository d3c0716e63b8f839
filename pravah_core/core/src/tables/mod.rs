//! Tables: files become batches of rows, steps work on these, and batches become files again.
//!
//! A pipeline puts [`ReadTable`] before the first step that takes rows and [`WriteTable`] behind the last one; what
//! `convert` says of formats is for these two. Batches are cut by the content alone, so the same file gives the same
//! bytes in whatever pieces it arrives, and on however many threads.
//!
//! - `format`: the formats and their names; `options`: how tables are read and written
//! - `read`, `write`: the two steps
//! - `text`: CSV, TSV, NDJSON and JSON, row by row; `whole`: Parquet and Arrow, whose directory is at their end,
//!   with `int96`;
//!   `avro`, block by block; `xlsx`, one sheet of a workbook
//! - `writers`: every format, written

pub(crate) mod avro;
mod blocks;
mod format;
mod int96;
mod options;
mod read;
mod text;
mod whole;
mod write;
mod writers;
pub(crate) mod xlsx;

pub use format::Format;
pub use options::{BadRows, Compression, Declared, Delimited, Nested, ReadOptions, Statistics, WriteOptions};
pub use read::ReadTable;
pub(crate) use text::{JsonObject, data_type};
pub use write::WriteTable;
pub use writers::Encoder;
pub(crate) use writers::{slice_bytes, texts};
pub use xlsx::SheetChoice;

/// Rows of a batch that a reader of columns gives, at most.
pub const BATCH_ROWS: usize = 8_192;

#[cfg(test)]
mod tests;
