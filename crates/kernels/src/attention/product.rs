//! The matrix product of a block: rows where they are, sixteen lanes.

use crate::gemm::Matrix;
use crate::gemm::tile::{Lanes, RowTiles, Rows, Target, any_tile};
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};

/// c[row] = Σₖ rows[row, k] · lanes[k] for `count` rows, over all of `lanes` [k, 16]; it goes on from what is in `c`
/// [count, 16] if `resume`. Panics when a matrix is too short.
#[inline]
pub(super) fn product(isa: Isa, rows: Matrix, count: usize, lanes: &[f32], c: &mut [f32], resume: bool) {
    let depth = lanes.len() / LANES;
    assert!(rows.holds(count, depth) && c.len() == count * LANES, "a block of {count} rows and {depth} terms");
    dispatch(isa, Product { rows, count, depth, lanes, c, resume });
}

struct Product<'a> {
    rows: Matrix<'a>,
    count: usize,
    depth: usize,
    lanes: &'a [f32],
    c: &'a mut [f32],
    resume: bool,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Product { rows, count, depth, lanes, c, resume } = self;
        let lanes = Lanes { data: lanes.as_ptr(), vector: LANES, depth: LANES };
        let tiles = RowTiles::new(S::TILE_ROWS, count);
        for tile in 0..tiles.count {
            let (first, tile_rows) = tiles.get(tile);
            let data = rows.data[first * rows.row_stride..].as_ptr();
            let source = Rows { data, row: rows.row_stride, depth: rows.column_stride };
            let target = Target { data: c[first * LANES..].as_mut_ptr(), row: LANES, lane: 1 };
            // SAFETY: `product` has made sure that the operands have so many rows and depths.
            unsafe { any_tile(s, (tile_rows, 1), depth, source, lanes, target, resume) }
        }
    }
}
