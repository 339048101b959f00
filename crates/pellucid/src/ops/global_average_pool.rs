//! Global average pooling: the mean of each channel.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, 1] or [batch, channels, 1, 1].
//! ∂L/∂x = dy / count at every place.

use kernels::pooling::{average_pool, average_pool_backward};

use super::check::{Bound, Case, Input, Sample};
use super::{Backward, Forward, Op, Reads, Run, ShapeError, Sizes, parts};
use crate::tensor::Shape;

/// The mean of each channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GlobalAveragePool;

impl Op for GlobalAveragePool {
    fn name(&self) -> &'static str {
        "GlobalAveragePool"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        parts::global_shape(inputs)
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
    let of = |sample: &[usize]| {
        let reference = |at: &Sample| {
            parts::each_part(&at.inputs[0], &at.dims[0], at.output_dims, |part| {
                part.iter().sum::<f64>() / part.len() as f64
            })
        };
        Case::new(GlobalAveragePool, [Input::batched(sample)], reference)
            .named(format!("{sample:?}"))
            .within(bound, bound)
            .refuses(
                [Shape::batched(&[4])],
                "shape of the input: expected [batch, channels, height, width], got [batch, 4]",
            )
            .refuses([Shape::batched(sample), Shape::batched(sample)], "takes 1 inputs, got 2")
            .refuses([Shape::batched(sample).with_last(0)], "shape of the input: expected [batch, channels,")
    };
    vec![of(&[3, 1, 1]), of(&[2, 7, 7]), of(&[5, 28, 27]), of(&[3, 4, 50]), of(&[2, 9]), of(&[3, 70])]
}
