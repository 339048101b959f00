//! One buffer, lent in parts: a step reads some ranges and writes others, and the overlap check makes that safe.

use std::marker::PhantomData;
use std::ops::Range;

use crate::buffer::Buffer;

/// Loans of one [`Arena::lend`] that need no allocation; more of them allocate once.
const USUAL_LOANS: usize = 64;

/// Memory for all intermediate values, laid out by whoever plans their lifetimes.
#[derive(Debug)]
pub struct Arena {
    buffer: Buffer,
    loans: Vec<Loan>,
}

#[derive(Clone, Copy, Debug)]
struct Loan {
    start: usize,
    end: usize,
    written: bool,
}

impl Arena {
    /// `len` zeros.
    pub fn new(len: usize) -> Arena {
        Arena { buffer: Buffer::new(len), loans: Vec::with_capacity(USUAL_LOANS) }
    }

    /// Number of f32.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// True when the arena holds nothing.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Begins a round of loans, which all end with the borrow of the arena.
    #[inline]
    pub fn lend(&mut self) -> Loans<'_> {
        self.loans.clear();
        Loans { base: self.buffer.as_mut_ptr(), len: self.buffer.len(), loans: &mut self.loans, borrow: PhantomData }
    }

    /// All of it, for reading.
    pub fn as_slice(&self) -> &[f32] {
        &self.buffer
    }

    /// All of it, for writing.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.buffer
    }
}

/// The loans of one round: any number of readers of a place, or one writer.
#[derive(Debug)]
pub struct Loans<'a> {
    base: *mut f32,
    len: usize,
    loans: &'a mut Vec<Loan>,
    borrow: PhantomData<&'a mut [f32]>,
}

impl<'a> Loans<'a> {
    /// The values in `range`, for reading. Panics when the range leaves the arena or is lent for writing.
    #[inline]
    pub fn read(&mut self, range: Range<usize>) -> &'a [f32] {
        self.record(&range, false);
        // SAFETY: `record` found the range inside the buffer, which is borrowed for 'a, and no writer of it in this
        // round; later writers will find this loan, because the list is cleared only when the borrow is over.
        unsafe { std::slice::from_raw_parts(self.base.add(range.start), range.len()) }
    }

    /// The values in `range`, for writing. Panics when the range leaves the arena or any part of it is lent.
    #[inline]
    pub fn write(&mut self, range: Range<usize>) -> &'a mut [f32] {
        self.record(&range, true);
        // SAFETY: as in `read`; and no other loan of this round touches the range.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(range.start), range.len()) }
    }

    #[inline]
    fn record(&mut self, range: &Range<usize>, written: bool) {
        let (start, end) = (range.start, range.end);
        assert!(start <= end && end <= self.len, "loan {start}..{end} of an arena of {}", self.len);
        if start == end {
            return;
        }
        for loan in self.loans.iter() {
            let overlap = start < loan.end && loan.start < end;
            if overlap && (written || loan.written) {
                clash(Loan { start, end, written }, *loan);
            }
        }
        self.loans.push(Loan { start, end, written });
    }
}

#[cold]
fn clash(new: Loan, old: Loan) -> ! {
    let verb = |loan: Loan| if loan.written { "writing" } else { "reading" };
    panic!("{} {}..{} while {}..{} is lent for {}", verb(new), new.start, new.end, old.start, old.end, verb(old))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Does the second loan panic after the first?
    fn clashes(first: (Range<usize>, bool), second: (Range<usize>, bool)) -> bool {
        let mut arena = Arena::new(100);
        let mut loans = arena.lend();
        let mut take = |(range, written): (Range<usize>, bool)| {
            if written {
                loans.write(range).fill(1.0);
            } else {
                assert!(loans.read(range).iter().all(|&x| x <= 1.0));
            }
        };
        take(first);
        catch_unwind(AssertUnwindSafe(|| take(second))).is_err()
    }

    #[test]
    fn only_readers_may_overlap() {
        for (first, second) in [(false, true), (true, false), (true, true)] {
            for range in [10..20, 0..11, 19..30, 12..13, 0..100] {
                assert!(clashes((10..20, first), (range, second)));
            }
            for range in [0..10, 20..30, 15..15, 100..100] {
                assert!(!clashes((10..20, first), (range, second)));
            }
        }
        assert!(!clashes((10..20, false), (0..100, false)));
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "the arena must refuse them")]
    fn loans_stay_inside() {
        assert!(clashes((0..1, false), (100..101, false)));
        assert!(clashes((0..1, false), (101..101, true)));
        assert!(clashes((0..1, false), (30..20, true)));
    }

    #[test]
    fn a_new_round_forgets_the_loans_and_keeps_the_values() {
        let mut arena = Arena::new(10);
        arena.lend().write(0..10).fill(4.0);
        let mut loans = arena.lend();
        let (x, y) = (loans.read(0..5), loans.write(5..10));
        y.copy_from_slice(x);
        assert_eq!(arena.as_slice(), [4.0; 10]);
    }
}
