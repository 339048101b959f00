//! The lengths of sequences that are padded: tokens [batch, time] → [batch], the number of tokens before the padding at the
//! end, 1 at least; or of steps [batch, time, features], whose last feature tells padding. They have no gradient.

use super::check::{Bound, Case, Input, Values};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// How many tokens stand before the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceLengths {
    /// The token of padding, or the last feature of a step of padding.
    pub padding: u32,
}

impl Op for SequenceLengths {
    fn name(&self) -> &'static str {
        "SequenceLengths"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [tokens] = ShapeError::expect_inputs::<1>(inputs)?;
        match tokens.axes() {
            [Dim::Batch, Dim::Fixed(1..)] | [Dim::Batch, Dim::Fixed(1..), Dim::Fixed(1..)] => Ok(Shape::batched(&[])),
            _ => {
                let expected = "[batch, time] or [batch, time, features] with a step at least";
                Err(ShapeError::size("shape of the tokens", expected, tokens))
            }
        }
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn differentiable(&self, _: usize) -> bool {
        false
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let features: usize = at.dims[0][2..].iter().product();
        let is_real = |step: &[f64]| step[features - 1] != f64::from(self.padding as f32);
        let length = |row: &[f64]| row.chunks(features).rposition(is_real).map_or(1.0, |last| last as f64 + 1.0);
        Some(at.inputs[0].chunks(at.dims[0][1] * features).map(length).collect())
    }

    fn forward(&self, _: &Run, pass: Forward) {
        let tokens = pass.inputs[0];
        let padding = self.padding as f32;
        let features: usize = tokens.dims[2..].iter().product();
        for (length, steps) in pass.output.iter_mut().zip(tokens.data.chunks_exact(tokens.dims[1] * features)) {
            let last = steps.chunks_exact(features).rposition(|step| step[features - 1] != padding);
            *length = last.map_or(1, |last| last + 1) as f32;
        }
    }

    fn backward(&self, _: &Run, _: Backward) {}
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let tokens = Input::new(Shape::batched(&[5]), Values::Labels(3));
    let case = Case::new(SequenceLengths { padding: 2 }, [tokens])
        .batches([1, 2, 40])
        .within(Bound::EXACT, Bound::EXACT)
        .refuses([], "takes 1 inputs, got 0")
        .refuses([Shape::batched(&[5, 1, 1])], "shape of the tokens: expected [batch, time]");
    let steps = Input::new(Shape::batched(&[5, 3]), Values::Labels(2));
    let of_steps = Case::new(SequenceLengths { padding: 0 }, [steps])
        .named("of steps")
        .batches([1, 40])
        .within(Bound::EXACT, Bound::EXACT);
    vec![case, of_steps]
}
