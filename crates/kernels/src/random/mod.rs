//! Random numbers that are a function of (seed, purpose, step, index): Philox4x32-10, a counter-based generator (Salmon,
//! Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//!
//! Nothing is drawn from a hidden state, so a value does not depend on what was drawn before, on how a slice is split
//! between threads, or on the instruction set.

mod dropout;
mod normal;
mod permutation;
mod planes;

pub use dropout::{dropout, dropout_in_place};
pub use normal::{normal, truncated_normal};
pub use permutation::{permutation, shuffle};
pub use planes::dropout_stretches;

use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// A sequence of random words: that of `purpose` at `step` under `seed`.
///
/// Different (seed, purpose, step) give different inputs of a block cipher, never an overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// The seed of a run.
    pub seed: u64,
    /// What the numbers are for: one number for each node, parameter or other user of random numbers in a run.
    pub purpose: u32,
    /// The step of the training, the epoch, or whatever the user counts; below 2⁴⁸.
    pub step: u64,
}

/// Words of a group: sixteen blocks of four words, so that each vector of a group is stored as it comes.
const GROUP: usize = 4 * LANES;
/// Values of a task of the fills: some five microseconds. A multiple of all groups.
const CHUNK: usize = 1 << 14;
/// Values of a stream: blocks are numbered with 32 bits.
const LONGEST: u64 = 4 << 32;
/// Further tries at a value that was rejected; the 16 bits above the step.
const TRIES: u32 = 1 << 16;

impl Stream {
    /// The stream of `purpose` at step 0.
    pub const fn new(seed: u64, purpose: u32) -> Stream {
        Stream { seed, purpose, step: 0 }
    }

    /// The same at another step.
    pub const fn at(self, step: u64) -> Stream {
        Stream { step, ..self }
    }

    /// Word `index` of the stream, below 2³⁴: 32 random bits.
    pub fn u32_at(self, index: u64) -> u32 {
        self.word(index, 0)
    }

    /// A number below `bound`, all equally likely, from value `index` (Lemire, "Fast random integer generation in an
    /// interval", 2019, with further counters for the rejected). Panics when `bound` is 0.
    pub fn below(self, index: u64, bound: u32) -> u32 {
        assert!(bound > 0, "there is no number below 0");
        self.bounded(index, bound, self.u32_at(index))
    }

    /// [`Stream::below`] where `word` is word `index`.
    #[inline]
    fn bounded(self, index: u64, bound: u32, word: u32) -> u32 {
        let mut product = u64::from(word) * u64::from(bound);
        if (product as u32) < bound {
            // The 2³² mod bound lowest fractions would make some results likelier.
            let uneven = bound.wrapping_neg() % bound;
            let mut attempt = 1;
            while (product as u32) < uneven && attempt < TRIES {
                product = u64::from(self.word(index, attempt)) * u64::from(bound);
                attempt += 1;
            }
        }
        (product >> 32) as u32
    }

    /// Value `index` in [0, 1), a multiple of 2⁻²⁴.
    pub fn unit_at(self, index: u64) -> f32 {
        (self.u32_at(index) >> 8) as f32 * UNIT
    }

    /// Word `index` of the try `attempt`.
    fn word(self, index: u64, attempt: u32) -> u32 {
        assert!(index < LONGEST, "a stream has 2³⁴ words");
        let (group, place) = (index / GROUP as u64, index as usize % GROUP);
        let block = (group as u32) * LANES as u32 + (place % LANES) as u32;
        let [_, purpose, low, high] = self.counter(attempt);
        philox([block, purpose, low, high], self.key())[place / LANES]
    }

