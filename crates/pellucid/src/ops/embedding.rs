//! Embedding: each token is replaced by its row of a table, y[…] = weight[token].
//!
//! Shapes: tokens [batch, …], weight [vocabulary, width] → y [batch, …, width]. Tokens are whole numbers from 0 below the
//! vocabulary and have no gradient; ∂L/∂weight[v] = Σ dy over the places where v stands.
//!
//! A token that is no row of the table gives NaN, as a label that is no class does in the cross-entropy: an op has no
//! other way to say so, whoever reads the data checks tokens. (Bengio, Ducharme, Vincent and Jauvin, "A neural
//! probabilistic language model", 2003.)

use kernels::embedding::{look_up, look_up_backward};

use super::check::{Bound, Case, Input, Values};
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::{Dim, Shape};

/// Rows of a table, with the inputs tokens and weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Embedding;

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "Embedding"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [tokens, weight] = ShapeError::expect_inputs::<2>(inputs)?;
        let &[Dim::Fixed(1..), width @ Dim::Fixed(1..)] = weight.axes() else {
            return Err(ShapeError::size("shape of the weight", "[vocabulary, width]", weight));
        };
        Ok(Shape::new(tokens.axes().iter().copied().chain([width]))?)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0])
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 1
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = row of W for each token", "∂L/∂W = Σ dy over the places of each token"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let width = at.dims[1][1];
        let row = |&token: &f64| at.inputs[1][token as usize * width..][..width].to_vec();
        Some(at.inputs[0].iter().flat_map(row).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [tokens, weight] = [pass.inputs[0], pass.inputs[1]];
        look_up(run.device, weight.dims[1], weight.data, tokens.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [tokens, weight] = [pass.inputs[0], pass.inputs[1]];
        if let Some(dweight) = &mut pass.dx[1] {
            look_up_backward(run.device, weight.dims[1], tokens.data, pass.dy, dweight);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |sample: &[usize], vocabulary: usize, width: usize| {
        let tokens = Input::new(Shape::batched(sample), Values::Labels(vocabulary as u32));
        let gradient = Bound::magnitude(20.0, "half a unit for each place of a token");
        let [x, weight] = [Shape::batched(sample), Shape::fixed(&[vocabulary, width])];
        Case::new(Embedding, [tokens, Input::fixed(&[vocabulary, width])])
            .named(format!("{sample:?}, {vocabulary}x{width}"))
            .batches([0, 1, 2, 5])
            .within(Bound::EXACT, gradient)
            .refuses([x.clone()], "takes 2 inputs, got 1")
            .refuses([x.clone(), Shape::fixed(&[width])], "shape of the weight: expected [vocabulary, width]")
            .refuses([x.clone(), Shape::fixed(&[vocabulary, 0])], "shape of the weight: expected [vocabulary, width]")
            .refuses([Shape::fixed(&[1; 8]), weight], "9 axes; at most 8 are possible")
    };
    vec![of(&[], 3, 4), of(&[7], 11, 5), of(&[2, 3], 2, 17), of(&[30], 65, 40)]
}
