//! The backward pass: the gradients of the sums step by step, then those of weights and biases over all steps.

use std::ops::Range;

use super::cell::{Cell, MAX_GATES, hidden_slot, input_slot};
use super::panels::Panels;
use super::{BLOCKS_AT_ONCE, DEPTH, ROWS, Recurrent, take, units};
use crate::device::{Device, Shared};
use crate::gemm::pack::pack_panels;
use crate::gemm::product::Strided;
use crate::gemm::tile::{Block, LaneOperand, Rows, Target};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Multiply-adds that a task of a product over all steps should have at least.
const TASK: usize = 1 << 18;
/// Tasks of such a product where it is large: enough to share out evenly.
const TASKS: usize = 16;
/// Most panels of such a task: they share what they read from the other operand, and their results lie in the second cache.
const TASK_PANELS: usize = 4;

/// What [`Recurrent::backward`] works on. Gradients that are not asked for are `None`; the others are overwritten.
pub struct Backward<'a> {
    /// As in the forward pass.
    pub x: &'a [f32],
    /// As in the forward pass.
    pub weight_ih: &'a [f32],
    /// As in the forward pass.
    pub weight_hh: &'a [f32],
    /// As in the forward pass.
    pub lengths: &'a [f32],
    /// What the forward pass saved.
    pub saved: &'a [f32],
    /// Gradient of y.
    pub dy: &'a [f32],
    /// Gradient of x.
    pub dx: Option<&'a mut [f32]>,
    /// Gradient of W_ih.
    pub dweight_ih: Option<&'a mut [f32]>,
    /// Gradient of W_hh.
    pub dweight_hh: Option<&'a mut [f32]>,
    /// Gradient of b_ih.
    pub dbias_ih: Option<&'a mut [f32]>,
    /// Gradient of b_hh.
    pub dbias_hh: Option<&'a mut [f32]>,
    /// Gradients of the state before the first step, each [batch, hidden].
    pub dstate: [Option<&'a mut [f32]>; 2],
    /// [`Recurrent::backward_scratch`] values of no meaning.
    pub scratch: &'a mut [f32],
}

impl<C: Cell> Recurrent<C> {
    /// Values of the gradients of the sums of a step of one row, and of as many as keep rows apart in the cache.
    fn gradient_row(&self) -> usize {
        C::SLOTS * self.padded() + LANES
    }

    /// Scratch memory of [`Recurrent::backward`].
    pub fn backward_scratch(&self) -> usize {
        let (steps, padded, inputs) = (self.batch * self.time, self.padded(), self.input.div_ceil(LANES));
        let panels = Panels::len(C::SLOTS * self.blocks() + inputs, steps);
        let weights = C::GATES * padded * (padded + inputs * LANES);
        panels + weights + self.batch * (2 * self.gradient_row() + C::STATES * padded) + C::SLOTS * padded
    }

