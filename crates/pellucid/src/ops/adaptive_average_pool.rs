//! Adaptive average pooling: the mean of each of the even parts of a plane (`ops/parts.rs`), so that the output has the same size
//! whatever that of the input.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, output…]. ∂L/∂xₚ = Σ dyₒ / countₒ over the
//! parts o that hold p.

use kernels::pooling::{average_pool, average_pool_backward};

use super::check::{Bound, Case, Input, Sample};
use super::{Attributes, Backward, Forward, Op, Reads, Run, ShapeError, Sizes, attributes_of, parts};
use crate::tensor::Shape;

/// The mean of each of the even parts of a channel.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAveragePool {
    /// Places of the output along each axis (one or two) behind the channels.
    pub output: Vec<usize>,
}

impl Op for AdaptiveAveragePool {
    fn name(&self) -> &'static str {
        "AdaptiveAveragePool"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        parts::output_shape(&self.output, inputs)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, at: Sizes) -> u64 {
        parts::flops(at)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        average_pool(run.device, &parts::regions(x.dims, pass.dims), x.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let regions = parts::regions(pass.inputs[0].dims, pass.output.dims);
        if let Some(dx) = &mut pass.dx[0] {
            average_pool_backward(run.device, &regions, pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let bound = Bound::magnitude(
        60.0,
        "half a unit for each of the terms of a chain, up to 15 without lanes; a few parts overlap",
    );
    let of = |sample: &[usize], output: &[usize]| {
        let reference = |at: &Sample| {
            parts::each_part(&at.inputs[0], &at.dims[0], at.output_dims, |part| {
                part.iter().sum::<f64>() / part.len() as f64
            })
        };
        let other = if output.len() == 1 { Shape::batched(&[4, 8, 8]) } else { Shape::batched(&[4, 8]) };
        Case::new(AdaptiveAveragePool { output: output.to_vec() }, [Input::batched(sample)], reference)
            .named(format!("{sample:?} to {output:?}"))
            .within(bound, bound)
            .refuses([other.clone()], "shape of the input: expected [batch, channels,")
            .refuses([other.clone(), other], "takes 1 inputs, got 2")
    };
    vec![
        of(&[3, 9, 8], &[3, 2]),
        of(&[2, 10, 50], &[3, 7]),
        of(&[2, 5, 70], &[2, 3]),
        of(&[1, 4, 4], &[4, 4]),
        of(&[1, 3, 2], &[5, 4]),
        of(&[2, 6, 6], &[1, 1]),
        of(&[3, 35], &[4]),
    ]
}
