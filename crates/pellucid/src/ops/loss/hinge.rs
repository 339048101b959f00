//! Hinge loss of score p and target t, -1 or 1: l = max(0, 1 - t p); ∂l/∂p = -t where t p < 1, else 0, so 0 at the kink.
//!
//! Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995.

use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, SUM_ULP, element_cases};
use crate::ops::check::{Bound, Case, Values};

/// l = max(0, 1 - t p) with targets -1 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Hinge {}

impl Pairwise for Hinge {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        // With a NaN, `max` gives its second operand.
        s.max(s.splat(0.0), s.fnma(t, p, s.splat(1.0)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let (slack, zero) = (s.fnma(t, p, s.splat(1.0)), s.splat(0.0));
        s.select(s.lt(zero, slack), s.neg(t), s.select(s.le(slack, zero), zero, slack))
    }
}

impl ElementLoss for Hinge {
    const NAME: &'static str = "HingeLoss";
    const FLOPS: u64 = 3;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["L = mean of max(0, 1 - t p)", "∂L/∂p = -t / n for t p < 1, else 0"]);

    fn exact(&self, p: f64, t: f64) -> f64 {
        (1.0 - t * p).max(0.0)
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let kinks = vec![-1.0, 1.0];
    let values = [Values::AwayFrom { spread: 2.0, kinks: kinks.clone(), margin: 0.01 }, Values::Choice(kinks)];
    let value = Bound::relative(SUM_ULP, "a fused product and difference, a sum of positive terms");
    let gradient = Bound::relative(3.0, "a quotient, two products");
    element_cases(Hinge {}, values, value, gradient)
}

#[cfg(test)]
mod tests {
    use super::super::Elementwise;
    use super::super::tests::evaluate;
    use super::*;

    #[test]
    fn the_slope_at_the_kink_is_zero_and_that_of_nan_is_nan() {
        let (p, t) = ([1.0, -1.0, f32::NAN], [1.0, -1.0, 1.0]);
        let (_, gradient) = evaluate(&Elementwise::from(Hinge {}), &[3], [&p, &t], None, 1.0);
        assert!(gradient[..2] == [0.0; 2] && gradient[2].is_nan());
    }
}
