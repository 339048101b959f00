//! Adaptive max pooling: the greatest value of each of the even parts of a plane (`ops/parts.rs`), so that the output has the
//! same size whatever that of the input.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, output…]. ∂L/∂xₚ = Σ dyₒ over the parts in
//! which xₚ is the greatest value, the first of equal ones. A NaN in a part gives NaN.

use kernels::pooling::{adaptive_max_pool, adaptive_max_pool_backward};

use super::check::Case;
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, parts};
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

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(parts::greatest(at))
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
    parts::Closeness::of_greatest().adaptive_cases(|output| AdaptiveMaxPool { output })
}
