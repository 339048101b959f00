//! Arithmetic on two values, the second of which may be one row for all rows of the first, or a single step for all steps of
//! each sequence: shape rule and passes that addition, subtraction and multiplication share.

use kernels::binary::{self, Binary};
use kernels::device::Device;
use kernels::reduce::column_sums;

use super::check::{Bound, Case, Input, Values};
use super::{Forward, Op, Sample, ShapeError};
use crate::tensor::{Dim, Shape, Tensor};

/// The shape of the first input, if the second has the same, or its last axes without the batch, or the same but for a single
/// step on axis 1.
pub(super) fn output_shape(inputs: &[Shape]) -> Result<Shape, ShapeError> {
    let [x, y] = ShapeError::expect_inputs::<2>(inputs)?;
    let is_row = !y.axes().contains(&Dim::Batch) && x.axes().ends_with(y.axes());
    if x != y && !is_row && !is_step(x, y) {
        let expected = format!("{x}, its last axes, or a single step of it");
        return Err(ShapeError::size("shape of the second input", expected, y));
    }
    Ok(x.clone())
}

/// Has `y` [batch, 1, …] one step where `x` [batch, time, …] has some?
fn is_step(x: &Shape, y: &Shape) -> bool {
    let (x, y) = (x.axes(), y.axes());
    x.len() == y.len() && x.len() > 2 && x[0] == Dim::Batch && y[..2] == [Dim::Batch, Dim::Fixed(1)] && x[2..] == y[2..]
}

/// For a second input of one step: sequences, and values of a step.
fn steps(x: &[usize], y: &[usize]) -> Option<(usize, usize)> {
    let is_step = x.len() == y.len() && x.len() > 2 && x[1] != 1 && y[1] == 1;
    is_step.then(|| (x[0], y[2..].iter().product()))
}

/// z = f(x, y), also in place.
pub(super) fn forward(device: &Device, f: impl Binary, pass: Forward) {
    apply(device, f, pass.inputs, pass.inputs[0].data, pass.output);
}

/// z = f(x, y), where y is the second of `inputs` and x has the sizes of the first; in place of z if it is empty.
pub(super) fn apply(device: &Device, f: impl Binary, inputs: &[Tensor], x: &[f32], z: &mut [f32]) {
    let y = inputs[1].data;
    if let Some((sequences, width)) = steps(inputs[0].dims, inputs[1].dims) {
        let length = z.len() / sequences.max(1);
        for (number, (z, y)) in z.chunks_exact_mut(length.max(1)).zip(y.chunks_exact(width)).enumerate() {
            match x.is_empty() {
                true => binary::zip_row_in_place(device, f, z, y),
                false => binary::zip_row(device, f, &x[number * length..][..length], y, z),
            }
        }
        return;
    }
    let is_row = z.len() != y.len();
    match (x.is_empty(), is_row) {
        (false, false) => binary::zip(device, f, x, y, z),
        (false, true) => binary::zip_row(device, f, x, y, z),
        (true, false) => binary::zip_in_place(device, f, z, y),
        (true, true) => binary::zip_row_in_place(device, f, z, y),
    }
}

/// The gradient of the second input from that of what was added to every row or step: the same, or summed over the rows or the
/// steps of each sequence.
pub(super) fn sum_to(device: &Device, inputs: &[Tensor], gradient: &[f32], dy: &mut [f32]) {
    if let Some((sequences, width)) = steps(inputs[0].dims, inputs[1].dims) {
        let length = gradient.len() / sequences.max(1);
        for (gradient, dy) in gradient.chunks_exact(length.max(1)).zip(dy.chunks_exact_mut(width)) {
            column_sums(device, gradient, dy);
        }
    } else if gradient.len() == dy.len() {
        dy.copy_from_slice(gradient);
    } else {
        column_sums(device, gradient, dy);
    }
}

/// The gradient of the output, which in place lies where that of the first input will.
pub(super) fn output_gradient<'a>(dz: &'a [f32], dx: &'a Option<&mut [f32]>) -> &'a [f32] {
    match dx {
        Some(dx) if dz.is_empty() => dx,
        _ => dz,
    }
}

/// f(x, y) in f64: see [`Op::reference`].
pub(super) fn reference(at: &Sample, f: fn(f64, f64) -> f64) -> Vec<f64> {
    let y = &at.inputs[1];
    let steps = steps(&at.dims[0], &at.dims[1]);
    let place = |i: usize| match steps {
        Some((sequences, width)) => i / (at.inputs[0].len() / sequences) * width + i % width,
        None => i % y.len(),
    };
    at.inputs[0].iter().enumerate().map(|(i, &x)| f(x, y[place(i)])).collect()
}

/// Cases for `op`, whose reference is `f` on two numbers.
pub(super) fn cases(op: impl Op + Copy + 'static) -> Vec<Case> {
    let of = |name: &str, second: Shape| {
        let rows = 600.0;
        let gradient = Bound::magnitude(0.5 * (rows + 2.0), "half a unit for each row of a sum");
        Case::new(op, [Input::batched(&[2, 17]), Input::new(second, Values::Normal(1.0))])
            .named(name)
            .batches([1, 2, 5, rows as usize / 2])
            .within(Bound::ROUNDED, gradient)
            .refuses([Shape::batched(&[2])], "takes 2 inputs, got 1")
            .refuses([Shape::batched(&[2]), Shape::batched(&[3])], "shape of the second input")
    };
    vec![
        of("equal shapes", Shape::batched(&[2, 17])),
        of("a sample for all", Shape::fixed(&[2, 17])),
        of("a row for all", Shape::fixed(&[17])),
        of("a number for all", Shape::scalar()),
        of("a step for all", Shape::batched(&[1, 17])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_input_is_equal_or_a_row() {
        let x = Shape::batched(&[3, 4]);
        for y in [x.clone(), Shape::fixed(&[3, 4]), Shape::fixed(&[4]), Shape::scalar(), Shape::batched(&[1, 4])] {
            assert_eq!(output_shape(&[x.clone(), y]), Ok(x.clone()));
        }
        for y in [Shape::batched(&[4]), Shape::fixed(&[3]), Shape::fixed(&[1, 4]), Shape::fixed(&[2, 3, 4])] {
            let error = output_shape(&[x.clone(), y.clone()]).expect_err("not a row").to_string();
            assert_eq!(
                error,
                format!(
                    "shape of the second input: expected [batch, 3, 4], its last axes, or a single step of it, got {y}"
                )
            );
        }
    }
}
