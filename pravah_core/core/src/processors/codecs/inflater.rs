//! DEFLATE decompression of whole buffers by libdeflate, about twice as fast as streaming for small files.
//!
//! `libdeflater` does not tell where a stream ended in its input, which members in a row need;
//! so this binds libdeflate itself.

use std::ptr::NonNull;

use libdeflate_sys as ffi;

/// One of libdeflate's decompressors.
pub struct Inflater(NonNull<ffi::libdeflate_decompressor>);

// SAFETY: libdeflate's decompressor is plain memory without thread affinity; `&mut self` keeps its use exclusive.
unsafe impl Send for Inflater {}

impl Inflater {
    /// Make one; none: out of memory.
    pub fn new() -> Option<Self> {
        // SAFETY: the call has no preconditions, and gives null or a decompressor that is ours to free.
        NonNull::new(unsafe { ffi::libdeflate_alloc_decompressor() }).map(Self)
    }

    /// Inflate the raw DEFLATE stream at the start of `input`, at most `limit_bytes`, behind what is in `output`.
    ///
    /// Gives the bytes it took; none where the stream is damaged, cut off or larger, which the streaming decoder then
    /// finds out and tells.
    pub fn inflate(&mut self, input: &[u8], limit_bytes: usize, output: &mut Vec<u8>) -> Option<usize> {
        output.reserve(limit_bytes);
        let room = &mut output.spare_capacity_mut()[..limit_bytes];
        let (mut taken, mut given) = (0, 0);
        // SAFETY: both pointers are valid for the lengths beside them, the output for writes;
        // libdeflate reads no output byte before it has written it.
        let result = unsafe {
            ffi::libdeflate_deflate_decompress_ex(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                room.as_mut_ptr().cast(),
                room.len(),
                &raw mut taken,
                &raw mut given,
            )
        };
        if result != ffi::libdeflate_result_LIBDEFLATE_SUCCESS {
            return None;
        }
        // SAFETY: on success libdeflate has written `given` bytes behind the others.
        unsafe { output.set_len(output.len() + given) };
        Some(taken)
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `libdeflate_alloc_decompressor` and is freed once.
        unsafe { ffi::libdeflate_free_decompressor(self.0.as_ptr()) };
    }
}