    fn key(self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// The counter of block 0 of the try `attempt`.
    #[inline(always)]
    fn counter(self, attempt: u32) -> [u32; 4] {
        debug_assert!(self.step >> 48 == 0 && attempt < TRIES, "steps have 48 bits, tries 16");
        [0, self.purpose, self.step as u32, (self.step >> 32) as u32 | attempt << 16]
    }

    /// Words `GROUP · group` and following, of the try `attempt`.
    #[inline(always)]
    fn group<S: Simd>(self, s: S, group: usize, attempt: u32) -> [S::Int; 4] {
        let [_, purpose, low, high] = self.counter(attempt).map(|word| s.splat_int(word as i32));
        let block = s.add_int(s.splat_int((group * LANES) as u32 as i32), s.lane_index());
        philox_lanes(s, [block, purpose, low, high], self.key())
    }
}

/// 2⁻²⁴
const UNIT: f32 = 1.0 / (1 << 24) as f32;

/// The two multipliers of a round, and what is added to the key after it.
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: u32 = 10;

/// Philox4x32-10 of one counter.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let [a, b] = [0, 1].map(|i| u64::from(MULTIPLIERS[i]) * u64::from(counter[2 * i]));
        let high = |product: u64| (product >> 32) as u32;
        counter = [high(b) ^ counter[1] ^ key[0], b as u32, high(a) ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// Philox4x32-10 of sixteen counters.
#[inline(always)]
fn philox_lanes<S: Simd>(s: S, counter: [S::Int; 4], mut key: [u32; 2]) -> [S::Int; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let (m0, m1) = (s.splat_int(MULTIPLIERS[0] as i32), s.splat_int(MULTIPLIERS[1] as i32));
    for _ in 0..ROUNDS {
        let (high0, low0) = (s.mul_high(c0, m0), s.mul_low(c0, m0));
        let (high1, low1) = (s.mul_high(c2, m1), s.mul_low(c2, m1));
        c0 = s.xor(s.xor(high1, c1), s.splat_int(key[0] as i32));
        c2 = s.xor(s.xor(high0, c3), s.splat_int(key[1] as i32));
        c1 = low1;
        c3 = low0;
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    [c0, c1, c2, c3]
}

/// What a fill makes of the words of a group.
trait Values: Copy + Sync {
    /// The sixty-four values of `group`.
    fn group<S: Simd>(self, s: S, stream: Stream, group: usize) -> [S::Float; 4];
}

fn fill<V: Values>(device: &Device, stream: Stream, values: V, out: &mut [f32]) {
    assert!(out.len() as u64 <= LONGEST, "a stream has 2³⁴ values");
    assert!(stream.step >> 48 == 0, "steps are below 2⁴⁸");
    device.chunks_mut(CHUNK, out, |start, out| dispatch(device.isa(), Fill { stream, values, start, out }));
}

struct Fill<'a, V> {
    stream: Stream,
    values: V,
    start: usize,
    out: &'a mut [f32],
}

impl<V: Values> Kernel for Fill<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Fill { stream, values, start, out } = self;
        debug_assert!(start.is_multiple_of(GROUP));
        let group = start / GROUP;
        let (whole, tail) = out.as_chunks_mut::<GROUP>();
        let count = whole.len();
        for (i, out) in whole.iter_mut().enumerate() {
            let values = values.group(s, stream, group + i);
            for part in 0..4 {
                s.store(values[part], &mut out[part * LANES..]);
            }
        }
        if !tail.is_empty() {
            let values = values.group(s, stream, group + count);
            for (part, out) in tail.chunks_mut(LANES).enumerate() {
                s.store_partial(values[part], out);
            }
        }
    }
}

/// Fills `out` with numbers uniform in [low, high): low + u · (high - low) for u of 24 bits.
///
/// Panics unless low ≤ high and both and their difference are finite; equal limits give that value.
pub fn uniform(device: &Device, stream: Stream, low: f32, high: f32, out: &mut [f32]) {
    assert!(low <= high && (high - low).is_finite(), "limits in order and finite, but they are {low} and {high}");
    // Rounding could reach the upper limit, which does not belong to the range.
    let most = if low < high { high.next_down() } else { high };
    fill(device, stream, Uniform { low, range: high - low, most }, out);
}

#[derive(Clone, Copy)]
struct Uniform {
    low: f32,
    range: f32,
    most: f32,
}

