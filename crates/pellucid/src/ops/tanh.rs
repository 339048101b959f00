//! Hyperbolic tangent: y = tanh x; dy/dx = 1 - y².

use kernels::math::{TANH_ULP, tanh};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = tanh x
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tanh;

impl Unary for Tanh {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        tanh(s, x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        s.fnma(y, y, s.splat(1.0))
    }
}

impl Activation for Tanh {
    const NAME: &'static str = "Tanh";
    const FLOPS: u64 = 12;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = tanh(x)", "∂L/∂x = dy (1 - y²)"]);

    fn exact(&self, x: f64) -> f64 {
        libm::tanh(x)
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(TANH_ULP, "the hyperbolic tangent's own");
    let gradient = Bound::relative(1.0, "1 - y² from a y that is off").and_absolute(6.0);
    activation_cases(Tanh, &[], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Tanh, 0.0), (0.0, 1.0));
        assert!(at(Tanh, -0.0).0.is_sign_negative());
        assert_eq!(at(Tanh, f32::INFINITY), (1.0, 0.0));
        assert_eq!(at(Tanh, f32::NEG_INFINITY), (-1.0, 0.0));
        nan_goes_through(Tanh);
    }
}
