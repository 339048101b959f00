//! Softmax over the last axis: yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ), computed from x less its greatest value, so that nothing
//! overflows; ∂L/∂xᵢ = yᵢ (dyᵢ - Σⱼ yⱼ dyⱼ).
//!
//! A row with a NaN or +∞ becomes NaN. (Bridle, "Probabilistic interpretation of feedforward classification network
//! outputs", 1990.)

use kernels::softmax::{softmax, softmax_backward};

use super::check::{Bound, Case, Input, Values};
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
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

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = exp(x) / Σ exp(x)", "∂L/∂x = y (dy - Σ dy y)"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let row = |x: &[f64]| -> Vec<f64> {
            let greatest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = x.iter().map(|x| libm::exp(x - greatest)).sum();
            x.iter().map(|x| libm::exp(x - greatest) / sum).collect()
        };
        Some(at.inputs[0].chunks(*at.dims[0].last()?).flat_map(row).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (_, n) = pass.inputs[0].as_rows();
        softmax(run.device, n, pass.inputs[0].data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (_, n) = pass.output.as_rows();
        if let Some(dx) = &mut pass.dx[0] {
            softmax_backward(run.device, n, pass.output.data, pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(
        20.0,
        "half a unit of each distance from the greatest value, up to 30; exponential, sum, quotient",
    );
    let gradient = Bound::relative(20.0, "that of y; the difference cancels in units of dy").and_absolute(4.0);
    let of = |sample: &[usize], spread: f32| {
        let n = *sample.last().expect("an axis");
        let input = Input::new(Shape::batched(sample), Values::Normal(spread));
        Case::new(Softmax, [input])
            .named(format!("{sample:?}"))
            .batches([0, 1, 2, 5, 17, 700 / n])
            .within(value, gradient)
            .refuses([Shape::batched(&[])], "an axis after the batch")
            .refuses([Shape::batched(&[0])], "an axis after the batch")
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "takes 1 inputs, got 2")
    };
    vec![of(&[1], 1.0), of(&[2], 5.0), of(&[10], 1.0), of(&[3, 17], 5.0), of(&[33], 1.0), of(&[100], 5.0)]
}