impl Values for Uniform {
    #[inline(always)]
    fn group<S: Simd>(self, s: S, stream: Stream, group: usize) -> [S::Float; 4] {
        let words = stream.group(s, group, 0);
        let mut values = [s.splat(0.0); 4];
        for i in 0..4 {
            let unit = s.mul(s.to_float(s.shift_right::<8>(words[i])), s.splat(UNIT));
            values[i] = s.min(s.fma(unit, s.splat(self.range), s.splat(self.low)), s.splat(self.most));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;
    use crate::testing::{LENGTHS, on_every_device};

    const STREAM: Stream = Stream { seed: 0x0123_4567_89ab_cdef, purpose: 7, step: 0x1234_5678_9abc };

    struct Lanes([u32; 4], [u32; 2]);

    impl Kernel for Lanes {
        type Output = [[u32; LANES]; 4];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let words = philox_lanes(s, self.0.map(|word| s.splat_int(word as i32)), self.1);
            words.map(|words| s.to_array(s.bits_float(words)).map(f32::to_bits))
        }
    }

    #[test]
    fn known_answers_of_random123() {
        let all = u32::MAX;
        // The file kat_vectors of the Random123 distribution.
        for (counter, key, answer) in [
            ([0; 4], [0; 2], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
            ([all; 4], [all; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), answer);
            for isa in Isa::available() {
                assert_eq!(dispatch(isa, Lanes(counter, key)), answer.map(|word| [word; LANES]), "{isa}");
            }
        }
    }

    #[test]
    fn a_value_depends_on_its_index_alone() {
        for len in LENGTHS {
            let out = on_every_device(|device| {
                let mut out = vec![f32::NAN; len];
                uniform(device, STREAM, 0.0, 1.0, &mut out);
                out
            });
            assert!((0..len).all(|i| out[i] == STREAM.unit_at(i as u64)));
        }
    }

    #[test]
    fn seed_purpose_and_step_give_streams_of_their_own() {
        let others = [
            STREAM.at(0),
            STREAM.at(STREAM.step + 1),
            STREAM.at(STREAM.step + (1 << 32)),
            Stream { purpose: 8, ..STREAM },
            Stream { seed: STREAM.seed + 1, ..STREAM },
            Stream { seed: STREAM.seed ^ 1 << 63, ..STREAM },
        ];
        for other in others {
            let same = (0..1000).filter(|&i| other.u32_at(i) == STREAM.u32_at(i)).count();
            assert_eq!(same, 0, "{other:?}");
        }
        assert_ne!(STREAM.word(0, 1), STREAM.word(0, 0));
    }

    #[test]
    fn uniform_numbers_are_uniform() {
        let device = &Device::new(Isa::best(), 2);
        let mut out = vec![f32::NAN; 1 << 20];
        for (seed, low, high) in [(1, 0.0, 1.0), (2, -3.0, 5.0), (3, 1e6, 1e6 + 1.0)] {
            uniform(device, Stream::new(seed, 0), low, high, &mut out);
            assert!(out.iter().all(|&x| low <= x && x < high));
        }
        uniform(device, Stream::new(4, 0), -0.5, 1.5, &mut out);
        let count = out.len() as f64;
        let mean = out.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = out.iter().map(|&x| (f64::from(x) - mean) * (f64::from(x) - mean)).sum::<f64>() / count;
        // Five standard errors: √(1/3 / n) of the mean, √(4/45 / n) of the variance (range 2).
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 3.0 / count).sqrt(), "mean {mean}");
        assert!((variance - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / count).sqrt(), "variance {variance}");
        let mut cells = [0u32; 256];
        out.iter().for_each(|&x| cells[((x + 0.5) * 128.0) as usize] += 1);
        let expected = count / 256.0;
        let chi_square: f64 =
            cells.iter().map(|&n| (f64::from(n) - expected) * (f64::from(n) - expected) / expected).sum();
        // 255 degrees of freedom: mean 255, standard deviation √510 = 22.6; within four of them.
        assert!((chi_square - 255.0).abs() < 91.0, "chi square {chi_square}");
        // Neighbours are independent: the correlation is within five standard errors of 0.
        let product = |pair: &[f32]| (f64::from(pair[0]) - mean) * (f64::from(pair[1]) - mean);
        let correlation = out.windows(2).map(product).sum::<f64>() / variance / count;
        assert!(correlation.abs() < 5.0 / count.sqrt(), "correlation {correlation}");
    }

    #[test]
    fn limits_that_are_equal_give_that_value() {
        let mut out = [0.0; 3];
        uniform(&Device::new(Isa::scalar(), 1), STREAM, 2.5, 2.5, &mut out);
        assert_eq!(out, [2.5; 3]);
    }

    #[test]
    fn below_is_unbiased_and_in_range() {
        // Of three values 2³¹ + 2³⁰ wide, a plain remainder would make the lower third twice as likely.
        let bound = 3 << 30;
        let count = 100_000;
        let low = (0..count).filter(|&i| STREAM.below(i, bound) < 1 << 30).count() as f64;
        let expected = count as f64 / 3.0;
        assert!((low - expected).abs() < 5.0 * (expected * 2.0 / 3.0).sqrt(), "{low}");
        let mut counts = [0u32; 7];
        (0..count).for_each(|i| counts[STREAM.below(i, 7) as usize] += 1);
        let expected = count as f64 / 7.0;
        assert!(counts.iter().all(|&n| (f64::from(n) - expected).abs() < 5.0 * expected.sqrt()), "{counts:?}");
        assert!((0..100).all(|i| STREAM.below(i, 1) == 0));
    }
}
