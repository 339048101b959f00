//! Softmax and its kin over the rows of a matrix [rows, n], forward and backward.
//!
//! The greatest value of a row is subtracted first, so values of any size are right. NaN goes through its row; a row with
//! +∞, or of nothing but -∞, gives NaN (as PyTorch does), except in [`log_sum_exp`], where the limit is known.

mod cross_entropy;
mod layout;

pub use cross_entropy::{CrossEntropy, Targets};

use crate::device::Device;
use crate::math::{exp, log};
use crate::simd::Simd;
use layout::{Layout, RowFormula, load, over_rows, store, vectors, within};

/// yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ) for each row of `n` values. Panics when the sizes do not fit or n is 0.
pub fn softmax(device: &Device, n: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output of one size");
    over_rows(device, Softmax, n, [x], y, &mut []);
}

/// dxᵢ = yᵢ (dyᵢ - Σⱼ yⱼ dyⱼ), from y = softmax(x). Panics when the sizes do not fit or n is 0.
pub fn softmax_backward(device: &Device, n: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!(y.len(), dx.len(), "output and gradient of one size");
    over_rows(device, SoftmaxBackward, n, [y, dy], dx, &mut []);
}

/// yᵢ = xᵢ - log Σⱼ exp(xⱼ) for each row of `n` values. Panics when the sizes do not fit or n is 0.
pub fn log_softmax(device: &Device, n: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output of one size");
    over_rows(device, LogSoftmax, n, [x], y, &mut []);
}

/// dxᵢ = dyᵢ - exp(yᵢ) Σⱼ dyⱼ, from y = log_softmax(x). Panics when the sizes do not fit or n is 0.
pub fn log_softmax_backward(device: &Device, n: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!(y.len(), dx.len(), "output and gradient of one size");
    over_rows(device, LogSoftmaxBackward, n, [y, dy], dx, &mut []);
}

/// out = log Σⱼ exp(xⱼ) for each row of `n` values: ∞ with an ∞ in the row, -∞ of nothing but -∞. Panics when the sizes
/// do not fit or n is 0.
pub fn log_sum_exp(device: &Device, n: usize, x: &[f32], out: &mut [f32]) {
    assert_eq!(Some(x.len()), out.len().checked_mul(n), "one result a row");
    over_rows(device, LogSumExp, n, [x], &mut [], out);
}

/// The greatest value of each row. A NaN may be passed over: x - m then brings it in.
#[inline(always)]
fn greatest<S: Simd, L: Layout>(s: S, layout: L, x: &[f32]) -> S::Float {
    let mut greatest = s.splat(f32::NEG_INFINITY);
    for k in 0..vectors(x) {
        greatest = s.max(within(s, x, k, load(s, x, k), f32::NEG_INFINITY), greatest);
    }
    layout.greatest(s, greatest)
}

/// Σ exp(x - greatest) of each row; the terms go to `out` unless it is empty.
#[inline(always)]
fn sum_of_exp<S: Simd, L: Layout>(s: S, layout: L, x: &[f32], greatest: S::Float, out: &mut [f32]) -> S::Float {
    let mut sum = s.splat(0.0);
    for k in 0..vectors(x) {
        let e = exp(s, s.sub(load(s, x, k), greatest));
        if !out.is_empty() {
            store(s, e, out, k);
        }
        sum = s.add(sum, within(s, x, k, e, 0.0));
    }
    layout.sum(s, sum)
}

#[derive(Clone, Copy)]
struct Softmax;

impl RowFormula<1> for Softmax {
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, [x]: [&[f32]; 1], y: &mut [f32]) -> S::Float {
        let greatest = greatest(s, layout, x);
        let sum = sum_of_exp(s, layout, x, greatest, y);
        let factor = s.div(s.splat(1.0), sum);
        for k in 0..vectors(y) {
            store(s, s.mul(load(s, y, k), factor), y, k);
        }
        sum
    }
}

#[derive(Clone, Copy)]
struct SoftmaxBackward;

impl RowFormula<2> for SoftmaxBackward {
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, [y, dy]: [&[f32]; 2], dx: &mut [f32]) -> S::Float {
        let mut dot = s.splat(0.0);
        for k in 0..vectors(y) {
            dot = s.fma(load(s, y, k), load(s, dy, k), dot);
        }
        let dot = layout.sum(s, dot);
        for k in 0..vectors(y) {
            store(s, s.mul(load(s, y, k), s.sub(load(s, dy, k), dot)), dx, k);
        }
        dot
    }
}

#[derive(Clone, Copy)]
struct LogSoftmax;

impl RowFormula<1> for LogSoftmax {
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, [x]: [&[f32]; 1], y: &mut [f32]) -> S::Float {
        let greatest = greatest(s, layout, x);
        let log_sum = log(s, sum_of_exp(s, layout, x, greatest, &mut []));
        for k in 0..vectors(x) {
            store(s, s.sub(s.sub(load(s, x, k), greatest), log_sum), y, k);
        }
        log_sum
    }
}

#[derive(Clone, Copy)]
struct LogSoftmaxBackward;

impl RowFormula<2> for LogSoftmaxBackward {
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, [y, dy]: [&[f32]; 2], dx: &mut [f32]) -> S::Float {
        let mut sum = s.splat(0.0);
        for k in 0..vectors(dy) {
            sum = s.add(sum, load(s, dy, k));
        }
        let sum = layout.sum(s, sum);
        for k in 0..vectors(y) {
            store(s, s.fnma(exp(s, load(s, y, k)), sum, load(s, dy, k)), dx, k);
        }
        sum
    }
}

#[derive(Clone, Copy)]
struct LogSumExp;

impl RowFormula<1> for LogSumExp {
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, [x]: [&[f32]; 1], _: &mut [f32]) -> S::Float {
        let greatest = greatest(s, layout, x);
        // An infinity must not be subtracted from itself; without subtraction the limits come out.
        let finite = s.lt(s.abs(greatest), s.splat(f32::INFINITY));
        let greatest = s.select(finite, greatest, s.splat(0.0));
        s.add(greatest, log(s, sum_of_exp(s, layout, x, greatest, &mut [])))
    }
}

#[cfg(test)]
mod tests;
