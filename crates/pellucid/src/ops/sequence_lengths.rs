//! The lengths of sequences that are padded: tokens [batch, time] → [batch], the number of tokens before the padding at the
//! end, 1 at least. They have no gradient.

use super::check::{Bound, Case, Input, Values};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// How many tokens stand before the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceLengths {
    /// The token of padding.
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
            [Dim::Batch, Dim::Fixed(1..)] => Ok(Shape::batched(&[])),
            _ => Err(ShapeError::size("shape of the tokens", "[batch, time] with a step at least", tokens)),
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
        let is_real = |token: &f64| *token != f64::from(self.padding as f32);
        let length = |row: &[f64]| row.iter().rposition(is_real).map_or(1.0, |last| last as f64 + 1.0);
        Some(at.inputs[0].chunks(at.dims[0][1]).map(length).collect())
    }

    fn forward(&self, _: &Run, pass: Forward) {
        let tokens = pass.inputs[0];
        let padding = self.padding as f32;
        for (length, tokens) in pass.output.iter_mut().zip(tokens.data.chunks_exact(tokens.dims[1])) {
            let last = tokens.iter().rposition(|token| *token != padding);
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
        .refuses([Shape::batched(&[5, 1])], "shape of the tokens: expected [batch, time]");
    vec![case]
}