    /// Computes the gradients that are asked for. Panics when a length does not fit.
    pub fn backward(&self, device: &Device, pass: Backward) {
        let Recurrent { batch, time, input, hidden, .. } = *self;
        let Backward { x, weight_ih, weight_hh, lengths, saved, dy, dx, .. } = pass;
        self.check_weights(weight_ih, weight_hh);
        let (steps, padded, blocks) = (batch * time, self.padded(), self.blocks());
        assert!(x.len() == steps * input && dy.len() == steps * hidden, "[batch, time, …]");
        assert!([0, batch].contains(&lengths.len()) && saved.len() == self.saved(), "lengths, what was saved");
        assert!(pass.scratch.len() >= self.backward_scratch(), "scratch memory");
        let fits = |target: &Option<&mut [f32]>, len: usize| target.as_ref().is_none_or(|target| target.len() == len);
        assert!(
            pass.dstate.iter().all(|target| fits(target, batch * hidden)) && fits(&dx, x.len()),
            "gradients of inputs"
        );
        assert!(fits(&pass.dweight_ih, weight_ih.len()) && fits(&pass.dweight_hh, weight_hh.len()), "of weights");
        let biases = [&pass.dbias_ih, &pass.dbias_hh];
        assert!(biases.iter().all(|target| fits(target, C::GATES * hidden)), "of biases");

        let mut rest = pass.scratch;
        let sums = take(&mut rest, Panels::len(C::SLOTS * blocks, steps));
        let rows = take(&mut rest, 2 * batch * self.gradient_row());
        let dstates = take(&mut rest, C::STATES * batch * padded);
        let weights = take(&mut rest, C::GATES * padded * padded);
        dstates.fill(0.0);
        self.pack_transposed(device, weight_hh, hidden, hidden_slot::<C>, C::APART, weights);
        let input_weights = take(&mut rest, C::GATES * padded * input.next_multiple_of(LANES));
        if dx.is_some() {
            self.pack_transposed(device, weight_ih, input, input_slot::<C>, 0, input_weights);
        }
        let (gates, others) = saved.split_at(steps * self.gate_row());
        let (apart, others) = others.split_at(steps * C::APART * padded);
        let (c_before, h_before) = others.split_at(steps * (C::STATES - 1) * padded);
        let shared = |target: Option<&mut [f32]>| target.map(|target| Shared(target.as_mut_ptr()));
        let goes_before = dx.is_some() || pass.dstate.iter().any(Option::is_some);
        let walk = Steps {
            layer: self,
            device,
            weights,
            input_weights,
            lengths,
            gates,
            apart,
            h_before,
            c_before,
            dy,
            sums: Panels::new(Shared(sums.as_mut_ptr()), steps),
            rows: Shared(rows.as_mut_ptr()),
            dstates: Shared(dstates.as_mut_ptr()),
            dx: shared(dx),
            dstate: pass.dstate.map(shared),
        };
        // SAFETY: `each_step` gives parts that do not overlap, and all parts of a step before those of the next that share
        // their rows.
        self.each_step(device, time + usize::from(goes_before), &|n, rows, blocks| unsafe {
            walk.step(n, rows, blocks)
        });

        let sums = &*sums;
        if let Some(dw) = pass.dweight_hh {
            self.weight_gradient(device, (sums, hidden_slot::<C>), h_before, (hidden, dw));
        }
        if let Some(dw) = pass.dweight_ih {
            let panels = take(&mut rest, Panels::len(input.div_ceil(LANES), steps));
            let stride = Panels::stride(steps);
            device.chunks_mut(stride, panels, |start, panel| {
                let lane = start / stride * LANES;
                for (t, target) in panel[..steps * LANES].chunks_exact_mut(batch * LANES).enumerate() {
                    let lanes = Strided { data: &x[t * input + lane..], along: 1, depth: time * input };
                    pack_panels(device, lanes, input - lane, batch, target);
                }
            });
            self.weight_gradient(device, (sums, input_slot::<C>), panels, (input, dw));
        }
        if pass.dbias_ih.is_some() || pass.dbias_hh.is_some() {
            let total = take(&mut rest, C::SLOTS * padded);
            device.chunks_mut(LANES, total, |start, total| {
                let panel = &sums[start / LANES * Panels::stride(steps)..][..steps * LANES];
                dispatch(device.isa(), ColumnSums { panel, total });
            });
            let slots = [input_slot::<C> as fn(usize) -> usize, hidden_slot::<C>];
            for (bias, slot) in [pass.dbias_ih, pass.dbias_hh].into_iter().zip(slots) {
                for (gate, bias) in bias.into_iter().flat_map(|bias| bias.chunks_exact_mut(hidden)).enumerate() {
                    bias.copy_from_slice(&total[slot(gate) * padded..][..hidden]);
                }
            }
        }
    }

