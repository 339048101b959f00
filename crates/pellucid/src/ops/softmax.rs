//! Softmax over the last axis: yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ), computed from x less its greatest value, so that nothing
//! overflows; ∂L/∂xᵢ = yᵢ (dyᵢ - Σⱼ yⱼ dyⱼ).
//!
//! A row with a NaN or +∞ becomes NaN. (Bridle, "Probabilistic interpretation of feedforward classification network
//! outputs", 1990.)

use kernels::softmax::{softmax, softmax_backward};

use super::{Backward, Forward, Op, Reads, Run, ShapeError, Sizes};
use crate::tensor::Shape;

/// yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ) over the last axis
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Softmax;

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "Softmax"
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
        softmax(run.device, n, pass.inputs[0].data, pass.output);
    }

    fn backward(&self, run: &Run, mut pass: Backward) {
        let (_, n) = pass.output.as_rows();
        if let Some(dx) = &mut pass.dx[0] {
            softmax_backward(run.device, n, pass.output.data, pass.dy, dx);
        }
    }
}
