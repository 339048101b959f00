//! The forward pass: the input's sums of all steps at once, then step by step the recurrent product and the gates.

use std::ops::Range;

use super::cell::{Cell, MAX_GATES};
use super::panels::Panels;
use super::{BLOCKS_AT_ONCE, DEPTH, Recurrent, Weights, take, units};
use crate::device::{Device, Shared};
use crate::gemm::tile::{Block, LaneOperand, Rows, Target};
use crate::gemm::{Matrix, gemm_panels};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// What [`Recurrent::forward`] works on.
pub struct Forward<'a> {
    /// [batch, time, input]
    pub x: &'a [f32],
    /// Both weights.
    pub weights: Weights<'a>,
    /// [gates · hidden], or empty for zeros.
    pub bias_ih: &'a [f32],
    /// [gates · hidden], or empty for zeros.
    pub bias_hh: &'a [f32],
    /// How many steps of each row are its sequence, at least 1; empty where all are. The others leave the state as it is, and have
    /// an output of 0.
    pub lengths: &'a [f32],
    /// [states, batch, hidden]: the state before the first step becomes that after the last.
    pub state: &'a mut [f32],
    /// [batch, time, hidden], overwritten.
    pub y: &'a mut [f32],
    /// [`Recurrent::saved`] values for the backward pass; empty where there will be none.
    pub saved: &'a mut [f32],
    /// [`Recurrent::forward_scratch`] values of no meaning.
    pub scratch: &'a mut [f32],
}

impl<C: Cell> Recurrent<C> {
    /// Scratch memory of [`Recurrent::forward`]. `saves`: it saves for a backward pass; `packed`: its weights are.
    pub fn forward_scratch(&self, saves: bool, packed: bool) -> usize {
        let (row, padded) = (self.gate_row(), self.padded());
        let panels = if packed { 0 } else { row * (self.input + self.hidden) };
        let gates = if saves { 0 } else { self.batch * (self.time * row + C::APART * padded) };
        panels + gates + row + C::APART * padded + self.batch * (1 + C::STATES) * padded
    }

