//! Weights in the order in which a tile reads them: panels of sixteen target channels, over all taps of a phase.

use super::correlate::Correlation;
use crate::device::Device;
use crate::simd::LANES;

/// Values below which packing is left to one thread.
const SERIAL: usize = 1 << 13;

/// Packs all panels: group after group, phase after phase (heights outermost), panel after panel; within a panel the sum's
/// order (source channel, kernel row, kernel column as the taps of the phase go). Lanes without a channel become 0.
pub(super) fn pack(device: &Device, correlation: &Correlation, weight: &[f32], out: &mut [f32]) {
    let across = correlation.target_channels.div_ceil(LANES);
    if across == 0 {
        return;
    }
    let chunk = |first: usize, part: &mut [f32]| {
        // Panels `first` … of all groups and phases.
        let (mut index, mut start) = (0, 0);
        for group in 0..correlation.groups {
            for phase in correlation.phases() {
                let len = LANES * phase.depth;
                for panel in 0..across {
                    if index >= first && start < part.len() {
                        pack_panel(correlation, weight, group, &phase, panel, &mut part[start..start + len]);
                        start += len;
                    }
                    index += 1;
                }
            }
        }
    };
    // Panels of different phases have different lengths; there is one phase where weights are many.
    let phases = correlation.phases().count();
    let len = out.len() / (correlation.groups * across).max(1);
    if phases > 1 || out.len() < SERIAL || len == 0 {
        return chunk(0, out);
    }
    device.chunks_mut(len * (SERIAL / len).max(1), out, |start, part| chunk(start / len, part));
}

fn pack_panel(
    correlation: &Correlation,
    weight: &[f32],
    group: usize,
    phase: &super::correlate::Phase,
    panel: usize,
    out: &mut [f32],
) {
    let layout = correlation.weight;
    let first = group * layout.group + panel * LANES * layout.target;
    let lanes = LANES.min(correlation.target_channels - panel * LANES);
    let mut k = 0;
    for c in 0..correlation.source_channels {
        for i in 0..phase.height.count {
            let row = phase.height.kernel + i * phase.height.kernel_step;
            for j in 0..phase.width.count {
                let column = phase.width.kernel + j * phase.width.kernel_step;
                let at = first + c * layout.source + row * correlation.width.kernel + column;
                let place: &mut [f32; LANES] = out[k..].first_chunk_mut().expect("a panel has sixteen lanes");
                for (lane, value) in place.iter_mut().enumerate() {
                    *value = if lane < lanes { weight[at + lane * layout.target] } else { 0.0 };
                }
                k += LANES;
            }
        }
    }
}
