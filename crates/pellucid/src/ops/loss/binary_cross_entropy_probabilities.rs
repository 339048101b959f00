//! Binary cross-entropy of a probability p and a target t from 0 to 1:
//! l = -(t log p + (1 - t) log(1 - p)), ∂l/∂p = (p - t) / (p (1 - p)).
//!
//! As in PyTorch, a logarithm is at least -100 and p (1 - p) at least 10⁻¹². From logits
//! ([`super::BinaryCrossEntropy`]) nothing of the kind is needed: prefer that.

use kernels::math::{log, log1p};
use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, SUM_ULP, element_cases};
use crate::ops::check::{Bound, Case, Values};

/// The least value of a logarithm.
pub(super) const LEAST_LOG: f32 = -100.0;
/// The least value of what the gradient is divided by.
pub(super) const LEAST_DIVISOR: f32 = 1e-12;

/// From probabilities, the output of a sigmoid.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BinaryCrossEntropyProbabilities {}

impl Pairwise for BinaryCrossEntropyProbabilities {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let least = s.splat(LEAST_LOG);
        // With a NaN, `max` gives its second operand.
        let yes = s.max(least, log(s, p));
        let no = s.max(least, log1p(s, s.neg(p)));
        s.neg(s.fma(t, yes, s.mul(s.sub(s.splat(1.0), t), no)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let divisor = s.mul(p, s.sub(s.splat(1.0), p));
        s.div(s.sub(p, t), s.max(s.splat(LEAST_DIVISOR), divisor))
    }
}

impl ElementLoss for BinaryCrossEntropyProbabilities {
    const NAME: &'static str = "BinaryCrossEntropyLoss";
    const FLOPS: u64 = 35;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["L = mean of -(t ln p + (1 - t) ln(1 - p))", "∂L/∂p = (p - t) / (p (1 - p) n)"]);

    fn exact(&self, p: f64, t: f64) -> f64 {
        -(t * libm::log(p) + (1.0 - t) * libm::log(1.0 - p))
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let values = [Values::Uniform(0.02, 0.98), Values::Choice(vec![0.0, 1.0, 0.25, 0.9])];
    let value = Bound::relative(SUM_ULP, "two logarithms, products, a sum of positive terms");
    let gradient = Bound::relative(6.0, "differences, products, quotients");
    element_cases(BinaryCrossEntropyProbabilities {}, values, value, gradient)
}

#[cfg(test)]
mod tests {
    use super::super::Elementwise;
    use super::super::tests::evaluate;
    use super::*;

    #[test]
    fn certainty_costs_nothing_when_right_and_a_hundred_when_wrong() {
        let op = Elementwise::from(BinaryCrossEntropyProbabilities {});
        for (p, t, loss, slope) in
            [(0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0), (0.0, 1.0, 100.0, -1e12), (1.0, 0.0, 100.0, 1e12)]
        {
            assert_eq!(evaluate(&op, &[1, 1], [&[p], &[t]], None, 1.0), (loss, vec![slope]), "{p} {t}");
        }
    }
}
