//! Adaptive average pooling: the mean of each of the even parts of a plane (`ops/parts.rs`), so that the output has the same size
//! whatever that of the input.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, output…]. ∂L/∂xₚ = Σ dyₒ / countₒ over the
//! parts o that hold p.

use kernels::pooling::{average_pool, average_pool_backward};

use super::check::Case;
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, parts};
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

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(parts::means(at))
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
    parts::Closeness::of_means().adaptive_cases(|output| AdaptiveAveragePool { output })
}
