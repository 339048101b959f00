//! The weights as panels of sixteen units, in the order in which the steps read them.

use std::ops::Range;

use super::cell::Cell;
use super::{Recurrent, units};
use crate::device::Device;
use crate::gemm::pack::Pack;
use crate::simd::{LANES, dispatch};

/// Packed values below which a second thread does not pay.
const SERIAL: usize = 1 << 13;

impl<C: Cell> Recurrent<C> {
    /// Packs `weight` [gates · hidden, k] as the right matrix of a product with k rows: panels of sixteen units, block of units
    /// after block of units, in a block the gates that are [joined](Cell::JOINED); then those apart in the same way.
    pub(super) fn pack_gates(&self, device: &Device, weight: &[f32], k: usize, panels: &mut [f32]) {
        let (blocks, hidden) = (self.blocks(), self.hidden);
        device.chunks_mut(k * LANES * (SERIAL / (k * LANES)).max(1), panels, |start, part| {
            for (i, target) in part.chunks_exact_mut(k * LANES).enumerate() {
                let (block, gate) = gate_of_panel::<C>(start / (k * LANES) + i, blocks);
                let lanes = units(block, hidden);
                let source = &weight[(gate * hidden + lanes.start) * k..];
                let (lanes, width, stride) = (lanes.len(), LANES, LANES);
                dispatch(device.isa(), Pack { source, lane: k, depth: 1, lanes, k, target, width, stride });
            }
        });
    }

    /// Packs `weight` [gates · hidden, columns] for the way back, as the right matrix of a product with the gradients of the sums
    /// in the slots from `first` on: its rows are the units of the gates in the order of their slots, each gate filled up to whole
    /// vectors, and a panel has sixteen columns.
    pub(super) fn pack_transposed(
        &self,
        device: &Device,
        weight: &[f32],
        columns: usize,
        slot: fn(usize) -> usize,
        first: usize,
        panels: &mut [f32],
    ) {
        let (hidden, padded) = (self.hidden, self.padded());
        device.chunks_mut(C::GATES * padded * LANES, panels, |start, panel| {
            let lanes = units(start / (C::GATES * padded * LANES), columns);
            for gate in 0..C::GATES {
                let source = &weight[gate * hidden * columns + lanes.start..];
                let target = &mut panel[(slot(gate) - first) * padded * LANES..][..padded * LANES];
                let (target, rest) = target.split_at_mut(hidden * LANES);
                let (lanes, k, width, stride) = (lanes.len(), hidden, LANES, LANES);
                dispatch(device.isa(), Pack { source, lane: 1, depth: columns, lanes, k, target, width, stride });
                rest.fill(0.0);
            }
        });
    }

    /// Writes `values` [gates · hidden] in the order of the panels; gates outside of `gates` become zeros.
    pub(super) fn spread(&self, values: impl Fn(usize) -> f32, gates: Range<usize>, target: &mut [f32]) {
        for (i, target) in target.chunks_exact_mut(LANES).enumerate() {
            let (block, gate) = gate_of_panel::<C>(i, self.blocks());
            let units = units(block, self.hidden);
            target.fill(0.0);
            if gates.contains(&gate) {
                for (target, unit) in target.iter_mut().zip(units) {
                    *target = values(gate * self.hidden + unit);
                }
            }
        }
    }
}

/// Block of units and gate of panel `panel`.
fn gate_of_panel<C: Cell>(panel: usize, blocks: usize) -> (usize, usize) {
    match panel.checked_sub(blocks * C::JOINED) {
        None => (panel / C::JOINED.max(1), panel % C::JOINED.max(1)),
        Some(panel) => (panel / C::APART.max(1), C::JOINED + panel % C::APART.max(1)),
    }
}
