//! Values of all steps as panels of sixteen columns.

use crate::device::Shared;
use crate::simd::LANES;

/// A matrix with a row for each step of each sequence, the rows of one step beside each other, as panels of sixteen columns one
/// behind the other: what a product over all steps reads lies close together, whichever operand it is. Between two panels are
/// sixteen values more, so that the same row of all panels does not share a place of the cache.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    data: Shared,
    /// Rows of a panel.
    steps: usize,
}

impl Panels {
    /// In `memory` of [`Panels::len`] values or more.
    pub fn new(memory: Shared, steps: usize) -> Panels {
        Panels { data: memory, steps }
    }

    /// Values of `panels` panels.
    pub fn len(panels: usize, steps: usize) -> usize {
        panels * Panels::stride(steps)
    }

    /// Distance of panels.
    pub fn stride(steps: usize) -> usize {
        steps * LANES + LANES
    }

    /// The sixteen values of row `row` of panel `panel`.
    ///
    /// # Safety
    /// The row must be inside the memory.
    #[inline(always)]
    pub unsafe fn at(&self, panel: usize, row: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.data.at(panel * Panels::stride(self.steps) + row * LANES) }
    }
}
