//! What a kernel runs on: an instruction set and threads.

use crate::pool::Pool;
use crate::simd::Isa;

/// An instruction set and a pool of threads; handed to every kernel by reference.
///
/// Helpers here split work by its size alone, so results do not depend on the number of threads.
pub struct Device {
    isa: Isa,
    pool: Pool,
}

impl Device {
    /// Runs on `isa` with `threads` threads, the calling one included (0 counts as 1).
    pub fn new(isa: Isa, threads: usize) -> Device {
        Device { isa, pool: Pool::new(threads) }
    }

    /// The fastest instruction set of this processor, and all its cores.
    pub fn best() -> Device {
        Device::new(Isa::best(), std::thread::available_parallelism().map_or(1, |cores| cores.get()))
    }

    /// The instruction set.
    #[inline]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Number of threads, the calling one included.
    #[inline]
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Calls `body(0)` … `body(tasks - 1)`, each once, on any thread; a plain loop for a single task or within another
    /// `for_each`. A panic of a task is passed on.
    #[inline]
    pub fn for_each(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        if tasks == 1 {
            body(0);
        } else if tasks > 1 {
            self.pool.run(tasks, body);
        }
    }

    /// Calls `body(start, part)` for the consecutive parts of `out` of length `chunk` (the last may be shorter);
    /// `part` is `out[start..]`. An empty `out` gives no call.
    #[inline]
    pub fn chunks_mut(&self, chunk: usize, out: &mut [f32], body: impl Fn(usize, &mut [f32]) + Sync) {
        self.chunks_mut_n(chunk, [out], |start, [part]| body(start, part));
    }

    /// [`Device::chunks_mut`] for several slices of equal length at once. Panics when the lengths differ.
    #[inline]
    pub fn chunks_mut_n<const N: usize>(
        &self,
        chunk: usize,
        mut out: [&mut [f32]; N],
        body: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let len = out.first().map_or(0, |slice| slice.len());
        assert!(chunk > 0 && out.iter().all(|slice| slice.len() == len), "slices of equal length, in parts of some");
        if len == 0 {
            return;
        }
        if len <= chunk {
            return body(0, out);
        }
        let base = out.each_mut().map(|slice| Shared(slice.as_mut_ptr()));
        self.for_each(len.div_ceil(chunk), &|task| {
            let start = task * chunk;
            let part = chunk.min(len - start);
            // SAFETY: each task runs once, and the parts of different tasks are disjoint and inside the slices, which
            // are borrowed for writing until `for_each` returns.
            body(start, base.each_ref().map(|base| unsafe { std::slice::from_raw_parts_mut(base.at(start), part) }));
        });
    }
    /// Calls `body(row, first, rest)` for consecutive groups of `chunk` rows (the last may be smaller): `first` and `rest`
    /// are the parts of slices of `rows` rows, each given with its own row length, that belong to the rows from `row`.
    /// A slice that is not wanted is empty, with rows of length 0. No rows give no call.
    ///
    /// Panics when a slice does not hold `rows` rows.
    #[inline]
    pub fn split_rows<const N: usize>(
        &self,
        rows: usize,
        chunk: usize,
        first: (&mut [f32], usize),
        rest: [(&mut [f32], usize); N],
        body: impl Fn(usize, &mut [f32], [&mut [f32]; N]) + Sync,
    ) {
        let holds = |(slice, width): &(&mut [f32], usize)| Some(slice.len()) == rows.checked_mul(*width);
        assert!(chunk > 0 && holds(&first) && rest.iter().all(holds), "slices of as many rows, in groups of some");
        if rows == 0 {
            return;
        }
        if rows <= chunk {
            return body(0, first.0, rest.map(|(slice, _)| slice));
        }
        let first = (Shared(first.0.as_mut_ptr()), first.1);
        let rest = rest.map(|(slice, width)| (Shared(slice.as_mut_ptr()), width));
        self.for_each(rows.div_ceil(chunk), &|task| {
            let row = task * chunk;
            let part = chunk.min(rows - row);
            // SAFETY: each task runs once, and the rows of different tasks are disjoint and inside the slices, which
            // are borrowed for writing until `for_each` returns.
            let rows_of =
                |base: &Shared, width| unsafe { std::slice::from_raw_parts_mut(base.at(row * width), part * width) };
            body(row, rows_of(&first.0, first.1), rest.each_ref().map(|(base, width)| rows_of(base, *width)));
        });
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("isa", &self.isa.name()).field("threads", &self.threads()).finish()
    }
}

/// A pointer that tasks share in order to write disjoint parts of what it points to.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut f32);

// SAFETY: only a pointer; whoever turns it into a slice says why no two tasks touch the same values.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    /// The place `offset` values further.
    ///
    /// # Safety
    /// It must be inside (or at the end of) the allocation that the pointer was made from.
    #[inline(always)]
    pub(crate) unsafe fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_place_once_for_any_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            let device = Device::new(Isa::scalar(), threads);
            for len in [0, 1, 9, 10, 11, 20, 1003] {
                let (mut a, mut b) = (vec![0.0; len], vec![1.0; len]);
                device.chunks_mut_n(10, [&mut a, &mut b], |start, [a, b]| {
                    assert_eq!(a.len(), b.len());
                    for i in 0..a.len() {
                        a[i] += (start + i) as f32;
                        b[i] *= 2.0;
                    }
                });
                assert!(a.iter().enumerate().all(|(i, &x)| x == i as f32));
                assert!(b.iter().all(|&x| x == 2.0));
                device.chunks_mut(7, &mut a, |start, part| part[0] = -(start as f32));
                assert!(a.iter().enumerate().all(|(i, &x)| x == if i % 7 == 0 { -(i as f32) } else { i as f32 }));
            }
        }
    }

    #[test]
    fn split_rows_hands_out_every_row_once_with_rows_of_several_lengths() {
        for threads in [1, 2, 3] {
            let device = Device::new(Isa::scalar(), threads);
            for rows in [0, 1, 4, 5, 6, 23] {
                let (mut a, mut b, mut none) = (vec![0.0; rows * 3], vec![0.0; rows], []);
                device.split_rows(rows, 5, (&mut a, 3), [(&mut b, 1), (&mut none, 0)], |row, a, [b, none]| {
                    assert!(none.is_empty() && a.len() == 3 * b.len());
                    for i in 0..b.len() {
                        a[3 * i + 2] += (row + i) as f32;
                        b[i] += (row + i) as f32 + 1.0;
                    }
                });
                assert!(a.iter().enumerate().all(|(i, &x)| x == if i % 3 == 2 { (i / 3) as f32 } else { 0.0 }));
                assert!(b.iter().enumerate().all(|(i, &x)| x == i as f32 + 1.0));
            }
        }
    }

    #[test]
    #[should_panic(expected = "as many rows")]
    fn a_slice_of_other_rows_is_refused() {
        Device::new(Isa::scalar(), 1).split_rows(2, 4, (&mut [0.0; 4], 2), [(&mut [0.0; 3], 1)], |_, _, _| ());
    }

    #[test]
    #[should_panic(expected = "equal length")]
    fn different_lengths_are_refused() {
        Device::new(Isa::scalar(), 1).chunks_mut_n(4, [&mut [0.0; 3], &mut [0.0; 4]], |_, _| ());
    }
}
