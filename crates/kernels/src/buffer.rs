//! Storage for f32 that starts on a cache line.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a cache line, and of the widest vector register.
const ALIGN: usize = 64;

/// A fixed number of f32, zero at first, 64-byte aligned: vector loads from its start never cross a cache line.
pub struct Buffer {
    data: NonNull<f32>,
    len: usize,
}

// SAFETY: a `Buffer` owns its memory, as a `Box<[f32]>` does.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zeros.
    pub fn new(len: usize) -> Buffer {
        let layout = Buffer::layout(len);
        if len == 0 {
            return Buffer { data: NonNull::<Line>::dangling().cast(), len };
        }
        // SAFETY: the layout is not of size zero.
        let data = unsafe { alloc_zeroed(layout) };
        let Some(data) = NonNull::new(data.cast()) else { handle_alloc_error(layout) };
        Buffer { data, len }
    }

    fn layout(len: usize) -> Layout {
        let bytes = len.checked_mul(size_of::<f32>()).expect("a buffer fits the address space");
        Layout::from_size_align(bytes, ALIGN).expect("a buffer fits the address space")
    }
}

/// Has the alignment of a buffer, for the pointer of an empty one.
#[repr(align(64))]
struct Line;

const _: () = assert!(align_of::<Line>() == ALIGN);

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: `new` allocated the memory with this layout.
            unsafe { dealloc(self.data.as_ptr().cast(), Buffer::layout(self.len)) }
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    #[inline(always)]
    fn deref(&self) -> &[f32] {
        // SAFETY: `new` allocated and zeroed `len` values (or the pointer dangles, aligned, and `len` is 0).
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and `self` is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        Buffer::from(&self[..])
    }
}

impl Default for Buffer {
    /// An empty buffer.
    fn default() -> Buffer {
        Buffer::new(0)
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Buffer {
        let mut buffer = Buffer::new(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_buffer_is_aligned_and_zero() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut buffer = Buffer::new(len);
            assert_eq!(buffer.as_ptr() as usize % ALIGN, 0);
            assert_eq!(&buffer[..], vec![0.0; len]);
            buffer.fill(2.0);
            let copy = buffer.clone();
            buffer.fill(3.0);
            assert_eq!(&copy[..], vec![2.0; len]);
        }
    }
}
