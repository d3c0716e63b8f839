//! Headers of zstd frames and skippable frames (RFC 8878, section 3.1).

const FRAME_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a frame says of itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    /// A frame of compressed data.
    Frame {
        /// How far back its matches may reach.
        window_bytes: u64,
        /// What it holds, where it says so.
        content_bytes: Option<u64>,
        /// The dictionary that it was made with; 0: none.
        dictionary: u32,
    },
    /// A frame for others, to be skipped.
    Skippable {
        /// Bytes of the whole frame, its header included.
        frame_bytes: u64,
    },
}

/// Tell whether a frame of either sort begins here.
pub fn is_magic(start: &[u8]) -> bool {
    start.starts_with(&FRAME_MAGIC) || is_skippable(start)
}

/// Tell whether these few bytes could become the start of a frame.
pub fn is_magic_prefix(start: &[u8]) -> bool {
    match start {
        [first, rest @ ..] if first & 0xf0 == 0x50 => [0x2a, 0x4d, 0x18].starts_with(rest),
        _ => FRAME_MAGIC.starts_with(start),
    }
}

/// Read the header of the frame that begins here, which its magic has shown. `None`: it goes on behind these bytes.
pub fn read(bytes: &[u8]) -> Option<Header> {
    if is_skippable(bytes) {
        return Some(Header::Skippable { frame_bytes: 8 + little_endian(bytes.get(4..8)?) });
    }
    let descriptor = *bytes.get(4)?;
    let is_single_segment = descriptor & 0b10_0000 != 0;
    let mut at = 5;
    let mut field = |size: usize| {
        at += size;
        bytes.get(at - size..at).map(little_endian)
    };
    let window = if is_single_segment { None } else { Some(window_bytes(field(1)?)) };
    let dictionary = field([0, 1, 2, 4][usize::from(descriptor & 0b11)])?;
    let content_bytes = match (descriptor >> 6, is_single_segment) {
        (0, false) => None,
        (0, true) => Some(field(1)?),
        (1, _) => Some(field(2)? + 256),
        (2, _) => Some(field(4)?),
        _ => Some(field(8)?),
    };
    let window_bytes = window.or(content_bytes).unwrap_or_default();
    Some(Header::Frame { window_bytes, content_bytes, dictionary: dictionary as u32 })
}

fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

fn window_bytes(descriptor: u64) -> u64 {
    let base = 1 << (10 + (descriptor >> 3));
    base + (base / 8) * (descriptor & 0b111)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processors::codecs::zstd;

    #[test]
    fn test_header_of_our_frames_tells_their_size() {
        for size in [0_u64, 1, 255, 256, 70_000, 1 << 20] {
            let frame = zstd::compress(3, &vec![b'x'; size as usize]).expect("compressed");
            let Some(Header::Frame { content_bytes, dictionary, .. }) = read(&frame) else { panic!("no frame") };
            assert_eq!((content_bytes, dictionary), (Some(size), 0));
        }
    }

    #[test]
    fn test_header_that_is_cut_off_wants_more() {
        // Window 1 KiB, dictionary 7, content of 300 bytes.
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0b0100_0001, 0, 7, 44, 0];
        for end in 4..header.len() {
            assert_eq!(read(&header[..end]), None, "{end}");
        }
        let whole = Header::Frame { window_bytes: 1024, content_bytes: Some(300), dictionary: 7 };
        assert_eq!(read(&header), Some(whole));
        assert_eq!(read(&[0x53, 0x2a, 0x4d, 0x18, 2, 1, 0, 0]), Some(Header::Skippable { frame_bytes: 8 + 258 }));
    }

    #[test]
    fn test_magic_prefixes_are_known() {
        assert!(is_magic_prefix(&[0x28, 0xb5]) && is_magic_prefix(&[0x5f, 0x2a]) && is_magic_prefix(&[]));
        assert!(!is_magic_prefix(&[0x28, 0x2a]) && !is_magic_prefix(&[0x60]));
    }
}
