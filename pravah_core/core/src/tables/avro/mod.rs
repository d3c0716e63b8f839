//! Avro's object container files (Avro 1.12, "Object Container Files"), read without trust in what they declare.
//!
//! Own code, as the library of the Arrow project unpacks blocks without a bound and marks files at random.
//!
//! - `cursor`: numbers and bytes as they are written; `header`: what a file begins with
//! - `codec`: how blocks are packed; `schema`: types of values
//! - `columns`: rows become columns; `nested`: values that no column holds become text
//! - `read`: a file, block by block

mod codec;
mod columns;
mod cursor;
mod header;
mod nested;
mod read;
mod schema;

pub use codec::{Codec, MOST_BLOCK_BYTES};
pub use cursor::{Cursor, Stop, write_long};
pub use header::{BlockHeader, Header, MAGIC, NAME_KEY, SYNC_BYTES};
pub use read::{AvroReader, PARCEL_BYTES};
