//! The backward pass: the gradients of the sums step by step, then everything that is a product or sum over all steps.

use std::ops::Range;

use super::cell::{Cell, MAX_GATES, hidden_slot, input_slot};
use super::{BLOCKS_AT_ONCE, DEPTH, ROWS, Recurrent, take, units};
use crate::device::{Device, Shared};
use crate::gemm::tile::{Block, LaneOperand, Rows, Target};
use crate::gemm::{Gemm, Matrix, gemm, gemm_scratch};
use crate::reduce::column_sums;
use crate::simd::{Kernel, LANES, Simd, dispatch};

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
    /// Distance of the gradients of the sums of two steps. It is no multiple of a page: products over all steps read them
    /// column by column, and those of one column would share a place of the cache.
    fn gradient_row(&self) -> usize {
        C::SLOTS * self.padded() + LANES
    }

    /// Scratch memory of [`Recurrent::backward`].
    pub fn backward_scratch(&self) -> usize {
        let (steps, padded) = (self.batch * self.time, self.padded());
        let mut products = self.gradient_row();
        for slot in [input_slot::<C> as fn(usize) -> usize, hidden_slot::<C>] {
            self.each_run(slot, |gates, _| {
                let rows = gates.len() * self.hidden;
                let of_weights = gemm_scratch(rows, self.input, steps).max(gemm_scratch(rows, self.hidden, steps));
                products = products.max(of_weights).max(gemm_scratch(steps, self.input, rows));
            });
        }
        let steps = steps * self.gradient_row() + (C::GATES * padded + C::STATES * self.batch) * padded;
        steps + products
    }

    /// Calls `body(gates, column)` for gates whose gradients lie beside each other from `column` on, in their order.
    fn each_run(&self, slot: fn(usize) -> usize, mut body: impl FnMut(Range<usize>, usize)) {
        let mut first = 0;
        while first < C::GATES {
            let mut end = first + 1;
            while self.padded() == self.hidden && end < C::GATES && slot(end) == slot(end - 1) + 1 {
                end += 1;
            }
            body(first..end, slot(first) * self.padded());
            first = end;
        }
    }

    /// Computes the gradients that are asked for. Panics when a length does not fit.
    pub fn backward(&self, device: &Device, pass: Backward) {
        let Recurrent { batch, time, input, hidden, .. } = *self;
        let Backward { x, weight_ih, weight_hh, lengths, saved, dy, .. } = pass;
        self.check_weights(weight_ih, weight_hh);
        let (steps, padded, width) = (batch * time, self.padded(), self.gradient_row());
        assert!(x.len() == steps * input && dy.len() == steps * hidden, "[batch, time, …]");
        assert!([0, batch].contains(&lengths.len()) && saved.len() == self.saved(), "lengths, what was saved");
        assert!(pass.scratch.len() >= self.backward_scratch(), "scratch memory");
        let fits = |target: &Option<&mut [f32]>| target.as_ref().is_none_or(|target| target.len() == batch * hidden);
        assert!(pass.dstate.iter().all(fits), "gradients of the state [batch, hidden]");

        let mut rest = pass.scratch;
        let sums = take(&mut rest, steps * width);
        let panels = take(&mut rest, C::GATES * padded * padded);
        let dstates = take(&mut rest, C::STATES * batch * padded);
        self.pack_transposed(device, weight_hh, panels);
        dstates.fill(0.0);
        let (gates, others) = saved.split_at(steps * self.gate_row());
        let (apart, before) = others.split_at(steps * C::APART * padded);
        let of_state = |target: Option<&mut [f32]>| target.map(|target| Shared(target.as_mut_ptr()));
        let wanted = pass.dstate.iter().any(Option::is_some);
        let walk = Steps {
            layer: self,
            device,
            weights: panels,
            lengths,
            gates,
            apart,
            before,
            dy,
            sums: Shared(sums.as_mut_ptr()),
            dstates: Shared(dstates.as_mut_ptr()),
            dstate: pass.dstate.map(of_state),
        };
        // SAFETY: `each_step` gives parts that do not overlap, and all parts of a step before those of the next that share
        // their rows.
        self.each_step(device, time + usize::from(wanted), &|n, rows, blocks| unsafe { walk.step(n, rows, blocks) });

        let sums = &*sums;
        let slots: [fn(usize) -> usize; 2] = [input_slot::<C>, hidden_slot::<C>];
        let operands = [(x, input, input), (&before[..steps * padded], padded, hidden)];
        for ((dw, slot), (data, stride, columns)) in
            [pass.dweight_ih, pass.dweight_hh].into_iter().zip(slots).zip(operands)
        {
            let Some(dw) = dw else { continue };
            self.each_run(slot, |gates, column| {
                let a = Matrix { data: &sums[column..], row_stride: 1, column_stride: width };
                let b = Matrix::row_major(data, stride);
                let rows = gates.start * hidden..gates.end * hidden;
                let product =
                    Gemm { m: rows.len(), n: columns, k: steps, a, b, bias: None, accumulate: false, epilogue: None };
                gemm(device, &product, &mut dw[rows.start * columns..rows.end * columns], rest);
            });
        }
        if let Some(dx) = pass.dx {
            self.each_run(input_slot::<C>, |gates, column| {
                let a = Matrix::row_major(&sums[column..], width);
                let rows = gates.start * hidden..gates.end * hidden;
                let b = Matrix::row_major(&weight_ih[rows.start * input..rows.end * input], input);
                let (k, accumulate) = (rows.len(), gates.start > 0);
                gemm(device, &Gemm { m: steps, n: input, k, a, b, bias: None, accumulate, epilogue: None }, dx, rest);
            });
        }
        if pass.dbias_ih.is_some() || pass.dbias_hh.is_some() {
            let total = take(&mut rest, width);
            column_sums(device, sums, total);
            for (bias, slot) in [pass.dbias_ih, pass.dbias_hh].into_iter().zip(slots) {
                for (gate, bias) in bias.into_iter().flat_map(|bias| bias.chunks_exact_mut(hidden)).enumerate() {
                    bias.copy_from_slice(&total[slot(gate) * padded..][..hidden]);
                }
            }
        }
    }
}

