//! Element-wise losses: a function of prediction and target, summed with weights, and its gradient.

use crate::device::Device;
use crate::reduce::{BLOCK, Term, block_sum, over_chunks, part, sum_of};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// A loss of one prediction p and its target t. Implementations carry `#[inline(always)]`, see [`Kernel`].
pub trait Pairwise: Copy + Send + Sync {
    /// f(p, t)
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float;
    /// ∂f/∂p
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float;
}

/// A weight for each row of predictions.
#[derive(Clone, Copy, Debug)]
pub struct RowWeights<'a> {
    /// One for each row.
    pub weights: &'a [f32],
    /// Predictions in a row.
    pub row_len: usize,
}

impl RowWeights<'_> {
    fn assert_fit(&self, len: usize) {
        assert_eq!(self.weights.len().checked_mul(self.row_len), Some(len), "one weight a row of predictions");
    }

    /// Writes the weights of the places from `start`.
    #[inline(always)]
    fn expand(&self, start: usize, out: &mut [f32]) {
        let mut row = start / self.row_len;
        let mut end = (row + 1) * self.row_len - start;
        let mut at = 0;
        while at < out.len() {
            end = end.min(out.len());
            out[at..end].fill(self.weights[row]);
            at = end;
            end += self.row_len;
            row += 1;
        }
    }
}

/// Σ weight · f(p, t), in the fixed order of the module `reduce`. Panics when the sizes do not fit.
#[inline]
pub fn total<F: Pairwise>(device: &Device, f: F, p: &[f32], t: &[f32], row_weights: Option<RowWeights>) -> f32 {
    assert_eq!(p.len(), t.len(), "one target a prediction");
    let Some(weights) = row_weights else { return sum_of(device, Value(f), [p, t]) };
    weights.assert_fit(p.len());
    if weights.row_len == 1 {
        return sum_of(device, Value(f), [p, t, weights.weights]);
    }
    over_chunks(
        device,
        p.len(),
        0.0,
        |a, b| a + b,
        |start, len| {
            let [p, t] = [p, t].map(|values| &values[start..start + len]);
            dispatch(device.isa(), WeightedTotal { f, p, t, weights, start })
        },
    )
}

/// dp = factor · weight · ∂f/∂p. Panics when the sizes do not fit.
#[inline]
pub fn backward<F: Pairwise>(
    device: &Device,
    f: F,
    p: &[f32],
    t: &[f32],
    row_weights: Option<RowWeights>,
    factor: f32,
    dp: &mut [f32],
) {
    assert!(p.len() == t.len() && p.len() == dp.len(), "one target and gradient a prediction");
    if let Some(weights) = row_weights {
        weights.assert_fit(p.len());
    }
    device.chunks_mut(CHUNK, dp, |start, dp| {
        let [p, t] = [p, t].map(|values| &values[start..start + dp.len()]);
        match row_weights {
            None => dispatch(device.isa(), Backward { f, p, t, factor, dp }),
            Some(weights) => dispatch(device.isa(), WeightedBackward { f, p, t, weights, start, factor, dp }),
        }
    });
}

/// Gradients of a task: some microseconds.
const CHUNK: usize = 1 << 13;

#[derive(Clone, Copy)]
struct Value<F>(F);

impl<F: Pairwise> Term<2> for Value<F> {
    #[inline(always)]
    fn term<S: Simd>(self, s: S, [p, t]: [S::Float; 2]) -> S::Float {
        self.0.value(s, p, t)
    }
}

impl<F: Pairwise> Term<3> for Value<F> {
    #[inline(always)]
    fn term<S: Simd>(self, s: S, [p, t, weight]: [S::Float; 3]) -> S::Float {
        s.mul(weight, self.0.value(s, p, t))
    }
}

/// A total over a chunk, with the weights of a block at a time spread over its places.
struct WeightedTotal<'a, F> {
    f: F,
    p: &'a [f32],
    t: &'a [f32],
    weights: RowWeights<'a>,
    start: usize,
}

impl<F: Pairwise> Kernel for WeightedTotal<'_, F> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let WeightedTotal { f, p, t, weights, start } = self;
        let mut spread = [0.0; BLOCK];
        let mut sum = s.splat(0.0);
        for at in (0..p.len()).step_by(BLOCK) {
            let end = p.len().min(at + BLOCK);
            let spread = &mut spread[..end - at];
            weights.expand(start + at, spread);
            let [p, t] = part([p, t], at, end);
            sum = s.add(sum, block_sum(s, Value(f), [p, t, spread]));
        }
        s.reduce_add(sum)
    }
}

