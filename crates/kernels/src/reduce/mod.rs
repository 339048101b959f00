//! Sums, extremes and the like, over all values, rows or columns.
//!
//! The order of every sum depends on the sizes alone. All values: lanes of sixteen, four vectors side by side over a
//! block of 1024 values, then block after block over a chunk, then the chunks as a tree. So a sum of n values makes about
//! 16 + n / 65536 + 14 roundings in a row instead of n, and what is handed out to threads are the chunks.

mod rows;

pub use rows::{argmax_rows, column_sums, row_sums};

use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// What is summed: a function of `N` values, one from each input.
pub trait Term<const N: usize>: Copy + Sync {
    /// The terms of sixteen places. Implementations carry `#[inline(always)]`, see [`Kernel`].
    fn term<S: Simd>(self, s: S, values: [S::Float; N]) -> S::Float;
}

/// Values of a block, whose sum is added to that of the chunk as a whole.
pub(crate) const BLOCK: usize = 1024;
/// Values below which there is one chunk: some two microseconds.
const LEAST_CHUNK: usize = 1 << 14;
/// Chunks, at most: their sums are on the stack.
pub(crate) const CHUNKS: usize = 64;

/// Values of a chunk, for `len` of them.
pub(crate) fn chunk(len: usize) -> usize {
    len.div_ceil(CHUNKS).next_multiple_of(BLOCK).max(LEAST_CHUNK)
}

/// Σ term(x, y, …) over the places of the inputs; 0 for none. Panics when their lengths differ.
#[inline]
pub fn sum_of<const N: usize, T: Term<N>>(device: &Device, term: T, inputs: [&[f32]; N]) -> f32 {
    let len = inputs[0].len();
    assert!(inputs.iter().all(|input| input.len() == len), "inputs of one length");
    over_chunks(
        device,
        len,
        0.0,
        |a, b| a + b,
        |start, part| {
            let inputs = inputs.map(|input| &input[start..start + part]);
            dispatch(device.isa(), Sum { term, inputs })
        },
    )
}

/// Joins what `value(start, length)` gives for the chunks of `len` places, as a fixed tree; `empty` changes nothing.
#[inline]
pub(crate) fn over_chunks(
    device: &Device,
    len: usize,
    empty: f32,
    join: impl Fn(f32, f32) -> f32,
    value: impl Fn(usize, usize) -> f32 + Sync,
) -> f32 {
    let chunk = chunk(len);
    if len <= chunk {
        return value(0, len);
    }
    let mut parts = [empty; CHUNKS];
    let chunks = len.div_ceil(chunk);
    device.chunks_mut(1, &mut parts[..chunks], |index, part| {
        let start = index * chunk;
        part[0] = value(start, chunk.min(len - start));
    });
    let mut half = CHUNKS / 2;
    while half > 0 {
        for i in 0..half {
            parts[i] = join(parts[i], parts[i + half]);
        }
        half /= 2;
    }
    parts[0]
}

struct Sum<'a, const N: usize, T> {
    term: T,
    inputs: [&'a [f32]; N],
}

impl<const N: usize, T: Term<N>> Kernel for Sum<'_, N, T> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        s.reduce_add(sum_lanes(s, self.term, self.inputs))
    }
}

/// The sums of the lanes, block after block.
#[inline(always)]
pub(crate) fn sum_lanes<const N: usize, S: Simd, T: Term<N>>(s: S, term: T, inputs: [&[f32]; N]) -> S::Float {
    let len = inputs[0].len();
    if len <= BLOCK {
        return block_sum(s, term, inputs);
    }
    let mut sum = s.splat(0.0);
    for start in (0..len).step_by(BLOCK) {
        sum = s.add(sum, block_sum(s, term, part(inputs, start, len.min(start + BLOCK))));
    }
    sum
}

/// Σ x on the calling thread.
#[inline(always)]
pub(crate) fn sum_here<S: Simd>(s: S, x: &[f32]) -> f32 {
    s.reduce_add(sum_lanes(s, Itself, [x]))
}

#[inline(always)]
pub(crate) fn part<const N: usize>(inputs: [&[f32]; N], start: usize, end: usize) -> [&[f32]; N] {
    let mut parts = inputs;
    for i in 0..N {
        parts[i] = &inputs[i][start..end];
    }
    parts
}

#[inline(always)]
fn load<const N: usize, S: Simd>(s: S, inputs: [&[f32]; N], start: usize) -> [S::Float; N] {
    let mut values = [s.splat(0.0); N];
    for i in 0..N {
        values[i] = s.load(&inputs[i][start..]);
    }
    values
}

