//! Hard swish: y = x min(max(x + 3, 0), 6) / 6; dy/dx = 0 up to x = -3, x/3 + 1/2 between, 1 from x = 3.
//!
//! Howard et al., "Searching for MobileNetV3", 2019.

use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = x (x / 6 + 1/2), the factor within 0 and 1
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HardSwish;

impl Unary for HardSwish {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        // -∞ · 0 would be NaN.
        let x = s.max(s.splat(-f32::MAX), x);
        let factor = s.min(s.splat(6.0), s.max(s.splat(0.0), s.add(x, s.splat(3.0))));
        s.mul(x, s.div(factor, s.splat(6.0)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        let curve = s.fma(x, s.splat(1.0 / 3.0), s.splat(0.5));
        let rising = s.select(s.le(s.splat(3.0), x), s.splat(1.0), curve);
        s.select(s.le(x, s.splat(-3.0)), s.splat(0.0), rising)
    }
}

impl Activation for HardSwish {
    const NAME: &'static str = "HardSwish";
    const FLOPS: u64 = 5;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = x min(max(x + 3, 0), 6) / 6", "∂L/∂x = dy (x/3 + 1/2) for -3 < x < 3, dy beyond, else 0"]);

    fn exact(&self, x: f64) -> f64 {
        x * (x + 3.0).clamp(0.0, 6.0) / 6.0
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(2.0, "a sum, a quotient, a product");
    let gradient = Bound::relative(1.5, "x/3 + 1/2 cancels at -1.5").and_absolute(1.0);
    activation_cases(HardSwish, &[-3.0, 3.0], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(HardSwish, 0.0), (0.0, 0.5));
        assert_eq!(at(HardSwish, 3.0), (3.0, 1.0));
        assert_eq!(at(HardSwish, -3.0), (0.0, 0.0));
        assert_eq!(at(HardSwish, f32::INFINITY), (f32::INFINITY, 1.0));
        assert_eq!(at(HardSwish, f32::NEG_INFINITY), (0.0, 0.0));
        nan_goes_through(HardSwish);
    }
}
