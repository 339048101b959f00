//! Filling a batch from a data set.

use std::sync::Mutex;

use kernels::device::Device;
use kernels::gather::{Affine, gather, gather_bytes};

use super::Problem;
use crate::data::{Dataset, Features, ReadError};
use crate::graph::{PlanId, Session};

/// Rows that one task reads.
const ROWS_OF_A_TASK: usize = 8;

/// Fills the inputs of `plan` with `rows` of `data`; targets and weights where the problem has them.
pub(super) fn fill(
    session: &mut Session,
    plan: PlanId,
    problem: &Problem,
    data: &Dataset,
    rows: &[u32],
) -> Result<(), ReadError> {
    let device = session.device().clone();
    gather_features(&device, data, rows, session.input_mut(plan, problem.input))?;
    let target = session.input_mut(plan, problem.target);
    gather(&device, data.target_width, &data.targets, rows, target);
    if let (Some(value), Some(weights)) = (problem.weight, &data.weights) {
        gather(&device, 1, weights, rows, session.input_mut(plan, value));
    }
    Ok(())
}

/// The inputs of `rows`, as they enter a network: `out` [rows, width].
fn gather_features(device: &Device, data: &Dataset, rows: &[u32], out: &mut [f32]) -> Result<(), ReadError> {
    let width = data.width();
    match &data.features {
        Features::F32(values) => gather(device, width, values, rows, out),
        Features::U8 { bytes, scale, shift } => gather_bytes(device, width, bytes, affine(scale, shift), rows, out),
        Features::Read { .. } => return read_features(device, data, rows, out),
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
    let failure = Mutex::new(None);
    device.split_rows(rows.len(), ROWS_OF_A_TASK, (out, data.width()), [], |first, out, []| {
        let rows = &rows[first..][..out.len() / data.width()];
        if let Err(error) = data.gather_features(rows, out) {
            failure.lock().expect("no reader panics").get_or_insert(error);
        }
    });
    failure.into_inner().expect("no reader panics").map_or(Ok(()), Err)
}
