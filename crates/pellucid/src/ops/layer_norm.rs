//! Layer normalisation: y = (x - mean) / √(variance + eps) · weight + bias, mean and variance being those of each sample's
//! last axes.
//!
//! Shapes: x [rows…, sizes…], weight and (if there is one) bias [sizes…] → y as x: the shape of the weight says over which
//! axes. With x̂ = (x - mean) / √(variance + eps) of n values, and g = dy · weight:
//!
//! * ∂L/∂bias = Σ_rows dy, ∂L/∂weight = Σ_rows dy x̂
//! * ∂L/∂x = (g - (Σ g) / n - x̂ (Σ g x̂) / n) / √(variance + eps)
//!
//! Nothing is saved: the backward pass computes mean and variance of a row again, which is in the cache by then. (Ba, Kiros
//! and Hinton, "Layer normalization", 2016.)

use kernels::normalise::{RowNorm, normalise_rows};

use super::check::{Case, Input};
use super::{
    Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, row_norm,
};
use crate::tensor::{Dim, Shape, Tensor};

/// Layer normalisation with inputs x, weight and, unless there is none, bias.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayerNorm {
    /// Added to the variance; 1e-5.
    pub eps: f32,
}

impl Default for LayerNorm {
    fn default() -> LayerNorm {
        LayerNorm { eps: 1e-5 }
    }
}

/// Refuses a weight whose sizes are not those of the last axes of x, and a bias of another shape.
pub(super) fn check_last_axes(x: &Shape, weight: &Shape, bias: Option<&Shape>) -> Result<(), ShapeError> {
    let axes = weight.axes();
    let fits = !axes.is_empty()
        && x.axes().ends_with(axes)
        && axes.iter().all(|axis| matches!(axis, Dim::Fixed(size) if *size > 0));
    if !fits {
        return Err(ShapeError::size("shape of the weight", format!("the last axes of {x}"), weight));
    }
    match bias.filter(|bias| *bias != weight) {
        Some(bias) => Err(ShapeError::size("shape of the bias", weight, bias)),
        None => Ok(()),
    }
}

impl LayerNorm {
    fn norm(&self, weight: Tensor) -> RowNorm {
        RowNorm { n: weight.elements(), groups: 1, span: 1, eps: self.eps, centred: true }
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_setting("eps", self.eps, "a number from 0 on", |eps| eps >= 0.0)?;
        let (x, weight, bias) = match inputs {
            [x, weight] => (x, weight, None),
            [x, weight, bias] => (x, weight, Some(bias)),
            _ => return Err(ShapeError::InputCount { expected: "2 or 3", found: inputs.len() }),
        };
        check_last_axes(x, weight, bias).map(|()| x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        row_norm::memory(at, 1, training)
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        8 * at.output_elements() as u64
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some([
            "y = w x̂ + b, x̂ = (x - mean) / √(variance + ε), for each row",
            "∂L/∂x = (g - mean g - x̂ mean(g x̂)) / √(variance + ε), g = dy w",
        ])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let n = at.inputs[1].len();
        let weight = |place: usize| at.inputs[1][place % n];
        let bias = |place: usize| at.inputs.get(2).map_or(0.0, |bias| bias[place % n]);
        Some(row_norm::reference(&at.inputs[0], n, self.eps, true, weight, bias))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, weight] = [pass.inputs[0], pass.inputs[1]];
        let bias = pass.inputs.get(2).map_or(&[][..], |bias| bias.data);
        normalise_rows(run.device, &self.norm(weight), x.data, weight.data, bias, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let norm = self.norm(pass.inputs[1]);
        row_norm::backward(run.device, &norm, pass);
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |sample: &[usize], axes: usize, with_bias: bool| {
        let sizes = &sample[sample.len() - axes..];
        let mut inputs = vec![Input::batched(sample), Input::fixed(sizes)];
        inputs.extend(with_bias.then(|| Input::fixed(sizes)));
        let (x, weight) = (Shape::batched(sample), Shape::fixed(sizes));
        let wrong = weight.with_last(sizes[axes - 1] + 1);
        row_norm::bounded(Case::new(LayerNorm { eps: 1e-3 }, inputs))
            .named(format!("{axes} of {sample:?}{}", if with_bias { "" } else { ", without bias" }))
            .refuses([x.clone()], "takes 2 or 3 inputs, got 1")
            .refuses([x.clone(), wrong.clone()], "shape of the weight: expected the last axes of")
            .refuses([x.clone(), Shape::scalar()], "shape of the weight: expected the last axes of")
            .refuses([x, weight, wrong], "shape of the bias")
    };
    vec![of(&[10], 1, true), of(&[3, 17], 1, true), of(&[3, 10], 2, true), of(&[40], 1, false), of(&[4, 300], 2, true)]
}
