//! The last step of each sequence: x [batch, time, …] and, if rows differ in length, the lengths [batch] → y [batch, …].
//!
//! ∂L/∂x is dy at that step and 0 at the others.

use super::check::{Bound, Case};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, steps};
use crate::tensor::Shape;

/// y = x at the last step
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Last {
    /// There is an input of lengths: the last step is that before the padding.
    pub lengths: bool,
}

impl Op for Last {
    fn name(&self) -> &'static str {
        "LastStep"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        steps::output_shape(self.lengths, inputs)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[1])
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 0
    }

    fn ignores_padding(&self, _: usize) -> bool {
        self.lengths
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(steps::reference(at, |x, width| x[x.len() - width..].to_vec()))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (time, width) = steps::sizes(pass.inputs[0].dims);
        steps::for_each_row(run.device, pass.output, width, width, |row, y| {
            let step = row * time + steps::length(pass.inputs, row) - 1;
            y.copy_from_slice(&pass.inputs[0].data[step * width..][..width]);
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (time, width) = steps::sizes(pass.inputs[0].dims);
        let Some(dx) = &mut pass.dx[0] else { return };
        steps::for_each_row(run.device, dx, time * width, time * width, |row, dx| {
            dx.fill(0.0);
            let last = (steps::length(pass.inputs, row) - 1) * width;
            dx[last..last + width].copy_from_slice(&pass.dy[row * width..][..width]);
        });
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    steps::cases(|lengths| Last { lengths }, Bound::EXACT, Bound::EXACT)
}
