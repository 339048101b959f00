//! Batch normalisation of rows of features: a channel is a column of a matrix [batch, channels], sixteen at a time.

use super::batch::{Apply, Gradient, Measure, Slopes, plane};
use crate::simd::{LANES, Simd};

/// Rows whose sum is added to the total as a whole.
const BLOCK_ROWS: usize = 64;

/// Sixteen values, with zeros beyond the end.
#[inline(always)]
fn load<S: Simd>(s: S, values: &[f32]) -> S::Float {
    if values.len() >= LANES { s.load(values) } else { s.load_partial(values) }
}

/// Writes the first lanes, as many as there are places.
#[inline(always)]
fn store<S: Simd>(s: S, value: S::Float, values: &mut [f32]) {
    if values.len() >= LANES { s.store(value, values) } else { s.store_partial(value, values) }
}

#[inline(always)]
pub(super) fn measure<S: Simd>(s: S, pass: Measure) {
    let Measure { norm, channel, x, y, mean, variance } = pass;
    let rows = s.splat(norm.batch as f32);
    for (tile, (mean, variance)) in mean.chunks_mut(LANES).zip(variance.chunks_mut(LANES)).enumerate() {
        let (first, width) = (channel + tile * LANES, mean.len());
        let mut center = s.splat(0.0);
        // The mean first, then the squares of the deviations: the second reading is from the nearest cache.
        for squares in [false, true] {
            let mut total = s.splat(0.0);
            for block in (0..norm.batch).step_by(BLOCK_ROWS) {
                let mut sum = s.splat(0.0);
                for row in block..norm.batch.min(block + BLOCK_ROWS) {
                    // SAFETY: the columns are this task's, and nothing of them is being written.
                    let value = s.sub(load(s, unsafe { plane(x, y, norm.at(row, first), width) }), center);
                    sum = if squares { s.fma(value, value, sum) } else { s.add(sum, value) };
                }
                total = s.add(total, sum);
            }
            let of_rows = s.div(total, rows);
            if squares {
                store(s, of_rows, variance);
            } else {
                store(s, of_rows, mean);
                center = of_rows;
            }
        }
    }
}

#[inline(always)]
pub(super) fn apply<S: Simd>(s: S, pass: Apply) {
    let Apply { norm, channel, x, y, mean, variance, epilogue, isa } = pass;
    for (tile, (mean, variance)) in mean.chunks(LANES).zip(variance.chunks(LANES)).enumerate() {
        let (first, width) = (channel + tile * LANES, mean.len());
        let mut scale = [0.0; LANES];
        for lane in 0..width {
            scale[lane] = norm.scale(first + lane, variance[lane]);
        }
        let (scale, mean, bias) = (s.load(&scale), load(s, mean), load(s, &norm.bias[first..first + width]));
        for row in 0..norm.batch {
            let at = norm.at(row, first);
            // SAFETY: the columns are this task's, and this is the only slice of them that is in use.
            let y = unsafe { y.part(at, width) };
            let value = load(s, x.map_or(&*y, |x| &x[at..at + width]));
            store(s, s.fma(s.sub(value, mean), scale, bias), y);
            if let Some(epilogue) = epilogue {
                epilogue.apply(isa, y);
            }
        }
    }
}

#[inline(always)]
pub(super) fn gradient<S: Simd>(s: S, pass: Gradient) {
    let (norm, channels) = (pass.norm, pass.mean.len());
    for tile in (0..channels).step_by(LANES) {
        let (first, width) = (pass.channel + tile, LANES.min(channels - tile));
        let mean = load(s, &pass.mean[tile..tile + width]);
        let (mut plain, mut products) = (s.splat(0.0), s.splat(0.0));
        for block in (0..norm.batch).step_by(BLOCK_ROWS) {
            let (mut plain_sum, mut product_sum) = (s.splat(0.0), s.splat(0.0));
            for row in block..norm.batch.min(block + BLOCK_ROWS) {
                let at = norm.at(row, first);
                // SAFETY: the columns are this task's, and nothing of them is being written.
                let dy = load(s, unsafe { plane(pass.dy, pass.dx, at, width) });
                plain_sum = s.add(plain_sum, dy);
                product_sum = s.fma(dy, s.sub(load(s, &pass.x[at..at + width]), mean), product_sum);
            }
            (plain, products) = (s.add(plain, plain_sum), s.add(products, product_sum));
        }
        let (plain, products) = (s.to_array(plain), s.to_array(products));
        let (mut scales, mut means, mut variances) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for lane in 0..width {
            let product = products[lane] * norm.factor(pass.variance[tile + lane]);
            (pass.plain[tile + lane], pass.products[tile + lane]) = (plain[lane], product);
            let Slopes { scale, of_mean, of_variance } = pass.slopes(tile + lane, plain[lane], product);
            (scales[lane], means[lane], variances[lane]) = (scale, of_mean, of_variance);
        }
        if !pass.wanted {
            continue;
        }
        let (scale, of_mean, of_variance) = (s.load(&scales), s.load(&means), s.load(&variances));
        for row in 0..norm.batch {
            let at = norm.at(row, first);
            let deviation = s.sub(load(s, &pass.x[at..at + width]), mean);
            // SAFETY: the columns are this task's, and this is the only slice of them that is in use.
            let dx = unsafe { pass.dx.part(at, width) };
            let dy = load(s, pass.dy.map_or(&*dx, |dy| &dy[at..at + width]));
            store(s, s.mul(s.fnma(deviation, of_variance, s.sub(dy, of_mean)), scale), dx);
        }
    }
}
