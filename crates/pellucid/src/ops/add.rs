//! Addition: z = x + y; ∂L/∂x = dz, ∂L/∂y = dz, summed over the rows where y is one row for all.

use kernels::binary;

use super::check::Case;
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, broadcast};
use crate::tensor::Shape;

/// z = x + y, where y has the shape of x or its last axes
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "Add"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        broadcast::output_shape(inputs)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.output_elements() as u64
    }

    fn in_place(&self) -> bool {
        true
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = x₁ + x₂", "∂L/∂x₁ = dy, ∂L/∂x₂ = dy"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(broadcast::reference(at, |x, y| x + y))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        broadcast::forward(run.device, binary::Add, pass);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [dx, dy] = &mut pass.dx[..] else { return };
        if let Some(dy) = dy {
            broadcast::sum_to(run.device, pass.inputs, broadcast::output_gradient(pass.dy, dx), dy);
        }
        if let Some(dx) = dx.as_mut().filter(|_| !pass.dy.is_empty()) {
            dx.copy_from_slice(pass.dy);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    broadcast::cases(Add)
}
