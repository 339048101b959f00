//! The forward pass with sixteen queries in the lanes.

use std::ops::Range;

use super::columns::{Load, Store};
use super::product::product;
use super::{Attention, BLOCK, Buffers, FEW, MAX_SIZE, SMALL_SIZE, Steps, Unit};
use crate::device::{Device, Shared};
use crate::gemm::Matrix;
use crate::math::{exp, log};
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};

impl Attention<'_> {
    /// y [sequences, queries, heads · size], and Lᵢ to `log_sums` [sequences, heads, queries] (∞ of a query that sees
    /// nothing) unless it is empty.
    ///
    /// Panics when the sizes do not fit.
    pub fn forward(&self, device: &Device, y: &mut [f32], log_sums: &mut [f32]) {
        self.check();
        let rows = self.sequences * self.queries;
        assert_eq!(y.len(), rows * self.heads * self.size, "an output for each query");
        assert!(log_sums.is_empty() || log_sums.len() == rows * self.heads, "a sum for each query and head");
        let (y, log_sums) = (Shared(y.as_mut_ptr()), (!log_sums.is_empty()).then_some(Shared(log_sums.as_mut_ptr())));
        if self.queries <= FEW && log_sums.is_none() {
            return self.few(device, y);
        }
        self.for_each_unit(device, self.queries, self.unit_work(self.past() + self.keys), |units| {
            if self.size <= SMALL_SIZE {
                self.forward_units::<SMALL_SIZE>(device.isa(), units, y, log_sums);
            } else {
                self.forward_units::<MAX_SIZE>(device.isa(), units, y, log_sums);
            }
        });
    }

    fn forward_units<const N: usize>(
        &self,
        isa: Isa,
        units: &mut dyn Iterator<Item = Unit>,
        y: Shared,
        log_sums: Option<Shared>,
    ) {
        let mut buffers = Buffers::<N>::new();
        for unit in units {
            let ([q, sums, ..], [scores, _]) = buffers.split(self.size);
            let (offset, stride) = (unit.head * self.size, self.heads * self.size);
            let source = self.q.rows(unit, unit.first, self.size).data;
            let (size, count) = (self.size, unit.count);
            dispatch(isa, Load { source, stride: self.q.step, count, size, factor: self.factor(), columns: q });
            let state = self.sums(isa, unit, q, sums, scores);
            let (factors, logs) = dispatch(isa, Ends { state });
            let at = (unit.sequence * self.queries + unit.first) * stride + offset;
            // SAFETY: the rows of the unit's queries are inside the output, and units have different ones, or other heads.
            let target = Shared(unsafe { y.at(at) });
            dispatch(isa, Store { columns: sums, factors, size, count, target, stride });
            if let Some(log_sums) = log_sums {
                let at = (unit.sequence * self.heads + unit.head) * self.queries + unit.first;
                // SAFETY: as above.
                let place = unsafe { std::slice::from_raw_parts_mut(log_sums.at(at), count) };
                place.copy_from_slice(&logs[..count]);
            }
        }
    }

    /// Of the queries in the lanes of `q`, the sums of weighted values, relative to the greatest scores.
    fn sums(&self, isa: Isa, unit: Unit, q: &[f32], sums: &mut [f32], scores: &mut [f32]) -> State {
        sums.fill(0.0);
        let mut state = State { greatest: [f32::NEG_INFINITY; LANES], sum: [0.0; LANES] };
        let seen = Seen::new(self, unit);
        let (keys, values) = (Steps::keys(self, unit), Steps::values(self, unit));
        let mut from = seen.any.start;
        while from < seen.any.end {
            let to = seen.any.end.min((from / BLOCK + 1) * BLOCK);
            let scores = &mut scores[..(to - from) * LANES];
            for_each_run(&keys, from..to, |rows, run| {
                product(isa, rows, run.len(), q, &mut scores[run.start * LANES..run.end * LANES], false);
            });
            dispatch(isa, Weigh { from, seen: &seen, scores, state: &mut state, sums });
            for_each_run(&values, from..to, |rows, run| {
                let weights = &scores[run.start * LANES..run.end * LANES];
                product(isa, rows.transposed(), self.size, weights, sums, true);
            });
            from = to;
        }
        state
    }
}

