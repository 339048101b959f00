//! Global average pooling: the mean of each channel.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, 1] or [batch, channels, 1, 1].
//! ∂L/∂x = dy / count at every place.

use kernels::pooling::{average_pool, average_pool_backward};

use super::check::Case;
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, parts};
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

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = mean of each channel", "∂L/∂x = dy / places"])
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
    parts::Closeness::of_means().global_cases(GlobalAveragePool)
}
