//! Scaled dot-product attention of many heads, in blocks: the matrix of scores is never there as a whole.
//!
//! Of each sequence and head, with queries qᵢ, keys kⱼ, values vⱼ of `size` values each and the keys j that query i sees:
//!
//! - sᵢⱼ = qᵢ·kⱼ / √size, pᵢⱼ = exp(sᵢⱼ - Lᵢ) with Lᵢ = log Σⱼ exp(sᵢⱼ), yᵢ = Σⱼ pᵢⱼ vⱼ
//! - ∂L/∂vⱼ = Σᵢ pᵢⱼ dyᵢ
//! - ∂L/∂sᵢⱼ = pᵢⱼ (dyᵢ·vⱼ - Dᵢ) with Dᵢ = Σⱼ pᵢⱼ (dyᵢ·vⱼ) = dyᵢ·yᵢ
//! - ∂L/∂qᵢ = Σⱼ ∂L/∂sᵢⱼ kⱼ / √size, ∂L/∂kⱼ = Σᵢ ∂L/∂sᵢⱼ qᵢ / √size
//!
//! A query that sees no key gives zeros. The forward pass goes from block to block of keys with the greatest score so far
//! and the sums relative to it; it saves Lᵢ alone, from which the backward pass makes the scores of a block again. (Dao, Fu,
//! Ermon, Rudra and Ré, "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022.)
//!
//! Sixteen queries lie in the lanes ([`forward`]), keys and values are read where they are, row after row: nothing is
//! transposed but the queries. A few queries alone (a token that is generated) would leave most lanes empty; then keys lie in
//! them ([`few`]). Each score is one chain of fused multiply-adds over the values of a head, each sum over keys one chain in
//! their order, and blocks lie at multiples of the absolute position: so the bits depend neither on the layout nor on the
//! threads, nor on how a long sequence is cut into windows.

mod backward;
mod columns;
mod few;
mod forward;
mod product;
#[cfg(test)]
mod tests;

pub use backward::{AttentionGradient, Wanted};

use std::ops::Range;

use crate::device::Device;
use crate::gemm::Matrix;
use crate::simd::LANES;

/// Most values of a head.
pub const MAX_SIZE: usize = 512;
/// Values of a head up to which buffers are small.
const SMALL_SIZE: usize = 64;
/// Keys (in the backward pass also queries) whose scores are there at a time: with their slopes 8 KiB of the first cache.
const BLOCK: usize = 64;
/// Queries up to which keys lie in the lanes.
const FEW: usize = 4;
/// Multiply-adds that a task should have at least: some ten microseconds.
const TASK: usize = 1 << 18;

/// One vector for each head, at each step of each sequence: that of head h at step t of sequence b begins at
/// `data[b·sequence + t·step + h·size]`.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// The values.
    pub data: &'a [f32],
    /// Distance of sequences.
    pub sequence: usize,
    /// Distance of steps.
    pub step: usize,
}

impl<'a> Heads<'a> {
    /// What begins with the vector at `offset` of step `step` of sequence `sequence`.
    #[inline(always)]
    fn at(&self, sequence: usize, step: usize, offset: usize) -> &'a [f32] {
        &self.data[sequence * self.sequence + step * self.step + offset..]
    }

    /// The rows of a unit's head from `step` on.
    #[inline(always)]
    fn rows(&self, unit: Unit, step: usize, size: usize) -> Matrix<'a> {
        let data = self.at(unit.sequence, step, unit.head * size);
        Matrix { data, row_stride: self.step, column_stride: 1 }
    }

    fn holds(&self, sequences: usize, steps: usize, width: usize) -> bool {
        let empty = sequences == 0 || steps == 0;
        empty || (sequences - 1) * self.sequence + (steps - 1) * self.step + width <= self.data.len()
    }
}

/// Keys and values of the steps that came before a window, in a ring: those of step t lie in place t mod `places`.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'a> {
    /// Keys.
    pub keys: Heads<'a>,
    /// Values.
    pub values: Heads<'a>,
    /// Places of the ring.
    pub places: usize,
    /// Steps that came before, however many of them are still there.
    pub past: usize,
}

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All of its sequence.
    All,
    /// Its own step and those before it, so many in all.
    Back(usize),
}

/// Attention of `heads` heads.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Sequences of a batch.
    pub sequences: usize,
    /// Number of heads.
    pub heads: usize,
    /// Values of a head, from 1 to [`MAX_SIZE`].
    pub size: usize,
    /// Queries of each sequence.
    pub queries: usize,
    /// Keys of each sequence, without earlier ones.
    pub keys: usize,
    /// Which keys a query sees.
    pub sight: Sight,
    /// Number of keys of each sequence that are real; all without.
    pub lengths: Option<&'a [f32]>,
    /// Queries.
    pub q: Heads<'a>,
    /// Keys.
    pub k: Heads<'a>,
    /// Values.
    pub v: Heads<'a>,
    /// What came before the window, if there is more than it. Then queries and keys are those of the same steps.
    pub earlier: Option<Earlier<'a>>,
}

/// Sixteen queries or keys of one head of one sequence, or what is left of them.
#[derive(Clone, Copy, Debug)]
struct Unit {
    sequence: usize,
    head: usize,
    first: usize,
    count: usize,
}

