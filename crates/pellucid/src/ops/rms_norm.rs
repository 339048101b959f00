//! RMS normalisation: y = x / √(mean of x² + eps) · weight, over each sample's last axes.
//!
//! Shapes: x [rows…, sizes…], weight [sizes…] → y as x: the shape of the weight says over which axes. With
//! x̂ = x / √(mean of x² + eps) of n values, and g = dy · weight: ∂L/∂weight = Σ_rows dy x̂, and
//! ∂L/∂x = (g - x̂ (Σ g x̂) / n) / √(mean of x² + eps).
//!
//! (Zhang and Sennrich, "Root mean square layer normalization", 2019.)

use kernels::normalise::{RowNorm, normalise_rows};

use super::check::{Case, Input};
use super::layer_norm::check_last_axes;
use super::{
    Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, row_norm,
};
use crate::tensor::{Shape, Tensor};

/// RMS normalisation with inputs x and weight.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsNorm {
    /// Added to the mean square; 2⁻²³, as in PyTorch.
    pub eps: f32,
}

impl Default for RmsNorm {
    fn default() -> RmsNorm {
        RmsNorm { eps: f32::EPSILON }
    }
}

impl RmsNorm {
    fn norm(&self, weight: Tensor) -> RowNorm {
        RowNorm { n: weight.elements(), groups: 1, span: 1, eps: self.eps, centred: false }
    }
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "RMSNormalization"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_setting("eps", self.eps, "a number from 0 on", |eps| eps >= 0.0)?;
        let [x, weight] = ShapeError::expect_inputs::<2>(inputs)?;
        check_last_axes(x, weight, None).map(|()| x.clone())
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
        4 * at.output_elements() as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let n = at.inputs[1].len();
        Some(row_norm::reference(&at.inputs[0], n, self.eps, false, |place| at.inputs[1][place % n], |_| 0.0))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, weight] = [pass.inputs[0], pass.inputs[1]];
        normalise_rows(run.device, &self.norm(weight), x.data, weight.data, &[], pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let norm = self.norm(pass.inputs[1]);
        row_norm::backward(run.device, &norm, pass);
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |sample: &[usize], axes: usize| {
        let sizes = &sample[sample.len() - axes..];
        let x = Shape::batched(sample);
        let wrong = Shape::fixed(sizes).with_last(sizes[axes - 1] + 1);
        row_norm::bounded(Case::new(RmsNorm { eps: 1e-3 }, [Input::batched(sample), Input::fixed(sizes)]))
            .named(format!("{axes} of {sample:?}"))
            .refuses([x.clone()], "takes 2 inputs, got 1")
            .refuses([x, wrong], "shape of the weight: expected the last axes of")
    };
    vec![of(&[10], 1), of(&[3, 17], 1), of(&[3, 10], 2), of(&[70], 1)]
}
