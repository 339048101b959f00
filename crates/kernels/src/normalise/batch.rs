//! Batch normalisation: a channel of all samples has mean 0 and variance 1.
//!
//! A task takes channels with all their samples: what it has read for the sums is still near when it writes. Sums are
//! those of deviations from the mean of the first plane, so that one pass gives mean and variance: since that plane is
//! part of the data, the square of its distance from the mean is at most the variance times the number of planes, and the
//! difference of the sums loses no more than that many units.

use super::{BLOCK, TASK, columns, first, load, store};
use crate::device::{Device, Shared};
use crate::epilogue::InPlace;
use crate::reduce::sum_here;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Sizes and affine part of a batch normalisation of x [batch, channels, span]; span is 1 for rows of features.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// Samples.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Values of a channel of one sample.
    pub span: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Factor of each channel.
    pub weight: &'a [f32],
    /// Shift of each channel.
    pub bias: &'a [f32],
}

/// Mean and variance (mean square of the deviations) of each channel.
#[derive(Debug)]
pub enum Statistics<'a> {
    /// To be computed from the batch, and written here.
    OfBatch {
        /// Means.
        mean: &'a mut [f32],
        /// Variances.
        variance: &'a mut [f32],
    },
    /// Given.
    Given {
        /// Means.
        mean: &'a [f32],
        /// Variances.
        variance: &'a [f32],
    },
}

impl BatchNorm<'_> {
    fn check(&self, len: usize) {
        let BatchNorm { batch, channels, span, weight, .. } = self;
        assert_eq!(batch * channels * span, len, "{batch} samples of {channels} channels of {span}");
        assert_eq!(weight.len(), *channels, "a weight for each channel");
    }

    /// Channels of a task.
    fn chunk(&self) -> usize {
        let least = if self.span == 1 { LANES } else { 1 };
        (TASK / (self.batch * self.span).max(1)).next_multiple_of(least).max(least)
    }

    /// Factor of x - mean for a channel.
    #[inline(always)]
    pub(super) fn scale(&self, channel: usize, variance: f32) -> f32 {
        self.weight[channel] * self.factor(variance)
    }

    /// 1 / √(variance + eps)
    #[inline(always)]
    pub(super) fn factor(&self, variance: f32) -> f32 {
        (1.0 / (f64::from(variance) + f64::from(self.eps)).sqrt()) as f32
    }

    /// Where the values of `channel` of `sample` begin.
    #[inline(always)]
    pub(super) fn at(&self, sample: usize, channel: usize) -> usize {
        (sample * self.channels + channel) * self.span
    }
}

/// y = (x - mean) / √(variance + eps) · weight + bias, and then the epilogue. Where `x` is empty, `y` holds it.
///
/// Panics when the sizes do not fit.
pub fn batch_norm(
    device: &Device,
    norm: &BatchNorm,
    statistics: Statistics,
    x: &[f32],
    y: &mut [f32],
    epilogue: Option<&dyn InPlace>,
) {
    norm.check(y.len());
    assert_eq!(norm.bias.len(), norm.channels, "a bias for each channel");
    assert!(x.is_empty() || x.len() == y.len(), "input and output of one length");
    if y.is_empty() {
        return;
    }
    let y = Planes { base: Shared(y.as_mut_ptr()) };
    let x = if x.is_empty() { None } else { Some(x) };
    match statistics {
        Statistics::OfBatch { mean, variance } => {
            assert!(mean.len() == norm.channels && variance.len() == norm.channels, "statistics for each channel");
            device.chunks_mut_n(norm.chunk(), [mean, variance], |channel, [mean, variance]| {
                dispatch(device.isa(), Measure { norm, channel, x, y: &y, mean, variance });
                dispatch(device.isa(), Apply { norm, channel, x, y: &y, mean, variance, epilogue, isa: device.isa() });
            });
        }
        Statistics::Given { mean, variance } => {
            assert!(mean.len() == norm.channels && variance.len() == norm.channels, "statistics for each channel");
            let chunk = norm.chunk();
            device.for_each(norm.channels.div_ceil(chunk), &|task| {
                let range = task * chunk..norm.channels.min((task + 1) * chunk);
                let (channel, mean, variance) = (range.start, &mean[range.clone()], &variance[range]);
                dispatch(device.isa(), Apply { norm, channel, x, y: &y, mean, variance, epilogue, isa: device.isa() });
            });
        }
    }
}

