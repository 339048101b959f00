//! Parametric rectified linear unit: y = x where x > 0, else a x, with a slope a that is learnt, one for each channel
//! (axis 1) or one for all.
//!
//! Shapes: x [batch, channels, …], a [channels] or [1] → y as x. ∂L/∂x = dy where x > 0, else a dy (so at x = 0 too);
//! ∂L/∂a = Σ dy x over the places with x ≤ 0.
//!
//! He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.

use kernels::binary::{self, Binary, Mul};
use kernels::reduce::{column_sums, row_sums, sum};
use kernels::simd::Simd;

use super::check::{Bound, Case, Input, Values};
use super::{Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::{Dim, Shape};

/// y = x where x > 0, else a x. Inputs x and a.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Prelu;

/// Number of values that share a slope before the next slope begins; 0 where one slope is for all.
fn span(x: &[usize], slopes: usize) -> usize {
    if slopes == 1 { 0 } else { x[2..].iter().product() }
}

/// A slope for each value of a sample: the slopes themselves where that is enough, else spread over `row`.
fn spread<'a>(slope: &'a [f32], span: usize, row: &'a mut [f32]) -> &'a [f32] {
    if span <= 1 {
        return slope;
    }
    row.chunks_exact_mut(span).zip(slope).for_each(|(row, slope)| row.fill(*slope));
    row
}

impl Op for Prelu {
    fn name(&self) -> &'static str {
        "PRelu"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x, slope] = ShapeError::expect_inputs::<2>(inputs)?;
        let one = Shape::fixed(&[1]);
        match x.axes() {
            _ if *slope == one => Ok(x.clone()),
            [Dim::Batch, Dim::Fixed(channels), ..] if *slope == Shape::fixed(&[*channels]) => Ok(x.clone()),
            [Dim::Batch, Dim::Fixed(channels), ..] => {
                Err(ShapeError::size("shape of the slope", format!("[{channels}] (the channels) or [1]"), slope))
            }
            _ => Err(ShapeError::size("shape of the slope", one, slope)),
        }
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let span = span(at.inputs[0], at.input_elements(1));
        let row = if span > 1 { span * at.input_elements(1) } else { 0 };
        // Backward: the row of slopes, the row of their gradients, and every value's part in these.
        let backward = if training { 2 * row + at.output_elements() } else { 0 };
        Memory { saved: 0, forward: row, backward, ..Memory::default() }
    }

    fn flops(&self, at: Sizes) -> u64 {
        2 * at.output_elements() as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let span: usize = at.dims[0].iter().skip(2).product();
        let slope = |i: usize| at.inputs[1][i / span % at.inputs[1].len()];
        Some(at.inputs[0].iter().enumerate().map(|(i, &x)| if x > 0.0 { x } else { slope(i) * x }).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, slope] = [pass.inputs[0], pass.inputs[1]];
        let row = spread(slope.data, span(x.dims, slope.data.len()), pass.scratch);
        binary::zip_row(run.device, Value, x.data, row, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [x, slope] = [pass.inputs[0], pass.inputs[1]];
        let span = span(x.dims, slope.data.len());
        let row = if span > 1 { span * slope.data.len() } else { 0 };
        let (slopes, rest) = pass.scratch.split_at_mut(row);
        let (sums, products) = rest.split_at_mut(row);
        let [dx, da] = &mut pass.dx[..] else { return };
        if let Some(da) = da {
            let products = &mut products[..pass.dy.len()];
            binary::zip(run.device, SlopePart, pass.dy, x.data, products);
            match span {
                0 => da[0] = sum(run.device, products),
                1 => column_sums(run.device, products, da),
                _ => {
                    column_sums(run.device, products, sums);
                    row_sums(run.device, span, sums, da);
                }
            }
        }
        if let Some(dx) = dx {
            binary::zip_row(run.device, Derivative, x.data, spread(slope.data, span, slopes), dx);
            binary::zip_in_place(run.device, Mul, dx, pass.dy);
        }
    }
}

/// y from x and a
#[derive(Clone, Copy)]
struct Value;

impl Binary for Value {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, slope: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), x), x, s.mul(slope, x))
    }
}

/// ∂y/∂x from x and a
#[derive(Clone, Copy)]
struct Derivative;

impl Binary for Derivative {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, slope: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), x), s.splat(1.0), slope)
    }
}

/// dy ∂y/∂a from dy and x
#[derive(Clone, Copy)]
struct SlopePart;

impl Binary for SlopePart {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, dy: S::Float, x: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), x), s.splat(0.0), s.mul(dy, x))
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let gradient =
        Bound::relative(1.0, "a product; the sums of the slopes cancel, of some hundred terms").and_absolute(40.0);
    let of = |sample: &[usize], slopes: usize| {
        let x = Values::AwayFrom { spread: 1.5, kinks: vec![0.0], margin: 0.05 };
        Case::new(Prelu, [Input::new(Shape::batched(sample), x), Input::fixed(&[slopes])])
            .named(format!("{sample:?}, {slopes} slopes"))
            .batches([1, 2, 5, 600 / slopes])
            .within(Bound::ROUNDED, gradient)
            .refuses([Shape::batched(&[5])], "takes 2 inputs, got 1")
            .refuses([Shape::batched(&[5]), Shape::fixed(&[4])], "expected [5] (the channels) or [1], got [4]")
            .refuses([Shape::batched(&[]), Shape::fixed(&[4])], "shape of the slope: expected [1], got [4]")
    };
    vec![of(&[5], 5), of(&[5], 1), of(&[3, 2, 7], 3), of(&[3, 17], 1), of(&[1, 4], 1)]
}
