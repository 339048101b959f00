//! Cross-entropy of probabilities p [rows, classes] against class labels [rows] or soft targets t [rows, classes]:
//! l = -Σⱼ tⱼ log pⱼ, ∂l/∂pⱼ = -tⱼ / pⱼ, with tⱼ = 1 at the label.
//!
//! A logarithm is at least -100, and what is divided by at least 10⁻¹². From logits ([`super::CrossEntropy`]) nothing of
//! the kind is needed, and class weights, smoothing and ignored labels are there too: prefer that. A label that is no
//! whole number from 0 below the number of classes gives a loss of NaN. The mean divides by the sum of the row weights.

use kernels::math::log;
use kernels::pairwise::{self, Pairwise, RowWeights};
use kernels::simd::Simd;
use serde::{Deserialize, Serialize};

use super::binary_cross_entropy_probabilities::{LEAST_DIVISOR, LEAST_LOG};
use super::cross_entropy::{
    class_cases, expect_classes, is_sequence, rows_and_spread, soft_targets_and_weights, weights_of_rows,
};
use super::{Reduction, SUM_ULP, divided, rows_or_weights};
use crate::ops::check::{Bound, Case, Values};
use crate::ops::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Shape, Tensor};

/// From probabilities, the output of a softmax.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropyProbabilities {
    /// How the losses of the rows become one.
    pub reduction: Reduction,
}

/// -t log p
#[derive(Clone, Copy)]
struct Surprise;

impl Pairwise for Surprise {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        // With a NaN, `max` gives its second operand.
        s.neg(s.mul(t, s.max(s.splat(LEAST_LOG), log(s, p))))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        s.neg(s.div(t, s.max(s.splat(LEAST_DIVISOR), p)))
    }
}

/// The place of `label` among `n` classes, if it is one.
fn class(label: f32, n: usize) -> Option<usize> {
    (label >= 0.0 && label < n as f32 && label.trunc() == label).then_some(label as usize)
}

impl CrossEntropyProbabilities {
    fn divisor(&self, run: &Run, inputs: &[Tensor]) -> f32 {
        let prediction = &inputs[0];
        let of_batch = || rows_or_weights(run.device, prediction, inputs.get(2).map(|weights| weights.data));
        let steps = || prediction.dims.iter().rev().skip(1).rev().skip(1).product::<usize>();
        match self.reduction {
            Reduction::Sum => 1.0,
            Reduction::BatchMean => of_batch(),
            Reduction::Mean => of_batch() * steps() as f32,
        }
    }
}

/// What the rows count for soft targets.
fn soft_weights<'a>(inputs: &[Tensor<'a>]) -> Option<RowWeights<'a>> {
    let weights = inputs.get(2)?.data;
    Some(RowWeights { weights, row_len: inputs[0].data.len() / weights.len().max(1) })
}

impl Op for CrossEntropyProbabilities {
    fn name(&self) -> &'static str {
        "CrossEntropyLoss"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        expect_classes(inputs).map(|_| Shape::scalar())
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1, 2])
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 0
    }

    fn memory(&self, sizes: Sizes, _: bool) -> Memory {
        let (rows, spread) = rows_and_spread(sizes);
        let is_soft = sizes.inputs[1].len() == sizes.inputs[0].len();
        if is_soft {
            Memory::default()
        } else {
            Memory { saved: 0, forward: 2 * rows + spread, backward: spread, ..Memory::default() }
        }
    }

    fn flops(&self, sizes: Sizes) -> u64 {
        18 * sizes.input_elements(1) as u64
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["L = mean over rows of -Σ t ln p", "∂L/∂p = -t / (p rows)"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(vec![reference(self, at)])
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [prediction, target] = [pass.inputs[0], pass.inputs[1]];
        let divisor = self.divisor(run, pass.inputs);
        if target.dims.len() == prediction.dims.len() {
            let weights = soft_weights(pass.inputs);
            let total = pairwise::total(run.device, Surprise, prediction.data, target.data, weights);
            pass.output[0] = divided(total, divisor);
            return;
        }
        let (rows, n) = prediction.as_rows();
        let (picked, rest) = pass.scratch.split_at_mut(rows);
        let (counts, room) = rest.split_at_mut(rows);
        counts.fill(1.0);
        if let Some(weights) = pass.inputs.get(2) {
            counts.copy_from_slice(weights_of_rows(weights.data, rows, room));
        }
        for row in 0..rows {
            picked[row] = class(target.data[row], n).map_or(f32::NAN, |class| prediction.data[row * n + class]);
        }
        pass.output[0] = divided(pairwise::total(run.device, Surprise, picked, counts, None), divisor);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [prediction, target] = [pass.inputs[0], pass.inputs[1]];
        let Some(dx) = &mut pass.dx[0] else { return };
        let factor = divided(pass.dy[0], self.divisor(run, pass.inputs));
        if target.dims.len() == prediction.dims.len() {
            let weights = soft_weights(pass.inputs);
            return pairwise::backward(run.device, Surprise, prediction.data, target.data, weights, factor, dx);
        }
        let (rows, n) = prediction.as_rows();
        let weights = pass.inputs.get(2).map(|weights| weights_of_rows(weights.data, rows, pass.scratch));
        dx.fill(0.0);
        for row in 0..rows {
            let dx = &mut dx[row * n..][..n];
            let Some(class) = class(target.data[row], n) else {
                dx.fill(f32::NAN);
                continue;
            };
            let p = prediction.data[row * n + class];
            // Written so that a NaN stays.
            let divisor = if p < LEAST_DIVISOR { LEAST_DIVISOR } else { p };
            dx[class] = -factor * weights.map_or(1.0, |weights| weights[row]) / divisor;
        }
    }
}

