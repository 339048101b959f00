//! Normal numbers: Box and Muller, "A note on the generation of random normal deviates" (1958).

use super::{Stream, TRIES, Values, fill};
use crate::device::Device;
use crate::math::{log, sin_cos_turns};
use crate::simd::{LANES, Simd};

/// Fills `out` with normal numbers of this mean and standard deviation; none is beyond 6.67 standard deviations.
///
/// Panics when `std` is negative or NaN.
pub fn normal(device: &Device, stream: Stream, mean: f32, std: f32, out: &mut [f32]) {
    assert!(std >= 0.0, "a standard deviation is not negative, but it is {std}");
    fill(device, stream, Normal { mean, std }, out);
}

/// Fills `out` with numbers of the normal distribution of this mean and standard deviation, restricted to [low, high]
/// (for example mean ± 2 std), by rejection: a number outside is drawn again from further counters.
///
/// What the limits leave out is the share of work in vain; where they leave nearly nothing, a number is moved to the
/// nearer limit after 65,535 tries. Panics when `std` is negative or NaN, or unless low ≤ high.
pub fn truncated_normal(device: &Device, stream: Stream, mean: f32, std: f32, low: f32, high: f32, out: &mut [f32]) {
    assert!(std >= 0.0, "a standard deviation is not negative, but it is {std}");
    assert!(low <= high, "limits in order, but they are {low} and {high}");
    fill(device, stream, Truncated { normal: Normal { mean, std }, low, high }, out);
}

#[derive(Clone, Copy)]
struct Normal {
    mean: f32,
    std: f32,
}

impl Normal {
    /// The sixty-four numbers of the try `attempt`.
    #[inline(always)]
    fn attempt<S: Simd>(self, s: S, stream: Stream, group: usize, attempt: u32) -> [S::Float; 4] {
        let words = stream.group(s, group, attempt);
        let (std, mean) = (s.splat(self.std), s.splat(self.mean));
        let mut values = [mean; 4];
        for pair in [0, 2] {
            // u in (0, 1], an angle of -½ to ½ turns.
            let u = s.fma(s.to_float(s.shift_right::<1>(words[pair])), s.splat(HALF_UNIT * 2.0), s.splat(HALF_UNIT));
            let turns = s.mul(s.to_float(words[pair + 1]), s.splat(HALF_UNIT));
            let radius = s.sqrt(s.mul(s.splat(-2.0), log(s, u)));
            let (sine, cosine) = sin_cos_turns(s, turns);
            values[pair] = s.fma(s.mul(radius, cosine), std, mean);
            values[pair + 1] = s.fma(s.mul(radius, sine), std, mean);
        }
        values
    }
}

/// 2⁻³²
const HALF_UNIT: f32 = 1.0 / (1u64 << 32) as f32;

impl Values for Normal {
    #[inline(always)]
    fn group<S: Simd>(self, s: S, stream: Stream, group: usize) -> [S::Float; 4] {
        self.attempt(s, stream, group, 0)
    }
}

#[derive(Clone, Copy)]
struct Truncated {
    normal: Normal,
    low: f32,
    high: f32,
}

impl Truncated {
    #[inline(always)]
    fn limited<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        s.min(s.max(x, s.splat(self.low)), s.splat(self.high))
    }
}

impl Values for Truncated {
    #[inline(always)]
    fn group<S: Simd>(self, s: S, stream: Stream, group: usize) -> [S::Float; 4] {
        let mut values = self.normal.attempt(s, stream, group, 0);
        for attempt in 1..TRIES {
            let mut outside = s.splat(0.0);
            for i in 0..4 {
                outside = s.select(s.eq(self.limited(s, values[i]), values[i]), outside, s.splat(1.0));
            }
            if !s.any(s.lt(s.splat(0.0), outside)) {
                break;
            }
            let others = self.normal.attempt(s, stream, group, attempt);
            for i in 0..4 {
                let inside = s.eq(self.limited(s, values[i]), values[i]);
                values[i] = s.select(inside, values[i], others[i]);
            }
        }
        for i in 0..4 {
            values[i] = self.limited(s, values[i]);
        }
        values
    }
}

