//! Sum over the last axis: y = Σⱼ xⱼ, [rows…, n] → [rows…]; ∂L/∂xⱼ = dy.

use kernels::reduce::row_sums;

use super::check::{Bound, Case, Input};
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
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

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = Σ x", "∂L/∂x = dy"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(at.inputs[0].chunks(*at.dims[0].last()?).map(|x| x.iter().sum()).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (_, n) = pass.inputs[0].as_rows();
        row_sums(run.device, n, pass.inputs[0].data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (rows, n) = pass.inputs[0].as_rows();
        let Some(dx) = &mut pass.dx[0] else { return };
        run.device.split_rows(rows, (8192 / n).max(1), (dx, n), [], |first, dx, []| {
            for (dx, dy) in dx.chunks_exact_mut(n).zip(&pass.dy[first..]) {
                dx.fill(*dy);
            }
        });
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    cases_of(Sum)
}

/// The cases of an op that makes one value of each row by a sum.
pub(super) fn cases_of(op: impl Op + Copy + 'static) -> Vec<Case> {
    let of = |sample: &[usize]| {
        let n = *sample.last().expect("an axis");
        let value = Bound::magnitude(0.5 * (n as f64 + 2.0), "half a unit for each term");
        Case::new(op, [Input::batched(sample)])
            .named(format!("{sample:?}"))
            .batches([0, 1, 2, 5, 20_000 / n])
            .within(value, Bound::relative(1.0, "a quotient and a product"))
            .refuses([Shape::batched(&[])], "an axis after the batch")
            .refuses([Shape::batched(&[0])], "an axis after the batch")
            .refuses([Shape::scalar(), Shape::scalar()], "takes 1 inputs, got 2")
    };
    vec![of(&[1]), of(&[2, 7]), of(&[17]), of(&[100])]
}