    /// Computes all steps. Panics when a length does not fit.
    pub fn forward(&self, device: &Device, pass: Forward) {
        let Recurrent { batch, time, input, hidden, .. } = *self;
        let Forward { x, weights, bias_ih, bias_hh, lengths, state, y, saved, scratch } = pass;
        let (row, padded) = (self.gate_row(), self.padded());
        let packed = matches!(weights, Weights::Packed(_));
        let saves = !saved.is_empty();
        assert!(x.len() == batch * time * input && y.len() == batch * time * hidden, "[batch, time, …]");
        assert!([bias_ih, bias_hh].iter().all(|bias| [0, C::GATES * hidden].contains(&bias.len())), "biases");
        assert!(
            [0, batch].contains(&lengths.len()) && state.len() == self.state(),
            "lengths, state [states, batch, hidden]"
        );
        assert!([0, self.saved()].contains(&saved.len()), "memory for what is saved");
        assert!(scratch.len() >= self.forward_scratch(saves, packed), "scratch memory");

        let mut rest = scratch;
        let (ih, hh): (&[f32], &[f32]) = match weights {
            Weights::Packed(matrix) => matrix.panels().split_at(row * input),
            Weights::Plain { ih, hh } => {
                self.check_weights(ih, hh);
                let (panels_ih, panels_hh) = (take(&mut rest, row * input), take(&mut rest, row * hidden));
                self.pack_gates(device, ih, input, panels_ih);
                self.pack_gates(device, hh, hidden, panels_hh);
                (panels_ih, panels_hh)
            }
        };
        assert!(ih.len() == row * input && hh.len() == row * hidden, "weights packed for these sizes");

        let (bias, bias_apart) = (take(&mut rest, row), take(&mut rest, C::APART * padded));
        let value = |bias: &[f32], i: usize| bias.get(i).copied().unwrap_or(0.0);
        self.spread(|i| value(bias_ih, i) + value(bias_hh, i), 0..C::JOINED, bias);
        let (_, of_apart) = bias.split_at_mut(C::JOINED * padded);
        for (i, values) in of_apart.chunks_exact_mut(LANES).enumerate() {
            let range = units(i, hidden);
            values.fill(0.0);
            bias_apart[i * LANES..][..LANES].fill(0.0);
            for (lane, unit) in range.enumerate() {
                values[lane] = value(bias_ih, C::JOINED * hidden + unit);
                bias_apart[i * LANES + lane] = value(bias_hh, C::JOINED * hidden + unit);
            }
        }

        let (mut kept, states) = (saved, take(&mut rest, (1 + C::STATES) * batch * padded));
        let memory = if saves { &mut kept } else { &mut rest };
        let gates = take(memory, batch * time * row);
        let apart = take(memory, C::APART * padded * if saves { batch * time } else { batch });
        let (c_before, h_before) = if saves {
            let (c_before, h_before) = kept.split_at_mut((C::STATES - 1) * batch * time * padded);
            (c_before, Some(h_before))
        } else {
            (&mut [][..], None)
        };
        gemm_panels(device, input, Matrix::row_major(x, input), ih, bias, gates);

        let (h, c) = states.split_at_mut(2 * batch * padded);
        pad(&state[..batch * hidden], hidden, &mut h[..batch * padded]);
        pad(&state[batch * hidden..], hidden, c);
        let shared = |values: &mut [f32]| Shared(values.as_mut_ptr());
        let steps = Steps {
            layer: self,
            device,
            weights: hh,
            bias_apart,
            lengths,
            gates: shared(gates),
            apart: shared(apart),
            h_before: h_before.map(|memory| Panels::new(shared(memory), batch * time)),
            c_before: shared(c_before),
            h: shared(h),
            c: shared(c),
            y: shared(y),
        };
        // SAFETY: `each_step` gives parts that do not overlap, and all parts of a step before those of the next that share
        // their rows.
        self.each_step(device, time, &|n, rows, blocks| unsafe { steps.step(n, rows, blocks) });
        let last = time % 2 * batch * padded;
        unpad(&h[last..][..batch * padded], hidden, &mut state[..batch * hidden]);
        unpad(c, hidden, &mut state[batch * hidden..]);
    }
}

/// Rows of `hidden` values as rows of whole vectors, with zeros behind.
fn pad(values: &[f32], hidden: usize, padded: &mut [f32]) {
    for (row, values) in padded.chunks_exact_mut(hidden.next_multiple_of(LANES)).zip(values.chunks_exact(hidden)) {
        row[..hidden].copy_from_slice(values);
        row[hidden..].fill(0.0);
    }
}

/// The way back from [`pad`].
fn unpad(padded: &[f32], hidden: usize, values: &mut [f32]) {
    for (row, values) in padded.chunks_exact(hidden.next_multiple_of(LANES)).zip(values.chunks_exact_mut(hidden)) {
        values.copy_from_slice(&row[..hidden]);
    }
}

/// The steps, on memory that tasks share.
struct Steps<'a, C> {
    layer: &'a Recurrent<C>,
    device: &'a Device,
    /// Panels of W_hh.
    weights: &'a [f32],
    /// b_hh of the gate apart.
    bias_apart: &'a [f32],
    lengths: &'a [f32],
    /// [batch, time, gates of a row]: the input's sums become the gates.
    gates: Shared,
    /// [batch, time, padded], or [batch, padded] if nothing is saved: recurrent parts of the gate apart.
    apart: Shared,
    /// h before each step, if it is saved; a panel for each block.
    h_before: Option<Panels>,
    /// [batch, time, padded]: c before each step, if there is one and it is saved.
    c_before: Shared,
    /// Twice [batch, padded]: h before and after a step, in turns.
    h: Shared,
    /// [batch, padded]
    c: Shared,
    /// [batch, time, hidden]
    y: Shared,
}

