//! Exponential linear unit: y = x where x > 0, else a (exp(x) - 1); dy/dx = 1 where x > 0, else a exp(x) = y + a, so a
//! at x = 0.
//!
//! Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2015.

use kernels::math::expm1;
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

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

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn check(&self) -> Result<(), ShapeError> {
        ShapeError::expect_setting("alpha", self.alpha, "a number of at least 0", |a| a >= 0.0)
    }
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
