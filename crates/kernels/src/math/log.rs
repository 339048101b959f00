//! Natural logarithms of x and of 1 + x.

use std::f32::consts::FRAC_1_SQRT_2;

use super::{LN_2, polynomial};
use crate::simd::Simd;

/// Largest error of [`log`].
pub const LOG_ULP: f64 = 1.0;
/// Largest error of [`log1p`].
pub const LOG1P_ULP: f64 = 1.75;

/// ln(1 + f) = f - f²/2 + f³ P(f) for 1 + f from √½ to √2, relative error 2⁻²⁷·².
const LOG: [f32; 8] = [0.3333333, -0.2500082, 0.20001227, -0.16623358, 0.14201765, -0.13160187, 0.1276155, -0.07634453];

/// Exponent field of 1.
const ONE_BITS: i32 = 0x3f80_0000;

/// Natural logarithm: -∞ for ±0, NaN for negative x.
///
/// 1. A subnormal x is multiplied by 2²³, and e begins at -23.
/// 2. x = 2ᵉ m with √½ ≤ m < √2, from the bits; f = m - 1 is exact.
/// 3. ln x = e ln 2 + ln(1 + f), the second by a polynomial.
#[inline(always)]
pub fn log<S: Simd>(s: S, x: S::Float) -> S::Float {
    let subnormal = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let normal = s.select(subnormal, s.mul(x, s.splat((1 << 23) as f32)), x);
    let (e, m) = split(s, normal);
    let e = s.add(s.to_float(e), s.select(subnormal, s.splat(-23.0), s.splat(0.0)));
    let value = combine(s, e, s.sub(m, s.splat(1.0)));
    with_special(s, value, x, x)
}

/// ln(1 + x), accurate for small x too: -∞ for x = -1, NaN below.
///
/// 1. u = 1 + x, rounded, and c = 1 + x - u, exact.
/// 2. u = 2ᵉ m as for [`log`]; f = (m - 1) + 2⁻ᵉ c, which is x itself for e = 0.
/// 3. ln(1 + x) = e ln 2 + ln(1 + f). The sign is that of x, -0 included.
#[inline(always)]
pub fn log1p<S: Simd>(s: S, x: S::Float) -> S::Float {
    let one = s.splat(1.0);
    let u = s.add(one, x);
    // The larger addend first: u minus it is exact, and so is what the smaller one lost.
    let (larger, smaller) = (s.max(one, x), s.min(one, x));
    let c = s.sub(smaller, s.sub(u, larger));
    let (e, m) = split(s, u);
    let inverse = s.bits_float(s.sub_int(s.splat_int(ONE_BITS), s.shift_left::<23>(e)));
    // The bits of 2⁻ᵉ for e = 128 are those of -∞; c has no weight there.
    let f = s.fma(s.max(inverse, s.splat(0.0)), c, s.sub(m, one));
    let value = s.copysign(combine(s, s.to_float(e), f), x);
    with_special(s, value, u, x)
}

/// (e, m) with x = 2ᵉ m and √½ ≤ m < √2, for normal positive x.
#[inline(always)]
fn split<S: Simd>(s: S, x: S::Float) -> (S::Int, S::Float) {
    let bits = s.float_bits(x);
    let e = s.shift_right_signed::<23>(s.sub_int(bits, s.splat_int(FRAC_1_SQRT_2.to_bits() as i32)));
    (e, s.bits_float(s.sub_int(bits, s.shift_left::<23>(e))))
}

/// e ln 2 + ln(1 + f). (What LN_2 lacks is below 0.1 ULP of any such sum.)
#[inline(always)]
fn combine<S: Simd>(s: S, e: S::Float, f: S::Float) -> S::Float {
    let square = s.mul(f, f);
    let cubic = s.mul(s.mul(square, f), polynomial(s, f, LOG));
    s.fma(e, s.splat(LN_2), s.add(f, s.fma(s.splat(-0.5), square, cubic)))
}

/// `value` for positive finite `argument`; -∞ for 0, NaN for negative ones; `x` where that is ∞ or NaN.
#[inline(always)]
fn with_special<S: Simd>(s: S, value: S::Float, argument: S::Float, x: S::Float) -> S::Float {
    let zero = s.splat(0.0);
    let at_most_zero = s.select(s.eq(argument, zero), s.splat(f32::NEG_INFINITY), s.splat(f32::NAN));
    let value = s.select(s.le(argument, zero), at_most_zero, value);
    s.select(s.lt(x, s.splat(f32::INFINITY)), value, x)
}