    /// The gradient [gates · hidden, columns] of a weight: Σ over all steps of the gradients of a gate's sums, which stand in
    /// the slots that `slot` names, times what the weight was multiplied with, in panels.
    fn weight_gradient(
        &self,
        device: &Device,
        (sums, slot): (&[f32], fn(usize) -> usize),
        values: &[f32],
        (columns, dw): (usize, &mut [f32]),
    ) {
        let (steps, hidden, blocks) = (self.batch * self.time, self.hidden, self.blocks());
        let stride = Panels::stride(steps);
        let panels = C::GATES * blocks;
        let work = steps * columns.next_multiple_of(LANES) * LANES;
        let at_once = (panels / TASKS).clamp(1, TASK_PANELS).max(TASK / work);
        let dw = Shared(dw.as_mut_ptr());
        device.for_each(panels.div_ceil(at_once), &|task| {
            let panels = task * at_once..panels.min((task + 1) * at_once);
            for from in (0..steps).step_by(DEPTH) {
                for panel in panels.clone() {
                    let (gate, units) = (panel / blocks, units(panel % blocks, hidden));
                    let data = sums[(slot(gate) * blocks + panel % blocks) * stride + from * LANES..].as_ptr();
                    // SAFETY: the rows of these units of the gate, which are this task's alone.
                    let c = unsafe { dw.at((gate * hidden + units.start) * columns) };
                    let block = Block {
                        k: DEPTH.min(steps - from),
                        depth: DEPTH,
                        rows: units.len(),
                        lanes: columns,
                        row_operand: Rows { data, row: 1, depth: LANES },
                        lane_operand: LaneOperand::Panels { data: values[from * LANES..].as_ptr(), panel: stride },
                        c: Target { data: c, row: columns, lane: 1 },
                        resume: from > 0,
                        strip: std::ptr::null_mut(),
                    };
                    dispatch(device.isa(), block);
                }
            }
        });
    }
}

/// Sums of the sixteen columns of a panel: of every fourth row, then of the four sums.
struct ColumnSums<'a> {
    panel: &'a [f32],
    total: &'a mut [f32],
}

impl Kernel for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut sums = [s.splat(0.0); 4];
        for rows in self.panel.chunks(4 * LANES) {
            for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(LANES)) {
                *sum = s.add(*sum, s.load(row));
            }
        }
        s.store(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])), self.total);
    }
}

/// The steps, from the last to the first, on memory that tasks share.
struct Steps<'a, C> {
    layer: &'a Recurrent<C>,
    device: &'a Device,
    /// Panels of W_hh for the way back.
    weights: &'a [f32],
    /// Panels of W_ih for the way back, if the gradient of x is asked for.
    input_weights: &'a [f32],
    lengths: &'a [f32],
    /// [batch, time, gates of a row]
    gates: &'a [f32],
    /// [batch, time, padded], if the cell has a gate apart.
    apart: &'a [f32],
    /// h before each step; a panel for each block.
    h_before: &'a [f32],
    /// [batch, time, padded], if the cell has c.
    c_before: &'a [f32],
    dy: &'a [f32],
    /// Gradients of the sums of all steps; a panel for each slot and block.
    sums: Panels,
    /// Twice [batch, gradients of a row]: those of this step and of the next, in turns, for the products of the steps.
    rows: Shared,
    /// [states, batch, padded]: gradients of the state that do not pass through W_hh.
    dstates: Shared,
    dx: Option<Shared>,
    dstate: [Option<Shared>; 2],
}

