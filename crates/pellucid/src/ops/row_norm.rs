//! What layer, RMS and group normalisation share: the backward pass, and the reference of their checks.

use kernels::device::Device;
use kernels::normalise::{RowNorm, normalise_rows_backward};
use kernels::reduce::{column_sums, row_sums};

use super::check::{Bound, Case};
use super::{Backward, Memory, Sizes};

/// Scratch memory: the parts of the gradient of the weight, and a row of their sums where several places share a weight.
pub(super) fn memory(at: Sizes, span: usize, training: bool) -> Memory {
    let row = if span > 1 { span * at.input_elements(1) } else { 0 };
    Memory { backward: if training { at.output_elements() + row } else { 0 }, ..Memory::default() }
}

/// The gradients of x, weight and, if there is one, bias.
pub(super) fn backward(device: &Device, norm: &RowNorm, pass: Backward) {
    let [x, weight] = [pass.inputs[0].data, pass.inputs[1].data];
    let (parts, row) = pass.scratch.split_at_mut(x.len());
    let wants_weight = pass.dx[1].is_some();
    let parts = if wants_weight { parts } else { &mut [] };
    let mut targets = pass.dx.iter_mut();
    let dx: &mut [f32] = targets.next().and_then(|dx| dx.as_deref_mut()).unwrap_or(&mut []);
    if !dx.is_empty() || wants_weight {
        normalise_rows_backward(device, norm, x, weight, pass.dy, dx, parts);
    }
    if let Some(dw) = targets.next().and_then(|dw| dw.as_deref_mut()) {
        channel_sums(device, norm.span, parts, row, dw);
    }
    if let Some(db) = targets.next().and_then(|db| db.as_deref_mut()) {
        channel_sums(device, norm.span, pass.dy, row, db);
    }
}

/// Sums over the batch and the places of each channel of values [batch, channels, span].
fn channel_sums(device: &Device, span: usize, values: &[f32], row: &mut [f32], sums: &mut [f32]) {
    if span == 1 {
        return column_sums(device, values, sums);
    }
    column_sums(device, values, row);
    row_sums(device, span, row, sums);
}

/// The rows of `x`, normalised, with the weight (and bias) of `channel(place)`.
pub(super) fn reference(
    x: &[f64],
    n: usize,
    eps: f32,
    centred: bool,
    weight: impl Fn(usize) -> f64,
    bias: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let mut y = Vec::with_capacity(x.len());
    for (row, values) in x.chunks(n).enumerate() {
        let mean = if centred { values.iter().sum::<f64>() / n as f64 } else { 0.0 };
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
        let factor = 1.0 / (variance + f64::from(eps)).sqrt();
        y.extend(values.iter().enumerate().map(|(i, x)| {
            let place = row * n + i;
            (x - mean) * factor * weight(place) + bias(place)
        }));
    }
    y
}

/// A case within the bounds of these ops.
pub(super) fn bounded(case: Case) -> Case {
    let value = Bound::relative(30.0, "sums in lanes, a root, four roundings").and_absolute(40.0);
    let gradient = Bound::relative(60.0, "two sums more, which cancel, and sums over the rows").and_absolute(600.0);
    case.within(value, gradient)
}
