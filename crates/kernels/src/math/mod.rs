//! Elementary functions on sixteen lanes, written once over the SIMD token: no machine's own library, hence the same
//! bits on every machine.
//!
//! Every function takes any f32: ±0, subnormals, ±∞ and NaN (which goes through) are right. Its largest error, in units
//! in the last place (ULP) of the true value, is the constant of its name, and a test compares it with f64 over the whole
//! range. The coefficients come from `tools/minimax.py`. For a single value, run the function over a slice of one.

mod erf;
mod exp;
mod log;
mod sigmoid;
mod sin_cos;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod ulp;

pub use erf::{ERF_ULP, erf};
pub use exp::{EXP_ULP, EXPM1_ULP, exp, expm1};
pub use log::{LOG_ULP, LOG1P_ULP, log, log1p};
pub use sigmoid::{SIGMOID_ULP, TANH_ULP, sigmoid, tanh};
pub use sin_cos::{COS_ULP, SIN_ULP, sin_cos_turns};

use crate::simd::Simd;

/// ln 2 = LN_2 + LN_2_LOW. A multiple k · LN_2 is subtracted from x exactly by a fused operation, as long as the
/// difference is below 1/2: both are multiples of 2⁻²⁴.
const LN_2: f32 = std::f32::consts::LN_2;
/// What [`LN_2`] lacks.
const LN_2_LOW: f32 = (std::f64::consts::LN_2 - LN_2 as f64) as f32;

/// 1.5 · 2²³: the sum of it and |x| < 2²² is x rounded to an integer (to nearest, ties to even), which stands, two's
/// complement, in the lowest bits of the sum.
const ROUNDING: f32 = (3 << 22) as f32;

/// What the exponent field adds to the exponent.
const EXPONENT_BIAS: f32 = 127.0;

/// Σ coefficients[i] xⁱ by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::Float, coefficients: [f32; N]) -> S::Float {
    let mut sum = s.splat(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        sum = s.fma(sum, x, s.splat(coefficients[i]));
    }
    sum
}
