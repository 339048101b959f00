//! The backward pass: first Dᵢ, then the gradients of the queries with queries in the lanes, then those of keys and values
//! with keys in them. Each makes the scores again, so that no two tasks add to one place.

use super::columns::{Load, Store};
use super::forward::{Seen, for_each_run};
use super::product::product;
use super::{Attention, BLOCK, Buffers, Heads, MAX_SIZE, SMALL_SIZE, Sight, Steps, Unit};
use crate::device::{Device, Shared};
use crate::math::exp;
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};

/// What the backward pass of [`Attention`] works on.
#[derive(Debug)]
pub struct AttentionGradient<'a> {
    /// The output of the forward pass, [sequences, queries, heads · size].
    pub y: &'a [f32],
    /// Its gradient.
    pub dy: &'a [f32],
    /// Lᵢ as the forward pass gave them.
    pub log_sums: &'a [f32],
    /// As many values without meaning.
    pub scratch: &'a mut [f32],
    /// Where the gradients go.
    pub wanted: Wanted<'a>,
}

/// Where the gradients of queries, keys and values go.
#[derive(Debug)]
pub enum Wanted<'a> {
    /// All three side by side, as the projection of one sequence: [sequences, steps, 3 · heads · size].
    Stacked(&'a mut [f32]),
    /// Those of one sequence and of another.
    Apart {
        /// That of the queries, if it is wanted: [sequences, queries, heads · size].
        dq: Option<&'a mut [f32]>,
        /// Those of keys and values side by side, if they are wanted: [sequences, keys, 2 · heads · size].
        dk_dv: Option<&'a mut [f32]>,
    },
}

/// Rows that tasks write to.
#[derive(Clone, Copy)]
struct Rows {
    data: Shared,
    sequence: usize,
    step: usize,
}

impl Rows {
    /// All `parts` of `width` values that lie side by side at each of `steps` steps.
    fn side_by_side<const N: usize>(data: &mut [f32], sequences: usize, steps: usize, width: usize) -> [Rows; N] {
        assert_eq!(data.len(), sequences * steps * N * width, "room for {N} gradients");
        let base = Shared(data.as_mut_ptr());
        std::array::from_fn(|part| {
            // SAFETY: inside the gradient, or, of an empty one, its end.
            let first = if data.is_empty() { base.0 } else { unsafe { base.at(part * width) } };
            Rows { data: Shared(first), sequence: steps * N * width, step: N * width }
        })
    }
}

/// What all units share.
#[derive(Clone, Copy)]
struct Pass<'a> {
    attention: &'a Attention<'a>,
    isa: Isa,
    dy: Heads<'a>,
    log_sums: &'a [f32],
    deltas: &'a [f32],
}

impl Attention<'_> {
    /// Computes the gradients that are wanted. Panics when the sizes do not fit, and with earlier steps.
    pub fn backward(&self, device: &Device, gradient: AttentionGradient) {
        let AttentionGradient { y, dy, log_sums, scratch, wanted } = gradient;
        self.check();
        assert!(self.earlier.is_none(), "no gradient flows into earlier steps");
        let width = self.heads * self.size;
        let rows = self.sequences * self.queries;
        assert!(y.len() == rows * width && dy.len() == y.len(), "an output and its gradient for each query");
        assert!(
            log_sums.len() == rows * self.heads && scratch.len() == log_sums.len(),
            "a sum for each query and head"
        );
        let of_queries = |data| Heads { data, sequence: self.queries * width, step: width };
        let deltas = Shared(scratch.as_mut_ptr());
        self.for_each_unit(device, self.queries, LANES * self.size, |units| {
            for unit in units {
                let at = self.number(unit);
                // SAFETY: inside the scratch memory, and units have different places.
                let out = unsafe { std::slice::from_raw_parts_mut(deltas.at(at), unit.count) };
                let y = of_queries(y).rows(unit, unit.first, self.size).data;
                let dy = of_queries(dy).rows(unit, unit.first, self.size).data;
                dispatch(device.isa(), Deltas { y, dy, stride: width, size: self.size, out });
            }
        });
        let pass = Pass { attention: self, isa: device.isa(), dy: of_queries(dy), log_sums, deltas: scratch };
        let (dq, dk_dv) = match wanted {
            Wanted::Stacked(stacked) => {
                assert_eq!(self.queries, self.keys, "queries and keys of the same steps");
                let [dq, dk, dv] = Rows::side_by_side(stacked, self.sequences, self.queries, width);
                (Some(dq), Some([dk, dv]))
            }
            Wanted::Apart { dq, dk_dv } => {
                let dq = dq.map(|dq| Rows::side_by_side::<1>(dq, self.sequences, self.queries, width)[0]);
                (dq, dk_dv.map(|dk_dv| Rows::side_by_side(dk_dv, self.sequences, self.keys, width)))
            }
        };
        if let Some(dq) = dq {
            self.for_each_unit(device, self.queries, self.unit_work(self.keys), |units| match self.size {
                ..=SMALL_SIZE => pass.queries::<SMALL_SIZE>(units, dq),
                _ => pass.queries::<MAX_SIZE>(units, dq),
            });
        }
        if let Some(targets) = dk_dv {
            self.for_each_unit(device, self.keys, self.unit_work(self.queries), |units| match self.size {
                ..=SMALL_SIZE => pass.keys::<SMALL_SIZE>(units, targets),
                _ => pass.keys::<MAX_SIZE>(units, targets),
            });
        }
    }

    /// The place of a unit's first query among one value for each query, head and sequence.
    fn number(&self, unit: Unit) -> usize {
        (unit.sequence * self.heads + unit.head) * self.queries + unit.first
    }
}