/// The sums of the lanes of one block: four chains of vectors, joined as a tree.
#[inline(always)]
pub(crate) fn block_sum<const N: usize, S: Simd, T: Term<N>>(s: S, term: T, inputs: [&[f32]; N]) -> S::Float {
    let len = inputs[0].len();
    let mut sums = [s.splat(0.0); 4];
    let mut at = 0;
    while at + 4 * LANES <= len {
        for i in 0..4 {
            sums[i] = s.add(sums[i], term.term(s, load(s, inputs, at + i * LANES)));
        }
        at += 4 * LANES;
    }
    let mut i = 0;
    while at + LANES <= len {
        sums[i] = s.add(sums[i], term.term(s, load(s, inputs, at)));
        at += LANES;
        i += 1;
    }
    if at < len {
        let mut values = [s.splat(0.0); N];
        for i in 0..N {
            values[i] = s.load_partial(&inputs[i][at..]);
        }
        // A term of zeros need not be zero.
        let terms = s.select(lanes_below(s, len - at), term.term(s, values), s.splat(0.0));
        sums[i] = s.add(sums[i], terms);
    }
    s.add(s.add(sums[0], sums[2]), s.add(sums[1], sums[3]))
}

/// The mask of the first `count` lanes.
#[inline(always)]
pub(crate) fn lanes_below<S: Simd>(s: S, count: usize) -> S::Mask {
    s.lt(s.to_float(s.lane_index()), s.splat(count as f32))
}

/// Σ x
pub fn sum(device: &Device, x: &[f32]) -> f32 {
    sum_of(device, Itself, [x])
}

/// Σ x / n; NaN of nothing.
pub fn mean(device: &Device, x: &[f32]) -> f32 {
    sum(device, x) / x.len() as f32
}

/// Σ x²
pub fn sum_of_squares(device: &Device, x: &[f32]) -> f32 {
    sum_of(device, Square, [x])
}

/// √(Σ x²), the Euclidean norm. The squares overflow for values above 10¹⁹.
pub fn norm(device: &Device, x: &[f32]) -> f32 {
    sum_of_squares(device, x).sqrt()
}

/// Σ |x|
pub fn sum_of_magnitudes(device: &Device, x: &[f32]) -> f32 {
    sum_of(device, Magnitude, [x])
}

/// Σ x · y. Panics when the lengths differ.
pub fn dot(device: &Device, x: &[f32], y: &[f32]) -> f32 {
    sum_of(device, Product, [x, y])
}

/// Whether no value is infinite or NaN.
pub fn all_finite(device: &Device, x: &[f32]) -> bool {
    sum_of(device, ZeroIfFinite, [x]) == 0.0
}

/// The greatest value; NaN when there is one, -∞ of nothing.
pub fn max(device: &Device, x: &[f32]) -> f32 {
    greatest(device, x, false)
}

/// The least value; NaN when there is one, ∞ of nothing.
pub fn min(device: &Device, x: &[f32]) -> f32 {
    -greatest(device, x, true)
}

#[derive(Clone, Copy)]
struct Itself;

impl Term<1> for Itself {
    #[inline(always)]
    fn term<S: Simd>(self, _: S, [x]: [S::Float; 1]) -> S::Float {
        x
    }
}

#[derive(Clone, Copy)]
struct Square;

impl Term<1> for Square {
    #[inline(always)]
    fn term<S: Simd>(self, s: S, [x]: [S::Float; 1]) -> S::Float {
        s.mul(x, x)
    }
}

#[derive(Clone, Copy)]
struct Magnitude;

impl Term<1> for Magnitude {
    #[inline(always)]
    fn term<S: Simd>(self, s: S, [x]: [S::Float; 1]) -> S::Float {
        s.abs(x)
    }
}

#[derive(Clone, Copy)]
struct Product;

impl Term<2> for Product {
    #[inline(always)]
    fn term<S: Simd>(self, s: S, [x, y]: [S::Float; 2]) -> S::Float {
        s.mul(x, y)
    }
}

/// 0 · x: a zero, or NaN for an infinity or NaN.
#[derive(Clone, Copy)]
struct ZeroIfFinite;

impl Term<1> for ZeroIfFinite {
    #[inline(always)]
    fn term<S: Simd>(self, s: S, [x]: [S::Float; 1]) -> S::Float {
        s.mul(x, s.splat(0.0))
    }
}

/// The greatest of `x`, or, `negated`, of -x.
fn greatest(device: &Device, x: &[f32], negated: bool) -> f32 {
    over_chunks(device, x.len(), f32::NEG_INFINITY, greater, |start, len| {
        dispatch(device.isa(), Greatest { x: &x[start..start + len], negated })
    })
}

/// The greater; `a` when they are equal; NaN when there is one.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

struct Greatest<'a> {
    x: &'a [f32],
    negated: bool,
}

