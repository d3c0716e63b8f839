//! The compressed bytes that a decoder has not taken yet, and where they are in the file.

use bytes::{Buf, Bytes, BytesMut};

use crate::Error;

/// A window on the input: what was pushed last, behind what the decoder left of the pushes before.
///
/// A decoder leaves bytes where a header or trailer spans pushes, or a stream that is decoded whole.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Bytes,
    offset: u64,
    size_bytes: Option<u64>,
    ended: bool,
}

impl Input {
    /// Begin on a file, whose size is known or not.
    pub fn new(size_bytes: Option<u64>) -> Self {
        Self { size_bytes, ..Self::default() }
    }

    /// Begin with bytes that are all there is, from this offset of the file on.
    pub fn whole(bytes: Bytes, offset: u64) -> Self {
        Self { bytes, offset, size_bytes: None, ended: true }
    }

    /// Take the next piece.
    pub fn push(&mut self, piece: Bytes) {
        if self.bytes.is_empty() {
            self.bytes = piece;
            return;
        }
        // What has been joined before has room for more, mostly.
        let mut joined = std::mem::take(&mut self.bytes).try_into_mut().unwrap_or_else(|bytes| {
            let mut joined = BytesMut::with_capacity(bytes.len() + piece.len());
            joined.extend_from_slice(&bytes);
            joined
        });
        joined.extend_from_slice(&piece);
        self.bytes = joined.freeze();
    }

    /// Note that nothing follows.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// What has been pushed and not been taken.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Take `count` bytes.
    pub fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.offset += count as u64;
    }

    /// Take `count` bytes, and keep them.
    pub fn take(&mut self, count: usize) -> Bytes {
        self.offset += count as u64;
        self.bytes.split_to(count)
    }

    /// Where the first byte of [`Self::bytes`] is in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether everything has been pushed.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether [`Self::bytes`] reaches to the end of the file, as far as its size is known.
    pub fn is_whole(&self) -> bool {
        self.ended || self.size_bytes == Some(self.offset + self.bytes.len() as u64)
    }

    /// The error of a stream that goes on where the file does not.
    pub fn truncated(&self, codec: &str) -> Error {
        let end = self.offset + self.bytes.len() as u64;
        Error::TruncatedInput(format!("the {codec} stream is cut off at byte {end}, the end of the file"))
    }
}
