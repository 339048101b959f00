//! Global max pooling: the greatest value of each channel.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, 1] or [batch, channels, 1, 1].
//! ∂L/∂x = dy at the greatest value, the first of equal ones. A NaN gives NaN.

use kernels::pooling::{adaptive_max_pool, adaptive_max_pool_backward};

use super::check::Case;
use super::{Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, parts};
use crate::tensor::Shape;

/// The greatest value of each channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GlobalMaxPool;

impl Op for GlobalMaxPool {
    fn name(&self) -> &'static str {
        "GlobalMaxPool"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        parts::global_shape(inputs)
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

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = greatest x of each channel", "∂L/∂x = dy at the place of the greatest, else 0"])
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
    parts::Closeness::of_greatest().global_cases(GlobalMaxPool)
}
