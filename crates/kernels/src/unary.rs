//! Element-wise functions of one variable: y = f(x), and dx = dy · f'(x). The formula is the caller's, a [`Unary`].
//!
//! A value depends on its own input alone, and tails run through the same sixteen lanes, so the bits are the same for
//! any splitting, for any instruction set, and in place or not.

use crate::device::Device;
use crate::epilogue::InPlace;
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};

/// Values of a task: some microseconds of work against the microsecond of a fork and join. Fewer stay on the calling
/// thread.
pub const CHUNK: usize = 8192;

/// What [`Unary::derivative`] looks at, so that a memory plan keeps nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The input x.
    Input,
    /// The output y = f(x).
    Output,
    /// Both.
    Both,
}

impl Reads {
    /// Whether x is looked at.
    pub const fn input(self) -> bool {
        matches!(self, Reads::Input | Reads::Both)
    }

    /// Whether y is looked at.
    pub const fn output(self) -> bool {
        matches!(self, Reads::Output | Reads::Both)
    }
}

/// A function of one variable and its derivative, on sixteen values at a time.
///
/// Implementations carry `#[inline(always)]` (see [`Kernel::run`]), treat every lane alone, and hold their parameters.
pub trait Unary: Copy + Send + Sync {
    /// What [`Unary::derivative`] looks at.
    const READS: Reads;

    /// f(x)
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float;

    /// f'(x), from x and y = f(x); the one that [`Unary::READS`] leaves out may be anything.
    fn derivative<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float;
}

impl<F: Unary> InPlace for F {
    #[inline]
    fn apply(&self, isa: Isa, values: &mut [f32]) {
        dispatch(isa, Values { f: *self, y: values });
    }
}

/// y = f(x). Panics when the lengths differ.
#[inline]
pub fn forward(device: &Device, f: impl Unary, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output of one length");
    device.chunks_mut(CHUNK, y, |start, y| {
        let x = &x[start..start + y.len()];
        dispatch(device.isa(), Forward { f, x, y });
    });
}

/// y = f(y).
#[inline]
pub fn forward_in_place(device: &Device, f: impl Unary, y: &mut [f32]) {
    device.chunks_mut(CHUNK, y, |_, y| dispatch(device.isa(), Values { f, y }));
}

/// dx = dy · f'(x). Of `x` and `y`, the one that [`Unary::READS`] leaves out is not looked at and may be empty. Panics
/// when lengths differ.
#[inline]
pub fn backward<F: Unary>(device: &Device, f: F, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dy.len(), dx.len(), "gradients of one length");
    let (x, y) = needed::<F>(x, y, dx.len());
    device.chunks_mut(CHUNK, dx, |start, dx| {
        let dy = &dy[start..start + dx.len()];
        dispatch(device.isa(), Backward { f, x: part(x, start, dx.len()), y: part(y, start, dx.len()), dy, dx });
    });
}

/// [`backward`] where dx takes the place of dy.
#[inline]
pub fn backward_in_place<F: Unary>(device: &Device, f: F, x: &[f32], y: &[f32], dy_dx: &mut [f32]) {
    let (x, y) = needed::<F>(x, y, dy_dx.len());
    device.chunks_mut(CHUNK, dy_dx, |start, dx| {
        dispatch(device.isa(), BackwardInPlace { f, x: part(x, start, dx.len()), y: part(y, start, dx.len()), dx });
    });
}

/// `x` and `y`, each empty where the derivative does not look at it, and else of length `len`.
#[inline(always)]
fn needed<'a, F: Unary>(x: &'a [f32], y: &'a [f32], len: usize) -> (&'a [f32], &'a [f32]) {
    assert!(!F::READS.input() || x.len() == len, "the derivative reads the input: {} values of {len}", x.len());
    assert!(!F::READS.output() || y.len() == len, "the derivative reads the output: {} values of {len}", y.len());
    (if F::READS.input() { x } else { &[] }, if F::READS.output() { y } else { &[] })
}

/// `len` values from `start`, or nothing of nothing.
#[inline(always)]
fn part(values: &[f32], start: usize, len: usize) -> &[f32] {
    if values.is_empty() { values } else { &values[start..start + len] }
}

struct Forward<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<F: Unary> Kernel for Forward<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (x, x_tail) = self.x.as_chunks::<LANES>();
        let (y, y_tail) = self.y.as_chunks_mut::<LANES>();
        for (x, y) in x.iter().zip(y) {
            s.store(self.f.value(s, s.load(x)), y);
        }
        if !x_tail.is_empty() {
            s.store_partial(self.f.value(s, s.load_partial(x_tail)), y_tail);
        }
    }
}

struct Values<'a, F> {
    f: F,
    y: &'a mut [f32],
}

impl<F: Unary> Kernel for Values<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (y, tail) = self.y.as_chunks_mut::<LANES>();
        for y in y {
            s.store(self.f.value(s, s.load(y)), y);
        }
        if !tail.is_empty() {
            s.store_partial(self.f.value(s, s.load_partial(tail)), tail);
        }
    }
}

/// dy · f'(x) for the sixteen values from `start`, or, `PARTIAL`, for those up to the end of `dy`.
#[inline(always)]
fn gradient<const PARTIAL: bool, S: Simd, F: Unary>(
    s: S,
    f: F,
    start: usize,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
) -> S::Float {
    let load = |values: &[f32]| if PARTIAL { s.load_partial(&values[start..]) } else { s.load(&values[start..]) };
    let x = if F::READS.input() { load(x) } else { s.splat(0.0) };
    let y = if F::READS.output() { load(y) } else { s.splat(0.0) };
    s.mul(load(dy), f.derivative(s, x, y))
}

