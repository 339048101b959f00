//! What comes after the sums: the bias, then the epilogue.

use crate::epilogue::InPlace;
use crate::simd::{Isa, Kernel, LANES, Simd};

/// Values that an epilogue gets in one call where rows follow each other without a gap: a part of the first cache.
const EPILOGUE_VALUES: usize = 1024;

/// What comes after the sums, for a rectangle of C: the bias, then the epilogue.
pub(super) struct Finish<'a> {
    pub c: *mut f32,
    pub stride: usize,
    pub rows: usize,
    pub columns: usize,
    pub bias: Option<&'a [f32]>,
    pub epilogue: Option<&'a dyn InPlace>,
    pub isa: Isa,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // An epilogue has a cost a call: where the rows follow each other without a gap, it gets several at once.
        let at_once = if self.columns == self.stride { (EPILOGUE_VALUES / self.columns).max(1) } else { 1 };
        for first in (0..self.rows).step_by(at_once) {
            let rows = at_once.min(self.rows - first);
            let len = (rows - 1) * self.stride + self.columns;
            // SAFETY: the maker of this kernel points it to `rows` × `columns` values of C that it alone may use; there
            // are values of others between two rows only if this is a single row.
            let values = unsafe { std::slice::from_raw_parts_mut(self.c.add(first * self.stride), len) };
            if let Some(bias) = self.bias {
                for row in values.chunks_exact_mut(self.columns) {
                    add(s, row, bias);
                }
            }
            if let Some(epilogue) = self.epilogue {
                epilogue.apply(self.isa, values);
            }
        }
    }
}

/// `row` += `bias`
#[inline(always)]
fn add<S: Simd>(s: S, row: &mut [f32], bias: &[f32]) {
    let (row, row_rest) = row.as_chunks_mut::<LANES>();
    let (bias, bias_rest) = bias.as_chunks::<LANES>();
    for (c, bias) in row.iter_mut().zip(bias) {
        s.store(s.add(s.load(c), s.load(bias)), c);
    }
    if !row_rest.is_empty() {
        s.store_partial(s.add(s.load_partial(row_rest), s.load_partial(bias_rest)), row_rest);
    }
}
