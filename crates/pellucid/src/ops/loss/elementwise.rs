//! Element-wise losses: a formula of one prediction and its target makes an op.

use std::fmt::Debug;

use kernels::pairwise::{self, Pairwise, RowWeights};
use serde::{Deserialize, Serialize};

use super::{Reduction, divided, expect_row_weights, rows_or_weights, split_inputs};
use crate::ops::check::{Bound, Case, Input, Values};
use crate::ops::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape, Tensor};

/// A loss of one prediction and its target, with a name; an [`Elementwise`] of one is an [`Op`].
pub trait ElementLoss: Pairwise + Debug + Default + Serialize + 'static {
    /// A name in the style of ONNX.
    const NAME: &'static str;

    /// Floating-point operations for one value, about.
    const FLOPS: u64;

    /// See [`Op::formulas`]; of one prediction p and its target t.
    const FORMULAS: Option<[&'static str; 2]> = None;

    /// The reduction where none is given.
    const REDUCTION: Reduction = Reduction::Mean;

    /// Refuses settings outside their range.
    fn check(&self) -> Result<(), ShapeError> {
        Ok(())
    }

    /// The loss of a prediction p and its target t in f64, by plain code: see [`Op::reference`].
    fn exact(&self, p: f64, t: f64) -> f64;
}

/// An element-wise loss: prediction of any shape, target of the same shape (for a prediction with a last axis of 1 that
/// axis may be missing), row weights for the first axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "F: ElementLoss + Deserialize<'de>"), deny_unknown_fields)]
pub struct Elementwise<F> {
    /// Settings of the formula.
    #[serde(flatten)]
    pub formula: F,
    /// How the losses of the values become one.
    #[serde(default = "default_reduction::<F>")]
    pub reduction: Reduction,
}

fn default_reduction<F: ElementLoss>() -> Reduction {
    F::REDUCTION
}

impl<F: ElementLoss> Default for Elementwise<F> {
    fn default() -> Elementwise<F> {
        Elementwise::from(F::default())
    }
}

impl<F: ElementLoss> From<F> for Elementwise<F> {
    fn from(formula: F) -> Elementwise<F> {
        Elementwise { formula, reduction: F::REDUCTION }
    }
}

impl<F: ElementLoss> Elementwise<F> {
    /// What the sum of the weighted losses is divided by.
    fn divisor(&self, run: &Run, inputs: &[Tensor]) -> f32 {
        let prediction = &inputs[0];
        let rows = || rows_or_weights(run.device, prediction, inputs.get(2).map(|weights| weights.data));
        match self.reduction {
            Reduction::Sum => 1.0,
            Reduction::BatchMean => rows(),
            Reduction::Mean => rows() * prediction.dims.iter().skip(1).product::<usize>() as f32,
        }
    }
}

fn row_weights<'a>(inputs: &[Tensor<'a>]) -> Option<RowWeights<'a>> {
    let weights = inputs.get(2)?.data;
    Some(RowWeights { weights, row_len: inputs[0].dims.iter().skip(1).product() })
}

impl<F: ElementLoss> Op for Elementwise<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        self.formula.check()?;
        let (prediction, target, weights) = split_inputs(inputs)?;
        // The values lie in the same order with an axis of 1 and without.
        let is_column = prediction.axes().split_last() == Some((&Dim::Fixed(1), target.axes()));
        if target != prediction && !is_column {
            return Err(ShapeError::size("shape of the target (that of the prediction)", prediction, target));
        }
        expect_row_weights(prediction, weights)?;
        Ok(Shape::scalar())
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1, 2])
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 0
    }

    fn flops(&self, sizes: Sizes) -> u64 {
        F::FLOPS * sizes.input_elements(0) as u64
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        F::FORMULAS
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let (rows, row_len) = (at.dims[0][0], at.dims[0].iter().skip(1).product::<usize>());
        let weight = |row: usize| at.inputs.get(2).map_or(1.0, |weights| weights[row]);
        let (mut total, mut divisor) = (0.0, 0.0);
        for row in 0..rows {
            for i in row * row_len..(row + 1) * row_len {
                total += weight(row) * self.formula.exact(at.inputs[0][i], at.inputs[1][i]);
            }
            divisor += weight(row) * if self.reduction == Reduction::Mean { row_len as f64 } else { 1.0 };
        }
        Some(vec![match self.reduction {
            Reduction::Sum => total,
            _ if divisor == 0.0 => 0.0,
            _ => total / divisor,
        }])
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [prediction, target] = [pass.inputs[0].data, pass.inputs[1].data];
        let total = pairwise::total(run.device, self.formula, prediction, target, row_weights(pass.inputs));
        pass.output[0] = divided(total, self.divisor(run, pass.inputs));
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [prediction, target] = [pass.inputs[0].data, pass.inputs[1].data];
        let Some(dx) = &mut pass.dx[0] else { return };
        let factor = divided(pass.dy[0], self.divisor(run, pass.inputs));
        pairwise::backward(run.device, self.formula, prediction, target, row_weights(pass.inputs), factor, dx);
    }
}

/// ULP of a loss that is a sum of positive terms: some 45 roundings in a chain, half a unit each, a quotient, and the
/// formula itself.
pub const SUM_ULP: f64 = 35.0;

/// Cases for an element-wise loss: every reduction, with row weights and without, targets with and without a last axis
/// of 1. `values` are those of predictions and targets.
pub fn element_cases<F: ElementLoss>(
    formula: F,
    [prediction, target]: [Values; 2],
    value: Bound,
    gradient: Bound,
) -> Vec<Case> {
    let of = |reduction: Reduction, sample: &[usize], target_sample: &[usize], weighted: bool, rows: usize| {
        let mut inputs = vec![
            Input::new(Shape::batched(sample), prediction.clone()),
            Input::new(Shape::batched(target_sample), target.clone()),
        ];
        if weighted {
            inputs.push(Input::new(Shape::batched(&[]), row_weight_values()));
        }
        let [one, other] = [sample, &[7, 7]].map(Shape::batched);
        Case::new(Elementwise { formula, reduction }, inputs)
            .named(format!("{formula:?}, {reduction:?}, {sample:?}{}", if weighted { ", weighted" } else { "" }))
            .batches([0, 1, 2, 5, rows])
            .within(value, gradient)
            .refuses([one.clone()], "takes 2 or 3 inputs, got 1")
            .refuses([one.clone(), other.clone()], "shape of the target")
            .refuses([one.clone(), one, other], "shape of the row weights")
    };
    vec![
        of(Reduction::Mean, &[3], &[3], false, 7001),
        of(Reduction::Mean, &[1], &[], true, 20_011),
        of(Reduction::Mean, &[4, 5], &[4, 5], true, 33),
        of(Reduction::Sum, &[17], &[17], false, 3),
        of(Reduction::Sum, &[], &[], true, 37),
        of(Reduction::BatchMean, &[2, 3], &[2, 3], false, 33),
        of(Reduction::BatchMean, &[3], &[3], true, 33),
    ]
}

/// Row weights of cases, 0 among them.
pub(super) fn row_weight_values() -> Values {
    Values::Choice(vec![0.0, 0.5, 1.0, 2.5])
}
