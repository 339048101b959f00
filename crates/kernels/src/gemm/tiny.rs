//! Products so small that setting up tiles would cost more than the product: plain loops.

use super::Gemm;
use crate::simd::{Kernel, Simd};

/// `c` = the product, element by element.
pub(super) struct Tiny<'a, 'b> {
    pub gemm: &'a Gemm<'b>,
    pub c: &'a mut [f32],
}

impl Kernel for Tiny<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Gemm { n, k, a, b, bias, accumulate, .. } = *self.gemm;
        for (i, row) in self.c.chunks_exact_mut(n).enumerate() {
            for (j, c) in row.iter_mut().enumerate() {
                let mut sum = if accumulate { *c } else { 0.0 };
                for l in 0..k {
                    let x = a.data[i * a.row_stride + l * a.column_stride];
                    let y = b.data[l * b.row_stride + j * b.column_stride];
                    sum = x.mul_add(y, sum);
                }
                *c = bias.map_or(sum, |bias| sum + bias[j]);
            }
        }
    }
}
