//! Filling a batch from a data set.

use kernels::device::Device;
use kernels::gather::{Affine, gather, gather_bytes};

use super::Problem;
use crate::data::{Dataset, Features};
use crate::graph::{PlanId, Session};

/// Fills the inputs of `plan` with `rows` of `data`; targets and weights where the problem has them.
pub(super) fn fill(session: &mut Session, plan: PlanId, problem: &Problem, data: &Dataset, rows: &[u32]) {
    let device = session.device().clone();
    gather_features(&device, data, rows, session.input_mut(plan, problem.input));
    let target = session.input_mut(plan, problem.target);
    gather(&device, data.target_width, &data.targets, rows, target);
    if let (Some(value), Some(weights)) = (problem.weight, &data.weights) {
        gather(&device, 1, weights, rows, session.input_mut(plan, value));
    }
}

/// The inputs of `rows`, as they enter a network: `out` [rows, width].
pub(super) fn gather_features(device: &Device, data: &Dataset, rows: &[u32], out: &mut [f32]) {
    let width = data.width();
    match &data.features {
        Features::F32(values) => gather(device, width, values, rows, out),
        Features::U8 { bytes, scale, shift } => {
            let affine = match (scale.as_slice(), shift.as_slice()) {
                (&[scale], &[shift]) => Affine::All { scale, shift },
                (scale, shift) => Affine::Columns { scale, shift },
            };
            gather_bytes(device, width, bytes, affine, rows, out);
        }
    }
}
