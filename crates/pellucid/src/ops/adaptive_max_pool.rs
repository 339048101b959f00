//! Adaptive max pooling: the greatest value of each of the even parts of a plane (`ops/parts.rs`), so that the output has the
//! same size whatever that of the input.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, output…]. ∂L/∂xₚ = Σ dyₒ over the parts in
//! which xₚ is the greatest value, the first of equal ones. A NaN in a part gives NaN.

use kernels::pooling::{adaptive_max_pool, adaptive_max_pool_backward};

use super::check::{Bound, Case, Input, Sample};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, ShapeError, Sizes, attributes_of, parts};
use crate::tensor::Shape;

/// The greatest value of each of the even parts of a channel.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveMaxPool {
    /// Places of the output along each axis (one or two) behind the channels.
    pub output: Vec<usize>,
}

impl Op for AdaptiveMaxPool {
    fn name(&self) -> &'static str {
        "AdaptiveMaxPool"
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

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        // The place of the greatest value within its plane.
        Memory { saved: if training { at.output_elements() } else { 0 }, ..Memory::default() }
    }

    fn flops(&self, at: Sizes) -> u64 {
        parts::flops(at)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        adaptive_max_pool(run.device, &parts::regions(x.dims, pass.dims), x.data, pass.output, pass.saved);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let regions = parts::regions(pass.inputs[0].dims, pass.output.dims);
        if let Some(dx) = &mut pass.dx[0] {
            adaptive_max_pool_backward(run.device, &regions, pass.saved, pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let gradient =
        Bound::relative(2.0, "a sum over the parts that hold a value, of up to four terms").and_absolute(2.0);
    let of = |sample: &[usize], output: &[usize]| {
        let reference = |at: &Sample| {
            parts::each_part(&at.inputs[0], &at.dims[0], at.output_dims, |part| {
                part.iter().copied().fold(f64::MIN, f64::max)
            })
        };
        let other = if output.len() == 1 { Shape::batched(&[4, 8, 8]) } else { Shape::batched(&[4, 8]) };
        Case::new(AdaptiveMaxPool { output: output.to_vec() }, [Input::batched(sample)], reference)
            .named(format!("{sample:?} to {output:?}"))
            .within(Bound::EXACT, gradient)
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
