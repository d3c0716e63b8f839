//! The header of a gzip member (RFC 1952, section 2.3).

use libdeflater::crc32;

/// First bytes of every member.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Most bytes that a header may take: all of FEXTRA, and names far beyond those of any file system.
const LIMIT_BYTES: usize = 256 << 10;

const FIXED_BYTES: usize = 10;

/// Bytes of a header with the member's size.
pub const SIZED_BYTES: usize = FIXED_BYTES + 2 + 8;

/// The extra fields that tell a member's size: BGZF's, less one, and that of mgzip and pgzip.
const BGZF_SIZE: [u8; 2] = *b"BC";
const MEMBER_SIZE: [u8; 2] = *b"IG";

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

/// Whether the header at the start of `bytes` may tell its member's size, as far as it is here.
pub fn may_tell_member_bytes(bytes: &[u8]) -> bool {
    bytes.get(3).is_none_or(|flags| flags & FLAG_EXTRA != 0)
}

/// Read what a header says of its whole member's size: in the extra field of BGZF (the SAM specification, section
/// 4.1), or in that of mgzip, which `compress` writes.
pub fn member_bytes(header: &[u8]) -> Option<usize> {
    if header.get(3)? & FLAG_EXTRA == 0 {
        return None;
    }
    let extra_bytes = usize::from(u16::from_le_bytes([*header.get(10)?, *header.get(11)?]));
    let mut fields = header.get(12..12 + extra_bytes)?;
    while let Some((&[first, second, low, high], rest)) = fields.split_first_chunk() {
        let (value, behind) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        match ([first, second], value) {
            (BGZF_SIZE, &[a, b]) => return Some(usize::from(u16::from_le_bytes([a, b])) + 1),
            (MEMBER_SIZE, &[a, b, c, d]) => return usize::try_from(u32::from_le_bytes([a, b, c, d])).ok(),
            _ => fields = behind,
        }
    }
    None
}

/// Write the header of a member of `member_bytes`, itself included.
pub fn with_member_bytes(member_bytes: usize) -> [u8; SIZED_BYTES] {
    let size = u32::try_from(member_bytes).expect("a member holds a block of 1 MiB").to_le_bytes();
    let [s1, s2] = MEMBER_SIZE;
    let (flags, unknown_system) = (FLAG_EXTRA, 255);
    let fixed = [MAGIC[0], MAGIC[1], METHOD_DEFLATE, flags, 0, 0, 0, 0, 0, unknown_system];
    let mut header = [0; SIZED_BYTES];
    header[..FIXED_BYTES].copy_from_slice(&fixed);
    header[FIXED_BYTES..SIZED_BYTES - 4].copy_from_slice(&[8, 0, s1, s2, 4, 0]);
    header[SIZED_BYTES - 4..].copy_from_slice(&size);
    header
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
    fn test_member_size_is_read_from_either_field() {
        let sized = with_member_bytes(70_000);
        assert_eq!((length(&sized), member_bytes(&sized)), (Ok(Some(SIZED_BYTES)), Some(70_000)));
        let bgzf = header(FLAG_EXTRA, b"\x0b\x00xy\x01\x00zBC\x02\x00\x1b\x00");
        assert_eq!(member_bytes(&bgzf), Some(28));
        assert_eq!(member_bytes(&header(FLAG_EXTRA, b"\x05\x00BC\x02\x00\x1b")), None);
        assert_eq!(member_bytes(&header(0, b"\x06\x00BC\x02\x00\x1b\x00")), None);
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
