//! Streams in a row whose sizes are told before they are decoded: taken off the input together, as one block of work.

use bytes::Bytes;

use super::{Decoded, Input};
use crate::{
    Result,
    processors::{Block, PULL_BYTES},
};

/// Most bytes of content of a stream that is decoded in one go: what `compress` puts into one at any level.
pub const CONTENT_BYTES: usize = 8 << 20;

/// Most bytes of such a stream: content that does not compress is a little larger then.
pub const STREAM_BYTES: usize = CONTENT_BYTES + (64 << 10);

/// Streams are put together until they hold so much: BGZF blocks of 64 KiB alone would be more of handing over than
/// of decoding.
const GROUP_BYTES: usize = PULL_BYTES;

/// Most bytes of a group in either form: one byte less than is enough, and one more stream.
pub const MOST_BYTES: u64 = (GROUP_BYTES + STREAM_BYTES) as u64;

/// What the beginning of a stream tells about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Extent {
    /// It is here, whole: its size, and that of its content.
    Whole { stream_bytes: usize, content_bytes: usize },
    /// It is small, or may be, and is not here yet.
    Cut,
    /// Nothing, or that it is too large to be decoded in one go.
    Unknown,
}

/// What stands at the beginning of the input.
pub enum Gathered {
    Group(Group),
    /// A group that is not here whole.
    Cut,
    Nothing,
}

/// Streams that can be decoded for themselves.
pub struct Group {
    /// The streams.
    pub bytes: Bytes,
    /// Where they are in the file.
    pub offset: u64,
    /// What they say that they hold.
    pub content_bytes: usize,
}

/// Take the next group off the input. It does not depend on the pieces in which the input comes. `extent` is told what
/// is here of the file from a stream on, and whether that is all.
pub fn gather(input: &mut Input, extent: impl Fn(&[u8], bool) -> Extent) -> Gathered {
    let (mut taken, mut content) = (0, 0);
    while taken.max(content) < GROUP_BYTES {
        match extent(&input.bytes()[taken..], input.is_whole()) {
            Extent::Whole { stream_bytes, content_bytes }
                if stream_bytes <= STREAM_BYTES && content_bytes <= CONTENT_BYTES =>
            {
                taken += stream_bytes;
                content += content_bytes;
            }
            Extent::Cut if !input.has_ended() => return Gathered::Cut,
            _ => break,
        }
    }
    if taken == 0 {
        return Gathered::Nothing;
    }
    let offset = input.offset();
    Gathered::Group(Group { bytes: input.take(taken), offset, content_bytes: content })
}

impl Group {
    /// The work of decoding it.
    pub fn decoded_by(self, decode: impl FnOnce(Self) -> Result<Vec<u8>> + Send + 'static) -> Decoded {
        let content_bytes = self.content_bytes as u64;
        Decoded::Later { content_bytes, block: Block::new(move || Ok(decode(self)?.into())) }
    }
}
