//! Group normalisation: y = (x - mean) / √(variance + eps) · weight + bias, mean and variance being those of a group of
//! channels of one sample, weight and bias those of a channel.
//!
//! Shapes: x [batch, channels, …], weight and bias [channels] → y as x. One group is layer normalisation of the whole sample
//! (with a weight for each channel), as many groups as channels are instance normalisation. The gradients are those of layer
//! normalisation (`ops/layer_norm.rs`), those of weight and bias summed over the places of a channel too.
//!
//! (Wu and He, "Group normalization", 2018.)

use kernels::normalise::{RowNorm, normalise_rows};

use super::check::{Case, Input};
use super::{
    Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, row_norm,
};
use crate::tensor::{Dim, Shape};

/// Group normalisation with inputs x, weight and bias.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Groups of neighbouring channels; divides their number.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
}

impl GroupNorm {
    fn norm(&self, x: &[usize]) -> RowNorm {
        let span = x[2..].iter().product();
        RowNorm { n: x[1] / self.groups * span, groups: self.groups, span, eps: self.eps, centred: true }
    }
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "GroupNormalization"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_setting("eps", self.eps, "a number from 0 on", |eps| eps >= 0.0)?;
        let [x, weight, bias] = ShapeError::expect_inputs::<3>(inputs)?;
        let sample = ShapeError::expect_sample(x)?;
        let (Some(Dim::Fixed(channels)), false) = (x.axes().get(1), sample.contains(&0)) else {
            return Err(ShapeError::size("shape of the input", "[batch, channels, …], no size being 0", x));
        };
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            let expected = format!("a divisor of the {channels} channels");
            return Err(ShapeError::Setting { name: "groups", expected, found: self.groups.to_string() });
        }
        let expected = Shape::fixed(&[*channels]);
        for (name, found) in [("shape of the weight", weight), ("shape of the bias", bias)] {
            if *found != expected {
                return Err(ShapeError::size(name, format!("{expected} (the channels)"), found));
            }
        }
        Ok(x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        row_norm::memory(at, at.inputs[0][2..].iter().product(), training)
    }

    fn flops(&self, at: Sizes) -> u64 {
        8 * at.output_elements() as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let channels = at.dims[0][1];
        let span: usize = at.dims[0][2..].iter().product();
        let of_channel = |input: usize| move |place: usize| at.inputs[input][place / span % channels];
        let n = channels / self.groups * span;
        Some(row_norm::reference(&at.inputs[0], n, self.eps, true, of_channel(1), of_channel(2)))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, weight, bias] = [pass.inputs[0], pass.inputs[1], pass.inputs[2]];
        normalise_rows(run.device, &self.norm(x.dims), x.data, weight.data, bias.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let norm = self.norm(pass.inputs[0].dims);
        row_norm::backward(run.device, &norm, pass);
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |sample: &[usize], groups: usize| {
        let (x, channels) = (Shape::batched(sample), Shape::fixed(&sample[..1]));
        let wrong = Shape::fixed(&[sample[0] + 1]);
        let inputs = [Input::batched(sample), Input::fixed(&sample[..1]), Input::fixed(&sample[..1])];
        row_norm::bounded(Case::new(GroupNorm { groups, eps: 1e-3 }, inputs))
            .named(format!("{groups} of {sample:?}"))
            .refuses([x.clone(), channels.clone()], "takes 3 inputs, got 2")
            .refuses([x.clone(), wrong.clone(), channels.clone()], "shape of the weight")
            .refuses([x, channels.clone(), wrong], "shape of the bias")
            .refuses([Shape::batched(&[]), channels.clone(), channels], "[batch, channels, …]")
    };
    vec![of(&[6, 5, 3], 2), of(&[4, 17], 4), of(&[6, 7, 7], 1), of(&[12], 3), of(&[2, 40, 30], 2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_must_divide_the_channels() {
        let shapes = [Shape::batched(&[6, 2]), Shape::fixed(&[6]), Shape::fixed(&[6])];
        for groups in [0, 4, 12] {
            let error = GroupNorm { groups, eps: 1e-5 }.output_shape(&shapes).expect_err("no divisor").to_string();
            assert_eq!(error, format!("groups must be a divisor of the 6 channels, but it is {groups}"));
        }
    }
}
