//! Sine and cosine of a fraction of a turn.

use super::{ROUNDING, polynomial};
use crate::simd::Simd;

/// Largest error of the sine of [`sin_cos_turns`].
pub const SIN_ULP: f64 = 1.25;
/// Largest error of the cosine of [`sin_cos_turns`].
pub const COS_ULP: f64 = 1.25;

const TWO_PI: f32 = std::f32::consts::TAU;
/// What [`TWO_PI`] lacks.
const TWO_PI_LOW: f32 = (std::f64::consts::TAU - TWO_PI as f64) as f32;

/// sin(2πr) = r (2π + r² P(r²)) for |r| ≤ 1/8, relative error 2⁻²⁷.
const SIN: [f32; 3] = [-41.34167, 81.593766, -75.4456];
/// cos(2πr) = 1 + r² P(r²), relative error 2⁻²⁶·⁵.
const COS: [f32; 4] = [-19.739208, 64.93932, -85.44324, 59.229244];

/// sin(2πu) and cos(2πu) for |u| ≤ 2²⁰; ±∞ and NaN give NaN.
///
/// 1. k = 4u, rounded to an integer: the quarter turn; r = u - k/4 is exact, |r| ≤ 1/8.
/// 2. sin(2πr) and cos(2πr) by polynomials.
/// 3. An odd k swaps the two; the second-lowest bits of k and of k + 1 are the signs.
#[inline(always)]
pub fn sin_cos_turns<S: Simd>(s: S, u: S::Float) -> (S::Float, S::Float) {
    let sum = s.fma(u, s.splat(4.0), s.splat(ROUNDING));
    let r = s.fnma(s.sub(sum, s.splat(ROUNDING)), s.splat(0.25), u);
    let k = s.float_bits(sum);

    let square = s.mul(r, r);
    let low = s.fma(square, polynomial(s, square, SIN), s.splat(TWO_PI_LOW));
    let sin = s.fma(r, s.splat(TWO_PI), s.mul(r, low));
    let cos = s.fma(square, polynomial(s, square, COS), s.splat(1.0));

    let sign = |k: S::Int| s.shift_left::<30>(s.and(k, s.splat_int(2)));
    let flip = |value: S::Float, sign: S::Int| s.bits_float(s.xor(s.float_bits(value), sign));
    let even = s.eq(s.to_float(s.and(k, s.splat_int(1))), s.splat(0.0));
    (flip(s.select(even, sin, cos), sign(k)), flip(s.select(even, cos, sin), sign(s.add_int(k, s.splat_int(1)))))
}
