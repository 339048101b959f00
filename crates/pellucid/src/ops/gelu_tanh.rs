//! Gaussian error linear unit, approximated: y = x (1 + tanh u) / 2 with u = √(2/π) (x + 0.044715 x³).
//!
//! (1 + tanh u) / 2 is the logistic function σ at 2u, which has no cancellation: y = x σ(2u), and
//! dy/dx = σ + x σ (1 - σ) 2u', u' = √(2/π) (1 + 3 · 0.044715 x²).
//!
//! Hendrycks and Gimpel, "Gaussian error linear units", 2016.

use kernels::math::sigmoid;
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};
use super::gate::gate;

/// 2 √(2/π)
const TWICE: f32 = 1.595_769;
const CUBIC: f32 = 0.044715;

/// 2u
#[inline(always)]
fn argument<S: Simd>(s: S, x: S::Float) -> S::Float {
    s.mul(x, s.fma(s.mul(s.splat(TWICE * CUBIC), x), x, s.splat(TWICE)))
}

/// y = x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GeluTanh;

impl Unary for GeluTanh {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        // -∞ · 0 would be NaN.
        let x = s.max(s.splat(-f32::MAX), x);
        s.mul(x, sigmoid(s, argument(s, x)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        // ±∞ · 0 would be NaN; beyond ±20 the logistic function is 0 or 1.
        let x = s.max(s.splat(-20.0), s.min(s.splat(20.0), x));
        let (gate, rest) = gate(s, argument(s, x));
        let slope = s.fma(s.mul(s.splat(3.0 * TWICE * CUBIC), x), x, s.splat(TWICE));
        let change = s.mul(s.mul(gate, rest), slope);
        s.fma(x, change, gate)
    }
}

impl Activation for GeluTanh {
    const NAME: &'static str = "GeluTanh";
    const FLOPS: u64 = 18;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = x σ(2u), u = √(2/π) (x + 0.044715 x³)", "∂L/∂x = dy (σ(2u) + 2 x u' σ(2u) (1 - σ(2u)))"]);

    fn exact(&self, x: f64) -> f64 {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
        x / (1.0 + libm::exp(-2.0 * u))
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(4.0, "σ of an argument that is off by 2 ε |2u|").and_absolute(4.0);
    let gradient = Bound::relative(4.0, "σ of an argument that is off, times the slope of it").and_absolute(6.0);
    activation_cases(GeluTanh, &[], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(GeluTanh, 0.0), (0.0, 0.5));
        assert_eq!(at(GeluTanh, f32::INFINITY), (f32::INFINITY, 1.0));
        assert_eq!(at(GeluTanh, f32::NEG_INFINITY), (0.0, 0.0));
        assert_eq!(at(GeluTanh, -f32::MAX), (0.0, 0.0));
        assert_eq!(at(GeluTanh, f32::MAX), (f32::MAX, 1.0));
        nan_goes_through(GeluTanh);
    }
}
