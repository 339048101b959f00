//! Binary cross-entropy of a logit x and a target t from 0 to 1, the positive class weighted by w:
//! l = -(w t log σ(x) + (1 - t) log(1 - σ(x))) = w t softplus(-x) + (1 - t) softplus(x),
//! ∂l/∂x = (1 - t) σ(x) - w t σ(-x).
//!
//! softplus(±x) = max(±x, 0) + log(1 + exp(-|x|)) neither overflows nor cancels, whatever the logit.
//! Cox, "The regression analysis of binary sequences", 1958.

use kernels::math::{exp, log1p};
use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, SUM_ULP, element_cases, expect_positive};
use crate::ops::ShapeError;
use crate::ops::check::{Bound, Case, Values};

/// From logits; for probabilities see [`super::BinaryCrossEntropyProbabilities`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BinaryCrossEntropy {
    /// w, above 0: what an example of the positive class counts, one of the negative class being 1 (the default).
    #[serde(default = "default_positive_weight")]
    pub positive_weight: f32,
}

fn default_positive_weight() -> f32 {
    1.0
}

impl Default for BinaryCrossEntropy {
    fn default() -> BinaryCrossEntropy {
        BinaryCrossEntropy { positive_weight: default_positive_weight() }
    }
}

impl BinaryCrossEntropy {
    /// What multiplies the terms of the positive and the negative class: w t and 1 - t.
    #[inline(always)]
    fn shares<S: Simd>(self, s: S, t: S::Float) -> (S::Float, S::Float) {
        (s.mul(s.splat(self.positive_weight), t), s.sub(s.splat(1.0), t))
    }
}

impl Pairwise for BinaryCrossEntropy {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, t: S::Float) -> S::Float {
        let (zero, (positive, negative)) = (s.splat(0.0), self.shares(s, t));
        let common = log1p(s, exp(s, s.neg(s.abs(x))));
        // With a NaN, `max` gives its second operand.
        let positive_loss = s.add(s.max(zero, s.neg(x)), common);
        let negative_loss = s.add(s.max(zero, x), common);
        s.fma(positive, positive_loss, s.mul(negative, negative_loss))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, t: S::Float) -> S::Float {
        let (one, (positive, negative)) = (s.splat(1.0), self.shares(s, t));
        // σ(|x|) = 1 / (1 + e) and σ(-|x|) = e / (1 + e), both to full precision.
        let e = exp(s, s.neg(s.abs(x)));
        let larger = s.div(one, s.add(one, e));
        let smaller = s.mul(e, larger);
        let is_negative = s.lt(x, s.splat(0.0));
        let of_x = s.select(is_negative, smaller, larger);
        let of_minus_x = s.select(is_negative, larger, smaller);
        s.fnma(positive, of_minus_x, s.mul(negative, of_x))
    }
}

impl ElementLoss for BinaryCrossEntropy {
    const NAME: &'static str = "BinaryCrossEntropyWithLogitsLoss";
    const FLOPS: u64 = 40;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["L = mean of -(w t ln σ(p) + (1 - t) ln(1 - σ(p)))", "∂L/∂p = ((1 - t) σ(p) - w t (1 - σ(p))) / n"]);

    fn check(&self) -> Result<(), ShapeError> {
        expect_positive("positive_weight", self.positive_weight)
    }

    fn exact(&self, p: f64, t: f64) -> f64 {
        let (yes, no) = (1.0 / (1.0 + libm::exp(-p)), 1.0 / (1.0 + libm::exp(p)));
        -(f64::from(self.positive_weight) * t * libm::log(yes) + (1.0 - t) * libm::log(no))
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let value = Bound::relative(SUM_ULP, "an exponential, a logarithm, a sum of positive terms");
    let gradient = Bound::relative(8.0, "an exponential, quotients; the difference cancels").and_absolute(10.0);
    let of = |positive_weight: f32| {
        let values = [Values::Normal(3.0), Values::Choice(vec![0.0, 1.0, 0.25, 0.9])];
        element_cases(BinaryCrossEntropy { positive_weight }, values, value, gradient)
    };
    [of(1.0), of(3.0)].concat()
}

#[cfg(test)]
mod tests {
    use super::super::Elementwise;
    use super::super::tests::evaluate;
    use super::*;

    #[test]
    fn logits_of_any_size_are_right() {
        let op = Elementwise::from(BinaryCrossEntropy::default());
        for (x, t, loss, slope) in [
            (1000.0, 1.0, 0.0, 0.0),
            (1000.0, 0.0, 1000.0, 1.0),
            (-1000.0, 0.0, 0.0, 0.0),
            (-1000.0, 1.0, 1000.0, -1.0),
            (-3e38, 1.0, 3e38, -1.0),
        ] {
            assert_eq!(evaluate(&op, &[1, 1], [&[x], &[t]], None, 1.0), (loss, vec![slope]), "{x} {t}");
        }
        // exp(-20): what 1 - σ(20) would lose.
        let (loss, gradient) = evaluate(&op, &[1, 1], [&[20.0], &[1.0]], None, 1.0);
        assert!((loss / 2.0611537e-9 - 1.0).abs() < 1e-6 && (gradient[0] / -2.0611537e-9 - 1.0).abs() < 1e-6);
    }
}
