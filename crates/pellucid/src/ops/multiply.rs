//! Multiplication, element by element: z = x y; ∂L/∂x = dz y, ∂L/∂y = dz x, summed over the rows where y is one row for
//! all.

use kernels::binary::{self, Mul};

use super::check::Case;
use super::{Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, broadcast};
use crate::tensor::Shape;

/// z = x y, where y has the shape of x or its last axes
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Multiply;

impl Op for Multiply {
    fn name(&self) -> &'static str {
        "Mul"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        broadcast::output_shape(inputs)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        // dz x of every row, before it is summed.
        let is_row = at.input_elements(0) != at.input_elements(1);
        Memory { backward: if training && is_row { at.output_elements() } else { 0 }, ..Memory::default() }
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
        Some(["y = x₁ x₂", "∂L/∂x₁ = dy x₂, ∂L/∂x₂ = dy x₁"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(broadcast::reference(at, |x, y| x * y))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        broadcast::forward(run.device, Mul, pass);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [x, y] = [pass.inputs[0].data, pass.inputs[1].data];
        let is_row = x.len() != y.len();
        let [dx, dy] = &mut pass.dx[..] else { return };
        if let Some(dy) = dy {
            let dz = broadcast::output_gradient(pass.dy, dx);
            if is_row {
                let products = &mut pass.scratch[..dz.len()];
                binary::zip(run.device, Mul, dz, x, products);
                broadcast::sum_to(run.device, pass.inputs, products, dy);
            } else {
                binary::zip(run.device, Mul, dz, x, dy);
            }
        }
        if let Some(dx) = dx {
            broadcast::apply(run.device, Mul, pass.inputs, pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    broadcast::cases(Multiply)
}
