//! Logistic function: y = 1 / (1 + exp(-x)); dy/dx = y (1 - y).
//!
//! Where y rounds to 1 (x above 17) the derivative is 0; it is below 6·10⁻⁸ there.

use kernels::math::{SIGMOID_ULP, sigmoid};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = 1 / (1 + exp(-x))
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Sigmoid;

impl Unary for Sigmoid {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        sigmoid(s, x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        s.mul(y, s.sub(s.splat(1.0), y))
    }
}

impl Activation for Sigmoid {
    const NAME: &'static str = "Sigmoid";
    const FLOPS: u64 = 10;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = 1 / (1 + exp(-x))", "∂L/∂x = dy · y (1 - y)"]);

    fn exact(&self, x: f64) -> f64 {
        1.0 / (1.0 + libm::exp(-x))
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(SIGMOID_ULP, "the logistic function's own");
    let gradient = Bound::relative(4.0, "y (1 - y) from a y that is off").and_absolute(3.0);
    activation_cases(Sigmoid, &[], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Sigmoid, 0.0), (0.5, 0.25));
        assert_eq!(at(Sigmoid, f32::INFINITY), (1.0, 0.0));
        assert_eq!(at(Sigmoid, f32::NEG_INFINITY), (0.0, 0.0));
        assert!(at(Sigmoid, -100.0).0 > 0.0);
        nan_goes_through(Sigmoid);
    }
}
