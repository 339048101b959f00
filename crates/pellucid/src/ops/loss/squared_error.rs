//! Squared error of prediction p and target t: l = (p - t)², ∂l/∂p = 2 (p - t).
//!
//! The mean is the mean squared error, the sum the "sum of squares" of textbooks that leave out the factor ½. Minimising
//! it estimates the mean of the target: Gauss, "Theoria combinationis observationum", 1823.

use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, SUM_ULP, element_cases};
use crate::ops::check::{Bound, Case, Values};

/// l = (p - t)²
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SquaredError {}

impl Pairwise for SquaredError {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let d = s.sub(p, t);
        s.mul(d, d)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let d = s.sub(p, t);
        s.add(d, d)
    }
}

impl ElementLoss for SquaredError {
    const NAME: &'static str = "SquaredErrorLoss";
    const FLOPS: u64 = 3;
    const FORMULAS: Option<[&'static str; 2]> = Some(["L = mean of (p - t)²", "∂L/∂p = 2 (p - t) / n"]);

    fn exact(&self, p: f64, t: f64) -> f64 {
        (p - t) * (p - t)
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let values = [Values::Normal(2.0), Values::Normal(2.0)];
    let value = Bound::relative(SUM_ULP, "a difference, a square, a sum of positive terms");
    let gradient = Bound::relative(4.0, "a difference, a quotient, three products");
    element_cases(SquaredError {}, values, value, gradient)
}

#[cfg(test)]
mod tests {
    use super::super::tests::evaluate;
    use super::super::{Elementwise, Reduction};
    use super::*;

    #[test]
    fn the_mean_is_over_all_values_and_the_batch_mean_over_rows() {
        let (p, t) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0; 6]);
        for (reduction, expected) in
            [(Reduction::Mean, 91.0 / 6.0), (Reduction::Sum, 91.0), (Reduction::BatchMean, 45.5)]
        {
            let op = Elementwise { formula: SquaredError {}, reduction };
            let (loss, gradient) = evaluate(&op, &[2, 3], [&p, &t], None, 1.0);
            assert_eq!(loss, expected);
            assert_eq!(gradient[5], 12.0 / (91.0 / expected));
        }
        let op = Elementwise::<SquaredError>::default();
        let (loss, gradient) = evaluate(&op, &[2, 3], [&p, &t], Some(&[0.0, 3.0]), 1.0);
        assert_eq!((loss, gradient[0], gradient[5]), (77.0 / 3.0, 0.0, 4.0));
    }
}
