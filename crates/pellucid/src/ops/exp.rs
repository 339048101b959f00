//! Exponential function: y = exp x = dy/dx; ∞ above 88.7.

use kernels::math::{EXP_ULP, exp};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = exp x
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Exp;

impl Unary for Exp {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        exp(s, x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        let _ = s;
        y
    }
}

impl Activation for Exp {
    const NAME: &'static str = "Exp";
    const FLOPS: u64 = 10;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = exp(x)", "∂L/∂x = dy · y"]);

    fn exact(&self, x: f64) -> f64 {
        libm::exp(x)
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(EXP_ULP, "the exponential's own");
    let gradient = Bound::relative(EXP_ULP + 0.5, "the exponential's own, and one product");
    activation_cases(Exp, &[], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Exp, 0.0), (1.0, 1.0));
        assert_eq!(at(Exp, f32::INFINITY), (f32::INFINITY, f32::INFINITY));
        assert_eq!(at(Exp, f32::NEG_INFINITY), (0.0, 0.0));
        nan_goes_through(Exp);
    }
}