impl<C: Cell> Steps<'_, C> {
    /// Step number `n` of some rows and blocks of units.
    ///
    /// # Safety
    /// Nobody else may work on these blocks of these rows, and step n - 1 of all blocks of these rows is done.
    unsafe fn step(&self, n: usize, rows: Range<usize>, blocks: Range<usize>) {
        let at_once = Recurrent::<C>::blocks_at_once(C::GATES * self.layer.hidden);
        for first in blocks.clone().step_by(at_once) {
            let part = first..blocks.end.min(first + at_once);
            // SAFETY: the caller's promise; the recurrent parts are written before they are read.
            unsafe {
                self.sums(n, rows.clone(), part.clone());
                for row in rows.clone() {
                    self.gates(n, row, part.clone());
                }
            }
        }
    }

    /// The row of `apart` for step `t` of row `row`, and their distance.
    fn apart_row(&self, row: usize, t: usize) -> (usize, usize) {
        let padded = self.layer.padded();
        if self.h_before.is_some() {
            ((row * self.layer.time + t) * padded, self.layer.time * padded)
        } else {
            (row * padded, padded)
        }
    }

    /// Adds W_hh·h to the sums of the joined gates, and computes those apart.
    ///
    /// # Safety
    /// As [`Steps::step`].
    unsafe fn sums(&self, n: usize, rows: Range<usize>, blocks: Range<usize>) {
        let &Recurrent { batch, time, hidden, .. } = self.layer;
        let (t, gate_row, padded) = (self.layer.time_of(n), self.layer.gate_row(), self.layer.padded());
        let panel = hidden * LANES;
        // SAFETY: the state before the step, inside its memory.
        let h = unsafe { self.h.at((n % 2 * batch + rows.start) * padded) };
        let product = |first_panel: usize, panels: usize, data: *mut f32, row: usize, resume: bool| {
            if panels > 0 {
                let block = Block {
                    k: hidden,
                    depth: DEPTH,
                    rows: rows.len(),
                    lanes: panels * LANES,
                    row_operand: Rows { data: h, row: padded, depth: 1 },
                    lane_operand: LaneOperand::Panels { data: self.weights[first_panel * panel..].as_ptr(), panel },
                    c: Target { data, row, lane: 1 },
                    resume,
                    strip: std::ptr::null_mut(),
                };
                dispatch(self.device.isa(), block);
            }
        };
        let first = blocks.start * C::JOINED;
        // SAFETY: inside the memory of gates and of what is apart.
        let gates = unsafe { self.gates.at((rows.start * time + t) * gate_row + first * LANES) };
        product(first, blocks.len() * C::JOINED, gates, time * gate_row, true);
        if C::APART > 0 {
            let (start, distance) = self.apart_row(rows.start, t);
            // SAFETY: as above.
            let apart = unsafe { self.apart.at(start + blocks.start * LANES) };
            product(self.layer.blocks() * C::JOINED + blocks.start, blocks.len(), apart, distance, false);
        }
    }

    /// The gates of one row, and the state after the step.
    ///
    /// # Safety
    /// As [`Steps::step`].
    unsafe fn gates(&self, n: usize, row: usize, blocks: Range<usize>) {
        let &Recurrent { batch, time, hidden, cell, .. } = self.layer;
        let (t, gate_row, padded) = (self.layer.time_of(n), self.layer.gate_row(), self.layer.padded());
        let (at, len) = (blocks.start * LANES, blocks.len() * LANES);
        let (place, state) = (row * time + t, row * padded + at);
        // SAFETY: blocks of one row, which are this call's alone.
        let slice = |of: Shared, start: usize, len: usize| unsafe { std::slice::from_raw_parts_mut(of.at(start), len) };
        // SAFETY: h before the step, which everybody only reads.
        let h = unsafe { std::slice::from_raw_parts(self.h.at(n % 2 * batch * padded + state), len) };
        let real = hidden.min(at + len) - at;
        let apart = if C::APART > 0 { slice(self.apart, self.apart_row(row, t).0 + at, len) } else { &mut [] };
        dispatch(
            self.device.isa(),
            Gates {
                cell,
                is_real: Recurrent::<C>::is_real(self.lengths, row, t),
                joined: slice(self.gates, place * gate_row + at * C::JOINED, len * C::JOINED),
                others: slice(self.gates, place * gate_row + C::JOINED * padded + at * C::APART, len * C::APART),
                apart,
                bias_apart: if C::APART > 0 { &self.bias_apart[at..at + len] } else { &[] },
                h,
                h_after: slice(self.h, (n + 1) % 2 * batch * padded + state, len),
                c: if C::STATES > 1 { slice(self.c, state, len) } else { &mut [] },
                c_before: if C::STATES > 1 && self.h_before.is_some() {
                    slice(self.c_before, place * padded + at, len)
                } else {
                    &mut []
                },
                h_before: self.h_before,
                first_block: blocks.start,
                place: t * batch + row,
                y: slice(self.y, place * hidden + at, real),
            },
        );
    }
}

