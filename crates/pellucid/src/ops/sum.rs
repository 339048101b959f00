//! Sum over the last axis: y = Σⱼ xⱼ, [rows…, n] → [rows…]; ∂L/∂xⱼ = dy.

use kernels::reduce::row_sums;

use super::{Backward, Forward, Op, Reads, Run, ShapeError, Sizes};
use crate::tensor::Shape;

/// y = Σⱼ xⱼ over the last axis
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Sum;

impl Op for Sum {
    fn name(&self) -> &'static str {
        "ReduceSum"
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

    fn forward(&self, run: &Run, pass: Forward) {
        let (_, n) = pass.inputs[0].as_rows();
        row_sums(run.device, n, pass.inputs[0].data, pass.output);
    }

    fn backward(&self, run: &Run, mut pass: Backward) {
        let (rows, n) = pass.inputs[0].as_rows();
        let Some(dx) = &mut pass.dx[0] else { return };
        run.device.split_rows(rows, (8192 / n).max(1), (dx, n), [], |first, dx, []| {
            for (dx, dy) in dx.chunks_exact_mut(n).zip(&pass.dy[first..]) {
                dx.fill(*dy);
            }
        });
    }
}
