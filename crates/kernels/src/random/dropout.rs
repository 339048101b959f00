//! Dropout (Srivastava et al., 2014), inverted: the mask is recomputed where it is needed, and never stored.

use super::{GROUP, LONGEST, Stream};
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Values that share the words of a group: each takes 16 bits, which is fine enough for a probability and halves the
/// cost of the generator.
const PAIRED_GROUP: usize = 2 * GROUP;
/// Values of a task: some three microseconds.
const CHUNK: usize = 1 << 14;

/// y = x · m / (1 - rate), where m is 0 with probability `rate`, else 1; NaN and infinities times 0 are NaN.
///
/// The backward pass is the same call with dy for x and dx for y: the same stream gives the same mask. The rate is
/// rounded to a multiple of 2⁻¹⁶; at rate 1 everything is 0, at rate 0 y = x. Panics when the lengths differ or the rate
/// is not in [0, 1].
pub fn dropout(device: &Device, stream: Stream, rate: f32, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output of one length");
    let keep = Keep::new(stream, rate, x.len());
    device.chunks_mut(CHUNK, y, |start, y| {
        let x = &x[start..start + y.len()];
        dispatch(device.isa(), Dropout { keep, start, x, y });
    });
}

/// [`dropout`] where y takes the place of x.
pub fn dropout_in_place(device: &Device, stream: Stream, rate: f32, values: &mut [f32]) {
    let keep = Keep::new(stream, rate, values.len());
    device.chunks_mut(CHUNK, values, |start, values| dispatch(device.isa(), InPlace { keep, start, values }));
}

/// Which values are kept, and what they are multiplied with.
#[derive(Clone, Copy)]
struct Keep {
    stream: Stream,
    /// 16-bit numbers below this drop the value: 0 … 2¹⁶.
    dropped: i32,
    scale: f32,
}

impl Keep {
    fn new(stream: Stream, rate: f32, len: usize) -> Keep {
        assert!((0.0..=1.0).contains(&rate), "a rate is in [0, 1], but it is {rate}");
        assert!((len as u64) < LONGEST && stream.step >> 48 == 0, "a stream has 2³⁴ values, and steps are below 2⁴⁸");
        let dropped = (rate * 65536.0).round() as i32;
        Keep { stream, dropped, scale: if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 } }
    }

    /// The factors m / (1 - rate) of the values of `group`.
    #[inline(always)]
    fn factors<S: Simd>(self, s: S, group: usize) -> [S::Float; 8] {
        let words = self.stream.group(s, group, 0);
        let last = s.splat_int(self.dropped - 1);
        let scale = s.float_bits(s.splat(self.scale));
        let mut factors = [s.splat(0.0); 8];
        for i in 0..4 {
            let halves = [s.and(words[i], s.splat_int(0xffff)), s.shift_right::<16>(words[i])];
            for j in 0..2 {
                // The sign of last - half, in all bits, is the mask of those to keep.
                let keep = s.shift_right_signed::<31>(s.sub_int(last, halves[j]));
                factors[2 * i + j] = s.bits_float(s.and(keep, scale));
            }
        }
        factors
    }
}

struct Dropout<'a> {
    keep: Keep,
    start: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Dropout<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Dropout { keep, start, x, y } = self;
        let group = start / PAIRED_GROUP;
        let (x, x_tail) = x.as_chunks::<PAIRED_GROUP>();
        let (y, y_tail) = y.as_chunks_mut::<PAIRED_GROUP>();
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let factors = keep.factors(s, group + i);
            for part in 0..8 {
                s.store(s.mul(s.load(&x[part * LANES..]), factors[part]), &mut y[part * LANES..]);
            }
        }
        if !x_tail.is_empty() {
            let factors = keep.factors(s, group + x.len());
            for ((x, y), factors) in x_tail.chunks(LANES).zip(y_tail.chunks_mut(LANES)).zip(factors) {
                s.store_partial(s.mul(s.load_partial(x), factors), y);
            }
        }
    }
}

