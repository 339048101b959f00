//! Rows into lanes and back.

use crate::device::Shared;
use crate::simd::{Kernel, LANES, Simd};

/// columns[d][row] = factor · (value d of row `row`); zeros in the lanes of other rows.
pub(super) struct Load<'a> {
    /// Begins with the first row.
    pub source: &'a [f32],
    /// Distance of rows.
    pub stride: usize,
    /// Rows, at most sixteen.
    pub count: usize,
    /// Values of a row.
    pub size: usize,
    pub factor: f32,
    pub columns: &'a mut [f32],
}

impl Kernel for Load<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Load { source, stride, count, size, factor, columns } = self;
        let factor = s.splat(factor);
        for first in (0..size).step_by(LANES) {
            let width = LANES.min(size - first);
            let mut rows = [s.splat(0.0); LANES];
            for row in 0..count {
                let values = &source[row * stride + first..][..width];
                rows[row] = if width == LANES { s.load(values) } else { s.load_partial(values) };
            }
            let transposed = s.transpose(rows);
            for d in 0..width {
                s.store(s.mul(transposed[d], factor), &mut columns[(first + d) * LANES..]);
            }
        }
    }
}

/// Value d of row `row` = columns[d][row] · factors[row].
pub(super) struct Store<'a> {
    pub columns: &'a [f32],
    pub factors: [f32; LANES],
    /// Values of a row.
    pub size: usize,
    /// Rows, at most sixteen.
    pub count: usize,
    /// The first row: nobody else may use the rows meanwhile.
    pub target: Shared,
    /// Distance of rows.
    pub stride: usize,
}

impl Kernel for Store<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Store { columns, factors, size, count, target, stride } = self;
        let (factors, zero) = (s.load(&factors), s.splat(0.0));
        for first in (0..size).step_by(LANES) {
            let width = LANES.min(size - first);
            let mut transposed = [zero; LANES];
            for d in 0..width {
                // The sum makes the zeros of keys that are not seen, and of those that are not there, one.
                transposed[d] = s.add(s.mul(s.load(&columns[(first + d) * LANES..]), factors), zero);
            }
            let rows = s.transpose(transposed);
            for row in 0..count {
                // SAFETY: the maker of this kernel points it to `count` rows of `size` values that it alone may use.
                let place = unsafe { std::slice::from_raw_parts_mut(target.at(row * stride + first), width) };
                if width == LANES { s.store(rows[row], place) } else { s.store_partial(rows[row], place) }
            }
        }
    }
}