impl Pass<'_> {
    /// dq of the queries of some units.
    fn queries<const N: usize>(&self, units: &mut dyn Iterator<Item = Unit>, dq: Rows) {
        let &Pass { attention, isa, .. } = self;
        let size = attention.size;
        let mut buffers = Buffers::<N>::new();
        for unit in units {
            let ([q, dy, sums, _], [scores, slopes]) = buffers.split(size);
            self.load(attention.q, unit, attention.factor(), q);
            self.load(self.dy, unit, 1.0, dy);
            sums.fill(0.0);
            let at = attention.number(unit);
            let of_lanes = |values: &[f32]| {
                let mut lanes = [0.0; LANES];
                lanes[..unit.count].copy_from_slice(&values[at..at + unit.count]);
                lanes
            };
            let (log_sums, deltas) = (of_lanes(self.log_sums), of_lanes(self.deltas));
            let seen = Seen::new(attention, unit);
            let (keys, values) = (Steps::keys(attention, unit), Steps::values(attention, unit));
            let mut from = seen.any.start;
            while from < seen.any.end {
                let to = seen.any.end.min((from / BLOCK + 1) * BLOCK);
                let (scores, slopes) = (&mut scores[..(to - from) * LANES], &mut slopes[..(to - from) * LANES]);
                for_each_run(&keys, from..to, |rows, _| product(isa, rows, to - from, q, scores, false));
                for_each_run(&values, from..to, |rows, _| product(isa, rows, to - from, dy, slopes, false));
                dispatch(isa, SlopesOfQueries { from, seen: &seen, log_sums, deltas, scores, slopes });
                for_each_run(&keys, from..to, |rows, _| product(isa, rows.transposed(), size, slopes, sums, true));
                from = to;
            }
            self.store(sums, attention.factor(), unit, dq);
        }
    }

    /// dk and dv of the keys of some units.
    fn keys<const N: usize>(&self, units: &mut dyn Iterator<Item = Unit>, [dk, dv]: [Rows; 2]) {
        let &Pass { attention, isa, .. } = self;
        let size = attention.size;
        let mut buffers = Buffers::<N>::new();
        for unit in units {
            let ([k, v, dk_sums, dv_sums], [scores, slopes]) = buffers.split(size);
            self.load(attention.k, unit, attention.factor(), k);
            self.load(attention.v, unit, 1.0, v);
            dk_sums.fill(0.0);
            dv_sums.fill(0.0);
            let queries = match attention.sight {
                Sight::All => 0..attention.queries,
                Sight::Back(back) => {
                    let last = unit.first + unit.count - 1;
                    unit.first..attention.queries.min(last.saturating_add(back))
                }
            };
            let mut from = queries.start;
            while from < queries.end {
                let to = queries.end.min((from / BLOCK + 1) * BLOCK);
                let count = to - from;
                let (scores, slopes) = (&mut scores[..count * LANES], &mut slopes[..count * LANES]);
                let q = attention.q.rows(unit, from, size);
                let dy = self.dy.rows(unit, from, size);
                product(isa, q, count, k, scores, false);
                product(isa, dy, count, v, slopes, false);
                dispatch(isa, SlopesOfKeys { pass: self, unit, from, scores, slopes });
                product(isa, dy.transposed(), size, scores, dv_sums, true);
                product(isa, q.transposed(), size, slopes, dk_sums, true);
                from = to;
            }
            self.store(dk_sums, attention.factor(), unit, dk);
            self.store(dv_sums, 1.0, unit, dv);
        }
    }

    fn load(&self, heads: Heads, unit: Unit, factor: f32, columns: &mut [f32]) {
        let size = self.attention.size;
        let source = heads.rows(unit, unit.first, size).data;
        dispatch(self.isa, Load { source, stride: heads.step, count: unit.count, size, factor, columns });
    }

    fn store(&self, columns: &[f32], factor: f32, unit: Unit, target: Rows) {
        let size = self.attention.size;
        let at = unit.sequence * target.sequence + unit.first * target.step + unit.head * size;
        // SAFETY: the unit's rows are inside the gradient, and units have different ones, or other heads.
        let first = Shared(unsafe { target.data.at(at) });
        let factors = [factor; LANES];
        dispatch(self.isa, Store { columns, factors, size, count: unit.count, target: first, stride: target.step });
    }
}

