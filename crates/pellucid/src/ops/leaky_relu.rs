//! Leaky rectified linear unit: y = x where x > 0, else a x; dy/dx = 1 where x > 0, else a, so a at x = 0.
//!
//! Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.

use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::activation::activation_cases;
use super::check::{Bound, Case};
use super::{Activation, Attributes, ShapeError, attributes_of};

/// y = x where x > 0, else negative_slope · x
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyRelu {
    /// Slope for negative values, at least 0; 0.01 by default. (With a slope below 0 two inputs give one output, and the
    /// derivative could not be had from it.)
    pub negative_slope: f32,
}

impl Default for LeakyRelu {
    fn default() -> LeakyRelu {
        LeakyRelu { negative_slope: 0.01 }
    }
}

impl Unary for LeakyRelu {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), x), x, s.mul(s.splat(self.negative_slope), x))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), y), s.splat(1.0), s.splat(self.negative_slope))
    }
}

impl Activation for LeakyRelu {
    const NAME: &'static str = "LeakyRelu";
    const FLOPS: u64 = 2;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = x for x > 0, else slope · x", "∂L/∂x = dy for x > 0, else slope · dy"]);

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn check(&self) -> Result<(), ShapeError> {
        ShapeError::expect_setting("negative_slope", self.negative_slope, "a number of at least 0", |a| a >= 0.0)
    }

    fn exact(&self, x: f64) -> f64 {
        if x > 0.0 { x } else { f64::from(self.negative_slope) * x }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of =
        |negative_slope: f32| activation_cases(LeakyRelu { negative_slope }, &[0.0], Bound::ROUNDED, Bound::ROUNDED);
    [0.01, 0.0, 1.5].into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        let leaky = LeakyRelu { negative_slope: 0.5 };
        assert_eq!(at(leaky, 0.0), (0.0, 0.5));
        assert_eq!(at(leaky, 3.0), (3.0, 1.0));
        assert_eq!(at(leaky, -3.0), (-1.5, 0.5));
        assert_eq!(at(leaky, f32::NEG_INFINITY), (f32::NEG_INFINITY, 0.5));
        // Where a x rounds to zero the derivative is still a.
        assert_eq!(at(LeakyRelu::default(), -1e-45).1, 0.01);
        nan_goes_through(leaky);
    }
}
