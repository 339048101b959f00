//! Rectified linear unit: y = max(x, 0); dy/dx = 1 where x > 0, else 0, so 0 at x = 0. NaN goes through.
//!
//! Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = max(x, 0)
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Relu;

impl Unary for Relu {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        // With a NaN, `max` gives its second operand.
        s.max(s.splat(0.0), x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), y), s.splat(1.0), s.splat(0.0))
    }
}

impl Activation for Relu {
    const NAME: &'static str = "Relu";
    const FLOPS: u64 = 1;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = max(x, 0)", "∂L/∂x = dy for x > 0, else 0"]);
    const COMMUTES_WITH_MAX: bool = true;

    fn exact(&self, x: f64) -> f64 {
        x.max(0.0)
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    activation_cases(Relu, &[0.0], Bound::EXACT, Bound::EXACT)
}