/// The steps, from the last to the first, on memory that tasks share.
struct Steps<'a, C> {
    layer: &'a Recurrent<C>,
    device: &'a Device,
    /// Panels of W_hh for the way back.
    weights: &'a [f32],
    lengths: &'a [f32],
    /// [batch, time, gates of a row]
    gates: &'a [f32],
    /// [batch, time, padded], if the cell has a gate apart.
    apart: &'a [f32],
    /// [states, batch, time, padded]
    before: &'a [f32],
    dy: &'a [f32],
    /// Gradients of the sums, rows of [`Recurrent::gradient_row`].
    sums: Shared,
    /// [states, batch, padded]: gradients of the state that do not pass through W_hh.
    dstates: Shared,
    dstate: [Option<Shared>; 2],
}

impl<C: Cell> Steps<'_, C> {
    /// The step that is number `n` from the end; number `time` is the state before the first.
    ///
    /// # Safety
    /// Nobody else may work on these blocks of these rows, and number n - 1 of all blocks of these rows is done.
    unsafe fn step(&self, n: usize, rows: Range<usize>, blocks: Range<usize>) {
        let at_once = Recurrent::<C>::blocks_at_once(C::GATES * self.layer.padded());
        // The gradient of h as far as it comes through W_hh.
        let mut dh = [0.0; ROWS * BLOCKS_AT_ONCE * LANES];
        for first in blocks.clone().step_by(at_once) {
            let part = first..blocks.end.min(first + at_once);
            let width = part.len() * LANES;
            // SAFETY: the caller's promise.
            unsafe {
                if n > 0 {
                    self.through_weights(n, rows.clone(), part.clone(), &mut dh);
                }
                for (row, dh) in rows.clone().zip(dh.chunks_exact(width)) {
                    if n < self.layer.time {
                        self.gradients(self.layer.time_of(self.layer.time - 1 - n), row, part.clone(), dh);
                    } else {
                        self.first(row, part.clone(), dh);
                    }
                }
            }
        }
    }

    /// The gradients of the sums of the next step times W_hh, for some units: `dh` [rows, units].
    ///
    /// # Safety
    /// As [`Steps::step`].
    unsafe fn through_weights(&self, n: usize, rows: Range<usize>, blocks: Range<usize>, dh: &mut [f32]) {
        let layer = self.layer;
        let (k, row) = (C::GATES * layer.padded(), layer.gradient_row());
        let next = layer.time_of(layer.time - n);
        let panel = k * LANES;
        let width = blocks.len() * LANES;
        assert!(dh.len() >= rows.len() * width, "room for all rows");
        // SAFETY: the gradients of the next step, which is done.
        let data =
            unsafe { self.sums.at((rows.start * layer.time + next) * row + hidden_slot::<C>(0) * layer.padded()) };
        let block = Block {
            k,
            depth: DEPTH,
            rows: rows.len(),
            lanes: width,
            row_operand: Rows { data, row: layer.time * row, depth: 1 },
            lane_operand: LaneOperand::Panels { data: self.weights[blocks.start * panel..].as_ptr(), panel },
            c: Target { data: dh.as_mut_ptr(), row: width, lane: 1 },
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
    unsafe fn gradients(&self, t: usize, row: usize, blocks: Range<usize>, dh: &[f32]) {
        let layer = self.layer;
        let &Recurrent { batch, time, hidden, cell, .. } = layer;
        let (gate_row, padded) = (layer.gate_row(), layer.padded());
        let (at, len) = (blocks.start * LANES, blocks.len() * LANES);
        let place = row * time + t;
        let gates = &self.gates[place * gate_row..][..gate_row];
        let before = |state: usize| {
            if state < C::STATES { &self.before[(state * batch * time + place) * padded + at..][..len] } else { &[] }
        };
        let real = hidden.min(at + len) - at;
        let sums = std::array::from_fn(|slot| {
            if slot >= C::SLOTS {
                return &mut [][..];
            }
            // SAFETY: inside the memory of the gradients; these units of this row are this call's alone, slot by slot.
            unsafe {
                let start = place * layer.gradient_row() + slot * padded + at;
                std::slice::from_raw_parts_mut(self.sums.at(start), len)
            }
        });
        let dstates = std::array::from_fn(|state| {
            if state >= C::STATES {
                return &mut [][..];
            }
            // SAFETY: these units of this row are this call's alone, state by state.
            unsafe { std::slice::from_raw_parts_mut(self.dstate(state, row, &blocks), len) }
        });
        dispatch(
            self.device.isa(),
            Gradients {
                cell,
                is_real: Recurrent::<C>::is_real(self.lengths, row, t),
                joined: &gates[at * C::JOINED..][..len * C::JOINED],
                others: if C::APART > 0 { &gates[C::JOINED * padded + at..][..len] } else { &[] },
                apart: if C::APART > 0 { &self.apart[place * padded + at..][..len] } else { &[] },
                before: [before(0), before(1)],
                dy: &self.dy[place * hidden + at..][..real],
                dh,
                dstates,
                sums,
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
    before: [&'a [f32]; 2],
    dy: &'a [f32],
    dh: &'a [f32],
    dstates: [&'a mut [f32]; 2],
    sums: [&'a mut [f32]; MAX_GATES],
}

impl<C: Cell> Kernel for Gradients<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Gradients { cell, is_real, joined, others, apart, before, dy, dh, dstates, mut sums } = self;
        let [direct, dc] = dstates;
        let zero = s.splat(0.0);
        for at in (0..dh.len()).step_by(LANES) {
            let through = s.add(s.load(&dh[at..]), s.load(&direct[at..]));
            if !is_real {
                // The state went by unchanged, and y was 0.
                s.store(through, &mut direct[at..]);
                sums[..C::SLOTS].iter_mut().for_each(|sums| s.store(zero, &mut sums[at..]));
                continue;
            }
            let dy = match dy.len() - at {
                LANES.. => s.load(&dy[at..]),
                _ => s.load_partial(&dy[at..]),
            };
            let state = [s.load(&before[0][at..]), if C::STATES > 1 { s.load(&before[1][at..]) } else { zero }];
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
            let (gradients, dstate) = cell.gradient(s, gates, recurrent, state, dstate);
            for (sums, gradient) in sums.iter_mut().zip(gradients).take(C::SLOTS) {
                s.store(gradient, &mut sums[at..]);
            }
            s.store(dstate[0], &mut direct[at..]);
            if C::STATES > 1 {
                s.store(dstate[1], &mut dc[at..]);
            }
        }
    }
}
