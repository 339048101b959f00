//! The forward pass of a few queries, with sixteen keys in the lanes: a token that is generated.

use super::columns::Load;
use super::forward::{Ends, State, shift_of};
use super::{Attention, BLOCK, MAX_SIZE, SMALL_SIZE, Steps, TASK, Unit};
use crate::device::{Device, Shared};
use crate::math::exp;
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};

impl Attention<'_> {
    /// As [`Attention::forward`], without logarithms.
    pub(super) fn few(&self, device: &Device, y: Shared) {
        let units = self.sequences * self.heads;
        let chunk = (TASK / (self.unit_work(self.past() + self.keys) / LANES * self.queries).max(1)).max(1);
        device.for_each(units.div_ceil(chunk), &|task| {
            for index in task * chunk..units.min((task + 1) * chunk) {
                let (sequence, head) = (index / self.heads, index % self.heads);
                let unit = Unit { sequence, head, first: 0, count: self.queries };
                if self.size <= SMALL_SIZE {
                    self.few_of_head::<SMALL_SIZE>(device.isa(), unit, y);
                } else {
                    self.few_of_head::<MAX_SIZE>(device.isa(), unit, y);
                }
            }
        });
    }

    fn few_of_head<const N: usize>(&self, isa: Isa, unit: Unit, y: Shared) {
        let (size, width) = (self.size, self.heads * self.size);
        let mut q = [0.0; N];
        for query in unit.first..unit.first + unit.count {
            let offset = unit.head * size;
            let source = &self.q.at(unit.sequence, query, offset)[..size];
            for (to, from) in q.iter_mut().zip(source) {
                *to = from * self.factor();
            }
            let at = (unit.sequence * self.queries + query) * width + offset;
            // SAFETY: the row of the query is inside the output, and tasks have different sequences or heads.
            let sums = unsafe { std::slice::from_raw_parts_mut(y.at(at), size) };
            self.one::<N>(isa, unit, query, &q[..size], sums);
        }
    }

    /// The output of one query.
    fn one<const N: usize>(&self, isa: Isa, unit: Unit, query: usize, q: &[f32], sums: &mut [f32]) {
        let (keys, values) = (Steps::keys(self, unit), Steps::values(self, unit));
        let seen = self.visible(unit.sequence, query);
        let mut state = State { greatest: [f32::NEG_INFINITY; LANES], sum: [0.0; LANES] };
        let mut columns = [[0.0; LANES]; N];
        let columns = columns[..self.size].as_flattened_mut();
        let mut scores = [0.0; BLOCK];
        sums.fill(0.0);
        let mut from = seen.start;
        while from < seen.end {
            let to = seen.end.min((from / BLOCK + 1) * BLOCK);
            let mut key = from;
            while key < to {
                let (source, stride, run) = keys.run(key);
                let count = LANES.min(run).min(to - key);
                dispatch(isa, Load { source, stride, count, size: self.size, factor: 1.0, columns: &mut *columns });
                let scores = &mut scores[key - from..][..count];
                dispatch(isa, Scores { q, columns, scores });
                key += count;
            }
            let weights = &mut scores[..to - from];
            let factor = dispatch(isa, Weigh { scores: weights, state: &mut state });
            dispatch(isa, Add { values: &values, from, weights, factor, sums });
            from = to;
        }
        let (factors, _) = dispatch(isa, Ends { state });
        for value in sums {
            // See `Store` for the sum.
            *value = *value * factors[0] + 0.0;
        }
    }
}

/// Scores of up to sixteen keys.
struct Scores<'a> {
    q: &'a [f32],
    columns: &'a [f32],
    scores: &'a mut [f32],
}

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut score = s.splat(0.0);
        for (&value, column) in self.q.iter().zip(self.columns.chunks_exact(LANES)) {
            score = s.fma(s.load(column), s.splat(value), score);
        }
        s.store_partial(score, self.scores);
    }
}

/// Turns the scores of a block into weights; gives what the sums so far have to be multiplied by. Lane 0 of the state is that
/// of the query.
struct Weigh<'a> {
    scores: &'a mut [f32],
    state: &'a mut State,
}

impl Kernel for Weigh<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let Weigh { scores, state } = self;
        let before = state.greatest[0];
        let mut greatest = before;
        for &score in scores.iter() {
            greatest = if score > greatest { score } else { greatest };
        }
        let shift = shift_of(s, s.splat(greatest));
        let factor = s.to_array(exp(s, s.sub(s.splat(before), shift)))[0];
        let mut sum = state.sum[0] * factor;
        for part in scores.chunks_mut(LANES) {
            s.store_partial(exp(s, s.sub(s.load_partial(part), shift)), part);
            for &weight in part.iter() {
                sum += weight;
            }
        }
        (state.greatest[0], state.sum[0]) = (greatest, sum);
        factor
    }
}

/// sums = sums · factor + Σⱼ weightⱼ valuesⱼ
struct Add<'a> {
    values: &'a Steps<'a>,
    from: usize,
    weights: &'a [f32],
    factor: f32,
    sums: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Add { values, from, weights, factor, sums } = self;
        // Some vectors at a time, whose sums stay in registers.
        const VECTORS: usize = 4;
        for (i, part) in sums.chunks_mut(VECTORS * LANES).enumerate() {
            let first = i * VECTORS * LANES;
            let mut totals = [s.splat(0.0); VECTORS];
            for (total, part) in totals.iter_mut().zip(part.chunks(LANES)) {
                *total = s.mul(s.load_partial(part), s.splat(factor));
            }
            for (key, &weight) in weights.iter().enumerate() {
                let row = &values.row(from + key)[first..][..part.len()];
                for v in 0..VECTORS {
                    let rest = &row[row.len().min(v * LANES)..];
                    if !rest.is_empty() {
                        let value = if rest.len() >= LANES { s.load(rest) } else { s.load_partial(rest) };
                        totals[v] = s.fma(value, s.splat(weight), totals[v]);
                    }
                }
            }
            for (&total, part) in totals.iter().zip(part.chunks_mut(LANES)) {
                s.store_partial(total, part);
            }
        }
    }
}
