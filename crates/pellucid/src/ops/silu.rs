//! Sigmoid linear unit (swish): y = x σ(x); dy/dx = σ(x) (1 + x (1 - σ(x))), σ the logistic function.
//!
//! Hendrycks and Gimpel, "Gaussian error linear units", 2016; Ramachandran, Zoph and Le, "Searching for activation
//! functions", 2017.

use kernels::math::{SIGMOID_ULP, sigmoid};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};
use super::gate::gate;

/// y = x / (1 + exp(-x))
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Silu;

impl Unary for Silu {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        // -∞ · 0 would be NaN.
        let x = s.max(s.splat(-f32::MAX), x);
        s.mul(x, sigmoid(s, x))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        // ±∞ · 0 would be NaN.
        let x = s.max(s.splat(-f32::MAX), s.min(s.splat(f32::MAX), x));
        let (gate, rest) = gate(s, x);
        s.mul(gate, s.fma(x, rest, s.splat(1.0)))
    }
}

impl Activation for Silu {
    const NAME: &'static str = "Swish";
    const FLOPS: u64 = 11;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = x σ(x)", "∂L/∂x = dy (σ(x) + y (1 - σ(x)))"]);

    fn exact(&self, x: f64) -> f64 {
        x / (1.0 + libm::exp(-x))
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(SIGMOID_ULP + 0.5, "the logistic function's own, and one product");
    let gradient =
        Bound::relative(6.0, "two gates and three products; 1 + x (1 - σ) cancels at -1.3").and_absolute(2.0);
    activation_cases(Silu, &[], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Silu, 0.0), (0.0, 0.5));
        assert_eq!(at(Silu, f32::INFINITY), (f32::INFINITY, 1.0));
        assert_eq!(at(Silu, f32::NEG_INFINITY), (0.0, 0.0));
        assert_eq!(at(Silu, f32::MAX), (f32::MAX, 1.0));
        assert_eq!(at(Silu, -f32::MAX), (0.0, 0.0));
        nan_goes_through(Silu);
    }
}