struct InPlace<'a> {
    keep: Keep,
    start: usize,
    values: &'a mut [f32],
}

impl Kernel for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let InPlace { keep, start, values } = self;
        let group = start / PAIRED_GROUP;
        let (whole, tail) = values.as_chunks_mut::<PAIRED_GROUP>();
        let count = whole.len();
        for (i, values) in whole.iter_mut().enumerate() {
            let factors = keep.factors(s, group + i);
            for part in 0..8 {
                let values = &mut values[part * LANES..];
                s.store(s.mul(s.load(values), factors[part]), values);
            }
        }
        if !tail.is_empty() {
            let factors = keep.factors(s, group + count);
            for (values, factors) in tail.chunks_mut(LANES).zip(factors) {
                s.store_partial(s.mul(s.load_partial(values), factors), values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;
    use crate::testing::{LENGTHS, bits, on_every_device, values};

    const STREAM: Stream = Stream { seed: 5, purpose: 6, step: 7 };

    #[test]
    fn the_mask_is_that_of_the_words_for_every_length_and_device() {
        for (i, len) in LENGTHS.into_iter().enumerate() {
            let rate = [0.0, 0.25, 0.5, 0.9, 1.0][i % 5];
            let x = values(1, len);
            let y = on_every_device(|device| {
                let mut y = vec![f32::NAN; len];
                dropout(device, STREAM, rate, &x, &mut y);
                let mut z = x.clone();
                dropout_in_place(device, STREAM, rate, &mut z);
                assert_eq!(bits(&y), bits(&z));
                y
            });
            for i in 0..len {
                // Vector v of a paired group takes the low (even v) or high half of vector v / 2 of the words.
                let (group, vector, lane) = (i / 128, i % 128 / 16, i % 16);
                let word = STREAM.u32_at((group * 64 + vector / 2 * 16 + lane) as u64);
                let half = word >> (vector % 2 * 16) & 0xffff;
                let kept = half as f32 >= rate * 65536.0;
                assert_eq!(y[i], if kept { x[i] * (1.0 / (1.0 - rate)) } else { x[i] * 0.0 }, "{i} of {len}");
            }
        }
    }

    #[test]
    fn the_share_of_dropped_values_is_the_rate_and_the_mean_is_kept() {
        let device = Device::new(Isa::best(), 2);
        let len = 1 << 20;
        for rate in [0.1, 0.5, 0.8] {
            let mut y = vec![1.0; len];
            dropout_in_place(&device, STREAM, rate, &mut y);
            let dropped = y.iter().filter(|&&y| y == 0.0).count() as f64 / len as f64;
            let error = (f64::from(rate) * (1.0 - f64::from(rate)) / len as f64).sqrt();
            assert!((dropped - f64::from(rate)).abs() < 5.0 * error, "{dropped} of {rate}");
            let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / len as f64;
            assert!((mean - 1.0).abs() < 5.0 * error / (1.0 - f64::from(rate)), "{mean}");
            // The two halves of a word are independent of each other.
            let both = y.chunks(32).flat_map(|two| (0..16).map(|lane| two[lane] == 0.0 && two[lane + 16] == 0.0));
            let share = both.filter(|&both| both).count() as f64 / (len / 2) as f64;
            let expected = f64::from(rate) * f64::from(rate);
            assert!(
                (share - expected).abs() < 5.0 * (expected * (1.0 - expected) / (len / 2) as f64).sqrt(),
                "{share}"
            );
        }
    }

    #[test]
    fn nan_goes_through_also_where_it_is_dropped() {
        let y = on_every_device(|device| {
            let mut y = vec![f32::NAN; 100];
            dropout_in_place(device, STREAM, 0.5, &mut y);
            y
        });
        assert!(y.iter().all(|y| y.is_nan()));
    }
}
