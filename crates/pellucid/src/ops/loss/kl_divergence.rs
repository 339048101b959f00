//! Kullback-Leibler divergence of the distribution t from exp(p): l = t (log t - p), 0 where t = 0; ∂l/∂p = -t.
//!
//! The prediction holds log-probabilities (the output of a log-softmax), the target probabilities. The reduction that is
//! the divergence, a sum over the classes and a mean over the rows, is [`Reduction::BatchMean`], the default here.
//!
//! Kullback and Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22, 1951.

use kernels::math::log;
use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, Reduction, SUM_ULP, element_cases};
use crate::ops::check::{Bound, Case, Values};

/// l = t (log t - p)
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct KlDivergence {}

impl Pairwise for KlDivergence {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let zero = s.splat(0.0);
        // A class that does not occur counts nothing, even when its probability is 0 (p = -∞); a NaN does.
        let counts_nothing = s.select(s.eq(p, p), zero, p);
        s.select(s.eq(t, zero), counts_nothing, s.mul(t, s.sub(log(s, t), p)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, t: S::Float) -> S::Float {
        s.neg(t)
    }
}

impl ElementLoss for KlDivergence {
    const NAME: &'static str = "KlDivergenceLoss";
    const FLOPS: u64 = 18;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["L = sum over classes, mean over rows, of t (ln t - p)", "∂L/∂p = -t / rows"]);
    const REDUCTION: Reduction = Reduction::BatchMean;

    fn exact(&self, p: f64, t: f64) -> f64 {
        if t == 0.0 { 0.0 } else { t * (libm::log(t) - p) }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let values = [Values::Uniform(-5.0, 0.0), Values::Choice(vec![0.0, 0.25, 0.9, 1.0])];
    let value = Bound::relative(SUM_ULP, "a logarithm, a product; the sum cancels").and_absolute(100.0);
    let gradient = Bound::relative(3.0, "a quotient, two products");
    element_cases(KlDivergence {}, values, value, gradient)
}

#[cfg(test)]
mod tests {
    use super::super::Elementwise;
    use super::super::tests::evaluate;
    use super::*;

    #[test]
    fn a_class_that_is_impossible_on_both_sides_counts_nothing() {
        let op = Elementwise::from(KlDivergence {});
        assert_eq!(op.reduction, Reduction::BatchMean);
        let half = 0.5f32;
        let p = [libm::log(0.5) as f32, libm::log(0.5) as f32, f32::NEG_INFINITY];
        let (loss, gradient) = evaluate(&op, &[1, 3], [&p, &[half, half, 0.0]], None, 1.0);
        assert!(loss.abs() < 1e-7, "{loss}");
        assert_eq!(gradient, [-0.5, -0.5, 0.0]);
    }
}
