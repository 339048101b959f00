//! Hard sigmoid: y = min(max(x + 3, 0), 6) / 6; dy/dx = 1/6 where 0 < y < 1, else 0, so 0 at both kinks (x = ±3).
//!
//! Slope 1/6 as in Howard et al., "Searching for MobileNetV3", 2019 (other libraries have 1/5).

use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = x / 6 + 1/2, within 0 and 1
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HardSigmoid;

impl Unary for HardSigmoid {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        let shifted = s.add(x, s.splat(3.0));
        s.div(s.min(s.splat(6.0), s.max(s.splat(0.0), shifted)), s.splat(6.0))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        let zero = s.splat(0.0);
        let rising = s.select(s.lt(y, s.splat(1.0)), s.splat(1.0 / 6.0), zero);
        s.select(s.lt(zero, y), rising, zero)
    }
}

impl Activation for HardSigmoid {
    const NAME: &'static str = "HardSigmoid";
    const FLOPS: u64 = 4;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = min(max(x + 3, 0), 6) / 6", "∂L/∂x = dy / 6 for -3 < x < 3, else 0"]);

    fn exact(&self, x: f64) -> f64 {
        (x + 3.0).clamp(0.0, 6.0) / 6.0
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(1.5, "a sum and a quotient");
    let gradient = Bound::relative(1.5, "1/6 is rounded, and a product");
    activation_cases(HardSigmoid, &[-3.0, 3.0], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(HardSigmoid, 0.0), (0.5, 1.0 / 6.0));
        assert_eq!(at(HardSigmoid, 3.0), (1.0, 0.0));
        assert_eq!(at(HardSigmoid, -3.0), (0.0, 0.0));
        assert_eq!(at(HardSigmoid, f32::INFINITY), (1.0, 0.0));
        assert_eq!(at(HardSigmoid, f32::NEG_INFINITY), (0.0, 0.0));
        nan_goes_through(HardSigmoid);
    }
}
