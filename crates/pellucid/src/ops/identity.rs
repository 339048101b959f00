//! Nothing: y = x, a view.

use super::check::{Bound, Case, Values};
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, view};
use crate::tensor::Shape;

/// y = x
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Identity;

impl Op for Identity {
    fn name(&self) -> &'static str {
        "Identity"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_inputs::<1>(inputs).map(|[x]| x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
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
        Some(["y = x", "∂L/∂x = dy"])
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
    vec![
        Case::elementwise(Identity, Values::Normal(1.0))
            .within(Bound::EXACT, Bound::EXACT)
            .refuses([Shape::scalar(), Shape::scalar()], "takes 1 inputs, got 2"),
    ]
}