impl<C: Cell> Steps<'_, C> {
    /// The step that is number `n` from the end; number `time` is the state before the first. The gradient of x follows a step
    /// behind, when those of all units are there.
    ///
    /// # Safety
    /// Nobody else may work on these blocks of these rows, and number n - 1 of all blocks of these rows is done.
    unsafe fn step(&self, n: usize, rows: Range<usize>, blocks: Range<usize>) {
        let layer = self.layer;
        let at_once = Recurrent::<C>::blocks_at_once(C::GATES * layer.padded());
        // The gradient of h as far as it comes through W_hh.
        let mut dh = [0.0; ROWS * BLOCKS_AT_ONCE * LANES];
        let is_step = n < layer.time;
        for first in blocks.clone().step_by(at_once) {
            let part = first..blocks.end.min(first + at_once);
            let width = part.len() * LANES;
            if n > 0 && (is_step || self.dstate[0].is_some()) {
                let panel = C::GATES * layer.padded() * LANES;
                let c = Target { data: dh.as_mut_ptr(), row: width, lane: 1 };
                assert!(dh.len() >= rows.len() * width, "room for all rows");
                // SAFETY: the caller's promise.
                unsafe { self.product(n - 1, rows.clone(), C::APART, &self.weights[part.start * panel..], width, c) };
            }
            for (row, dh) in rows.clone().zip(dh.chunks_exact(width)) {
                // SAFETY: the caller's promise.
                unsafe {
                    match is_step {
                        true => self.gradients(n, row, part.clone(), dh),
                        false => self.first(row, part.clone(), dh),
                    }
                }
            }
        }
        if let Some(dx) = self.dx.filter(|_| n > 0) {
            let (panels, all) = (layer.input.div_ceil(LANES), layer.blocks());
            let part = blocks.start * panels / all..blocks.end * panels / all;
            let lanes = part.start * LANES..layer.input.min(part.end * LANES);
            if !lanes.is_empty() {
                let t = layer.time_of(layer.time - n);
                let panel = C::GATES * layer.padded() * LANES;
                // SAFETY: inside dx; the caller's promise.
                unsafe {
                    let data = dx.at((rows.start * layer.time + t) * layer.input + lanes.start);
                    let c = Target { data, row: layer.time * layer.input, lane: 1 };
                    self.product(n - 1, rows, 0, &self.input_weights[part.start * panel..], lanes.len(), c);
                }
            }
        }
    }

    /// The gradients of the sums of step `n` from the end, of as many slots as there are gates from `slot` on, times a packed
    /// weight.
    ///
    /// # Safety
    /// Step n is done for these rows; `c` is valid for them and `lanes` lanes, and this call's alone.
    unsafe fn product(&self, n: usize, rows: Range<usize>, slot: usize, panels: &[f32], lanes: usize, c: Target) {
        let layer = self.layer;
        let (k, row) = (C::GATES * layer.padded(), layer.gradient_row());
        assert!(panels.len() >= lanes.next_multiple_of(LANES) * k, "panels of all lanes");
        // SAFETY: the caller's promise.
        let data = unsafe { self.rows.at((n % 2 * layer.batch + rows.start) * row + slot * layer.padded()) };
        let block = Block {
            k,
            depth: DEPTH,
            rows: rows.len(),
            lanes,
            row_operand: Rows { data, row, depth: 1 },
            lane_operand: LaneOperand::Panels { data: panels.as_ptr(), panel: k * LANES },
            c,
            resume: false,
            strip: std::ptr::null_mut(),
        };
        dispatch(self.device.isa(), block);
    }

    /// Where the gradients of the state of some units of a row begin.
    ///
    /// # Safety
    /// `state` must be one of the cell's.
    unsafe fn dstate(&self, state: usize, row: usize, blocks: &Range<usize>) -> *mut f32 {
        let start = (state * self.layer.batch + row) * self.layer.padded() + blocks.start * LANES;
        // SAFETY: inside the memory of the gradients of the state.
        unsafe { self.dstates.at(start) }
    }

    /// The gradients of the sums of one row.
    ///
    /// # Safety
    /// As [`Steps::step`].
    unsafe fn gradients(&self, n: usize, row: usize, blocks: Range<usize>, dh: &[f32]) {
        let layer = self.layer;
        let &Recurrent { batch, time, hidden, cell, .. } = layer;
        let (gate_row, padded) = (layer.gate_row(), layer.padded());
        let (at, len) = (blocks.start * LANES, blocks.len() * LANES);
        let t = layer.time_of(time - 1 - n);
        let place = row * time + t;
        let gates = &self.gates[place * gate_row..][..gate_row];
        let real = hidden.min(at + len) - at;
        let rows = std::array::from_fn(|slot| {
            if slot >= C::SLOTS {
                return &mut [][..];
            }
            // SAFETY: inside the memory of the gradients; these units of this row are this call's alone, slot by slot.
            unsafe {
                let start = (n % 2 * batch + row) * layer.gradient_row() + slot * padded + at;
                std::slice::from_raw_parts_mut(self.rows.at(start), len)
            }
        });
        let dstates = std::array::from_fn(|state| {
            if state >= C::STATES {
                return &mut [][..];
            }
            // SAFETY: these units of this row are this call's alone, state by state.
            unsafe { std::slice::from_raw_parts_mut(self.dstate(state, row, &blocks), len) }
        });
        let (stride, panel_row) = (Panels::stride(batch * time), t * batch + row);
        dispatch(
            self.device.isa(),
            Gradients {
                cell,
                is_real: Recurrent::<C>::is_real(self.lengths, row, t),
                joined: &gates[at * C::JOINED..][..len * C::JOINED],
                others: if C::APART > 0 { &gates[C::JOINED * padded + at..][..len] } else { &[] },
                apart: if C::APART > 0 { &self.apart[place * padded + at..][..len] } else { &[] },
                h_before: &self.h_before[blocks.start * stride + panel_row * LANES..],
                h_stride: stride,
                c_before: if C::STATES > 1 { &self.c_before[place * padded + at..][..len] } else { &[] },
                dy: &self.dy[place * hidden + at..][..real],
                dh,
                dstates,
                rows,
                sums: self.sums,
                first_block: blocks.start,
                blocks: layer.blocks(),
                place: panel_row,
            },
        );
    }

    /// The gradient of the state before the first step, for units of one row.
    ///
    /// # Safety
    /// As [`Steps::step`].
    unsafe fn first(&self, row: usize, blocks: Range<usize>, dh: &[f32]) {
        let hidden = self.layer.hidden;
        for state in 0..C::STATES {
            let Some(target) = self.dstate[state] else { continue };
            let first = units(blocks.start, hidden).start;
            let len = units(blocks.end - 1, hidden).end - first;
            // SAFETY: the caller's promise; a gradient of the state holds [batch, hidden].
            let (dstate, target) = unsafe {
                let target = std::slice::from_raw_parts_mut(target.at(row * hidden + first), len);
                (std::slice::from_raw_parts(self.dstate(state, row, &blocks), len), target)
            };
            for (i, target) in target.iter_mut().enumerate() {
                *target = if state == 0 { dh[i] + dstate[i] } else { dstate[i] };
            }
        }
    }
}