impl Kernel for Greatest<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let sign = s.splat(if self.negated { -1.0 } else { 1.0 });
        let lowest = s.splat(f32::NEG_INFINITY);
        let mut best = [lowest; 4];
        let (fours, rest) = self.x.as_chunks::<{ 4 * LANES }>();
        for four in fours {
            for i in 0..4 {
                best[i] = greater_lanes(s, best[i], s.mul(sign, s.load(&four[i * LANES..])));
            }
        }
        for part in rest.chunks(LANES) {
            let x = s.select(lanes_below(s, part.len()), s.mul(sign, s.load_partial(part)), lowest);
            best[0] = greater_lanes(s, best[0], x);
        }
        let best = greater_lanes(s, greater_lanes(s, best[0], best[1]), greater_lanes(s, best[2], best[3]));
        let mut lanes = s.to_array(best);
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                lanes[lane] = greater(lanes[lane], lanes[lane + half]);
            }
        }
        lanes[0]
    }
}

/// [`greater`] in lanes.
#[inline(always)]
pub(crate) fn greater_lanes<S: Simd>(s: S, a: S::Float, b: S::Float) -> S::Float {
    // `max` gives its second argument when they are equal or one is NaN, so a NaN in `a` stays.
    s.select(s.eq(b, b), s.max(b, a), b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_close, devices, on_every_device, values};

    fn wide(x: &[f32], term: impl Fn(f64) -> f64) -> f64 {
        x.iter().map(|&x| term(f64::from(x))).sum()
    }

    /// Roundings in a row of a sum of `len` values, half a unit each: see the module's description.
    fn bound(len: usize) -> f64 {
        (30.0 + len as f64 / 65536.0) * 0.5 * f64::from(f32::EPSILON)
    }

    #[test]
    fn sums_are_near_those_in_f64_and_the_same_on_every_device() {
        for len in LENGTHS.into_iter().chain([1_500_000]) {
            let (x, y) = (values(1, len), values(2, len));
            let sums = on_every_device(|device| {
                vec![
                    sum(device, &x),
                    sum_of_magnitudes(device, &x),
                    sum_of_squares(device, &x),
                    dot(device, &x, &y),
                    norm(device, &x),
                ]
            });
            let squares = wide(&x, |x| x * x);
            let magnitudes = wide(&x, f64::abs);
            assert_close(&sums[..1], &[wide(&x, |x| x)], 0.0, bound(len) * magnitudes);
            assert_close(&sums[1..2], &[magnitudes], bound(len), 0.0);
            assert_close(&sums[2..3], &[squares], bound(len), 0.0);
            let product = x.iter().zip(&y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            assert_close(&sums[3..4], &[product], 0.0, bound(len) * magnitudes);
            assert_close(&sums[4..], &[squares.sqrt()], bound(len), 0.0);
            if len > 0 {
                assert_close(&[mean(&devices()[0], &x)], &[wide(&x, |x| x) / len as f64], 0.0, bound(len));
            }
        }
    }

    #[test]
    fn a_long_sum_of_equal_values_does_not_stop_growing() {
        // One chain of f32 would stop at 2²⁴.
        let x = vec![1.0; 20_000_001];
        assert_eq!(sum(&devices()[0], &x), 20_000_001.0_f32);
    }

    #[test]
    fn extremes_are_found_wherever_they_are() {
        for len in LENGTHS {
            let x = values(3, len);
            for at in [0, len / 3, len.saturating_sub(1)] {
                let mut x = x.clone();
                let negative: Vec<f32> = x.iter().map(|x| x - 3.0).collect();
                let both = on_every_device(|device| vec![max(device, &negative), min(device, &negative)]);
                let fold = |f: fn(f32, f32) -> f32, start| negative.iter().copied().fold(start, f);
                assert_eq!(both, [fold(f32::max, f32::NEG_INFINITY), fold(f32::min, f32::INFINITY)], "{len}");
                if len > 0 {
                    x[at] = 5.0;
                    assert_eq!(on_every_device(|device| vec![max(device, &x)]), [5.0], "{len} {at}");
                    x[at] = -5.0;
                    assert_eq!(on_every_device(|device| vec![min(device, &x)]), [-5.0], "{len} {at}");
                    x[at] = f32::NAN;
                    let both = on_every_device(|device| vec![max(device, &x), min(device, &x)]);
                    assert!(both[0].is_nan() && both[1].is_nan(), "{len} {at}");
                }
            }
        }
    }

    #[test]
    fn one_value_that_is_not_finite_is_noticed() {
        for device in devices() {
            for len in [1, 17, 40_000] {
                let mut x = vec![f32::MAX; len];
                assert!(all_finite(&device, &x));
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    x[len - 1] = bad;
                    assert!(!all_finite(&device, &x), "{device:?} {len} {bad}");
                }
            }
            assert!(all_finite(&device, &[]));
        }
    }

    #[test]
    fn a_term_that_is_not_zero_of_zeros_counts_places_only() {
        #[derive(Clone, Copy)]
        struct One;
        impl Term<1> for One {
            #[inline(always)]
            fn term<S: Simd>(self, s: S, _: [S::Float; 1]) -> S::Float {
                s.splat(1.0)
            }
        }
        for len in LENGTHS {
            let x = vec![0.0; len];
            assert_eq!(on_every_device(|device| vec![sum_of(device, One, [&x])]), [len as f32]);
        }
    }
}
