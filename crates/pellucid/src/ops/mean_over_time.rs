//! The mean over the steps of each sequence: y = Σ_t x_t / n over its n steps, x [batch, time, …] and, if rows differ in length,
//! the lengths [batch] → y [batch, …]. ∂L/∂x_t = dy / n, and 0 at padding.

use super::check::{Bound, Case};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, steps};
use crate::tensor::Shape;

/// y = Σ_t x_t / n
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanOverTime {
    /// There is an input of lengths: padding does not count.
    pub lengths: bool,
}

impl Op for MeanOverTime {
    fn name(&self) -> &'static str {
        "MeanOverTime"
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

    fn flops(&self, at: Sizes) -> u64 {
        at.input_elements(0) as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(steps::reference(at, |x, width| {
            let n = (x.len() / width) as f64;
            (0..width).map(|i| x.iter().skip(i).step_by(width).sum::<f64>() / n).collect()
        }))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (time, width) = steps::sizes(pass.inputs[0].dims);
        steps::for_each_row(run.device, pass.output, width, time * width, |row, y| {
            let length = steps::length(pass.inputs, row);
            let x = &pass.inputs[0].data[row * time * width..][..length * width];
            y.fill(0.0);
            for x in x.chunks_exact(width) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y /= length as f32);
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (time, width) = steps::sizes(pass.inputs[0].dims);
        let Some(dx) = &mut pass.dx[0] else { return };
        steps::for_each_row(run.device, dx, time * width, time * width, |row, dx| {
            let length = steps::length(pass.inputs, row);
            let dy = &pass.dy[row * width..][..width];
            let (real, padding) = dx.split_at_mut(length * width);
            for dx in real.chunks_exact_mut(width) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy / length as f32);
            }
            padding.fill(0.0);
        });
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::magnitude(0.5 * (6.0 + 1.0), "half a unit for each term, and one for the quotient");
    steps::cases(|lengths| MeanOverTime { lengths }, value, Bound::ROUNDED)
}
