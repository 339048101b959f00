//! Recurrent layers: all steps of one layer in one direction as one computation, forward and backward.
//!
//! x [batch, time, input], W_ih [gates · hidden, input], W_hh [gates · hidden, hidden], b_ih and b_hh [gates · hidden] → the output
//! h of every step, [batch, time, hidden]. What a step does with the sums W_ih·x + b_ih + W_hh·h + b_hh is the [`Cell`]'s.
//!
//! Forward: the input's part of the sums, for all steps, is one matrix product. Then each step goes on from there with the
//! product of the state and W_hh, panels of which were packed once, and the gates are computed while their sums are in the first
//! cache. Backward: step by step, from the last, the gradient of the state is the product of the gradients of the next step's
//! sums and W_hh, packed the other way round, and gives those of this step's sums, and with W_ih those of x; then the gradients of
//! the weights and biases are one product or sum each, over all steps.
//!
//! Inside, units are filled up to whole vectors: a unit too many has weights of 0, so it stays 0. A *block* is the sixteen units of
//! a vector.
//!
//! Threads share the batch: rows do not know of each other, so a thread runs through all steps of some rows and waits for
//! nobody. Where the batch is too small for that and W_hh is large, they share the units, step by step.
//!
//! Every sum is one chain of fused multiply-adds: first over the input's values, then the bias b_ih + b_hh (of a gate whose
//! recurrent part stays apart: b_ih), then over the state's values. So the bits depend neither on threads and instruction sets nor on how
//! a sequence is cut into pieces that hand on their state.

mod backward;
mod cell;
mod forward;
mod gru;
mod lstm;
mod panels;
mod rnn;
#[cfg(test)]
mod tests;
mod weights;

use std::ops::Range;

pub use backward::Backward;
pub use cell::{Cell, MAX_GATES, hidden_slot, input_slot};
pub use forward::Forward;
pub use gru::Gru;
pub use lstm::Lstm;
pub use rnn::Rnn;

use panels::Panels;

use crate::device::Device;
use crate::gemm::PackedMatrix;
use crate::simd::LANES;

/// Rows of the batch that one thread takes through the steps: enough to use each weight often while it is in the first cache.
const ROWS: usize = 16;
/// Multiply-adds of a step from which threads share its units.
const SHARED_STEP: usize = 1 << 19;
/// Multiply-adds of a task of such a step.
const UNITS_TASK: usize = 1 << 17;
/// Values of the panels that a step uses at a time: a part of the second cache.
const PANELS_AT_ONCE: usize = 1 << 15;
/// Most blocks of units at a time: their sums for all rows lie in the first cache.
const BLOCKS_AT_ONCE: usize = 8;
/// Depth of a product of the steps after which the sums are stored: its operands stay in the first cache.
const DEPTH: usize = 256;

/// One layer in one direction, with its sizes, all of them 1 or more.
#[derive(Clone, Copy, Debug)]
pub struct Recurrent<C> {
    /// What a unit computes.
    pub cell: C,
    /// Number of sequences.
    pub batch: usize,
    /// Steps of a sequence.
    pub time: usize,
    /// Values of a step.
    pub input: usize,
    /// Units.
    pub hidden: usize,
    /// From the last step to the first.
    pub reverse: bool,
}

/// The weights of a forward pass.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// As they are trained.
    Plain {
        /// W_ih [gates · hidden, input]
        ih: &'a [f32],
        /// W_hh [gates · hidden, hidden]
        hh: &'a [f32],
    },
    /// What [`Recurrent::pack`] made of them.
    Packed(&'a PackedMatrix),
}

impl<C: Cell> Recurrent<C> {
    /// Values that the forward pass saves for the backward pass.
    pub fn saved(&self) -> usize {
        let steps = self.batch * self.time;
        steps * (C::SLOTS + C::STATES - 1) * self.padded() + Panels::len(self.blocks(), steps)
    }

    /// Values of the state, [states, batch, hidden].
    pub fn state(&self) -> usize {
        C::STATES * self.batch * self.hidden
    }

    /// Packs the weights once for many forward passes.
    pub fn pack(&self, device: &Device, weight_ih: &[f32], weight_hh: &[f32]) -> PackedMatrix {
        self.check_weights(weight_ih, weight_hh);
        PackedMatrix::filled(self.input + self.hidden, C::GATES * self.padded(), |panels| {
            let (ih, hh) = panels.split_at_mut(self.input * C::GATES * self.padded());
            self.pack_gates(device, weight_ih, self.input, ih);
            self.pack_gates(device, weight_hh, self.hidden, hh);
        })
    }

    fn check_weights(&self, ih: &[f32], hh: &[f32]) {
        let Recurrent { batch, time, input, hidden, .. } = *self;
        assert!(batch > 0 && time > 0 && input > 0 && hidden > 0, "sizes of 1 or more");
        let rows = C::GATES * hidden;
        assert!(ih.len() == rows * input && hh.len() == rows * hidden, "weights [gates · hidden, input or hidden]");
    }

    /// Blocks of units.
    fn blocks(&self) -> usize {
        self.hidden.div_ceil(LANES)
    }

    /// Units of all blocks.
    fn padded(&self) -> usize {
        self.blocks() * LANES
    }

    /// Values of the gates of a step of one row: joined ones, block after block, then those apart.
    fn gate_row(&self) -> usize {
        C::GATES * self.padded()
    }

    /// Which step comes as number `n`.
    fn time_of(&self, n: usize) -> usize {
        if self.reverse { self.time - 1 - n } else { n }
    }

    /// Is step `t` of row `row` one of its sequence, and not padding behind it?
    fn is_real(lengths: &[f32], row: usize, t: usize) -> bool {
        lengths.get(row).is_none_or(|&length| (t as f32) < length)
    }

    /// Blocks of units whose products, over `depth` values, are computed together.
    fn blocks_at_once(depth: usize) -> usize {
        (PANELS_AT_ONCE / (LANES * depth)).clamp(2, BLOCKS_AT_ONCE)
    }

    /// Calls `step(n, rows, blocks)` for n = 0, 1, … below `steps`, one after the other, for parts of rows and blocks that make up
    /// all of them; at most [`ROWS`] rows at a time. A part begins step n + 1 when those that it depends on, of the same rows,
    /// are done.
    fn each_step(&self, device: &Device, steps: usize, step: &(dyn Fn(usize, Range<usize>, Range<usize>) + Sync)) {
        let (batch, blocks) = (self.batch, self.blocks());
        let part = |i: usize, of: usize, all: usize| i * all / of..(i + 1) * all / of;
        let chunks = batch.div_ceil(ROWS);
        let work = batch * C::GATES * self.hidden * self.hidden;
        if chunks > 1 || work < SHARED_STEP {
            device.for_each(chunks, &|chunk| {
                (0..steps).for_each(|n| step(n, part(chunk, chunks, batch), 0..blocks));
            });
            return;
        }
        let pairs = blocks.div_ceil(2);
        let tasks = (work / UNITS_TASK).clamp(1, 8).min(pairs);
        for n in 0..steps {
            device.for_each(tasks, &|task| {
                let pairs = part(task, tasks, pairs);
                step(n, 0..batch, 2 * pairs.start..blocks.min(2 * pairs.end));
            });
        }
    }
}

/// The units of block `block`, of `hidden` in all.
fn units(block: usize, hidden: usize) -> Range<usize> {
    block * LANES..hidden.min((block + 1) * LANES)
}

/// The first `len` values of `rest`, which loses them.
fn take<'a>(rest: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let (first, others) = std::mem::take(rest).split_at_mut(len);
    *rest = others;
    first
}
