//! Logarithm of softmax over the last axis: yᵢ = xᵢ - log Σⱼ exp(xⱼ), computed from x less its greatest value, so that
//! nothing overflows and no logarithm of zero is taken; ∂L/∂xᵢ = dyᵢ - exp(yᵢ) Σⱼ dyⱼ.
//!
//! A row with a NaN or +∞ becomes NaN.

use kernels::softmax::{log_softmax, log_softmax_backward};

use super::{Backward, Forward, Op, Reads, Run, ShapeError, Sizes};
use crate::tensor::Shape;

/// yᵢ = xᵢ - log Σⱼ exp(xⱼ) over the last axis
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LogSoftmax;

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "LogSoftmax"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        ShapeError::expect_last_axis(x).map(|_| x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::OUTPUT
    }

    fn flops(&self, at: Sizes) -> u64 {
        13 * at.output_elements() as u64
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (_, n) = pass.inputs[0].as_rows();
        log_softmax(run.device, n, pass.inputs[0].data, pass.output);
    }

    fn backward(&self, run: &Run, mut pass: Backward) {
        let (_, n) = pass.output.as_rows();
        if let Some(dx) = &mut pass.dx[0] {
            log_softmax_backward(run.device, n, pass.output.data, pass.dy, dx);
        }
    }
}
