//! The header of a gzip member (RFC 1952, section 2.3).

use libdeflater::crc32;

/// First bytes of every member.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Most bytes that a header may take: all of FEXTRA, and names far beyond those of any file system.
const LIMIT_BYTES: usize = 256 << 10;

const FIXED_BYTES: usize = 10;
const METHOD_DEFLATE: u8 = 8;
const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

/// Measure the header at the start of `bytes`. `Ok(None)`: it goes on behind them; an error says what is wrong.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let found = measure(bytes)?;
    if found.is_none() && bytes.len() > LIMIT_BYTES {
        return Err(format!("its header has more than {LIMIT_BYTES} bytes"));
    }
    Ok(found)
}

fn measure(bytes: &[u8]) -> Result<Option<usize>, String> {
    if let Some(&method) = bytes.get(2).filter(|&&method| method != METHOD_DEFLATE) {
        return Err(format!("its method is {method}, {METHOD_DEFLATE} (DEFLATE) is the only one"));
    }
    if bytes.len() < FIXED_BYTES {
        return Ok(None);
    }
    let flags = bytes[3];
    if flags & FLAGS_RESERVED != 0 {
        return Err(format!("its flags are {flags:#04x}, the upper three bits are reserved"));
    }
    let Some(end) = optional_fields(bytes, flags) else { return Ok(None) };
    if flags & FLAG_HEADER_CRC == 0 {
        return Ok(Some(end));
    }
    let Some(stored) = bytes.get(end..end + 2) else { return Ok(None) };
    let stored = u16::from_le_bytes([stored[0], stored[1]]);
    let computed = crc32(&bytes[..end]) as u16;
    if stored != computed {
        return Err(format!("its header's CRC-16 is {computed:04x}, {stored:04x} is stored"));
    }
    Ok(Some(end + 2))
}

/// Find the end of extra field, name and comment.
fn optional_fields(bytes: &[u8], flags: u8) -> Option<usize> {
    let mut end = FIXED_BYTES;
    if flags & FLAG_EXTRA != 0 {
        let size = bytes.get(end..end + 2)?;
        end += 2 + usize::from(u16::from_le_bytes([size[0], size[1]]));
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            end += bytes.get(end..)?.iter().position(|&byte| byte == 0)? + 1;
        }
    }
    (end <= bytes.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8, fields: &[u8]) -> Vec<u8> {
        [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255], fields].concat()
    }

    #[test]
    fn test_length_counts_every_optional_field() {
        let fields = b"\x03\x00abcname\0comment\0";
        let mut whole = header(FLAG_EXTRA | FLAG_NAME | FLAG_COMMENT | FLAG_HEADER_CRC, fields);
        let sum = crc32(&whole) as u16;
        whole.extend_from_slice(&sum.to_le_bytes());
        assert_eq!(length(&whole), Ok(Some(whole.len())));
        for end in 0..whole.len() {
            assert_eq!(length(&whole[..end]), Ok(None), "{end}");
        }
        whole[12] ^= 1;
        assert!(length(&whole).is_err_and(|message| message.contains("CRC-16")));
    }

    #[test]
    fn test_length_of_endless_name_is_refused() {
        let endless = header(FLAG_NAME, &vec![b'n'; LIMIT_BYTES]);
        assert!(length(&endless).is_err());
    }

    #[test]
    fn test_length_refuses_other_methods_and_reserved_flags() {
        assert!(length(&[0x1f, 0x8b, 7]).is_err_and(|message| message.contains("method is 7")));
        assert!(length(&header(0x80, b"")).is_err_and(|message| message.contains("0x80")));
    }
}