/// The gradients of [`batch_norm`]: `sums` [2, channels] takes those of weight and bias, and `dx`, unless it is empty, that
/// of x; the bias is not looked at. Where `dy` is empty, `dx` holds it. `mean` and `variance` are those of the forward pass, which were `of_batch` or
/// given.
///
/// Panics when the sizes do not fit.
#[allow(clippy::too_many_arguments, reason = "the pass has as many operands")]
pub fn batch_norm_backward(
    device: &Device,
    norm: &BatchNorm,
    of_batch: bool,
    [mean, variance]: [&[f32]; 2],
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    sums: &mut [f32],
) {
    norm.check(x.len());
    assert!(dy.len() == x.len() || (dy.is_empty() && dx.len() == x.len()), "input and gradient of one length");
    assert!(dx.is_empty() || dx.len() == x.len(), "input and gradient of one length");
    assert!(mean.len() == norm.channels && variance.len() == norm.channels, "statistics for each channel");
    assert_eq!(sums.len(), 2 * norm.channels, "two sums for each channel");
    let wanted = !dx.is_empty();
    let dx = Planes { base: Shared(dx.as_mut_ptr()) };
    let dy = if dy.is_empty() { None } else { Some(dy) };
    let (products, plain) = sums.split_at_mut(norm.channels);
    device.chunks_mut_n(norm.chunk(), [products, plain], |channel, [products, plain]| {
        let range = channel..channel + plain.len();
        let (mean, variance) = (&mean[range.clone()], &variance[range]);
        let (of_batch, dx) = (of_batch, &dx);
        let pass = Gradient { norm, channel, x, dy, dx, wanted, of_batch, mean, variance, products, plain };
        dispatch(device.isa(), pass);
    });
}

/// Values that tasks write at the same time, each at the places of its own channels.
pub(super) struct Planes {
    base: Shared,
}

impl Planes {
    /// `len` values from `start`.
    ///
    /// # Safety
    /// They must be inside of what the pointer was made from, and no other slice of them may be in use.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the places of different tasks are disjoint, which the caller promises")]
    pub(super) unsafe fn part(&self, start: usize, len: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.base.at(start), len) }
    }
}

/// The plane of `channel` in `sample`: of `values`, or where there are none of what `planes` holds.
///
/// # Safety
/// As [`Planes::part`].
#[inline(always)]
pub(super) unsafe fn plane<'a>(values: Option<&'a [f32]>, planes: &'a Planes, start: usize, len: usize) -> &'a [f32] {
    match values {
        Some(values) => &values[start..start + len],
        // SAFETY: the caller's promise.
        None => unsafe { planes.part(start, len) },
    }
}

/// Mean and variance of the channels from `channel`.
pub(super) struct Measure<'a> {
    pub norm: &'a BatchNorm<'a>,
    pub channel: usize,
    pub x: Option<&'a [f32]>,
    pub y: &'a Planes,
    pub mean: &'a mut [f32],
    pub variance: &'a mut [f32],
}

impl Kernel for Measure<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.norm.span == 1 {
            return columns::measure(s, self);
        }
        let Measure { norm, channel, x, y, mean, variance } = self;
        let values = (norm.batch * norm.span) as f64;
        for index in 0..mean.len() {
            let mut shift = 0.0;
            let mut totals = Totals::new(s);
            for sample in 0..norm.batch {
                // SAFETY: the channel is this task's, and nothing of it is being written.
                let x = unsafe { plane(x, y, norm.at(sample, channel + index), norm.span) };
                if sample == 0 {
                    shift = sum_here(s, x) / norm.span as f32;
                }
                for block in x.chunks(BLOCK) {
                    let (mut plain, mut squares) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
                    for start in (0..block.len()).step_by(LANES) {
                        let value = s.sub(load(s, block, start), s.splat(shift));
                        let value = first(s, value, block.len() - start);
                        let chain = start / LANES % 2;
                        plain[chain] = s.add(plain[chain], value);
                        squares[chain] = s.fma(value, value, squares[chain]);
                    }
                    totals.add(s, s.add(plain[0], plain[1]), s.add(squares[0], squares[1]), block.len());
                }
            }
            let (plain, squares) = totals.finish(s);
            let of_mean = plain / values;
            mean[index] = (f64::from(shift) + of_mean) as f32;
            // Rounding may leave less than nothing of equal values; a NaN stays.
            let spread = squares / values - of_mean * of_mean;
            variance[index] = if spread < 0.0 { 0.0 } else { spread as f32 };
        }
    }
}

/// Two sums in lanes, which go over to f64 whenever enough values have come together.
struct Totals<F> {
    lanes: [F; 2],
    count: usize,
    sums: [f64; 2],
}

impl<F: Copy> Totals<F> {
    #[inline(always)]
    fn new<S: Simd<Float = F>>(s: S) -> Totals<F> {
        Totals { lanes: [s.splat(0.0); 2], count: 0, sums: [0.0; 2] }
    }

    #[inline(always)]
    fn add<S: Simd<Float = F>>(&mut self, s: S, a: F, b: F, count: usize) {
        self.lanes = [s.add(self.lanes[0], a), s.add(self.lanes[1], b)];
        self.count += count;
        if self.count >= BLOCK {
            self.pass_on(s);
        }
    }

    #[inline(always)]
    fn pass_on<S: Simd<Float = F>>(&mut self, s: S) {
        for i in 0..2 {
            self.sums[i] += f64::from(s.reduce_add(self.lanes[i]));
            self.lanes[i] = s.splat(0.0);
        }
        self.count = 0;
    }

    #[inline(always)]
    fn finish<S: Simd<Float = F>>(mut self, s: S) -> (f64, f64) {
        self.pass_on(s);
        (self.sums[0], self.sums[1])
    }
}

