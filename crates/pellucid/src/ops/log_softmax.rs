//! Logarithm of softmax over the last axis: yᵢ = xᵢ - log Σⱼ exp(xⱼ), computed from x less its greatest value, so that
//! nothing overflows and no logarithm of zero is taken; ∂L/∂xᵢ = dyᵢ - exp(yᵢ) Σⱼ dyⱼ.
//!
//! A row with a NaN or +∞ becomes NaN.

use kernels::softmax::{log_softmax, log_softmax_backward};

use super::check::{Bound, Case, Input, Values};
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
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

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = x - ln Σ exp(x)", "∂L/∂x = dy - exp(y) Σ dy"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let row = |x: &[f64]| -> Vec<f64> {
            let greatest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = x.iter().map(|x| libm::exp(x - greatest)).sum();
            x.iter().map(|x| x - greatest - libm::log(sum)).collect()
        };
        Some(at.inputs[0].chunks(*at.dims[0].last()?).flat_map(row).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (_, n) = pass.inputs[0].as_rows();
        log_softmax(run.device, n, pass.inputs[0].data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (_, n) = pass.output.as_rows();
        if let Some(dx) = &mut pass.dx[0] {
            log_softmax_backward(run.device, n, pass.output.data, pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value =
        Bound::relative(2.0, "differences and a logarithm, of a sum that is off by some units").and_absolute(4.0);
    let gradient = Bound::relative(1.0, "exp(y) is off by 3 units, times Σ dy, which is some dy").and_absolute(12.0);
    let of = |sample: &[usize], spread: f32| {
        let n = *sample.last().expect("an axis");
        let input = Input::new(Shape::batched(sample), Values::Normal(spread));
        Case::new(LogSoftmax, [input])
            .named(format!("{sample:?}"))
            .batches([0, 1, 2, 5, 17, 700 / n])
            .within(value, gradient)
            .refuses([Shape::batched(&[])], "an axis after the batch")
            .refuses([Shape::batched(&[0])], "an axis after the batch")
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "takes 1 inputs, got 2")
    };
    vec![of(&[1], 1.0), of(&[2], 5.0), of(&[10], 1.0), of(&[3, 17], 5.0), of(&[33], 1.0), of(&[100], 5.0)]
}
