//! The greatest value over the steps of each sequence, for each feature alone: x [batch, time, …] and, if rows differ in length,
//! the lengths [batch] → y [batch, …]. ∂L/∂x is dy at the greatest value, the first of equal ones. A NaN gives NaN.

use super::check::{Bound, Case};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, steps};
use crate::tensor::Shape;

/// y = max_t x_t
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxOverTime {
    /// There is an input of lengths: padding does not count.
    pub lengths: bool,
}

impl Op for MaxOverTime {
    fn name(&self) -> &'static str {
        "MaxOverTime"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        steps::output_shape(self.lengths, inputs)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 0
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        // The step of each greatest value.
        Memory { saved: if training { at.output_elements() } else { 0 }, ..Memory::default() }
    }

    fn ignores_padding(&self, _: usize) -> bool {
        self.lengths
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.input_elements(0) as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(steps::reference(at, |x, width| {
            (0..width).map(|i| x.iter().skip(i).step_by(width).copied().fold(f64::NEG_INFINITY, f64::max)).collect()
        }))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (time, width) = steps::sizes(pass.inputs[0].dims);
        let rows = pass.inputs[0].dims[0];
        let saved = (pass.saved, width);
        let saved = if saved.0.is_empty() { (saved.0, 0) } else { saved };
        let chunk = (8192 / (time * width).max(1)).max(1);
        run.device.split_rows(rows, chunk, (pass.output, width), [saved], |first, y, [places]| {
            for (i, y) in y.chunks_exact_mut(width.max(1)).enumerate() {
                let row = first + i;
                let x = &pass.inputs[0].data[row * time * width..][..steps::length(pass.inputs, row) * width];
                let mut places = places.chunks_exact_mut(width.max(1)).nth(i);
                for (feature, y) in y.iter_mut().enumerate() {
                    let mut best = 0;
                    let value = |step: usize| x[step * width + feature];
                    for step in 1..x.len() / width {
                        if !(value(best).is_nan() || value(step) <= value(best)) {
                            best = step;
                        }
                    }
                    *y = value(best);
                    if let Some(places) = &mut places {
                        places[feature] = best as f32;
                    }
                }
            }
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (time, width) = steps::sizes(pass.inputs[0].dims);
        let Some(dx) = &mut pass.dx[0] else { return };
        steps::for_each_row(run.device, dx, time * width, time * width, |row, dx| {
            dx.fill(0.0);
            let places = pass.saved[row * width..][..width].iter().zip(&pass.dy[row * width..]);
            for (feature, (&step, &dy)) in places.enumerate() {
                dx[step as usize * width + feature] = dy;
            }
        });
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    steps::cases(|lengths| MaxOverTime { lengths }, Bound::EXACT, Bound::EXACT)
}