/// y from x, mean and variance, for the channels from `channel`.
pub(super) struct Apply<'a> {
    pub norm: &'a BatchNorm<'a>,
    pub channel: usize,
    pub x: Option<&'a [f32]>,
    pub y: &'a Planes,
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    pub epilogue: Option<&'a dyn InPlace>,
    pub isa: crate::simd::Isa,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.norm.span == 1 {
            return columns::apply(s, self);
        }
        let Apply { norm, channel, x, y, mean, variance, epilogue, isa } = self;
        for index in 0..mean.len() {
            let scale = s.splat(norm.scale(channel + index, variance[index]));
            let (mean, bias) = (s.splat(mean[index]), s.splat(norm.bias[channel + index]));
            for sample in 0..norm.batch {
                let at = norm.at(sample, channel + index);
                let x = x.map(|x| &x[at..at + norm.span]);
                // SAFETY: the channel is this task's, and this is the only slice of it that is in use.
                let y = unsafe { y.part(at, norm.span) };
                for start in (0..y.len()).step_by(LANES) {
                    let value = load(s, x.unwrap_or(&*y), start);
                    store(s, s.fma(s.sub(value, mean), scale, bias), y, start);
                }
                if let Some(epilogue) = epilogue {
                    epilogue.apply(isa, y);
                }
            }
        }
    }
}

/// The gradients for the channels from `channel`.
pub(super) struct Gradient<'a> {
    pub norm: &'a BatchNorm<'a>,
    pub channel: usize,
    pub x: &'a [f32],
    pub dy: Option<&'a [f32]>,
    pub dx: &'a Planes,
    pub wanted: bool,
    pub of_batch: bool,
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    /// Gradients of the weight.
    pub products: &'a mut [f32],
    /// Gradients of the bias.
    pub plain: &'a mut [f32],
}

/// What the gradient of x is made of, for one channel: scale · (dy - of_mean - (x - mean) · of_variance).
#[derive(Clone, Copy)]
pub(super) struct Slopes {
    pub scale: f32,
    pub of_mean: f32,
    pub of_variance: f32,
}

impl Gradient<'_> {
    /// From Σ dy and the gradient of the weight, Σ dy · (x - mean) · factor.
    #[inline(always)]
    pub(super) fn slopes(&self, index: usize, plain: f32, product: f32) -> Slopes {
        let norm = self.norm;
        let scale = norm.scale(self.channel + index, self.variance[index]);
        if !self.of_batch {
            return Slopes { scale, of_mean: 0.0, of_variance: 0.0 };
        }
        let values = (norm.batch * norm.span) as f64;
        let factor = f64::from(norm.factor(self.variance[index]));
        let of_mean = (f64::from(plain) / values) as f32;
        Slopes { scale, of_mean, of_variance: (f64::from(product) * factor / values) as f32 }
    }
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.norm.span == 1 {
            return columns::gradient(s, self);
        }
        let norm = self.norm;
        for index in 0..self.mean.len() {
            let mean = s.splat(self.mean[index]);
            let mut totals = Totals::new(s);
            for sample in 0..norm.batch {
                let at = norm.at(sample, self.channel + index);
                let x = &self.x[at..at + norm.span];
                // SAFETY: the channel is this task's, and nothing of it is being written.
                let dy = unsafe { plane(self.dy, self.dx, at, norm.span) };
                for block in (0..norm.span).step_by(BLOCK) {
                    let end = norm.span.min(block + BLOCK);
                    let (mut plain, mut products) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
                    for start in (block..end).step_by(LANES) {
                        // Beyond the end dy is zero.
                        let (dy, chain) = (load(s, &dy[..end], start), start / LANES % 2);
                        let deviation = first(s, s.sub(load(s, &x[..end], start), mean), end - start);
                        plain[chain] = s.add(plain[chain], dy);
                        products[chain] = s.fma(dy, deviation, products[chain]);
                    }
                    totals.add(s, s.add(plain[0], plain[1]), s.add(products[0], products[1]), end - block);
                }
            }
            let (plain, products) = totals.finish(s);
            let plain = plain as f32;
            let product = (products * f64::from(norm.factor(self.variance[index]))) as f32;
            (self.plain[index], self.products[index]) = (plain, product);
            if !self.wanted {
                continue;
            }
            let Slopes { scale, of_mean, of_variance } = self.slopes(index, plain, product);
            let (scale, of_mean, of_variance) = (s.splat(scale), s.splat(of_mean), s.splat(of_variance));
            for sample in 0..norm.batch {
                let at = norm.at(sample, self.channel + index);
                let x = &self.x[at..at + norm.span];
                let dy = self.dy.map(|dy| &dy[at..at + norm.span]);
                // SAFETY: the channel is this task's, and this is the only slice of it that is in use.
                let dx = unsafe { self.dx.part(at, norm.span) };
                for start in (0..norm.span).step_by(LANES) {
                    let dy = load(s, dy.unwrap_or(&*dx), start);
                    let deviation = s.sub(load(s, x, start), mean);
                    let value = s.fnma(deviation, of_variance, s.sub(dy, of_mean));
                    store(s, s.mul(value, scale), dx, start);
                }
            }
        }
    }
}