/// The definition, in f64.
fn reference(op: &CrossEntropyProbabilities, at: &Sample) -> f64 {
    let n = *at.dims[0].last().expect("an axis");
    let (soft, weights) = soft_targets_and_weights(at);
    let term = |i: usize| if soft[i] == 0.0 { 0.0 } else { -weights[i / n] * soft[i] * libm::log(at.inputs[0][i]) };
    let total: f64 = (0..soft.len()).map(term).sum();
    let steps = at.dims[0][1..at.dims[0].len() - 1].iter().product::<usize>() as f64;
    let divisor = match op.reduction {
        Reduction::Sum => 1.0,
        Reduction::BatchMean => weights.iter().sum::<f64>() / steps,
        Reduction::Mean => weights.iter().sum(),
    };
    if divisor == 0.0 { 0.0 } else { total / divisor }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let value = Bound::relative(SUM_ULP, "logarithms, products, a sum of positive terms");
    let gradient = Bound::relative(5.0, "two quotients, two products");
    let of = |reduction: Reduction| {
        let op = CrossEntropyProbabilities { reduction };
        class_cases(&op, &Values::Uniform(0.02, 0.98), value, gradient)
    };
    let mut cases = of(Reduction::Mean);
    cases.extend([Reduction::Sum, Reduction::BatchMean].map(of).concat().into_iter().filter(is_sequence));
    cases
}

#[cfg(test)]
mod tests {
    use super::super::tests::evaluate;
    use super::*;

    const P: [f32; 6] = [0.5, 0.25, 0.25, 0.1, 0.2, 0.7];

    #[test]
    fn labels_and_the_soft_targets_that_mean_the_same_agree() {
        let soft = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let expected = [-f64::from(0.25f32), -f64::from(0.7f32)].map(|p| -libm::log(-p));
        for (weights, scale) in [(None, [0.5, 0.5]), (Some(&[3.0, 1.0][..]), [0.75, 0.25])] {
            for target in [&soft[..], &[1.0, 2.0]] {
                let op = CrossEntropyProbabilities::default();
                let (loss, gradient) = evaluate(&op, &[2, 3], [&P, target], weights, 2.0);
                let expected = expected[0] * scale[0] + expected[1] * scale[1];
                assert!((f64::from(loss) - expected).abs() < 2e-7, "{loss} for {expected}");
                for (i, &slope) in gradient.iter().enumerate() {
                    let expected = -2.0 * soft[i] * scale[i / 3] as f32 / P[i];
                    assert!((slope - expected).abs() <= 1e-6 * expected.abs(), "{slope} for {expected}");
                }
            }
        }
    }

    #[test]
    fn steps_of_a_sequence_share_the_weight_of_their_row() {
        let p = [P, P].concat();
        for reduction in [Reduction::Mean, Reduction::Sum, Reduction::BatchMean] {
            let op = CrossEntropyProbabilities { reduction };
            let labels = [0.0, 1.0, 2.0, 0.0];
            let mut soft = [0.0; 12];
            (0..4).for_each(|row| soft[row * 3 + labels[row] as usize] = 1.0);
            let weights = Some(&[2.0, 0.5][..]);
            let from_labels = evaluate(&op, &[2, 2, 3], [&p, &labels], weights, 1.0);
            let from_soft = evaluate(&op, &[2, 2, 3], [&p, &soft], weights, 1.0);
            let close = |a: f32, b: f32| (a - b).abs() <= 1e-6 * b.abs();
            assert!(close(from_labels.0, from_soft.0), "{reduction:?}");
            assert!(from_labels.1.iter().zip(&from_soft.1).all(|(&a, &b)| close(a, b)), "{reduction:?}");
        }
    }

    #[test]
    fn impossible_is_a_hundred_and_a_label_that_is_none_is_nan() {
        let op = CrossEntropyProbabilities::default();
        let (loss, gradient) = evaluate(&op, &[1, 2], [&[0.0, 1.0], &[0.0]], None, 1.0);
        assert_eq!((loss, gradient), (100.0, vec![-1e12, 0.0]));
        for label in [-1.0, 2.0, 0.5, f32::NAN] {
            let (loss, gradient) = evaluate(&op, &[1, 2], [&[0.5, 0.5], &[label]], None, 1.0);
            assert!(loss.is_nan() && gradient.iter().all(|x| x.is_nan()), "{label}");
        }
    }
}