/// Calls `body` with the rows of the steps in `range` that lie one behind the other, and their places in the range.
pub(super) fn for_each_run(steps: &Steps, range: Range<usize>, mut body: impl FnMut(Matrix, Range<usize>)) {
    let mut step = range.start;
    while step < range.end {
        let (data, row_stride, count) = steps.run(step);
        let end = range.end.min(step.saturating_add(count));
        body(Matrix { data, row_stride, column_stride: 1 }, step - range.start..end - range.start);
        step = end;
    }
}

/// The keys that the queries in the lanes see: each of them, any of them and all of them.
pub(super) struct Seen {
    pub first: [f32; LANES],
    pub end: [f32; LANES],
    pub any: Range<usize>,
    pub all: Range<usize>,
}

impl Seen {
    pub fn new(attention: &Attention, unit: Unit) -> Seen {
        // What lanes without a query compute is not looked at.
        let mut seen = Seen { first: [0.0; LANES], end: [0.0; LANES], any: 0..0, all: 0..usize::MAX };
        for lane in 0..unit.count {
            let range = attention.visible(unit.sequence, unit.first + lane);
            (seen.first[lane], seen.end[lane]) = (range.start as f32, range.end as f32);
            seen.all = seen.all.start.max(range.start)..seen.all.end.min(range.end);
            seen.any = match (seen.any.is_empty(), range.is_empty()) {
                (_, true) => seen.any,
                (true, false) => range,
                (false, false) => seen.any.start.min(range.start)..seen.any.end.max(range.end),
            };
        }
        seen
    }
}

/// The greatest score of each lane so far, and the sum of the weights relative to it.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub greatest: [f32; LANES],
    pub sum: [f32; LANES],
}

/// What is subtracted from scores: the greatest of them, or, of none, 0, because an infinity cannot be.
#[inline(always)]
pub(super) fn shift_of<S: Simd>(s: S, greatest: S::Float) -> S::Float {
    s.select(s.eq(greatest, s.splat(f32::NEG_INFINITY)), s.splat(0.0), greatest)
}

/// Turns the scores of a block of keys into weights, and makes all sums relative to the greatest score with them.
struct Weigh<'a> {
    /// The first key of the block.
    from: usize,
    seen: &'a Seen,
    scores: &'a mut [f32],
    state: &'a mut State,
    sums: &'a mut [f32],
}

impl Kernel for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Weigh { from, seen, scores, state, sums } = self;
        let (first, end) = (s.load(&seen.first), s.load(&seen.end));
        let before = s.load(&state.greatest);
        let mut greatest = before;
        for (i, row) in scores.chunks_exact_mut(LANES).enumerate() {
            let mut score = s.load(row);
            if !seen.all.contains(&(from + i)) {
                let (key, nothing) = (s.splat((from + i) as f32), s.splat(f32::NEG_INFINITY));
                score = s.select(s.le(first, key), s.select(s.lt(key, end), score, nothing), nothing);
                s.store(score, row);
            }
            greatest = s.max(score, greatest);
        }
        let shift = shift_of(s, greatest);
        let factor = exp(s, s.sub(before, shift));
        let mut sum = s.mul(s.load(&state.sum), factor);
        for row in scores.chunks_exact_mut(LANES) {
            let weight = exp(s, s.sub(s.load(row), shift));
            s.store(weight, row);
            sum = s.add(sum, weight);
        }
        s.store(greatest, &mut state.greatest);
        s.store(sum, &mut state.sum);
        for row in sums.chunks_exact_mut(LANES) {
            s.store(s.mul(s.load(row), factor), row);
        }
    }
}

/// What the sums have to be multiplied by, and the logarithms of the sums of exponentials.
pub(super) struct Ends {
    pub state: State,
}

impl Kernel for Ends {
    type Output = ([f32; LANES], [f32; LANES]);

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let (greatest, sum) = (s.load(&self.state.greatest), s.load(&self.state.sum));
        let nothing = s.eq(sum, s.splat(0.0));
        let factor = s.select(nothing, s.splat(0.0), s.div(s.splat(1.0), sum));
        let logs = s.select(nothing, s.splat(f32::INFINITY), s.add(greatest, log(s, sum)));
        (s.to_array(factor), s.to_array(logs))
    }
}
