//! Learnt positions: each step gets the row of a table added that belongs to its position, y[b, t] = x[b, t] + weight[p].
//!
//! Shapes: x [batch, time, width], weight [context, width] → y as x, with p = t, counted from the beginning of the sequence,
//! whatever the window. ∂L/∂x = dy, ∂L/∂weight[p] = Σ_batch dy[b, t]. A position beyond the table gives NaN: whoever cuts
//! sequences into windows asks for [`Op::context`]. (Gehring et al., "Convolutional sequence to sequence learning", 2017.)

use kernels::binary;
use kernels::reduce::column_sums;

use super::broadcast::output_gradient;
use super::check::{Bound, Case, Input};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// Adds a row for each position, with the inputs x and weight.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearntPositions {
    /// Rows of the weight: steps that there are positions for.
    pub context: usize,
}

impl Op for LearntPositions {
    fn name(&self) -> &'static str {
        "LearntPositions"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x, weight] = ShapeError::expect_inputs::<2>(inputs)?;
        let &[Dim::Batch, Dim::Fixed(time @ 1..), width @ Dim::Fixed(1..)] = x.axes() else {
            return Err(ShapeError::size("shape of the input", "[batch, time, width]", x));
        };
        if weight.axes() != [Dim::Fixed(self.context), width] {
            let expected = format!("[{}, {}]", self.context, width.size(0));
            return Err(ShapeError::size("shape of the weight", expected, weight));
        }
        if time > self.context {
            return Err(ShapeError::size(
                "time steps",
                format!("at most {}, for which there are positions", self.context),
                time,
            ));
        }
        Ok(x.clone())
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

    fn context(&self) -> Option<usize> {
        Some(self.context)
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let window = at.dims[0][1] * at.dims[0][2];
        Some(at.inputs[0].iter().enumerate().map(|(i, x)| x + at.inputs[1][i % window]).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (x, weight) = (pass.inputs[0].data, pass.inputs[1].data);
        let (time, width) = (pass.dims[1], pass.dims[2]);
        let Some(rows) = weight.get(run.past * width..(run.past + time) * width) else {
            return pass.output.fill(f32::NAN);
        };
        if x.is_empty() {
            binary::zip_row_in_place(run.device, binary::Add, pass.output, rows);
        } else {
            binary::zip_row(run.device, binary::Add, x, rows, pass.output);
        }
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (time, width) = (pass.output.dims[1], pass.output.dims[2]);
        let [dx, dweight] = &mut pass.dx[..] else { return };
        if let Some(dweight) = dweight {
            dweight.fill(0.0);
            if let Some(rows) = dweight.get_mut(run.past * width..(run.past + time) * width) {
                column_sums(run.device, output_gradient(pass.dy, dx), rows);
            }
        }
        if let Some(dx) = dx.as_mut().filter(|_| !pass.dy.is_empty()) {
            dx.copy_from_slice(pass.dy);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |time: usize, width: usize, context: usize| {
        let gradient = Bound::magnitude(8.0, "half a unit for each row of a sum");
        let inputs = [Input::batched(&[time, width]), Input::fixed(&[context, width])];
        let [x, weight] = [Shape::batched(&[time, width]), Shape::fixed(&[context, width])];
        Case::new(LearntPositions { context }, inputs)
            .named(format!("{time} of {context} steps of {width}"))
            .within(Bound::ROUNDED, gradient)
            .refuses([x.clone()], "takes 2 inputs, got 1")
            .refuses([x.clone(), x.clone()], "shape of the weight: expected")
            .refuses([weight.clone(), weight.clone()], "shape of the input: expected [batch, time, width]")
            .refuses([Shape::batched(&[context + 1, width]), weight], "time steps: expected at most")
    };
    vec![of(1, 1, 1), of(5, 6, 8), of(40, 33, 40)]
}
