//! Softmax and cross-entropy in one: logits x [rows, classes] against class labels [rows], or soft targets
//! [rows, classes]; rows are all axes but the last (a sequence has a label for each step).
//!
//! With the target distribution t (1 at the label), class weights c, smoothing ε and row weight r:
//!
//! - qⱼ = cⱼ ((1 - ε) tⱼ + ε / classes)
//! - l = r Σⱼ qⱼ (log Σₖ exp(xₖ) - xⱼ)
//! - ∂l/∂xⱼ = r (softmax(x)ⱼ Σₖ qₖ - qⱼ)
//!
//! The mean divides by Σ r c[label] over the rows whose label is not ignored, for soft targets by Σ r, as PyTorch does.
//! A label that is no whole number from 0 below the number of classes, and not the ignored one, gives a loss of NaN: an
//! op has no other way to say so, whoever reads the data checks labels.
//!
//! Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990; label smoothing:
//! Szegedy et al., "Rethinking the Inception architecture", CVPR 2016.

use kernels::device::Device;
use kernels::reduce;
use kernels::simd::Simd;
use kernels::softmax::{CrossEntropy as Kernel, Targets};
use kernels::unary::{self, Unary};
use serde::{Deserialize, Serialize};

use super::elementwise::row_weight_values;
use super::{Reduction, SUM_ULP, divided, rows_or_weights, split_inputs};
use crate::ops::check::{Bound, Case, Input, Values};
use crate::ops::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape, Tensor};

/// Classes at most: labels are whole numbers in f32.
const MAX_CLASSES: usize = 1 << 24;

/// From logits; for probabilities see [`super::CrossEntropyProbabilities`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropy {
    /// c: what a row of each class counts, 0 or more; all 1 without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    /// ε, from 0 (the default) to 1: the part of each target that is spread over all classes.
    pub label_smoothing: f32,
    /// Rows of this label count nothing, whatever their logits: padding. None by default; PyTorch's is -100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored_label: Option<i32>,
    /// How the losses of the rows become one.
    pub reduction: Reduction,
}

/// Refuses what no loss over classes can be computed of: logits or probabilities [rows, classes], labels [rows] or soft
/// targets [rows, classes], and row weights for the first axis or for all rows. Gives the number of classes.
pub(super) fn expect_classes(inputs: &[Shape]) -> Result<usize, ShapeError> {
    let (prediction, target, weights) = split_inputs(inputs)?;
    let Some((Dim::Fixed(classes @ 1..=MAX_CLASSES), rows @ [_, ..])) = prediction.axes().split_last() else {
        let expected = "rows of 1 to 16777216 classes";
        return Err(ShapeError::size("last axis of the prediction", expected, prediction));
    };
    if target.axes() != rows && target != prediction {
        let labels = Shape::new(rows.iter().copied())?;
        let expected = format!("class labels {labels} or soft targets {prediction}");
        return Err(ShapeError::size("shape of the target", expected, target));
    }
    if let Some(weights) = weights
        && weights.axes() != &rows[..1]
        && weights.axes() != rows
    {
        let expected = Shape::new(rows.iter().take(1).copied())?;
        return Err(ShapeError::size("shape of the row weights (one for each row)", expected, weights));
    }
    Ok(*classes)
}

/// One weight for each row of classes, in `room` if there are fewer.
pub(super) fn weights_of_rows<'a>(weights: &'a [f32], rows: usize, room: &'a mut [f32]) -> &'a [f32] {
    if weights.len() == rows {
        return weights;
    }
    // Each stands for the same number of rows: the steps of a sequence.
    for (part, &weight) in room.chunks_mut(rows / weights.len().max(1)).zip(weights) {
        part.fill(weight);
    }
    room
}

/// Rows of an input with the sizes `dims`, and how many of them need a weight of their own made.
pub(super) fn rows_and_spread(sizes: Sizes) -> (usize, usize) {
    let rows = sizes.inputs[0].iter().rev().skip(1).product();
    let spread = sizes.inputs.get(2).is_some_and(|weights| weights.iter().product::<usize>() != rows);
    (rows, if spread { rows } else { 0 })
}

