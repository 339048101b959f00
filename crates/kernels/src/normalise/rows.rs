//! Normalisation of each row of a matrix: layer, RMS and group normalisation.

use super::{BLOCK, TASK, first, load, store};
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// What is normalised: each row of a matrix [rows, n].
///
/// Weight and bias are those of the row's group: row r takes the part r mod `groups` of both, which has a value for each
/// `span` values of the row. So layer normalisation has one group and a span of 1; group normalisation has a row for each
/// sample and group, and the places of a channel as span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowNorm {
    /// Values of a row, 1 or more.
    pub n: usize,
    /// Parts of weight and bias.
    pub groups: usize,
    /// Neighbours that share a weight and a bias; divides n.
    pub span: usize,
    /// Added to the variance (or the mean square), so that equal values give zeros.
    pub eps: f32,
    /// Subtract the mean; without it, values are divided by the root of their mean square (RMS normalisation).
    pub centred: bool,
}

impl RowNorm {
    /// Values of the weight.
    fn weights(&self) -> usize {
        self.groups * (self.n / self.span)
    }

    fn check(&self, weight: &[f32], bias: &[f32]) {
        assert!(self.n > 0 && self.span > 0 && self.n.is_multiple_of(self.span), "rows of whole spans");
        let fits = |values: &[f32]| values.is_empty() || values.len() == self.weights();
        assert!(fits(weight) && fits(bias), "a weight and a bias for each channel of {}", self.weights());
    }

    fn chunk(&self) -> usize {
        (TASK / self.n).max(1)
    }

    /// The weights of row `row`; none of none.
    #[inline(always)]
    fn of_row<'a>(&self, values: &'a [f32], row: usize) -> &'a [f32] {
        let count = self.n / self.span;
        if values.is_empty() { values } else { &values[row % self.groups * count..][..count] }
    }
}

/// y = (x - mean) / √(variance + eps) · weight + bias for each row, the variance being the mean square of the deviations.
/// Weight and bias may be empty: 1 and 0. Panics when the sizes do not fit.
pub fn normalise_rows(device: &Device, norm: &RowNorm, x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    norm.check(weight, bias);
    assert!(x.len() == y.len() && x.len().is_multiple_of(norm.n), "input and output of as many whole rows");
    device.split_rows(x.len() / norm.n, norm.chunk(), (y, norm.n), [], |row, y, []| {
        dispatch(device.isa(), Forward { norm, x: &x[row * norm.n..][..y.len()], weight, bias, y, row });
    });
}

/// The gradient of x and the parts dy · (x - mean) / √(variance + eps) of the gradient of the weight, both [rows, n]; either
/// is empty where it is not wanted. Panics when the sizes do not fit.
pub fn normalise_rows_backward(
    device: &Device,
    norm: &RowNorm,
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    parts: &mut [f32],
) {
    norm.check(weight, &[]);
    assert!(x.len() == dy.len() && x.len().is_multiple_of(norm.n), "input and gradient of as many whole rows");
    let width = |values: &[f32]| if values.is_empty() { 0 } else { norm.n };
    let widths = (width(dx), width(parts));
    let rows = x.len() / norm.n;
    device.split_rows(rows, norm.chunk(), (dx, widths.0), [(parts, widths.1)], |row, dx, [parts]| {
        let range = row * norm.n..(row + norm.chunk()).min(rows) * norm.n;
        let (x, dy) = (&x[range.clone()], &dy[range]);
        dispatch(device.isa(), Backward { norm, x, weight, dy, dx, parts, row });
    });
}

/// Mean (0 unless centred) and 1 / √(variance + eps) of a row.
#[inline(always)]
fn statistics<S: Simd>(s: S, norm: &RowNorm, x: &[f32]) -> (f32, f32) {
    let n = norm.n as f64;
    let mean = if norm.centred { (f64::from(sum(s, x, 0.0, false)) / n) as f32 } else { 0.0 };
    let variance = f64::from(sum(s, x, mean, true)) / n;
    (mean, (1.0 / (variance + f64::from(norm.eps)).sqrt()) as f32)
}

/// Σ (x - shift), or of its squares.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32], shift: f32, squares: bool) -> f32 {
    let shift = s.splat(shift);
    let mut total = s.splat(0.0);
    for block in x.chunks(BLOCK) {
        let mut sums = [s.splat(0.0); 2];
        for start in (0..block.len()).step_by(LANES) {
            let value = first(s, s.sub(load(s, block, start), shift), block.len() - start);
            let chain = start / LANES % 2;
            sums[chain] = if squares { s.fma(value, value, sums[chain]) } else { s.add(sums[chain], value) };
        }
        total = s.add(total, s.add(sums[0], sums[1]));
    }
    s.reduce_add(total)
}

