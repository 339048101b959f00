//! exp(x) and exp(x) - 1.

use std::f32::consts::LOG2_E;

use super::{EXPONENT_BIAS, LN_2, LN_2_LOW, ROUNDING, polynomial};
use crate::simd::Simd;

/// Largest error of [`exp`].
pub const EXP_ULP: f64 = 1.0;
/// Largest error of [`expm1`].
pub const EXPM1_ULP: f64 = 1.5;

/// exp(LOWEST) is below half of the smallest subnormal, exp(HIGHEST) above the largest f32.
const LOWEST: f32 = -104.0;
const HIGHEST: f32 = 89.0;
/// exp(x) - 1 is -1 in f32 from here down.
pub(super) const EXPM1_LOWEST: f32 = -20.0;

/// exp(r) = 1 + r + r² P(r) for |r| ≤ ln 2 / 2, relative error 2⁻²⁷·⁸.
pub(super) const EXP: [f32; 7] = [1.0, 1.0, 0.49999994, 0.1666652, 0.041668393, 0.00836878, 0.0013814466];
/// exp(r) - 1 = r + r² P(r), relative error 2⁻²⁸·⁴.
const EXPM1: [f32; 6] = [0.5, 0.16666667, 0.041666325, 0.008333219, 0.001394331, 0.0001996241];

/// e to the power of x.
///
/// 1. Bring x into [-104, 89]: beyond, the result is 0 or ∞ anyway. NaN stays.
/// 2. k = x / ln 2, rounded to an integer.
/// 3. r = x - k ln 2, in two steps for the two parts of ln 2; |r| ≤ ln 2 / 2.
/// 4. exp(r) by a polynomial.
/// 5. exp(x) = 2ᵏ exp(r), rounded once where it is subnormal.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::Float) -> S::Float {
    exp_of_at_most_highest(s, s.min(s.splat(HIGHEST), x))
}

/// [`exp`] for x ≤ [`HIGHEST`] or NaN.
#[inline(always)]
pub(super) fn exp_of_at_most_highest<S: Simd>(s: S, x: S::Float) -> S::Float {
    let x = s.max(s.splat(LOWEST), x);
    let k = s.sub(s.fma(x, s.splat(LOG2_E), s.splat(ROUNDING)), s.splat(ROUNDING));
    let r = s.fnma(k, s.splat(LN_2_LOW), s.fnma(k, s.splat(LN_2), x));
    s.ldexp(polynomial(s, r, EXP), k)
}

/// exp(x) - 1, without cancellation for small x.
///
/// 1. to 3. as for [`exp`].
/// 4. q = exp(r) - 1 by a polynomial, accurate relative to q.
/// 5. exp(x) - 1 = 2ᵏ q + (2ᵏ - 1); half of it is computed, since 2ᵏ itself may be too large. For k = 0 it is q.
/// 6. The sign is that of x, -0 included.
#[inline(always)]
pub fn expm1<S: Simd>(s: S, x: S::Float) -> S::Float {
    // (This sum holds the exponent field of 2ᵏ⁻¹.)
    let offset = s.splat(ROUNDING + EXPONENT_BIAS - 1.0);
    let bounded = s.max(s.splat(EXPM1_LOWEST), s.min(s.splat(HIGHEST), x));
    let sum = s.fma(bounded, s.splat(LOG2_E), offset);
    let k = s.sub(sum, offset);
    let r = s.fnma(k, s.splat(LN_2_LOW), s.fnma(k, s.splat(LN_2), bounded));
    let q = expm1_reduced(s, r);
    let scale = s.bits_float(s.shift_left::<23>(s.float_bits(sum)));
    let half = s.fma(scale, q, s.sub(scale, s.splat(0.5)));
    s.copysign(s.select(s.eq(k, s.splat(0.0)), q, s.add(half, half)), x)
}

/// exp(r) - 1 for |r| ≤ ln 2 / 2.
#[inline(always)]
pub(super) fn expm1_reduced<S: Simd>(s: S, r: S::Float) -> S::Float {
    s.fma(s.mul(r, r), polynomial(s, r, EXPM1), r)
}
