//! The logistic function and the hyperbolic tangent.

use std::f32::consts::LOG2_E;

use super::exp::{EXPM1_LOWEST, exp_of_at_most_highest, expm1_reduced};
use super::{EXPONENT_BIAS, LN_2, ROUNDING};
use crate::simd::Simd;

/// Largest error of [`sigmoid`].
pub const SIGMOID_ULP: f64 = 2.5;
/// Largest error of [`tanh`].
pub const TANH_ULP: f64 = 2.5;

/// 1 / (1 + exp(-x)).
///
/// With e = exp(-|x|), which cannot overflow, it is 1 / (1 + e) for positive x and e / (1 + e) for negative x.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::Float) -> S::Float {
    let one = s.splat(1.0);
    let e = exp_of_at_most_highest(s, s.copysign(x, s.splat(-1.0)));
    s.div(s.select(s.lt(x, s.splat(0.0)), e, one), s.add(one, e))
}

/// (exp(x) - exp(-x)) / (exp(x) + exp(-x)).
///
/// 1. With m = exp(-2|x|) - 1, accurate relative to m, |tanh x| = -m / (m + 2).
/// 2. m as in [`super::expm1`]: k = -2|x| / ln 2, rounded; r = -2|x| - k ln 2 (here one part of ln 2 is enough: where k
///    is large, m is -1 but for little); q = exp(r) - 1; m = 2ᵏ q + (2ᵏ - 1), exactly q for k = 0.
/// 3. The sign is that of x, -0 included.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::Float) -> S::Float {
    // (This sum holds the exponent field of 2ᵏ.)
    let offset = s.splat(ROUNDING + EXPONENT_BIAS);
    let y = s.max(s.splat(EXPM1_LOWEST), s.mul(s.abs(x), s.splat(-2.0)));
    let sum = s.fma(y, s.splat(LOG2_E), offset);
    let r = s.fnma(s.sub(sum, offset), s.splat(LN_2), y);
    let scale = s.bits_float(s.shift_left::<23>(s.float_bits(sum)));
    let m = s.fma(scale, expm1_reduced(s, r), s.sub(scale, s.splat(1.0)));
    s.copysign(s.div(m, s.add(m, s.splat(2.0))), x)
}
