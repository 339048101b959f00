//! Mean over the last axis: y = Σⱼ xⱼ / n, [rows…, n] → [rows…]; ∂L/∂xⱼ = dy / n.

use kernels::binary;
use kernels::reduce::row_sums;

use super::check::Case;
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, sum};
use crate::tensor::Shape;

/// y = Σⱼ xⱼ / n over the last axis
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mean;

impl Op for Mean {
    fn name(&self) -> &'static str {
        "ReduceMean"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        ShapeError::expect_last_axis(x)?;
        Ok(Shape::new(x.axes()[..x.rank() - 1].iter().copied())?)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.input_elements(0) as u64
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = Σ x / n", "∂L/∂x = dy / n"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let n = *at.dims[0].last()?;
        Some(at.inputs[0].chunks(n).map(|x| x.iter().sum::<f64>() / n as f64).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (_, n) = pass.inputs[0].as_rows();
        row_sums(run.device, n, pass.inputs[0].data, pass.output);
        binary::scale(run.device, 1.0 / n as f32, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (rows, n) = pass.inputs[0].as_rows();
        let Some(dx) = &mut pass.dx[0] else { return };
        let factor = 1.0 / n as f32;
        run.device.split_rows(rows, (8192 / n).max(1), (dx, n), [], |first, dx, []| {
            for (dx, dy) in dx.chunks_exact_mut(n).zip(&pass.dy[first..]) {
                dx.fill(dy * factor);
            }
        });
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    sum::cases_of(Mean)
}
