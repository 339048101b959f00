//! Dropout of whole stretches of values: the channels of a picture, or the branch of a sample.

use super::Stream;
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Values of a task: some microseconds.
const TASK: usize = 1 << 14;

/// y = x · m / (1 - rate) for stretches of `span` values, where m is 0 with probability `rate`, else 1, one for each
/// stretch; NaN and infinities times 0 are NaN. Where `x` is empty, `y` holds it.
///
/// Stretch i is dropped when the upper half of word i of the stream is below rate · 2¹⁶, rounded. The backward pass is the
/// same call with dy for x and dx for y. Panics when the lengths do not fit or the rate is not in [0, 1].
pub fn dropout_stretches(device: &Device, stream: Stream, rate: f32, span: usize, x: &[f32], y: &mut [f32]) {
    assert!((0.0..=1.0).contains(&rate), "a rate is in [0, 1], but it is {rate}");
    assert!(span > 0 && y.len().is_multiple_of(span), "whole stretches of {span}");
    assert!(x.is_empty() || x.len() == y.len(), "input and output of one length");
    let dropped = (rate * 65536.0).round() as u32;
    let kept = if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 };
    let chunk = (TASK / span).max(1);
    device.split_rows(y.len() / span, chunk, (y, span), [], |first, y, []| {
        for (index, y) in y.chunks_exact_mut(span).enumerate() {
            let stretch = first + index;
            let factor = if stream.u32_at(stretch as u64) >> 16 < dropped { 0.0 } else { kept };
            let x = if x.is_empty() { x } else { &x[stretch * span..][..span] };
            dispatch(device.isa(), Scale { factor, x, y });
        }
    });
}

struct Scale<'a> {
    factor: f32,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Scale { factor, x, y } = self;
        let factor = s.splat(factor);
        let whole = y.len() / LANES * LANES;
        for start in (0..whole).step_by(LANES) {
            let source = if x.is_empty() { &y[start..] } else { &x[start..] };
            s.store(s.mul(s.load(source), factor), &mut y[start..]);
        }
        if whole < y.len() {
            let source = if x.is_empty() { &y[whole..] } else { &x[whole..] };
            s.store_partial(s.mul(s.load_partial(source), factor), &mut y[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bits, on_every_device, values};

    #[test]
    fn a_stretch_is_kept_or_dropped_as_a_whole() {
        let stream = Stream { seed: 3, purpose: 4, step: 5 };
        for (count, span, rate) in
            [(0, 3, 0.5), (7, 1, 0.5), (100, 17, 0.3), (5, 40_000, 0.5), (9, 33, 0.0), (9, 5, 1.0)]
        {
            let x = values(1, count * span);
            let y = on_every_device(|device| {
                let mut y = vec![f32::NAN; x.len()];
                dropout_stretches(device, stream, rate, span, &x, &mut y);
                let mut z = x.clone();
                dropout_stretches(device, stream, rate, span, &[], &mut z);
                assert_eq!(bits(&y), bits(&z));
                y
            });
            for (i, (x, y)) in x.iter().zip(&y).enumerate() {
                let kept = (stream.u32_at((i / span) as u64) >> 16) as f32 >= rate * 65536.0;
                assert_eq!(*y, if kept { x * (1.0 / (1.0 - rate)) } else { x * 0.0 }, "{i} of {count} x {span}");
            }
        }
    }

    #[test]
    fn the_share_of_dropped_stretches_is_the_rate() {
        let device = crate::testing::devices().remove(0);
        let mut y = vec![1.0; 2 << 16];
        dropout_stretches(&device, Stream::new(1, 2), 0.2, 2, &[], &mut y);
        let dropped = y.chunks(2).filter(|pair| pair[0] == 0.0 && pair[1] == 0.0).count() as f64 / f64::from(1 << 16);
        assert!((dropped - 0.2).abs() < 5.0 * (0.2 * 0.8 / f64::from(1 << 16)).sqrt(), "{dropped}");
        assert!(y.chunks(2).all(|pair| pair[0] == pair[1]));
    }
}
