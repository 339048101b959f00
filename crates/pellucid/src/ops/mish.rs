//! Mish: y = x tanh(ln(1 + exp(x))).
//!
//! With e = exp(x) and n = e (e + 2), tanh(ln(1 + e)) = n / (n + 2) without cancellation, and
//! dy/dx = n / (n + 2) + 4 x e (1 + e) / (n + 2)².
//!
//! Misra, "Mish: a self regularized non-monotonic activation function", 2019.

use kernels::math::exp;
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// From here on y = x and dy/dx = 1 in f32; exp(FLAT)⁴ does not overflow.
const FLAT: f32 = 20.0;

/// exp(x) and exp(x) (exp(x) + 2), for x ≤ FLAT.
#[inline(always)]
fn parts<S: Simd>(s: S, x: S::Float) -> (S::Float, S::Float) {
    let e = exp(s, x);
    (e, s.mul(e, s.add(e, s.splat(2.0))))
}

/// y = x tanh(ln(1 + exp(x)))
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mish;

impl Unary for Mish {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        // -∞ · 0 would be NaN.
        let x = s.max(s.splat(-f32::MAX), x);
        let (_, n) = parts(s, s.min(s.splat(FLAT), x));
        s.mul(x, s.div(n, s.add(n, s.splat(2.0))))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        let x = s.max(s.splat(-f32::MAX), s.min(s.splat(FLAT), x));
        let (e, n) = parts(s, x);
        let below = s.add(n, s.splat(2.0));
        let numerator = s.mul(s.mul(s.splat(4.0), e), s.add(s.splat(1.0), e));
        let curve = s.div(s.div(numerator, below), below);
        s.fma(x, curve, s.div(n, below))
    }
}

impl Activation for Mish {
    const NAME: &'static str = "Mish";
    const FLOPS: u64 = 15;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = x tanh(ln(1 + exp(x)))", "∂L/∂x = dy (tanh(s) + x σ(x) (1 - tanh²(s))), s = ln(1 + exp(x))"]);

    fn exact(&self, x: f64) -> f64 {
        x * libm::tanh(libm::log1p(libm::exp(x)))
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(6.0, "the exponential, twice in n, a quotient, a product");
    let gradient = Bound::relative(8.0, "five operations on n; the sum cancels at -1.2").and_absolute(6.0);
    activation_cases(Mish, &[], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Mish, 0.0), (0.0, 0.6));
        assert_eq!(at(Mish, f32::INFINITY), (f32::INFINITY, 1.0));
        assert_eq!(at(Mish, f32::NEG_INFINITY), (0.0, 0.0));
        assert_eq!(at(Mish, f32::MAX), (f32::MAX, 1.0));
        assert_eq!(at(Mish, -f32::MAX), (0.0, 0.0));
        nan_goes_through(Mish);
    }
}
