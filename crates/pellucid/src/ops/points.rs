//! For the tests of activations: value and derivative at single points.

use kernels::device::Device;
use kernels::simd::Isa;
use kernels::unary::{Unary, backward, forward};

/// (f(x), f'(x)) at one point, the same on every instruction set.
pub fn at<F: Unary>(f: F, x: f32) -> (f32, f32) {
    let mut results = Isa::available().map(|isa| {
        let device = Device::new(isa, 1);
        let (mut y, mut dx) = ([0.0], [0.0]);
        forward(&device, f, &[x], &mut y);
        let kept_x: &[f32] = if F::READS.input() { &[x] } else { &[] };
        let kept_y: &[f32] = if F::READS.output() { &y } else { &[] };
        backward(&device, f, kept_x, kept_y, &[1.0], &mut dx);
        (y[0], dx[0])
    });
    let first = results.next().expect("one instruction set at least");
    let bits = |(y, dx): (f32, f32)| [y, dx].map(|value| if value.is_nan() { f32::NAN } else { value }.to_bits());
    assert!(results.all(|other| bits(other) == bits(first)), "the same bits for {x}");
    first
}

/// f(NaN) is NaN.
pub fn nan_goes_through(f: impl Unary) {
    assert!(at(f, f32::NAN).0.is_nan());
}