impl CrossEntropy {
    /// Refuses settings outside their range.
    pub fn check(&self) -> Result<(), ShapeError> {
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return Err(ShapeError::size("label_smoothing", "a number from 0 to 1", self.label_smoothing));
        }
        let Some(weights) = &self.class_weights else { return Ok(()) };
        if weights.iter().all(|&weight| weight >= 0.0 && weight.is_finite())
            && weights.iter().any(|&weight| weight > 0.0)
        {
            return Ok(());
        }
        let expected = "finite numbers of 0 or more, one of them above 0";
        Err(ShapeError::size("class_weights", expected, format!("{weights:?}")))
    }

    fn divisor(&self, device: &Device, inputs: &[Tensor], kernel: &Kernel, rows: usize) -> f32 {
        let is_plain = kernel.class_weights.is_none()
            && kernel.row_weights.is_none()
            && !matches!(kernel.targets, Targets::Labels { ignored: Some(_), .. });
        match self.reduction {
            Reduction::Sum => 1.0,
            Reduction::BatchMean => rows_or_weights(device, &inputs[0], inputs.get(2).map(|weights| weights.data)),
            // A label that is none makes the loss of its row NaN anyway.
            Reduction::Mean if is_plain => rows as f32,
            Reduction::Mean => kernel.total_weight(rows),
        }
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "SoftmaxCrossEntropyLoss"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        self.check()?;
        let classes = expect_classes(inputs)?;
        match &self.class_weights {
            Some(weights) if weights.len() != classes => {
                Err(ShapeError::size("number of class weights", classes, weights.len()))
            }
            _ => Ok(Shape::scalar()),
        }
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 0
    }

    /// A training step keeps the gradient of the loss, which costs the forward pass little beside the exponentials.
    fn memory(&self, sizes: Sizes, training: bool) -> Memory {
        let (rows, spread) = rows_and_spread(sizes);
        let saved = if training { sizes.input_elements(0) } else { 0 };
        Memory { saved, forward: rows + spread, backward: 0, ..Memory::default() }
    }

    fn flops(&self, sizes: Sizes) -> u64 {
        25 * sizes.input_elements(0) as u64
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["L = mean over rows of -Σ t ln softmax(p)", "∂L/∂p = (softmax(p) - t) / rows"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(vec![reference(self, at)])
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [logits, target] = [pass.inputs[0], pass.inputs[1]];
        let (rows, n) = logits.as_rows();
        let (losses, room) = pass.scratch.split_at_mut(rows);
        let kernel = Kernel {
            n,
            targets: if target.dims.len() == logits.dims.len() {
                Targets::Soft(target.data)
            } else {
                Targets::Labels { labels: target.data, ignored: self.ignored_label.map(|label| label as f32) }
            },
            class_weights: self.class_weights.as_deref(),
            label_smoothing: self.label_smoothing,
            row_weights: pass.inputs.get(2).map(|weights| weights_of_rows(weights.data, rows, room)),
        };
        let divisor = self.divisor(run.device, pass.inputs, &kernel, rows);
        if pass.saved.is_empty() {
            kernel.losses(run.device, logits.data, losses);
        } else {
            kernel.losses_and_gradient(run.device, logits.data, losses, divided(1.0, divisor), pass.saved);
        }
        pass.output[0] = divided(reduce::sum(run.device, losses), divisor);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let Some(dx) = &mut pass.dx[0] else { return };
        unary::forward(run.device, Scaled(pass.dy[0]), pass.saved, dx);
    }
}

/// y = factor · x
#[derive(Clone, Copy, Debug)]
struct Scaled(f32);

impl Unary for Scaled {
    const READS: unary::Reads = unary::Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        s.mul(s.splat(self.0), x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, _: S::Float) -> S::Float {
        s.splat(self.0)
    }
}

