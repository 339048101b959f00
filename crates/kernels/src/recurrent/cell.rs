//! What one kind of recurrent cell computes for each unit.

use crate::simd::Simd;

/// Most gates of a cell, and most gradients of a unit's sums.
pub const MAX_GATES: usize = 4;

/// The formula of a cell and its derivative, for sixteen units at a time.
///
/// A unit has `GATES` sums, each W_ih·x + b_ih + W_hh·h + b_hh with rows of its own of both weights, and `STATES` values that it
/// keeps from step to step, of which the first is its output h. Implementations carry `#[inline(always)]` (see
/// [`crate::simd::Kernel::run`]) and treat every lane alone.
pub trait Cell: Copy + Send + Sync {
    /// Sums of a unit, at most [`MAX_GATES`].
    const GATES: usize;
    /// Values that a unit keeps: 1 (h) or 2 (h and c).
    const STATES: usize;
    /// How many of the gates, the last ones, take W_hh·h + b_hh apart from the input's sum: 0 or 1.
    const APART: usize = 0;
    /// Gates in which the recurrent part goes on from the input's sum.
    const JOINED: usize = Self::GATES - Self::APART;
    /// Gradients of a unit's sums: one of each gate, and one of what stays apart.
    const SLOTS: usize = Self::GATES + Self::APART;

    /// One step: turns the sums in `gates` into what [`Cell::gradient`] wants to know, and gives the state after it. `apart` is
    /// W_hh·h + b_hh of the gate that has it apart.
    fn step<S: Simd>(
        self,
        s: S,
        gates: &mut [S::Float; MAX_GATES],
        apart: S::Float,
        state: [S::Float; 2],
    ) -> [S::Float; 2];

    /// The way back: from what [`Cell::step`] left in `gates`, from `apart`, the state before the step and the gradient of the
    /// state after it (`dstate[0]` is all of ∂L/∂h), the gradients of the sums, and those of the state before the step as far
    /// as they do not pass through W_hh.
    ///
    /// The gradients stand in the order of [`input_slot`] and [`hidden_slot`].
    fn gradient<S: Simd>(
        self,
        s: S,
        gates: [S::Float; MAX_GATES],
        apart: S::Float,
        state: [S::Float; 2],
        dstate: [S::Float; 2],
    ) -> ([S::Float; MAX_GATES], [S::Float; 2]);
}

/// Where [`Cell::gradient`] has the gradient of the input's part of gate `gate`. What is apart stands at both ends, so that the
/// recurrent parts of all gates follow each other: with n apart, n's input, r, z, n's recurrent part.
pub fn input_slot<C: Cell>(gate: usize) -> usize {
    if gate < C::JOINED { gate + C::APART } else { gate - C::JOINED }
}

/// Where [`Cell::gradient`] has the gradient of the recurrent part of gate `gate`.
pub fn hidden_slot<C: Cell>(gate: usize) -> usize {
    gate + C::APART
}
