//! Filling a batch from a data set.

use std::sync::Mutex;

use kernels::device::Device;
use kernels::gather::{Affine, gather, gather_bytes};

use super::Problem;
use crate::data::{Dataset, Features, ReadError};
use crate::graph::{PlanId, Session};

/// Rows that one task reads.
pub(super) const ROWS_OF_A_TASK: usize = 8;

/// Fills the inputs of `plan` with `rows` of `data`, as many steps of padded ones as it takes; targets and weights where the problem has them.
pub(crate) fn fill(
    session: &mut Session,
    plan: PlanId,
    problem: &Problem,
    data: &Dataset,
    rows: &[u32],
) -> Result<(), ReadError> {
    let device = session.device().clone();
    gather_features(&device, data, rows, session.input_mut(plan, problem.input))?;
    fill_answers(session, plan, problem, data, rows);
    Ok(())
}

/// The same with windows of one sequence ([`super::Windows`]) that begin `shift` time steps later than their rows say; the last
/// row of the data has nothing behind it and must not be asked for then. Panics unless the values are in memory.
pub(super) fn fill_windows(
    session: &mut Session,
    plan: PlanId,
    problem: &Problem,
    data: &Dataset,
    rows: &[u32],
    shift: usize,
) {
    let device = session.device().clone();
    let Features::F32(values) = &data.features else { panic!("windows of values in memory") };
    let steps = data.sample_shape[0];
    for (values, width, input) in
        [(values, data.width(), problem.input), (&data.targets, data.target_width, problem.target)]
    {
        let behind = &values[shift * (width / steps)..];
        let whole = &behind[..behind.len() / width * width];
        gather(&device, width, whole, rows, session.input_mut(plan, input));
    }
}

/// Fills the targets of `plan` with those of `rows`; weights where the problem has them.
pub(super) fn fill_answers(session: &mut Session, plan: PlanId, problem: &Problem, data: &Dataset, rows: &[u32]) {
    let device = session.device().clone();
    gather_targets(&device, data, problem, rows, session.input_mut(plan, problem.target));
    if let (Some(value), Some(weights)) = (problem.weight, &data.weights) {
        gather(&device, 1, weights, rows, session.input_mut(plan, value));
    }
}

/// The targets of `rows`: `out` [rows, targets], or the probabilities of the classes, [rows, targets, classes]. A label
/// that is no class gives NaN, which the loss passes on.
pub(super) fn gather_targets(device: &Device, data: &Dataset, problem: &Problem, rows: &[u32], out: &mut [f32]) {
    let Some(classes) = problem.classes else {
        return gather(device, data.target_width, &data.targets, rows, out);
    };
    let labels = rows.iter().flat_map(|&row| &data.targets[row as usize * data.target_width..][..data.target_width]);
    for (out, &label) in out.chunks_exact_mut(classes).zip(labels) {
        let class = label as usize;
        out.fill(if class as f32 == label && class < classes { 0.0 } else { f32::NAN });
        if let Some(probability) = out.get_mut(class) {
            *probability += 1.0;
        }
    }
}

/// The inputs of `rows`, as they enter a network: `out` [rows, width], or less of padded rows.
pub(super) fn gather_features(device: &Device, data: &Dataset, rows: &[u32], out: &mut [f32]) -> Result<(), ReadError> {
    let width = out.len() / rows.len().max(1);
    match &data.features {
        Features::F32(values) if width == data.width() => gather(device, width, values, rows, out),
        Features::U8 { bytes, scale, shift } => gather_bytes(device, width, bytes, affine(scale, shift), rows, out),
        Features::F32(_) | Features::Read { .. } => return read_features(device, data, rows, out),
    }
    Ok(())
}

fn affine<'a>(scale: &'a [f32], shift: &'a [f32]) -> Affine<'a> {
    match (scale, shift) {
        (&[scale], &[shift]) => Affine::All { scale, shift },
        (scale, shift) => Affine::Columns { scale, shift },
    }
}

/// Reads on all threads: a row may be a picture to be decoded.
fn read_features(device: &Device, data: &Dataset, rows: &[u32], out: &mut [f32]) -> Result<(), ReadError> {
    let width = out.len() / rows.len().max(1);
    read_rows(device, rows, (out, width), |rows, out| data.gather_features(rows, out))
}

/// Has `read` write some of the `rows` at a time into their places in `out` [rows, width], on all threads; the first error.
pub(super) fn read_rows(
    device: &Device,
    rows: &[u32],
    (out, width): (&mut [f32], usize),
    read: impl Fn(&[u32], &mut [f32]) -> Result<(), ReadError> + Sync,
) -> Result<(), ReadError> {
    let failure = Mutex::new(None);
    device.split_rows(rows.len(), ROWS_OF_A_TASK, (out, width), [], |first, out, []| {
        if let Err(error) = read(&rows[first..][..out.len() / width], out) {
            failure.lock().expect("no reader panics").get_or_insert(error);
        }
    });
    failure.into_inner().expect("no reader panics").map_or(Ok(()), Err)
}
