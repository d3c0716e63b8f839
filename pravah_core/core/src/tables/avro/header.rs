//! What an Avro file and each of its blocks begin with: the one reader of them, also for `extract_headers`.

use serde_json::Value;

use super::{Cursor, Stop};

/// What an Avro file begins with.
pub const MAGIC: [u8; 4] = *b"Obj\x01";

/// Bytes of the marker that stands behind the header and each block.
pub const SYNC_BYTES: usize = 16;

/// The property of a field whose name Avro has no form for, as we write it.
pub const NAME_KEY: &str = "pravah.name";

/// Bytes of a schema that is read: what they are read into takes up to sixty times as many.
const SCHEMA_BYTES: usize = 256 << 10;

/// The header of a file.
#[derive(Debug)]
pub struct Header {
    pub schema: Value,
    /// The name of what blocks are packed with; none: nothing.
    pub codec: Option<String>,
    pub sync: [u8; SYNC_BYTES],
    /// Bytes up to the first block.
    pub size_bytes: usize,
}

impl Header {
    /// Read it off a file's beginning.
    pub fn read(start: &[u8]) -> Result<Self, Stop> {
        let seen = start.len().min(MAGIC.len());
        if start[..seen] != MAGIC[..seen] {
            return Err(Stop::bad("it does not begin with `Obj` and a 1"));
        }
        let mut rest = Cursor::new(start);
        rest.take(MAGIC.len())?;
        let (mut schema, mut codec) = (None, None);
        loop {
            let pairs = rest.elements()?;
            if pairs == 0 {
                break;
            }
            for _ in 0..pairs {
                let (key, value) = (rest.bytes()?, rest.bytes()?);
                match key {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = Some(String::from_utf8_lossy(value).into_owned()),
                    _ => {}
                }
            }
        }
        let sync = rest.array()?;
        let schema = schema.ok_or_else(|| Stop::bad("its header has no schema"))?;
        if schema.len() > SCHEMA_BYTES {
            let told = format!("its schema has {} bytes, at most {SCHEMA_BYTES} are read", schema.len());
            return Err(Stop::Beyond(told));
        }
        let schema =
            serde_json::from_slice(schema).map_err(|error| Stop::bad(format!("its schema is no JSON: {error}")))?;
        Ok(Self { schema, codec, sync, size_bytes: rest.offset() })
    }
}

/// What stands before a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    pub rows: u64,
    /// Bytes of its content, packed.
    pub packed_bytes: usize,
}

impl BlockHeader {
    /// Read it.
    pub fn read(rest: &mut Cursor<'_>) -> Result<Self, Stop> {
        let (rows, length) = (rest.long()?, rest.long()?);
        match (u64::try_from(rows), usize::try_from(length)) {
            (Ok(rows), Ok(packed_bytes)) => Ok(Self { rows, packed_bytes }),
            _ => Err(Stop::bad(format!("it tells {rows} rows in {length} bytes"))),
        }
    }
}
