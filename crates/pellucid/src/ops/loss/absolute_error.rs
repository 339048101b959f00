//! Absolute error of prediction p and target t: l = |p - t|, ∂l/∂p = the sign of p - t, 0 at p = t.
//!
//! Minimising it estimates the median of the target, so outliers weigh no more than others: Laplace, 1774; Boscovich, 1757.

use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, SUM_ULP, element_cases};
use crate::ops::check::{Bound, Case, Values};

/// l = |p - t|
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AbsoluteError {}

impl Pairwise for AbsoluteError {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        s.abs(s.sub(p, t))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let (d, zero) = (s.sub(p, t), s.splat(0.0));
        // What is neither above nor below zero is zero or NaN.
        s.select(s.lt(zero, d), s.splat(1.0), s.select(s.lt(d, zero), s.splat(-1.0), d))
    }
}

impl ElementLoss for AbsoluteError {
    const NAME: &'static str = "AbsoluteErrorLoss";
    const FLOPS: u64 = 2;
    const FORMULAS: Option<[&'static str; 2]> = Some(["L = mean of |p - t|", "∂L/∂p = sign(p - t) / n"]);

    fn exact(&self, p: f64, t: f64) -> f64 {
        (p - t).abs()
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let kinks = vec![-1.0, 0.5];
    let values = [Values::AwayFrom { spread: 2.0, kinks: kinks.clone(), margin: 0.01 }, Values::Choice(kinks)];
    let value = Bound::relative(SUM_ULP, "a difference, a sum of positive terms");
    let gradient = Bound::relative(3.0, "a quotient, two products");
    element_cases(AbsoluteError {}, values, value, gradient)
}

#[cfg(test)]
mod tests {
    use super::super::Elementwise;
    use super::super::tests::evaluate;
    use super::*;

    #[test]
    fn the_slope_at_the_kink_is_zero_and_that_of_nan_is_nan() {
        let op = Elementwise::from(AbsoluteError {});
        let (_, gradient) = evaluate(&op, &[2], [&[1.0, f32::NAN], &[1.0, 1.0]], None, 1.0);
        assert!(gradient[0] == 0.0 && gradient[1].is_nan());
    }
}
