//! Exponential linear unit: y = x where x > 0, else a (exp(x) - 1); dy/dx = 1 where x > 0, else a exp(x) = y + a, so a
//! at x = 0.
//!
//! Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2015.

use kernels::math::{EXPM1_ULP, expm1};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::activation::activation_cases;
use super::check::{Bound, Case};
use super::{Activation, Attributes, ShapeError, attributes_of};

/// y = x where x > 0, else alpha · (exp(x) - 1)
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Elu {
    /// Minus the limit of y for x to -∞, at least 0; 1 by default.
    pub alpha: f32,
}

impl Default for Elu {
    fn default() -> Elu {
        Elu { alpha: 1.0 }
    }
}

impl Unary for Elu {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), x), x, s.mul(s.splat(self.alpha), expm1(s, x)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), y), s.splat(1.0), s.add(y, s.splat(self.alpha)))
    }
}

impl Activation for Elu {
    const NAME: &'static str = "Elu";
    const FLOPS: u64 = 12;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = x for x > 0, else α (exp(x) - 1)", "∂L/∂x = dy for x > 0, else dy (y + α)"]);

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn check(&self) -> Result<(), ShapeError> {
        ShapeError::expect_setting("alpha", self.alpha, "a number of at least 0", |a| a >= 0.0)
    }

    fn exact(&self, x: f64) -> f64 {
        if x > 0.0 { x } else { f64::from(self.alpha) * libm::expm1(x) }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(EXPM1_ULP + 1.0, "exp(x) - 1, and a product");
    let gradient = Bound::relative(1.0, "y + alpha cancels, in units of alpha").and_absolute(8.0);
    let of = |alpha: f32| activation_cases(Elu { alpha }, &[0.0], value, gradient);
    [1.0, 0.7, 2.0].into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        let elu = Elu { alpha: 0.5 };
        assert_eq!(at(elu, 0.0), (0.0, 0.5));
        assert_eq!(at(elu, 3.0), (3.0, 1.0));
        assert_eq!(at(elu, f32::NEG_INFINITY), (-0.5, 0.0));
        assert_eq!(at(elu, f32::INFINITY), (f32::INFINITY, 1.0));
        nan_goes_through(elu);
    }
}
