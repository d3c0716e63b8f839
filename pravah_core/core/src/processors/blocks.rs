//! Cuts pushed bytes at fixed offsets, whatever the pieces they come in.

use bytes::{Bytes, BytesMut};

/// Bytes on their way into blocks of one size.
///
/// A block that lies in one piece is passed on by reference; only blocks that span pieces are copied.
pub struct Blocks {
    block_bytes: usize,
    gather_bytes: usize,
    gathered: BytesMut,
    piece: Bytes,
}

impl Blocks {
    /// Cut at each multiple of `block_bytes`; the file's size, where it is known, saves room for blocks it won't fill.
    pub fn new(block_bytes: usize, size_bytes: Option<u64>) -> Self {
        let size_bytes = size_bytes.and_then(|size| usize::try_from(size).ok());
        let gather_bytes = size_bytes.map_or(block_bytes, |size| size.min(block_bytes));
        Self { block_bytes, gather_bytes, gathered: BytesMut::new(), piece: Bytes::new() }
    }

    /// Take the next piece, of any size. All full blocks of the one before have been taken by now.
    pub fn push(&mut self, piece: Bytes) {
        let before = std::mem::replace(&mut self.piece, piece);
        if before.is_empty() && self.gathered.is_empty() {
            return;
        }
        if self.gathered.is_empty() {
            // The buffer of the block before is used again, once its block has been dropped.
            self.gathered.reserve(self.gather_bytes);
        }
        self.gathered.extend_from_slice(&before);
        let missing = self.block_bytes.saturating_sub(self.gathered.len());
        self.gathered.extend_from_slice(&self.piece.split_to(missing.min(self.piece.len())));
    }

    /// Give the next full block, if there is one.
    pub fn full(&mut self) -> Option<Bytes> {
        if self.gathered.len() >= self.block_bytes {
            return Some(self.gathered.split().freeze());
        }
        (self.gathered.is_empty() && self.piece.len() >= self.block_bytes)
            .then(|| self.piece.split_to(self.block_bytes))
    }

    /// Give what remains behind the last full block; it may be empty.
    pub fn rest(&mut self) -> Bytes {
        if self.gathered.is_empty() { std::mem::take(&mut self.piece) } else { self.gathered.split().freeze() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[usize], block_bytes: usize) -> Vec<usize> {
        let mut blocks = Blocks::new(block_bytes, None);
        let mut cuts = Vec::new();
        for &size in pieces {
            blocks.push(Bytes::from(vec![0; size]));
            cuts.extend(std::iter::from_fn(|| blocks.full()).map(|block| block.len()));
        }
        cuts.push(blocks.rest().len());
        cuts
    }

    #[test]
    fn test_blocks_in_one_piece_are_not_copied() {
        let piece = Bytes::from_static(b"abcdefgh");
        let mut blocks = Blocks::new(4, None);
        blocks.push(piece.clone());
        assert_eq!(blocks.full().map(|block| block.as_ptr()), Some(piece.as_ptr()));
        assert_eq!(blocks.full().map(|block| block.as_ptr()), Some(piece[4..].as_ptr()));
        assert_eq!(blocks.full(), None);
        assert!(blocks.rest().is_empty());
    }

    proptest! {
        #[test]
        fn test_blocks_are_cut_at_fixed_offsets(pieces in prop::collection::vec(0usize..50, 0..30), block in 1usize..40) {
            let total: usize = pieces.iter().sum();
            let mut expected = vec![block; total / block];
            expected.push(total % block);
            prop_assert_eq!(cut(&pieces, block), expected);
        }
    }
}
