//! The same values for every row of a batch: x [batch, …] and c […] → [batch, …], c for each; ∂L/∂c = Σ_batch dy.

use kernels::reduce::column_sums;

use crate::ops::check::{Bound, Case, Input};
use crate::ops::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::{Dim, Shape};

/// The first input says how many rows there are, the second what each of them is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Spread;

impl Op for Spread {
    fn name(&self) -> &'static str {
        "Spread"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x, values] = ShapeError::expect_inputs::<2>(inputs)?;
        ShapeError::expect_sample(x)?;
        if values.axes().contains(&Dim::Batch) {
            return Err(ShapeError::size("shape of the values", "one without a batch", values));
        }
        Ok(Shape::new([Dim::Batch].into_iter().chain(values.axes().iter().copied()))?)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 1
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(at.inputs[1].repeat(at.output_dims[0]))
    }

    fn forward(&self, _: &Run, pass: Forward) {
        let values = pass.inputs[1].data;
        pass.output.chunks_exact_mut(values.len().max(1)).for_each(|row| row.copy_from_slice(values));
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if let Some(dvalues) = &mut pass.dx[1] {
            column_sums(run.device, pass.dy, dvalues);
        }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |sizes: &[usize]| {
        Case::new(Spread, [Input::batched(&[2]), Input::fixed(sizes)])
            .named(format!("{sizes:?}"))
            .within(Bound::EXACT, Bound::magnitude(4.0, "a sum over the rows"))
            .refuses([Shape::fixed(&[2]), Shape::fixed(&[2])], "expected [batch, …]")
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "shape of the values")
            .refuses([Shape::batched(&[2])], "takes 2 inputs, got 1")
    };
    vec![of(&[3, 4]), of(&[])]
}
