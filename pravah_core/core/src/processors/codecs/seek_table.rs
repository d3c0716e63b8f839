//! The seek table of a zstd file with several frames: where each begins, in a frame that decoders skip.
//!
//! Source: <https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md>.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Of the skippable frame that the format uses.
const FRAME_MAGIC: u32 = 0x184d_2a5e;

/// The last bytes of a file with a table.
const TABLE_MAGIC: u32 = 0x8f92_eab1;

/// Most frames that a table may have; beyond 512 TiB a file goes without one.
const MAX_FRAMES: usize = 0x0800_0000;

/// Bytes of a table beside its entries: the skippable frame's header, and the footer.
const AROUND_BYTES: u64 = 8 + 9;

/// Bytes of an entry without a checksum: frames have one of their own.
const ENTRY_BYTES: u64 = 8;

/// The sizes of frames that are made in whatever order.
#[derive(Default)]
pub struct SeekTable(Mutex<Vec<Frame>>);

#[derive(Clone, Copy, Default)]
struct Frame {
    frame_bytes: u32,
    content_bytes: u32,
}

impl SeekTable {
    /// Note what the frame with this number has become.
    pub fn note(&self, number: usize, frame_bytes: usize, content_bytes: usize) {
        let size = |bytes: usize| u32::try_from(bytes).expect("a frame holds one block of a few MiB");
        let frame = Frame { frame_bytes: size(frame_bytes), content_bytes: size(content_bytes) };
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.len() <= number {
            frames.resize(number + 1, Frame::default());
        }
        frames[number] = frame;
    }

    /// Write the table, once all frames are noted.
    pub fn encode(&self) -> Bytes {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = u32::try_from(frames.len()).ok().filter(|_| frames.len() <= MAX_FRAMES) else {
            return Bytes::new();
        };
        let entries = frames.iter().flat_map(|frame| [frame.frame_bytes, frame.content_bytes]);
        let skipped_bytes = count * ENTRY_BYTES as u32 + 9;
        let mut table: Vec<u8> =
            [FRAME_MAGIC, skipped_bytes].into_iter().chain(entries).chain([count]).flat_map(u32::to_le_bytes).collect();
        table.push(0); // entries have no checksums
        table.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
        table.into()
    }
}

/// Bytes of the table of so many frames.
pub fn bytes(frames: u64) -> u64 {
    frames.saturating_mul(ENTRY_BYTES).saturating_add(AROUND_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_table_has_the_frames_in_order_of_their_numbers() {
        let table = SeekTable::default();
        table.note(1, 7, 8);
        table.note(0, 0x0102, 6);
        let expected = [
            &[0x5e, 0x2a, 0x4d, 0x18, 25, 0, 0, 0][..],
            &[2, 1, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0],
            &[2, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f],
        ];
        assert_eq!(table.encode(), expected.concat());
        assert_eq!(table.encode().len() as u64, bytes(2));
    }
}