struct Backward<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl<F: Unary> Kernel for Backward<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Backward { f, x, y, dy, dx } = self;
        let whole = dx.len() / LANES * LANES;
        for start in (0..whole).step_by(LANES) {
            s.store(gradient::<false, S, F>(s, f, start, x, y, dy), &mut dx[start..]);
        }
        if whole < dx.len() {
            s.store_partial(gradient::<true, S, F>(s, f, whole, x, y, dy), &mut dx[whole..]);
        }
    }
}

struct BackwardInPlace<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a [f32],
    dx: &'a mut [f32],
}

impl<F: Unary> Kernel for BackwardInPlace<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let BackwardInPlace { f, x, y, dx } = self;
        let whole = dx.len() / LANES * LANES;
        for start in (0..whole).step_by(LANES) {
            s.store(gradient::<false, S, F>(s, f, start, x, y, dx), &mut dx[start..]);
        }
        if whole < dx.len() {
            s.store_partial(gradient::<true, S, F>(s, f, whole, x, y, dx), &mut dx[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scale · x², with a derivative that looks at x.
    #[derive(Clone, Copy)]
    struct Square(f32);

    impl Unary for Square {
        const READS: Reads = Reads::Input;
        #[inline(always)]
        fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
            s.mul(s.splat(self.0), s.mul(x, x))
        }
        #[inline(always)]
        fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
            s.mul(s.splat(2.0 * self.0), x)
        }
    }

    /// √x, with a derivative that looks at y.
    #[derive(Clone, Copy)]
    struct Root;

    impl Unary for Root {
        const READS: Reads = Reads::Output;
        #[inline(always)]
        fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
            s.sqrt(x)
        }
        #[inline(always)]
        fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
            s.div(s.splat(0.5), y)
        }
    }

    /// x³, with a derivative 3 y / x that looks at both.
    #[derive(Clone, Copy)]
    struct Cube;

    impl Unary for Cube {
        const READS: Reads = Reads::Both;
        #[inline(always)]
        fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
            s.mul(x, s.mul(x, x))
        }
        #[inline(always)]
        fn derivative<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
            s.div(s.mul(s.splat(3.0), y), x)
        }
    }

    const LENGTHS: [usize; 9] = [0, 1, 8, 15, 16, 17, 100, CHUNK, 2 * CHUNK + 5];

    fn devices() -> impl Iterator<Item = Device> {
        Isa::available().flat_map(|isa| [1, 2, 3].map(|threads| Device::new(isa, threads)))
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Everything that the drivers promise, for one function whose value and derivative are also given plainly.
    fn check<F: Unary>(f: F, value: fn(f32) -> f32, derivative: fn(f32, f32) -> f32) {
        for device in devices() {
            for len in LENGTHS {
                let x: Vec<f32> = (0..len).map(|i| 0.5 + (i % 977) as f32 / 7.0).collect();
                let dy: Vec<f32> = (0..len).map(|i| (i % 31) as f32 - 15.0).collect();
                let y: Vec<f32> = x.iter().map(|&x| value(x)).collect();
                let dx: Vec<f32> = (0..len).map(|i| dy[i] * derivative(x[i], y[i])).collect();

                let mut out = vec![f32::NAN; len];
                forward(&device, f, &x, &mut out);
                assert_eq!(bits(&out), bits(&y), "{device:?} {len}");
                out.copy_from_slice(&x);
                forward_in_place(&device, f, &mut out);
                assert_eq!(bits(&out), bits(&y), "{device:?} {len}");
                out.copy_from_slice(&x);
                let (left, right) = out.split_at_mut(len / 3);
                let face: &dyn InPlace = &f;
                face.apply(device.isa(), left);
                face.apply(device.isa(), right);
                assert_eq!(bits(&out), bits(&y), "{device:?} {len}");

                let kept_x: &[f32] = if F::READS.input() { &x } else { &[] };
                let kept_y: &[f32] = if F::READS.output() { &y } else { &[] };
                for (x, y) in [(&x[..], &y[..]), (kept_x, kept_y)] {
                    out.fill(f32::NAN);
                    backward(&device, f, x, y, &dy, &mut out);
                    assert_eq!(bits(&out), bits(&dx), "{device:?} {len}");
                    out.copy_from_slice(&dy);
                    backward_in_place(&device, f, x, y, &mut out);
                    assert_eq!(bits(&out), bits(&dx), "{device:?} {len}");
                }
            }
        }
    }

    #[test]
    fn drivers_give_the_bits_of_the_plain_loop() {
        check(Square(3.0), |x| 3.0 * (x * x), |x, _| 6.0 * x);
        check(Root, f32::sqrt, |_, y| 0.5 / y);
        check(Cube, |x| x * (x * x), |x, y| 3.0 * y / x);
    }

    #[test]
    fn nan_and_infinity_go_through() {
        for device in devices() {
            let mut y = [0.0; 3];
            forward(&device, Square(1.0), &[f32::NAN, f32::NEG_INFINITY, 2.0], &mut y);
            assert!(y[0].is_nan() && y[1] == f32::INFINITY && y[2] == 4.0);
            let mut dx = [0.0; 3];
            backward(&device, Square(1.0), &[1.0, 2.0, 3.0], &[], &[f32::NAN, f32::INFINITY, 1.0], &mut dx);
            assert!(dx[0].is_nan() && dx[1] == f32::INFINITY && dx[2] == 6.0);
        }
    }

    #[test]
    #[should_panic(expected = "one length")]
    fn different_lengths_are_refused() {
        forward(&Device::new(Isa::scalar(), 1), Root, &[1.0; 3], &mut [0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "reads the output: 0 values of 4")]
    fn a_missing_output_is_refused() {
        backward(&Device::new(Isa::scalar(), 1), Root, &[1.0; 4], &[], &[1.0; 4], &mut [0.0; 4]);
    }
}