struct Forward<'a> {
    norm: &'a RowNorm,
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
    row: usize,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward { norm, x, weight, bias, y, row } = self;
        for (index, (x, y)) in x.chunks_exact(norm.n).zip(y.chunks_exact_mut(norm.n)).enumerate() {
            let (mean, factor) = statistics(s, norm, x);
            let (mean, factor) = (s.splat(mean), s.splat(factor));
            let (weight, bias) = (norm.of_row(weight, row + index), norm.of_row(bias, row + index));
            let runs = Runs { norm, weight };
            for run in 0..runs.count() {
                let (x, y) = (runs.part(x, run), &mut y[run * runs.len()..][..runs.len()]);
                for start in (0..x.len()).step_by(LANES) {
                    let value = s.mul(s.sub(load(s, x, start), mean), factor);
                    let value = s.mul(value, runs.weight(s, run, start));
                    let value = if bias.is_empty() { value } else { s.add(value, runs.of(s, bias, run, start)) };
                    store(s, value, y, start);
                }
            }
        }
    }
}

/// The stretches of a row in which weights are one for each value (a single stretch), or one for all.
#[derive(Clone, Copy)]
struct Runs<'a> {
    norm: &'a RowNorm,
    weight: &'a [f32],
}

impl Runs<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        if self.norm.span == 1 { self.norm.n } else { self.norm.span }
    }

    #[inline(always)]
    fn count(&self) -> usize {
        self.norm.n / self.len()
    }

    #[inline(always)]
    fn part<'b>(&self, values: &'b [f32], run: usize) -> &'b [f32] {
        &values[run * self.len()..][..self.len()]
    }

    /// Of values for each weight, those of sixteen places from `start` of a run.
    #[inline(always)]
    fn of<S: Simd>(&self, s: S, values: &[f32], run: usize, start: usize) -> S::Float {
        if self.norm.span == 1 { load(s, values, start) } else { s.splat(values[run]) }
    }

    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, run: usize, start: usize) -> S::Float {
        if self.weight.is_empty() { s.splat(1.0) } else { self.of(s, self.weight, run, start) }
    }
}

struct Backward<'a> {
    norm: &'a RowNorm,
    x: &'a [f32],
    weight: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    parts: &'a mut [f32],
    row: usize,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Backward { norm, x, weight, dy, dx, parts, row } = self;
        let n = norm.n;
        for (index, (x, dy)) in x.chunks_exact(n).zip(dy.chunks_exact(n)).enumerate() {
            let (mean, factor) = statistics(s, norm, x);
            let (mean, factor) = (s.splat(mean), s.splat(factor));
            let runs = Runs { norm, weight: norm.of_row(weight, row + index) };
            if !parts.is_empty() {
                let parts = &mut parts[index * n..][..n];
                for start in (0..n).step_by(LANES) {
                    let normalised = s.mul(s.sub(load(s, x, start), mean), factor);
                    store(s, s.mul(load(s, dy, start), normalised), parts, start);
                }
            }
            if dx.is_empty() {
                continue;
            }
            let (sum, product) = gradient_sums(s, &runs, x, dy, mean, factor);
            let of_mean = if norm.centred { s.splat((f64::from(sum) / n as f64) as f32) } else { s.splat(0.0) };
            let of_scale = s.splat((f64::from(product) / n as f64) as f32);
            let dx = &mut dx[index * n..][..n];
            for run in 0..runs.count() {
                let (x, dy) = (runs.part(x, run), runs.part(dy, run));
                let dx = &mut dx[run * runs.len()..][..runs.len()];
                for start in (0..x.len()).step_by(LANES) {
                    let normalised = s.mul(s.sub(load(s, x, start), mean), factor);
                    let slope = s.mul(load(s, dy, start), runs.weight(s, run, start));
                    let value = s.fnma(normalised, of_scale, s.sub(slope, of_mean));
                    store(s, s.mul(value, factor), dx, start);
                }
            }
        }
    }
}

/// Σ g and Σ g · (x - mean) · factor of a row, where g = dy · weight.
#[inline(always)]
fn gradient_sums<S: Simd>(s: S, runs: &Runs, x: &[f32], dy: &[f32], mean: S::Float, factor: S::Float) -> (f32, f32) {
    let mut totals = [s.splat(0.0); 2];
    for run in 0..runs.count() {
        let (x, dy) = (runs.part(x, run), runs.part(dy, run));
        for block in (0..x.len()).step_by(BLOCK) {
            let end = x.len().min(block + BLOCK);
            let (x, dy) = (&x[..end], &dy[..end]);
            let mut sums = [s.splat(0.0); 2];
            for start in (block..end).step_by(LANES) {
                // Beyond the end dy is zero, and so is its product with what is finite there.
                let slope = first(s, s.mul(load(s, dy, start), runs.weight(s, run, start)), end - start);
                let normalised = s.mul(s.sub(load(s, x, start), mean), factor);
                sums[0] = s.add(sums[0], slope);
                sums[1] = s.add(sums[1], first(s, s.mul(slope, normalised), end - start));
            }
            for i in 0..2 {
                totals[i] = s.add(totals[i], sums[i]);
            }
        }
    }
    (s.reduce_add(totals[0]), s.reduce_add(totals[1]))
}
