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

use super::{Reduction, divided, rows_or_weights, split_inputs};
use crate::ops::{Attributes, Backward, Forward, Memory, Op, Reads, Run, ShapeError, Sizes, attributes_of};
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
    let last = prediction.axes().split_last();
    let Some((Dim::Fixed(classes @ 1..=MAX_CLASSES), rows)) = last else {
        return Err(ShapeError::size("last axis of the prediction", "1 to 16777216 classes", prediction));
    };
    if target.axes() != rows && target != prediction {
        let labels = Shape::new(rows.iter().copied())?;
        let expected = format!("class labels {labels} or soft targets {prediction}");
        return Err(ShapeError::size("shape of the target", expected, target));
    }
    if let Some(weights) = weights
        && (rows.is_empty() || weights.axes() != &rows[..1] && weights.axes() != rows)
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
        Memory { saved, forward: rows + spread, backward: 0 }
    }

    fn flops(&self, sizes: Sizes) -> u64 {
        25 * sizes.input_elements(0) as u64
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

#[cfg(test)]
mod tests {
    use super::super::tests::{evaluate, pairs};
    use super::*;

    /// The definition, in f64; without the reduction's divisor. Labels are given as soft targets, ignored rows as zeros.
    pub(in super::super) fn definition(op: &CrossEntropy, n: usize, x: &[f64], t: &[f64], weights: &[f64]) -> f64 {
        let smoothing = f64::from(op.label_smoothing);
        let mut total = 0.0;
        for (row, (x, t)) in x.chunks(n).zip(t.chunks(n)).enumerate() {
            let log_sum = libm::log(x.iter().map(|&x| libm::exp(x)).sum());
            for j in 0..n {
                let class_weight = op.class_weights.as_ref().map_or(1.0, |weights| f64::from(weights[j]));
                let q = class_weight * ((1.0 - smoothing) * t[j] + smoothing / n as f64);
                let counts = if t.iter().all(|&t| t == 0.0) { 0.0 } else { weights[row] };
                total += counts * q * (log_sum - x[j]);
            }
        }
        total
    }

    struct Example<'a> {
        op: CrossEntropy,
        dims: &'a [usize],
        soft: bool,
        weighted: bool,
    }

    /// Values and slopes against the definition.
    fn check(Example { op, dims, soft, weighted }: Example) {
        let (n, rows) = (dims[dims.len() - 1], dims[..dims.len() - 1].iter().product::<usize>());
        let x: Vec<f32> = pairs().iter().cycle().take(rows * n).map(|pair| pair.0).collect();
        let labels: Vec<f32> = (0..rows).map(|row| (row * 2 % n) as f32).collect();
        let ignored = |row: usize| op.ignored_label.is_some_and(|label| label as f32 == labels[row]);
        let mut t = vec![0.0f32; rows * n];
        for row in 0..rows {
            for j in 0..n {
                t[row * n + j] = match (soft, labels[row] == j as f32) {
                    (true, is_label) => {
                        if is_label {
                            0.6
                        } else {
                            0.4 / (n - 1).max(1) as f32
                        }
                    }
                    (false, is_label) => f32::from(is_label && !ignored(row)),
                };
            }
        }
        let weights: Vec<f32> = (0..dims[0]).map(|row| (row % 3) as f32 + 0.5).collect();
        let weight_of = |row: usize| if weighted { f64::from(weights[row / (rows / dims[0])]) } else { 1.0 };
        let each: Vec<f64> = (0..rows).map(weight_of).collect();
        let mut divisor = 0.0;
        for row in 0..rows {
            let of_class = op.class_weights.as_ref().map_or(1.0, |weights| f64::from(weights[labels[row] as usize]));
            divisor += if soft {
                each[row]
            } else if ignored(row) {
                0.0
            } else {
                each[row] * of_class
            };
        }
        match op.reduction {
            Reduction::Sum => divisor = 1.0,
            Reduction::BatchMean if weighted => divisor = weights.iter().map(|&weight| f64::from(weight)).sum(),
            Reduction::BatchMean => divisor = dims[0] as f64,
            Reduction::Mean => (),
        }
        let target = if soft { &t } else { &labels };
        let (loss, gradient) = evaluate(&op, dims, [&x, target], weighted.then_some(&weights[..]), 2.0);
        let [mut x64, t64] = [&x, &t].map(|values| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>());
        let expected = definition(&op, n, &x64, &t64, &each) / divisor;
        assert!((f64::from(loss) - expected).abs() <= 2e-6 * expected.abs(), "{loss} for {expected}: {op:?}");
        for i in 0..x.len() {
            let h = 1e-4;
            let [above, below] = [h, -2.0 * h].map(|step| {
                x64[i] += step;
                definition(&op, n, &x64, &t64, &each)
            });
            x64[i] += h;
            let expected = 2.0 * (above - below) / (2.0 * h) / divisor;
            let off = (f64::from(gradient[i]) - expected).abs();
            assert!(off <= 1e-5 / divisor.max(1.0), "{} for {expected} at {i}: {op:?}", gradient[i]);
        }
    }

    #[test]
    fn formula_and_derivative() {
        let plain = CrossEntropy::default;
        for dims in [&[1, 2][..], &[6, 4], &[35, 10], &[3, 70], &[4, 3, 5]] {
            let n = dims[dims.len() - 1];
            let class_weights = Some((0..n).map(|j| 0.5 + (j % 4) as f32).collect::<Vec<_>>());
            let all = CrossEntropy {
                class_weights: class_weights.clone(),
                label_smoothing: 0.1,
                ignored_label: Some(1),
                reduction: Reduction::Mean,
            };
            for op in [
                plain(),
                CrossEntropy { reduction: Reduction::Sum, ..plain() },
                CrossEntropy { reduction: Reduction::BatchMean, ..plain() },
                CrossEntropy { class_weights, ..plain() },
                CrossEntropy { label_smoothing: 0.1, ..plain() },
                all,
            ] {
                for (soft, weighted) in [(false, false), (false, true), (true, false), (true, true)] {
                    let op = CrossEntropy { ignored_label: op.ignored_label.filter(|_| !soft), ..op.clone() };
                    check(Example { op, dims, soft, weighted });
                }
            }
        }
    }

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