struct Backward<'a, F> {
    f: F,
    p: &'a [f32],
    t: &'a [f32],
    factor: f32,
    dp: &'a mut [f32],
}

impl<F: Pairwise> Kernel for Backward<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Backward { f, p, t, factor, dp } = self;
        let factor = s.splat(factor);
        let whole = dp.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let derivative = f.derivative(s, s.load(&p[at..]), s.load(&t[at..]));
            s.store(s.mul(factor, derivative), &mut dp[at..]);
        }
        if whole < dp.len() {
            let derivative = f.derivative(s, s.load_partial(&p[whole..]), s.load_partial(&t[whole..]));
            s.store_partial(s.mul(factor, derivative), &mut dp[whole..]);
        }
    }
}

struct WeightedBackward<'a, F> {
    f: F,
    p: &'a [f32],
    t: &'a [f32],
    weights: RowWeights<'a>,
    start: usize,
    factor: f32,
    dp: &'a mut [f32],
}

impl<F: Pairwise> Kernel for WeightedBackward<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let WeightedBackward { f, p, t, weights, start, factor, dp } = self;
        let factor = s.splat(factor);
        // The weights are spread over the gradients, which then take their place.
        weights.expand(start, dp);
        let whole = dp.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let derivative = f.derivative(s, s.load(&p[at..]), s.load(&t[at..]));
            let factor = s.mul(factor, s.load(&dp[at..]));
            s.store(s.mul(factor, derivative), &mut dp[at..]);
        }
        if whole < dp.len() {
            let derivative = f.derivative(s, s.load_partial(&p[whole..]), s.load_partial(&t[whole..]));
            let factor = s.mul(factor, s.load_partial(&dp[whole..]));
            s.store_partial(s.mul(factor, derivative), &mut dp[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_close, devices, on_every_device, values};

    /// (p - t)² + 1: not zero of zeros, so that a wrong tail shows.
    #[derive(Clone, Copy)]
    struct Square;

    impl Pairwise for Square {
        #[inline(always)]
        fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
            let d = s.sub(p, t);
            s.fma(d, d, s.splat(1.0))
        }
        #[inline(always)]
        fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
            s.mul(s.splat(2.0), s.sub(p, t))
        }
    }

    #[test]
    fn totals_and_gradients_are_near_those_in_f64_and_the_same_on_every_device() {
        for len in LENGTHS {
            let (p, t) = (values(1, len), values(2, len));
            for row_len in [0, 1, 2, 3, 10, 16, 1000, 33_000] {
                let rows = len.checked_div(row_len).unwrap_or(0);
                let len = if row_len == 0 { len } else { rows * row_len };
                let (p, t) = (&p[..len], &t[..len]);
                let weights: Vec<f32> = values(3, rows).iter().map(|w| w + 1.0).collect();
                let row_weights = (row_len > 0).then_some(RowWeights { weights: &weights, row_len });
                let weight = |i: usize| i.checked_div(row_len).map_or(1.0, |row| f64::from(weights[row]));
                let got = on_every_device(|device| vec![total(device, Square, p, t, row_weights)]);
                let difference = |i: usize| f64::from(p[i]) - f64::from(t[i]);
                let expected = (0..len).map(|i| weight(i) * (difference(i) * difference(i) + 1.0)).sum();
                // All terms are positive: some 40 roundings in a row, and four of a term.
                assert_close(&got, &[expected], 44.0 * 0.5 * f64::from(f32::EPSILON), 0.0);
                let dp = on_every_device(|device| {
                    let mut dp = vec![f32::NAN; len];
                    backward(device, Square, p, t, row_weights, 0.7, &mut dp);
                    dp
                });
                let expected: Vec<f64> =
                    (0..len).map(|i| f64::from(0.7f32) * weight(i) * 2.0 * difference(i)).collect();
                assert_close(&dp, &expected, 3.0 * f64::from(f32::EPSILON), 0.0);
            }
        }
    }

    #[test]
    fn nan_goes_through() {
        let (p, t) = ([1.0, f32::NAN, 2.0], [0.0; 3]);
        let out = on_every_device(|device| {
            let mut dp = vec![0.0; 3];
            backward(device, Square, &p, &t, None, 1.0, &mut dp);
            dp.push(total(device, Square, &p, &t, None));
            dp
        });
        assert!(out[0] == 2.0 && out[1].is_nan() && out[2] == 4.0 && out[3].is_nan());
    }

    #[test]
    #[should_panic(expected = "one weight a row")]
    fn weights_that_do_not_fit_are_refused() {
        let weights = RowWeights { weights: &[1.0; 2], row_len: 3 };
        total(&devices()[0], Square, &[0.0; 5], &[0.0; 5], Some(weights));
    }
}
