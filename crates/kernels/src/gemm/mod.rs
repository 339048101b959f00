//! Matrix product: C = f(A·B (+ C) (+ bias)), A [m, k], B [k, n], C [m, n]; A and B with any strides, hence transposed
//! too; f an epilogue, an activation say.
//!
//! Every element of C is one chain of fused multiply-adds over k in ascending order, starting from 0 (or from C), then
//! the bias, then the epilogue. Tiles, blocks, packing, threads and instruction sets change who computes an element and when, never this
//! chain (a block of k stores its sums to C and the next goes on from there, which is exact); so the bits are the same
//! for all of them.
//!
//! One operand is broadcast value by value (its index is a *row* of the tile), the other lies in vectors of sixteen
//! *lanes* (see `tile`). Lanes along n is the ordinary way. A small batch times a large transposed weight matrix,
//! x [batch, in] · W [out, in]ᵀ, is better the other way round, with lanes along the batch: then only the small x
//! must be packed, and W is read where it is, along its rows. The cheaper way is chosen by size and strides.

mod finish;
pub(crate) mod pack;
mod packed;
pub(crate) mod product;
#[cfg(test)]
mod tests;
pub(crate) mod tile;
mod tiny;

pub(crate) use packed::gemm_panels;
pub use packed::{GemmPacked, PackedMatrix, gemm_packed};

use crate::device::Device;
use crate::epilogue::InPlace;
use crate::simd::{LANES, dispatch};
use product::{LaneSource, Product, Strided};
use tiny::Tiny;

/// A matrix somewhere in a slice: element (i, j) is `data[i·row_stride + j·column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The values.
    pub data: &'a [f32],
    /// Distance of consecutive rows.
    pub row_stride: usize,
    /// Distance of consecutive columns.
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix with `columns` columns, row after row.
    #[inline]
    pub fn row_major(data: &'a [f32], columns: usize) -> Matrix<'a> {
        Matrix { data, row_stride: columns, column_stride: 1 }
    }

    /// The same values as the transposed matrix.
    #[inline]
    pub fn transposed(self) -> Matrix<'a> {
        Matrix { data: self.data, row_stride: self.column_stride, column_stride: self.row_stride }
    }

    pub(crate) fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// The product C = A·B (+ C) (+ bias), with an epilogue.
#[derive(Clone, Copy)]
pub struct Gemm<'a> {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// [m, k]
    pub a: Matrix<'a>,
    /// [k, n]
    pub b: Matrix<'a>,
    /// [n], added to every row of the finished sums.
    pub bias: Option<&'a [f32]>,
    /// The sums start from C instead of 0.
    pub accumulate: bool,
    /// Applied to the finished values, bias included, while they are in the cache.
    pub epilogue: Option<&'a dyn InPlace>,
}

/// Multiply-adds up to which plain loops are the quickest.
const TINY: usize = 256;
/// Number of f32 of scratch memory that [`gemm`] may use for these sizes.
pub fn gemm_scratch(m: usize, n: usize, k: usize) -> usize {
    if m * n * k <= TINY {
        return 0;
    }
    product::scratch(m, n, k)
}

/// Computes `gemm` into `c` [m, n], row after row. `scratch` has at least [`gemm_scratch`] values; what is in it before
/// and after is of no meaning.
///
/// Panics when a matrix, the bias, `c` or `scratch` is too short.
pub fn gemm(device: &Device, gemm: &Gemm, c: &mut [f32], scratch: &mut [f32]) {
    let Gemm { m, n, k, a, b, bias, accumulate, epilogue } = *gemm;
    assert!(a.holds(m, k) && b.holds(k, n) && c.len() == m * n, "matrices hold [m, k], [k, n], [m, n]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "one bias a column");
    if m == 0 || n == 0 {
        return;
    }
    if m * n * k <= TINY {
        dispatch(device.isa(), Tiny { gemm, c: &mut *c });
        if let Some(epilogue) = epilogue {
            epilogue.apply(device.isa(), c);
        }
        return;
    }
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let scratch = &mut scratch[skip..];
    let swapped = swap_is_cheaper(gemm);
    let product = if swapped {
        let rows = Strided { data: b.data, along: b.column_stride, depth: b.row_stride };
        let lanes = Strided { data: a.data, along: a.row_stride, depth: a.column_stride };
        Product { p: n, q: m, k, rows, lanes: LaneSource::Strided(lanes), swapped, n, bias, accumulate, epilogue }
    } else {
        let rows = Strided { data: a.data, along: a.row_stride, depth: a.column_stride };
        let lanes = Strided { data: b.data, along: b.column_stride, depth: b.row_stride };
        Product { p: m, q: n, k, rows, lanes: LaneSource::Strided(lanes), swapped, n, bias, accumulate, epilogue }
    };
    product.compute(device, c, scratch);
}

/// Is the product cheaper with lanes along m? Costs in multiply-adds of a vector.
fn swap_is_cheaper(gemm: &Gemm) -> bool {
    let Gemm { m, n, k, a, b, .. } = *gemm;
    let cost = |rows: usize, lanes: usize, lane_stride: usize| {
        let packing = if lane_stride == 1 { 0 } else { lanes * k / 2 };
        rows * lanes.div_ceil(LANES) * k + packing
    };
    // The transposed store of the result comes on top.
    cost(n, m, a.row_stride) + m * n < cost(m, n, b.column_stride)
}