/// The gates of some blocks of one row.
struct Gates<'a, C> {
    cell: C,
    /// The step is not padding.
    is_real: bool,
    /// Sums of the joined gates of each block.
    joined: &'a mut [f32],
    /// The input's sums of the gate apart.
    others: &'a mut [f32],
    apart: &'a mut [f32],
    bias_apart: &'a [f32],
    h: &'a [f32],
    h_after: &'a mut [f32],
    c: &'a mut [f32],
    c_before: &'a mut [f32],
    /// Where h before the step is saved: row `place` of the panels from `first_block` on, which are this kernel's alone.
    h_before: Option<Panels>,
    first_block: usize,
    place: usize,
    y: &'a mut [f32],
}

impl<C: Cell> Kernel for Gates<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Gates { cell, is_real, joined, others, apart, bias_apart, h, h_after, c, c_before, y, .. } = self;
        let saves = self.h_before.is_some();
        let zero = s.splat(0.0);
        debug_assert!(h.len() <= BLOCKS_AT_ONCE.max(2) * LANES);
        for at in (0..h.len()).step_by(LANES) {
            let state = [s.load(&h[at..]), if C::STATES > 1 { s.load(&c[at..]) } else { zero }];
            if let Some(panels) = self.h_before {
                // SAFETY: the maker of this kernel points it to values that it alone may use.
                let target = unsafe {
                    std::slice::from_raw_parts_mut(panels.at(self.first_block + at / LANES, self.place), LANES)
                };
                s.store(state[0], target);
                if C::STATES > 1 {
                    s.store(state[1], &mut c_before[at..]);
                }
            }
            let mut gates = [zero; MAX_GATES];
            for g in 0..C::JOINED {
                gates[g] = s.load(&joined[at * C::JOINED + g * LANES..]);
            }
            let mut recurrent = zero;
            if C::APART > 0 {
                gates[C::JOINED] = s.load(&others[at..]);
                recurrent = s.add(s.load(&apart[at..]), s.load(&bias_apart[at..]));
            }
            let after = if is_real { cell.step(s, &mut gates, recurrent, state) } else { state };
            if saves {
                for g in 0..C::JOINED {
                    s.store(gates[g], &mut joined[at * C::JOINED + g * LANES..]);
                }
                if C::APART > 0 {
                    s.store(gates[C::JOINED], &mut others[at..]);
                    s.store(recurrent, &mut apart[at..]);
                }
            }
            s.store(after[0], &mut h_after[at..]);
            if C::STATES > 1 {
                s.store(after[1], &mut c[at..]);
            }
            let output = if is_real { after[0] } else { zero };
            match y.len() - at {
                LANES.. => s.store(output, &mut y[at..]),
                _ => s.store_partial(output, &mut y[at..]),
            }
        }
    }
}
