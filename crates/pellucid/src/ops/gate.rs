//! The logistic function and what it lacks to 1, for gates and their derivatives.

use kernels::math::exp;
use kernels::simd::Simd;

/// Largest error of either, in ULP.
pub(super) const GATE_ULP: f64 = 2.5;

/// σ(x) and 1 - σ(x) = σ(-x), both without cancellation.
#[inline(always)]
pub(super) fn gate<S: Simd>(s: S, x: S::Float) -> (S::Float, S::Float) {
    let e = exp(s, s.neg(s.abs(x)));
    let near_one = s.div(s.splat(1.0), s.add(s.splat(1.0), e));
    let near_zero = s.mul(e, near_one);
    let negative = s.lt(x, s.splat(0.0));
    (s.select(negative, near_zero, near_one), s.select(negative, near_one, near_zero))
}
