//! Continuously differentiable exponential linear unit: y = x where x > 0, else a (exp(x / a) - 1); dy/dx = 1 where
//! x > 0, else exp(x / a) = y / a + 1, so 1 at x = 0.
//!
//! Barron, "Continuously differentiable exponential linear units", 2017.

use kernels::math::{EXPM1_ULP, expm1};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::activation::activation_cases;
use super::check::{Bound, Case};
use super::{Activation, Attributes, ShapeError, attributes_of};

/// y = x where x > 0, else alpha · (exp(x / alpha) - 1)
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Celu {
    /// Minus the limit of y for x to -∞, above 0; 1 by default.
    pub alpha: f32,
}

impl Default for Celu {
    fn default() -> Celu {
        Celu { alpha: 1.0 }
    }
}

impl Unary for Celu {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        let alpha = s.splat(self.alpha);
        s.select(s.lt(s.splat(0.0), x), x, s.mul(alpha, expm1(s, s.div(x, alpha))))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        let one = s.splat(1.0);
        s.select(s.lt(s.splat(0.0), y), one, s.add(s.div(y, s.splat(self.alpha)), one))
    }
}

impl Activation for Celu {
    const NAME: &'static str = "Celu";
    const FLOPS: u64 = 13;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = x for x > 0, else α (exp(x/α) - 1)", "∂L/∂x = dy for x > 0, else dy (y/α + 1)"]);

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn check(&self) -> Result<(), ShapeError> {
        ShapeError::expect_setting("alpha", self.alpha, "a number above 0", |a| a > 0.0)
    }

    fn exact(&self, x: f64) -> f64 {
        let a = f64::from(self.alpha);
        if x > 0.0 { x } else { a * libm::expm1(x / a) }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(EXPM1_ULP + 1.5, "exp(x / a) - 1, with a quotient before and a product after");
    let gradient = Bound::relative(1.0, "y / a + 1 cancels").and_absolute(4.0);
    let of = |alpha: f32| {
        // Only the second derivative jumps at 0, but the five-point formula needs more.
        activation_cases(Celu { alpha }, &[0.0], value, gradient)
    };
    [1.0, 0.7, 2.0].into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        let celu = Celu { alpha: 0.5 };
        assert_eq!(at(celu, 0.0), (0.0, 1.0));
        assert_eq!(at(celu, 3.0), (3.0, 1.0));
        assert_eq!(at(celu, f32::NEG_INFINITY), (-0.5, 0.0));
        assert_eq!(at(celu, f32::INFINITY), (f32::INFINITY, 1.0));
        nan_goes_through(celu);
    }
}
