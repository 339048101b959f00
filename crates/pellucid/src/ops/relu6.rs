//! Rectified linear unit with a ceiling: y = min(max(x, 0), 6); dy/dx = 1 where 0 < x < 6, else 0, so 0 at both kinks.
//!
//! Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = min(max(x, 0), 6)
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Relu6;

impl Unary for Relu6 {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        s.min(s.splat(6.0), s.max(s.splat(0.0), x))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        let zero = s.splat(0.0);
        s.select(s.lt(zero, y), s.select(s.lt(y, s.splat(6.0)), s.splat(1.0), zero), zero)
    }
}

impl Activation for Relu6 {
    const NAME: &'static str = "Relu6";
    const FLOPS: u64 = 2;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = min(max(x, 0), 6)", "∂L/∂x = dy for 0 < x < 6, else 0"]);

    fn exact(&self, x: f64) -> f64 {
        x.clamp(0.0, 6.0)
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    activation_cases(Relu6, &[0.0, 6.0], Bound::EXACT, Bound::EXACT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Relu6, 0.0), (0.0, 0.0));
        assert_eq!(at(Relu6, 2.0), (2.0, 1.0));
        assert_eq!(at(Relu6, 6.0), (6.0, 0.0));
        assert_eq!(at(Relu6, f32::INFINITY), (6.0, 0.0));
        assert_eq!(at(Relu6, f32::NEG_INFINITY), (0.0, 0.0));
        nan_goes_through(Relu6);
    }
}
