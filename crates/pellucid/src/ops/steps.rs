//! What the ops that bring the steps of a sequence together share: x [batch, time, …] and, if rows differ in length, the lengths
//! [batch] → y [batch, …].

use kernels::device::Device;

use super::check::{Bound, Case, Input, Values};
use super::{Op, Sample, ShapeError};
use crate::tensor::{Dim, Shape, Tensor};

/// The shape of the output.
pub(super) fn output_shape(lengths: bool, inputs: &[Shape]) -> Result<Shape, ShapeError> {
    let x = match (lengths, inputs) {
        (false, [x]) => x,
        (true, [x, lengths]) if *lengths == Shape::batched(&[]) => x,
        (true, [_, lengths]) => return Err(ShapeError::size("shape of the lengths", "[batch]", lengths)),
        _ => return Err(ShapeError::InputCount { expected: if lengths { "2" } else { "1" }, found: inputs.len() }),
    };
    match x.axes() {
        [Dim::Batch, Dim::Fixed(1..), features @ ..] if !features.contains(&Dim::Batch) => {
            Ok(Shape::new([Dim::Batch].iter().chain(features).copied())?)
        }
        _ => Err(ShapeError::size("shape of the input", "[batch, time, …] with a step at least", x)),
    }
}

/// Steps, and values of a step.
pub(super) fn sizes(x: &[usize]) -> (usize, usize) {
    (x[1], x[2..].iter().product())
}

/// How many steps of row `row` are its sequence.
pub(super) fn length(inputs: &[Tensor], row: usize) -> usize {
    let time = inputs[0].dims[1];
    inputs.get(1).map_or(time, |lengths| (lengths.data[row] as usize).clamp(1, time))
}

/// Calls `body` for each row of the batch, of `width` values each in `out`, in parts that suit threads.
pub(super) fn for_each_row(
    device: &Device,
    out: &mut [f32],
    width: usize,
    work: usize,
    body: impl Fn(usize, &mut [f32]) + Sync,
) {
    if width == 0 {
        return;
    }
    let rows = out.len() / width;
    device.split_rows(rows, (8192 / work.max(1)).max(1), (out, width), [], |first, out, []| {
        out.chunks_exact_mut(width).enumerate().for_each(|(i, out)| body(first + i, out));
    });
}

/// What `of_steps` makes of the real steps of each sequence, `[steps, width]`: see [`Op::reference`].
pub(super) fn reference(at: &Sample, of_steps: fn(&[f64], usize) -> Vec<f64>) -> Vec<f64> {
    let (time, width) = (at.dims[0][1], at.dims[0][2..].iter().product::<usize>());
    let rows = at.inputs[0].chunks_exact(time * width).enumerate();
    let real = |row: usize| at.inputs.get(1).map_or(time, |lengths| lengths[row] as usize);
    rows.flat_map(|(row, x)| of_steps(&x[..real(row) * width], width)).collect()
}

/// The cases of an op, with and without lengths.
pub(super) fn cases<O: Op + 'static>(op: impl Fn(bool) -> O, value: Bound, gradient: Bound) -> Vec<Case> {
    let of = |lengths: bool, sample: &[usize]| {
        let time = sample[0];
        let mut inputs = vec![Input::batched(sample)];
        if lengths {
            let values = (1..=time).map(|length| length as f32).collect();
            inputs.push(Input::new(Shape::batched(&[]), Values::Choice(values)));
        }
        let case = Case::new(op(lengths), inputs)
            .named(format!("{sample:?}{}", if lengths { ", padded" } else { "" }))
            .batches([1, 2, 5, 300])
            .within(value, gradient);
        let x = Shape::batched(sample);
        if lengths {
            case.refuses([x.clone()], "takes 2 inputs, got 1").refuses([x.clone(), x], "shape of the lengths")
        } else {
            case.refuses([x.clone(), x], "takes 1 inputs, got 2")
                .refuses([Shape::batched(&[])], "expected [batch, time, …]")
                .refuses([Shape::batched(&[0, 3])], "with a step at least")
        }
    };
    vec![
        of(false, &[1, 1]),
        of(false, &[5, 3]),
        of(false, &[4]),
        of(true, &[6, 17]),
        of(true, &[3, 2, 5]),
        of(true, &[1, 4]),
    ]
}