const _: () = assert!(4 * LANES == super::GROUP);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;
    use crate::testing::{LENGTHS, bits, on_every_device};

    const STREAM: Stream = Stream { seed: 11, purpose: 12, step: 13 };

    /// Distribution function of the standard normal distribution, by Simpson's rule from 0 in steps of 1/200: error
    /// below 10⁻¹².
    fn phi(x: f64) -> f64 {
        let steps = ((x.abs() * 200.0).ceil() as usize).max(1);
        let h = x / steps as f64;
        let density = |t: f64| libm::exp(-t * t / 2.0) / std::f64::consts::TAU.sqrt();
        let simpson = |i: usize| {
            let t = i as f64 * h;
            h / 6.0 * (density(t) + 4.0 * density(t + h / 2.0) + density(t + h))
        };
        0.5 + (0..steps).map(simpson).sum::<f64>()
    }

    /// The largest distance of the empirical distribution function from `cdf` (Kolmogorov and Smirnov), times √n.
    fn kolmogorov_smirnov(values: &mut [f32], cdf: impl Fn(f64) -> f64) -> f64 {
        values.sort_by(f32::total_cmp);
        let n = values.len() as f64;
        let distance = |(i, &x): (usize, &f32)| {
            let p = cdf(f64::from(x));
            (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
        };
        values.iter().enumerate().map(distance).fold(0.0, f64::max) * n.sqrt()
    }

    /// Beyond this √n D is with probability 0.001.
    const KS_LIMIT: f64 = 1.95;

    #[test]
    fn a_shorter_fill_is_the_beginning_of_a_longer_one_on_every_device() {
        let fills: [fn(&Device, &mut [f32]); 2] = [
            |device, out| normal(device, STREAM, 1.0, 2.0, out),
            |device, out| truncated_normal(device, STREAM, 0.0, 1.0, -2.0, 2.0, out),
        ];
        for fill in fills {
            let mut longest = vec![0.0; LENGTHS[LENGTHS.len() - 1]];
            fill(&Device::new(Isa::best(), 2), &mut longest);
            for len in LENGTHS {
                let out = on_every_device(|device| {
                    let mut out = vec![f32::NAN; len];
                    fill(device, &mut out);
                    out
                });
                assert_eq!(bits(&out), bits(&longest[..len]));
            }
        }
    }

    #[test]
    fn normal_numbers_are_normal() {
        let n = 200_000;
        let mut out = vec![f32::NAN; n];
        normal(&Device::new(Isa::best(), 2), STREAM, 3.0, 0.5, &mut out);
        let z: Vec<f64> = out.iter().map(|&x| (f64::from(x) - 3.0) / 0.5).collect();
        let moment = |f: fn(f64) -> f64| z.iter().map(|&z| f(z)).sum::<f64>() / n as f64;
        // Five standard errors: the variances of z, z², z³, z⁴ are 1, 2, 15, 96.
        for (f, expected, variance) in [
            ((|z| z) as fn(f64) -> f64, 0.0, 1.0),
            (|z| z * z, 1.0, 2.0),
            (|z| z * z * z, 0.0, 15.0f64),
            (|z| z * z * z * z, 3.0, 96.0),
        ] {
            let got = moment(f);
            assert!((got - expected).abs() < 5.0 * (variance / n as f64).sqrt(), "{got} for {expected}");
        }
        // The two numbers of a pair, and their squares, are uncorrelated.
        let pairs: Vec<(f64, f64)> =
            z.chunks_exact(32).flat_map(|two| (0..16).map(|i| (two[i], two[i + 16]))).collect();
        let products = pairs.iter().map(|(a, b)| a * b).sum::<f64>() / pairs.len() as f64;
        assert!(products.abs() < 5.0 / (pairs.len() as f64).sqrt(), "{products}");
        let squares = pairs.iter().map(|(a, b)| (a * a - 1.0) * (b * b - 1.0)).sum::<f64>() / pairs.len() as f64;
        assert!(squares.abs() < 5.0 * 2.0 / (pairs.len() as f64).sqrt(), "{squares}");
        let distance = kolmogorov_smirnov(&mut out, |x| phi((x - 3.0) / 0.5));
        assert!(distance < KS_LIMIT, "{distance}");
    }

    #[test]
    fn truncated_numbers_have_the_shape_of_what_is_left() {
        let device = Device::new(Isa::best(), 2);
        for (low, high) in [(-2.0f32, 2.0f32), (-0.5, 1.5), (1.0, f32::INFINITY)] {
            let mut out = vec![f32::NAN; 100_000];
            truncated_normal(&device, STREAM, 0.0, 1.0, low, high, &mut out);
            assert!(out.iter().all(|x| (low..=high).contains(x)));
            let (below, above) = (phi(f64::from(low)), if high.is_finite() { phi(f64::from(high)) } else { 1.0 });
            let distance = kolmogorov_smirnov(&mut out, |x| (phi(x) - below) / (above - below));
            assert!(distance < KS_LIMIT, "{low} {high}: {distance}");
        }
        // Not a single try can succeed here.
        let mut out = [f32::NAN; 3];
        truncated_normal(&device, STREAM, 0.0, 1.0, 8.0, 9.0, &mut out);
        assert_eq!(out, [8.0; 3]);
    }

    #[test]
    fn no_deviation_gives_the_mean() {
        let mut out = [f32::NAN; 5];
        normal(&Device::new(Isa::best(), 1), STREAM, 2.5, 0.0, &mut out);
        assert_eq!(out, [2.5; 5]);
    }
}
