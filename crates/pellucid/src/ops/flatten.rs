//! Flatten: every sample becomes one row, [batch, a, b, …] → [batch, a·b·…]. A view.

use super::check::{Bound, Case, Input};
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, view};
use crate::tensor::Shape;

/// All axes but the batch become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Flatten;

impl Op for Flatten {
    fn name(&self) -> &'static str {
        "Flatten"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let sample = ShapeError::expect_sample(x)?;
        Ok(Shape::batched(&[sample.iter().product()]))
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn is_view(&self, _: bool) -> bool {
        true
    }

    fn in_place(&self) -> bool {
        true
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = x, in one row", "∂L/∂x = dy"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(at.inputs[0].clone())
    }

    fn forward(&self, _: &Run, pass: Forward) {
        view::forward(pass);
    }

    fn backward(&self, _: &Run, pass: Backward) {
        view::backward(pass);
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |sample: &[usize]| {
        Case::new(Flatten, [Input::batched(sample)])
            .named(format!("{sample:?}"))
            .within(Bound::EXACT, Bound::EXACT)
            .refuses([Shape::fixed(&[2, 3])], "expected [batch, …]")
            .refuses([Shape::scalar()], "expected [batch, …]")
    };
    vec![of(&[]), of(&[7]), of(&[2, 3, 5])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_stays() {
        assert_eq!(Flatten.output_shape(&[Shape::batched(&[3, 4, 5])]), Ok(Shape::batched(&[60])));
        assert_eq!(Flatten.output_shape(&[Shape::batched(&[])]), Ok(Shape::batched(&[1])));
        assert!(Flatten.output_shape(&[Shape::fixed(&[3, 4])]).is_err());
    }
}