impl Attention<'_> {
    fn check(&self) {
        let &Attention { sequences, heads, size, queries, keys, .. } = self;
        assert!((1..=MAX_SIZE).contains(&size), "heads of 1 to {MAX_SIZE} values");
        let width = heads * size;
        let fits = self.q.holds(sequences, queries, width)
            && self.k.holds(sequences, keys, width)
            && self.v.holds(sequences, keys, width);
        assert!(fits, "queries, keys and values of {sequences} sequences");
        assert!(self.lengths.is_none_or(|lengths| lengths.len() == sequences), "a length for each sequence");
        if let Some(earlier) = &self.earlier {
            let (places, Sight::Back(back)) = (earlier.places, self.sight) else {
                panic!("only who looks back sees earlier steps");
            };
            assert!(places > 0 && places + 1 >= back && queries == keys, "a ring of what is seen");
            let holds = |heads: Heads| heads.holds(sequences, places, width);
            assert!(holds(earlier.keys) && holds(earlier.values), "earlier keys and values of {sequences} sequences");
        }
    }

    /// Steps before the window.
    fn past(&self) -> usize {
        self.earlier.map_or(0, |earlier| earlier.past)
    }

    /// What scores are multiplied by.
    fn factor(&self) -> f32 {
        (1.0 / (self.size as f64).sqrt()) as f32
    }

    /// The keys that query `query` of the window sees, by their absolute position.
    #[inline]
    fn visible(&self, sequence: usize, query: usize) -> Range<usize> {
        let real = self.lengths.map_or(self.keys, |lengths| (lengths[sequence] as usize).min(self.keys));
        let end = self.past() + real;
        match self.sight {
            Sight::All => 0..end,
            Sight::Back(back) => {
                let position = self.past() + query;
                let first = (position + 1).saturating_sub(back);
                first..end.min(position + 1).max(first)
            }
        }
    }

    /// Multiply-adds of a unit, about.
    fn unit_work(&self, other: usize) -> usize {
        let seen = match self.sight {
            Sight::All => other,
            Sight::Back(back) => other.min(back),
        };
        LANES * seen * self.size * 2
    }

    /// Calls `body` for units of `steps` queries or keys of each head and sequence, some in a task, each of which has
    /// `work` multiply-adds.
    fn for_each_unit(
        &self,
        device: &Device,
        steps: usize,
        work: usize,
        body: impl Fn(&mut dyn Iterator<Item = Unit>) + Sync,
    ) {
        let of_head = steps.div_ceil(LANES);
        let units = self.sequences * self.heads * of_head;
        let chunk = (TASK / work.max(1)).max(1);
        device.for_each(units.div_ceil(chunk), &|task| {
            let unit = |index: usize| {
                let (vectors, first) = (index / of_head, index % of_head * LANES);
                let (sequence, head) = (vectors / self.heads, vectors % self.heads);
                Unit { sequence, head, first, count: LANES.min(steps - first) }
            };
            body(&mut (task * chunk..units.min((task + 1) * chunk)).map(unit));
        });
    }
}

/// Rows of keys or values by their absolute position: those of the window, or of the ring.
#[derive(Clone, Copy)]
struct Steps<'a> {
    window: Heads<'a>,
    ring: Option<(Heads<'a>, usize)>,
    past: usize,
    sequence: usize,
    offset: usize,
}

impl<'a> Steps<'a> {
    fn keys(attention: &Attention<'a>, unit: Unit) -> Steps<'a> {
        Steps::new(attention, unit, attention.k, attention.earlier.map(|earlier| earlier.keys))
    }

    fn values(attention: &Attention<'a>, unit: Unit) -> Steps<'a> {
        Steps::new(attention, unit, attention.v, attention.earlier.map(|earlier| earlier.values))
    }

    fn new(attention: &Attention<'a>, unit: Unit, window: Heads<'a>, ring: Option<Heads<'a>>) -> Steps<'a> {
        let ring = ring.zip(attention.earlier.map(|earlier| earlier.places));
        let (sequence, offset) = (unit.sequence, unit.head * attention.size);
        Steps { window, ring, past: attention.past(), sequence, offset }
    }

    /// What begins with the row of `step`, the distance of rows, and how many of them lie one behind the other.
    #[inline(always)]
    fn run(&self, step: usize) -> (&'a [f32], usize, usize) {
        match self.ring {
            Some((ring, places)) if step < self.past => {
                let place = step % places;
                (ring.at(self.sequence, place, self.offset), ring.step, (places - place).min(self.past - step))
            }
            _ => (self.window.at(self.sequence, step - self.past, self.offset), self.window.step, usize::MAX),
        }
    }

    /// What begins with the row of `step`.
    #[inline(always)]
    fn row(&self, step: usize) -> &'a [f32] {
        self.run(step).0
    }
}

/// Room for the work on a unit: four vectors of lanes for each value of a head, and the scores of a block and their slopes.
#[repr(align(64))]
struct Buffers<const N: usize> {
    vectors: [[[f32; LANES]; N]; 4],
    scores: [[f32; LANES]; BLOCK],
    slopes: [[f32; LANES]; BLOCK],
}

impl<const N: usize> Buffers<N> {
    fn new() -> Buffers<N> {
        let empty = [[0.0; LANES]; BLOCK];
        Buffers { vectors: [[[0.0; LANES]; N]; 4], scores: empty, slopes: empty }
    }

    /// The four, for heads of `size` values, and the two.
    fn split(&mut self, size: usize) -> ([&mut [f32]; 4], [&mut [f32]; 2]) {
        let vectors = self.vectors.each_mut().map(|vectors| vectors[..size].as_flattened_mut());
        (vectors, [self.scores.as_flattened_mut(), self.slopes.as_flattened_mut()])
    }
}