/// Cases for a loss over classes: labels or soft targets, row weights for the first axis, for all rows, or none.
pub(super) fn class_cases<L: Op + Clone + 'static>(
    loss: &L,
    logits: &Values,
    value: Bound,
    gradient: Bound,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for (sample, rows) in [(&[2][..], 33), (&[10], 700), (&[70], 100), (&[5, 3], 17)] {
        let n = *sample.last().expect("an axis");
        let steps = &sample[..sample.len() - 1];
        let labels = Input::new(Shape::batched(steps), Values::Labels(n as u32));
        let soft = Input::new(Shape::batched(sample), Values::Probabilities);
        for (target, kind) in [(labels, "labels"), (soft, "soft")] {
            for weights in [None, Some(&[][..]), Some(steps)] {
                let mut inputs = vec![Input::new(Shape::batched(sample), logits.clone()), target.clone()];
                inputs.extend(weights.map(|sizes| Input::new(Shape::batched(sizes), row_weight_values())));
                let [x, other] = [sample, &[7, 7]].map(Shape::batched);
                let case = Case::new(loss.clone(), inputs)
                    .named(format!("{sample:?}, {kind}, weights {weights:?}"))
                    .batches([0, 1, 2, 5, rows])
                    .within(value, gradient)
                    .refuses([x.clone()], "takes 2 or 3 inputs, got 1")
                    .refuses([Shape::batched(&[]), Shape::batched(&[])], "last axis of the prediction")
                    .refuses([Shape::fixed(&[3]), Shape::scalar()], "last axis of the prediction")
                    .refuses([Shape::batched(&[0]), Shape::batched(&[])], "last axis of the prediction")
                    .refuses([x.clone(), other.clone()], "shape of the target")
                    .refuses([x.clone(), x, other], "shape of the row weights");
                cases.push(case);
            }
        }
    }
    cases
}

/// t and r of the reference: soft targets and a weight for each row of classes, from what a sample gives.
pub(super) fn soft_targets_and_weights(at: &Sample) -> (Vec<f64>, Vec<f64>) {
    let (n, len) = (*at.dims[0].last().expect("an axis"), at.inputs[0].len());
    let mut soft = at.inputs[1].clone();
    if at.dims[1].len() < at.dims[0].len() {
        soft = (0..len).map(|i| f64::from(at.inputs[1][i / n] == (i % n) as f64)).collect();
    }
    let rows = len / n;
    let weights = (0..rows).map(|row| at.inputs.get(2).map_or(1.0, |weights| weights[row * weights.len() / rows]));
    (soft, weights.collect())
}

/// The definition, in f64.
fn reference(op: &CrossEntropy, at: &Sample) -> f64 {
    let n = *at.dims[0].last().expect("an axis");
    let (soft, weights) = soft_targets_and_weights(at);
    let has_labels = at.dims[1].len() < at.dims[0].len();
    let smoothing = f64::from(op.label_smoothing);
    let class_weight = |j: usize| op.class_weights.as_ref().map_or(1.0, |weights| f64::from(weights[j]));
    let (mut total, mut mean_divisor) = (0.0, 0.0);
    for (row, (x, t)) in at.inputs[0].chunks(n).zip(soft.chunks(n)).enumerate() {
        let label = t.iter().position(|&t| t == 1.0).filter(|_| has_labels);
        if label.is_some() && label == op.ignored_label.map(|label| label as usize) {
            continue;
        }
        let log_sum = libm::log(x.iter().map(|&x| libm::exp(x)).sum());
        for j in 0..n {
            let q = class_weight(j) * ((1.0 - smoothing) * t[j] + smoothing / n as f64);
            total += weights[row] * q * (log_sum - x[j]);
        }
        mean_divisor += weights[row] * label.map_or(1.0, class_weight);
    }
    let steps = at.dims[0][1..at.dims[0].len() - 1].iter().product::<usize>() as f64;
    let divisor = match op.reduction {
        Reduction::Sum => 1.0,
        Reduction::BatchMean => weights.iter().sum::<f64>() / steps,
        Reduction::Mean => mean_divisor,
    };
    if divisor == 0.0 { 0.0 } else { total / divisor }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let value = Bound::relative(SUM_ULP, "differences, exponentials, logarithm, sum").and_absolute(4.0);
    let gradient = Bound::relative(20.0, "exponentials, a sum, a quotient; the difference cancels").and_absolute(20.0);
    let of = |op: CrossEntropy| class_cases(&op, &Values::Normal(3.0), value, gradient);
    let plain = CrossEntropy::default;
    let mut cases = of(plain());
    cases.extend(of(CrossEntropy { label_smoothing: 0.1, ignored_label: Some(1), ..plain() }));
    cases.extend(of(CrossEntropy { reduction: Reduction::BatchMean, ..plain() }).into_iter().filter(is_sequence));
    let sum = of(CrossEntropy { reduction: Reduction::Sum, ..plain() });
    // Batches of some rows: the bound is for sums of some units.
    cases.extend(sum.into_iter().filter(is_sequence).map(|case| case.batches([0, 1, 2, 5])));
    let class_weights = Some(vec![0.5, 1.5, 3.5]);
    for reduction in [Reduction::Mean, Reduction::BatchMean] {
        let op = CrossEntropy { class_weights: class_weights.clone(), reduction, ignored_label: Some(1), ..plain() };
        let smooth = CrossEntropy { label_smoothing: 0.2, ..op.clone() };
        cases.extend([op, smooth].map(of).concat().into_iter().filter(is_sequence));
    }
    cases
}

