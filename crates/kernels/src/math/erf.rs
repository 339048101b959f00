//! The error function.

use std::f32::consts::LOG2_E;

use super::exp::EXP;
use super::{EXPONENT_BIAS, LN_2, ROUNDING, polynomial};
use crate::simd::Simd;

/// Largest error of [`erf`].
pub const ERF_ULP: f64 = 1.5;

/// Where the first formula ends and the second begins.
const BORDER: f32 = 0.9;
/// erf is 1 in f32 from here on.
const HIGHEST: f32 = 3.95;

/// erf(x) = x + x P(x²) for |x| ≤ 0.9, relative error 2⁻³⁰.
const SMALL: [f32; 7] =
    [0.12837917, -0.37612635, 0.11283715, -0.026860509, 0.005203859, -0.00081756373, 0.000085130975];
/// 1 - erf(x) = exp(x P(x)) for x from 0.9 to 3.95, error 2⁻²⁷·⁴ relative to erf.
const LARGE: [f32; 7] =
    [-1.1286371, -0.63519806, -0.10615905, 0.023694562, -0.00361034, 0.00031485764, -0.000010433064];
/// 2/√π ∫₀ˣ exp(-t²) dt.
///
/// 1. Up to |x| = 0.9 an odd polynomial.
/// 2. Beyond, 1 - exp(y) where y is a polynomial of |x|. As exp(y) < 0.21 is what 1 is larger by, its error counts a
///    fifth.
/// 3. The sign is that of x, -0 included.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::Float) -> S::Float {
    let small = s.fma(polynomial(s, s.mul(x, x), SMALL), x, x);
    let size = s.min(s.splat(HIGHEST), s.abs(x));
    let y = s.mul(size, polynomial(s, size, LARGE));
    // exp(y) as in `exp`, but for -18 < y < -1 alone: no clamp, one part of ln 2, no subnormal result.
    let offset = s.splat(ROUNDING + EXPONENT_BIAS);
    let sum = s.fma(y, s.splat(LOG2_E), offset);
    let r = s.fnma(s.sub(sum, offset), s.splat(LN_2), y);
    let scale = s.bits_float(s.shift_left::<23>(s.float_bits(sum)));
    let large = s.fnma(scale, polynomial(s, r, EXP), s.splat(1.0));
    s.copysign(s.select(s.lt(size, s.splat(BORDER)), small, large), x)
}