/// Dᵢ = dyᵢ·yᵢ
struct Deltas<'a> {
    y: &'a [f32],
    dy: &'a [f32],
    stride: usize,
    size: usize,
    out: &'a mut [f32],
}

impl Kernel for Deltas<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Deltas { y, dy, stride, size, out } = self;
        for (row, out) in out.iter_mut().enumerate() {
            let (y, dy) = (&y[row * stride..][..size], &dy[row * stride..][..size]);
            let mut sum = s.splat(0.0);
            for (y, dy) in y.chunks(LANES).zip(dy.chunks(LANES)) {
                sum = s.fma(s.load_partial(y), s.load_partial(dy), sum);
            }
            *out = s.reduce_add(sum);
        }
    }
}

/// With queries in the lanes: slopes of the scores, from scores and dy·v.
struct SlopesOfQueries<'a> {
    from: usize,
    seen: &'a Seen,
    log_sums: [f32; LANES],
    deltas: [f32; LANES],
    scores: &'a [f32],
    slopes: &'a mut [f32],
}

impl Kernel for SlopesOfQueries<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let SlopesOfQueries { from, seen, log_sums, deltas, scores, slopes } = self;
        let (log_sums, deltas) = (s.load(&log_sums), s.load(&deltas));
        let (first, end, zero) = (s.load(&seen.first), s.load(&seen.end), s.splat(0.0));
        for (i, (score, slope)) in scores.chunks_exact(LANES).zip(slopes.chunks_exact_mut(LANES)).enumerate() {
            let mut weight = exp(s, s.sub(s.load(score), log_sums));
            if !seen.all.contains(&(from + i)) {
                let key = s.splat((from + i) as f32);
                weight = s.select(s.le(first, key), s.select(s.lt(key, end), weight, zero), zero);
            }
            s.store(s.mul(weight, s.sub(s.load(slope), deltas)), slope);
        }
    }
}

/// With keys in the lanes: turns scores into weights, and dy·v into slopes of the scores.
struct SlopesOfKeys<'a, 'b> {
    pass: &'a Pass<'b>,
    unit: Unit,
    /// The first query of the block.
    from: usize,
    scores: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl Kernel for SlopesOfKeys<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let SlopesOfKeys { pass, unit, from, scores, slopes } = self;
        let attention = pass.attention;
        let at = attention.number(Unit { first: from, ..unit });
        let key = s.add(s.to_float(s.lane_index()), s.splat(unit.first as f32));
        let zero = s.splat(0.0);
        for (i, (score, slope)) in scores.chunks_exact_mut(LANES).zip(slopes.chunks_exact_mut(LANES)).enumerate() {
            let seen = attention.visible(unit.sequence, from + i);
            let mut weight = exp(s, s.sub(s.load(score), s.splat(pass.log_sums[at + i])));
            if seen.start > unit.first || seen.end < unit.first + LANES {
                let (first, end) = (s.splat(seen.start as f32), s.splat(seen.end as f32));
                weight = s.select(s.le(first, key), s.select(s.lt(key, end), weight, zero), zero);
            }
            s.store(weight, score);
            s.store(s.mul(weight, s.sub(s.load(slope), s.splat(pass.deltas[at + i]))), slope);
        }
    }
}
