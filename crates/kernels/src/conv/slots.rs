//! Scratch memory by the number of tasks that run at a time, not by the number of tasks.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::device::Shared;

/// Most tasks that have a slot at the same time; a machine with more threads lets the others wait.
pub(super) const MAX_SLOTS: usize = 64;

/// Equal parts of a slice, each for one task at a time. What a task finds there is of no meaning. The lowest free slot
/// is taken, so a thread mostly gets the one back that is still in its cache.
pub(super) struct Slots {
    free: AtomicU64,
    base: Shared,
    len: usize,
}

impl Slots {
    /// `count` (at most [`MAX_SLOTS`]) slots of `len` values.
    pub fn new(scratch: &mut [f32], count: usize, len: usize) -> Slots {
        assert!((1..=MAX_SLOTS).contains(&count) && scratch.len() >= count * len, "room for the slots");
        Slots { free: AtomicU64::new(u64::MAX >> (MAX_SLOTS - count)), base: Shared(scratch.as_mut_ptr()), len }
    }

    /// Runs `body` with a slot of its own.
    pub fn with(&self, body: impl FnOnce(&mut [f32])) {
        let slot = loop {
            let free = self.free.load(Ordering::Relaxed);
            let slot = free.trailing_zeros();
            let taken = free & !(1 << (slot % MAX_SLOTS as u32));
            if free != 0 && self.free.compare_exchange_weak(free, taken, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                break slot;
            }
            spin_loop();
        };
        // SAFETY: the slot is inside the slice that the slots were made from, and nobody else has it until its bit is
        // set again; the slice outlives the loop over tasks that this is part of.
        body(unsafe { std::slice::from_raw_parts_mut(self.base.at(slot as usize * self.len), self.len) });
        self.free.fetch_or(1 << slot, Ordering::Release);
    }
}
