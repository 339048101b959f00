//! A right matrix that is packed once and used often: inference, where weights do not change.

use super::Matrix;
use super::pack::pack_panels;
use super::product::{LaneSource, Product, Strided};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::epilogue::InPlace;
use crate::simd::LANES;

/// A matrix B [k, n] as panels of sixteen columns over all of k, the order in which a product reads them.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    k: usize,
    n: usize,
    panels: Buffer,
}

impl PackedMatrix {
    /// Packs `b` [k, n]. Panics when its data are too short.
    pub fn new(device: &Device, k: usize, n: usize, b: Matrix) -> PackedMatrix {
        assert!(b.holds(k, n), "the matrix holds [k, n]");
        let lanes = Strided { data: b.data, along: b.column_stride, depth: b.row_stride };
        PackedMatrix::filled(k, n, |panels| {
            if !panels.is_empty() {
                pack_panels(device, lanes, n, k, panels);
            }
        })
    }

    /// A matrix [k, n] whose panels `fill` writes: sixteen columns each, over all rows, zeros behind the last column.
    pub(crate) fn filled(k: usize, n: usize, fill: impl FnOnce(&mut [f32])) -> PackedMatrix {
        let mut panels = Buffer::new(n.next_multiple_of(LANES) * k);
        fill(&mut panels);
        PackedMatrix { k, n, panels }
    }

    /// The panels: sixteen columns each, over all rows.
    pub(crate) fn panels(&self) -> &[f32] {
        &self.panels
    }

    /// Rows of the matrix.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of the matrix.
    pub fn n(&self) -> usize {
        self.n
    }
}

/// The product C = A·B (+ C) (+ bias) with a packed B and an epilogue; see [`super::Gemm`], whose bits it has.
#[derive(Clone, Copy)]
pub struct GemmPacked<'a> {
    /// Rows of A and C.
    pub m: usize,
    /// [m, k]
    pub a: Matrix<'a>,
    /// [k, n]
    pub b: &'a PackedMatrix,
    /// [n], added to every row of the finished sums.
    pub bias: Option<&'a [f32]>,
    /// The sums start from C instead of 0.
    pub accumulate: bool,
    /// Applied to the finished values, bias included, while they are in the cache.
    pub epilogue: Option<&'a dyn InPlace>,
}

/// Computes `gemm` into `c` [m, n], row after row; needs no scratch memory.
///
/// Panics when a matrix, the bias or `c` is too short.
pub fn gemm_packed(device: &Device, gemm: &GemmPacked, c: &mut [f32]) {
    let GemmPacked { m, a, b, bias, accumulate, epilogue } = *gemm;
    let (n, k) = (b.n, b.k);
    assert!(a.holds(m, k) && c.len() == m * n, "matrices hold [m, k], [m, n]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "one bias a column");
    if m == 0 || n == 0 {
        return;
    }
    let rows = Strided { data: a.data, along: a.row_stride, depth: a.column_stride };
    let lanes = LaneSource::Panels(&b.panels);
    Product { p: m, q: n, k, rows, lanes, swapped: false, n, bias, accumulate, epilogue }.compute(device, c, &mut []);
}

/// [`gemm_packed`] for a matrix B [k, n] whose panels lie in memory of the caller: C = A·B + bias, n whole panels.
pub(crate) fn gemm_panels(device: &Device, k: usize, a: Matrix, panels: &[f32], bias: &[f32], c: &mut [f32]) {
    let n = bias.len();
    assert!(panels.len() == k * n && n.is_multiple_of(LANES) && n > 0, "whole panels");
    let m = c.len() / n;
    assert!(a.holds(m, k) && c.len() == m * n, "matrices hold [m, k], [m, n]");
    let rows = Strided { data: a.data, along: a.row_stride, depth: a.column_stride };
    let (lanes, bias) = (LaneSource::Panels(panels), Some(bias));
    let product = Product { p: m, q: n, k, rows, lanes, swapped: false, n, bias, accumulate: false, epilogue: None };
    product.compute(device, c, &mut []);
}
