//! Reshape: other sizes for the same values in the same order, [batch, a, b, …] → [batch, c, d, …]. A view.

use super::check::{Bound, Case, Input};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, view};
use crate::tensor::{Dim, Shape};

/// Every sample gets the sizes `shape`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The sizes after the batch; their product is the number of values of a sample.
    pub shape: Vec<usize>,
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let sample = ShapeError::expect_sample(x)?;
        let sizes = self.shape.iter().map(|&size| Dim::Fixed(size));
        let shape = Shape::new([Dim::Batch].into_iter().chain(sizes))?;
        let elements: usize = sample.iter().product();
        if shape.checked_elements(1) != Some(elements) {
            let found = format!("{elements} ({x})");
            return Err(ShapeError::size("values of a sample", format!("as many as {shape} has"), found));
        }
        Ok(shape)
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
    let of = |from: &[usize], to: &[usize]| {
        Case::new(Reshape { shape: to.to_vec() }, [Input::batched(from)])
            .named(format!("{from:?} to {to:?}"))
            .within(Bound::EXACT, Bound::EXACT)
            .refuses([Shape::batched(&[13])], "values of a sample")
            .refuses([Shape::fixed(&[2, 3])], "expected [batch, …]")
    };
    vec![of(&[6], &[2, 3]), of(&[2, 3, 5], &[30]), of(&[1], &[])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_values_must_agree() {
        let reshape =
            |sizes: &[usize], to: &[usize]| Reshape { shape: to.to_vec() }.output_shape(&[Shape::batched(sizes)]);
        assert_eq!(reshape(&[6, 4], &[2, 3, 4]), Ok(Shape::batched(&[2, 3, 4])));
        assert_eq!(reshape(&[1], &[]), Ok(Shape::batched(&[])));
        let error = reshape(&[6, 4], &[5, 5]).expect_err("24 values are not 25").to_string();
        assert_eq!(error, "values of a sample: expected as many as [batch, 5, 5] has, got 24 ([batch, 6, 4])");
        assert!(reshape(&[1], &[1; 8]).is_err(), "more axes than there can be");
        assert!(reshape(&[1], &[usize::MAX, 2]).is_err(), "more values than there can be");
    }
}