/// The gradients of the sums of some blocks of one row.
struct Gradients<'a, C> {
    cell: C,
    /// The step is not padding.
    is_real: bool,
    joined: &'a [f32],
    others: &'a [f32],
    apart: &'a [f32],
    /// From the row of the first block on; the others are `h_stride` values apart.
    h_before: &'a [f32],
    h_stride: usize,
    c_before: &'a [f32],
    dy: &'a [f32],
    dh: &'a [f32],
    dstates: [&'a mut [f32]; 2],
    /// The gradients of each slot, for the products of the steps,
    rows: [&'a mut [f32]; MAX_GATES],
    /// and for those over all steps: row `place` of the panels of these blocks, of each slot, which are this kernel's alone.
    sums: Panels,
    first_block: usize,
    /// Panels of a slot.
    blocks: usize,
    place: usize,
}

impl<C: Cell> Kernel for Gradients<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Gradients { cell, is_real, joined, others, apart, h_before, h_stride, c_before, dy, dh, .. } = self;
        let [direct, dc] = self.dstates;
        let rows = self.rows;
        let zero = s.splat(0.0);
        for at in (0..dh.len()).step_by(LANES) {
            let through = s.add(s.load(&dh[at..]), s.load(&direct[at..]));
            let (gradients, dstate) = if is_real {
                let dy = match dy.len() - at {
                    LANES.. => s.load(&dy[at..]),
                    _ => s.load_partial(&dy[at..]),
                };
                let h = s.load(&h_before[at / LANES * h_stride..]);
                let state = [h, if C::STATES > 1 { s.load(&c_before[at..]) } else { zero }];
                let dstate = [s.add(dy, through), if C::STATES > 1 { s.load(&dc[at..]) } else { zero }];
                let mut gates = [zero; MAX_GATES];
                for g in 0..C::JOINED {
                    gates[g] = s.load(&joined[at * C::JOINED + g * LANES..]);
                }
                let mut recurrent = zero;
                if C::APART > 0 {
                    gates[C::JOINED] = s.load(&others[at..]);
                    recurrent = s.load(&apart[at..]);
                }
                cell.gradient(s, gates, recurrent, state, dstate)
            } else {
                // The state went by unchanged, and y was 0.
                ([zero; MAX_GATES], [through, if C::STATES > 1 { s.load(&dc[at..]) } else { zero }])
            };
            for slot in 0..C::SLOTS {
                s.store(gradients[slot], &mut rows[slot][at..]);
                let panel = slot * self.blocks + self.first_block + at / LANES;
                // SAFETY: the maker of this kernel points it to values that it alone may use.
                let target = unsafe { std::slice::from_raw_parts_mut(self.sums.at(panel, self.place), LANES) };
                s.store(gradients[slot], target);
            }
            s.store(dstate[0], &mut direct[at..]);
            if C::STATES > 1 {
                s.store(dstate[1], &mut dc[at..]);
            }
        }
    }
}