/// For settings that need not be tried on every size; the class weights are for its three classes.
pub(super) fn is_sequence(case: &Case) -> bool {
    case.inputs[0].shape.rank() == 3
}

#[cfg(test)]
mod tests {
    use super::super::tests::evaluate;
    use super::*;

    #[test]
    fn logits_of_any_size_are_right_and_ignored_rows_count_nothing() {
        let op = CrossEntropy { ignored_label: Some(-100), ..CrossEntropy::default() };
        let logits = [1000.0, -1000.0, 0.0, 1000.0, f32::NAN, 1.0];
        let (loss, gradient) = evaluate(&op, &[3, 2], [&logits, &[0.0, 0.0, -100.0]], None, 1.0);
        assert_eq!((loss, gradient), (500.0, vec![0.0, 0.0, -0.5, 0.5, 0.0, 0.0]));
        let (loss, gradient) = evaluate(&op, &[1, 2], [&[1.0, 2.0], &[-100.0]], None, 1.0);
        assert_eq!((loss, gradient), (0.0, vec![0.0; 2]), "nothing counts");
    }

    #[test]
    fn a_label_that_is_none_gives_nan() {
        for label in [-1.0, 2.0, 0.5, 1e9, f32::NAN] {
            for op in
                [CrossEntropy::default(), CrossEntropy { class_weights: Some(vec![1.0; 2]), ..CrossEntropy::default() }]
            {
                let (loss, gradient) = evaluate(&op, &[2, 2], [&[0.0; 4], &[0.0, label]], None, 1.0);
                assert!(loss.is_nan() && gradient[2..].iter().all(|x| x.is_nan()), "{label}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_shapes() {
        let op = CrossEntropy::default();
        let (logits, row) = (Shape::batched(&[3]), Shape::batched(&[]));
        let steps = [Shape::batched(&[5, 3]), Shape::batched(&[5])];
        assert_eq!(op.output_shape(&[logits.clone(), row.clone()]), Ok(Shape::scalar()));
        assert_eq!(op.output_shape(&[logits.clone(), logits.clone(), row.clone()]), Ok(Shape::scalar()));
        assert_eq!(op.output_shape(&[steps[0].clone(), steps[1].clone(), row.clone()]), Ok(Shape::scalar()));
        assert_eq!(op.output_shape(&[steps[0].clone(), steps[1].clone(), steps[1].clone()]), Ok(Shape::scalar()));
        let weighted = CrossEntropy { class_weights: Some(vec![1.0; 4]), ..op.clone() };
        for (op, inputs, parts) in [
            (
                &op,
                vec![logits.clone(), Shape::batched(&[1])],
                ["labels [batch] or soft targets [batch, 3]", "got [batch, 1]"],
            ),
            (&op, vec![row.clone(), row.clone()], ["classes", "got [batch]"]),
            (&op, vec![Shape::batched(&[0]), row.clone()], ["classes", "got [batch, 0]"]),
            (&op, vec![logits.clone(), row.clone(), logits.clone()], ["expected [batch]", "got [batch, 3]"]),
            (&weighted, vec![logits, row], ["class weights: expected 3", "got 4"]),
        ] {
            let message = op.output_shape(&inputs).expect_err("it does not fit").to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
