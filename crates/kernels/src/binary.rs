//! Element-wise functions of two variables, z = f(x, y), where y may be one row for all rows of x; and the scaled sums
//! of vectors.
//!
//! As with [`crate::unary`], the bits are the same for any splitting, any instruction set, and in place or not.

use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::unary::CHUNK;

/// A function of two variables on sixteen pairs at a time. Implementations carry `#[inline(always)]` and treat every
/// lane alone.
pub trait Binary: Copy + Send + Sync {
    /// f(x, y)
    fn value<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float;
}

/// x + y
#[derive(Clone, Copy, Debug)]
pub struct Add;
/// x - y
#[derive(Clone, Copy, Debug)]
pub struct Sub;
/// x · y
#[derive(Clone, Copy, Debug)]
pub struct Mul;
/// x / y
#[derive(Clone, Copy, Debug)]
pub struct Div;
/// x + factor · y with one rounding
#[derive(Clone, Copy, Debug)]
pub struct AddScaled(pub f32);

impl Binary for Add {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
        s.add(x, y)
    }
}
impl Binary for Sub {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
        s.sub(x, y)
    }
}
impl Binary for Mul {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
        s.mul(x, y)
    }
}
impl Binary for Div {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
        s.div(x, y)
    }
}
impl Binary for AddScaled {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
        s.fma(s.splat(self.0), y, x)
    }
}

/// z = f(x, y). Panics when lengths differ.
#[inline]
pub fn zip(device: &Device, f: impl Binary, x: &[f32], y: &[f32], z: &mut [f32]) {
    assert!(x.len() == z.len() && y.len() == z.len(), "operands of one length: {} {} {}", x.len(), y.len(), z.len());
    device.chunks_mut(CHUNK, z, |start, z| {
        let (x, y) = (&x[start..start + z.len()], &y[start..start + z.len()]);
        dispatch(device.isa(), Zip { f, x, y, z });
    });
}

/// x = f(x, y). Panics when lengths differ.
#[inline]
pub fn zip_in_place(device: &Device, f: impl Binary, x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "operands of one length");
    device.chunks_mut(CHUNK, x, |start, x| {
        let y = &y[start..start + x.len()];
        dispatch(device.isa(), ZipInPlace { f, x, y });
    });
}

/// z = f(x, row) for every row of `x` and `z` [rows, row.len()]. Panics when `x` and `z` differ in length or are not
/// whole rows.
#[inline]
pub fn zip_row(device: &Device, f: impl Binary, x: &[f32], row: &[f32], z: &mut [f32]) {
    assert_eq!(x.len(), z.len(), "operands of one length");
    device.chunks_mut(rows_chunk(row, z), z, |start, z| {
        let x = &x[start..start + z.len()];
        dispatch(device.isa(), ZipRow { f, x, row, z });
    });
}

/// x = f(x, row) for every row of `x` [rows, row.len()]. Panics when `x` is not whole rows.
#[inline]
pub fn zip_row_in_place(device: &Device, f: impl Binary, x: &mut [f32], row: &[f32]) {
    device.chunks_mut(rows_chunk(row, x), x, |_, x| dispatch(device.isa(), ZipRowInPlace { f, x, row }));
}

/// target += source, as for the sum of gradients that meet. Panics when lengths differ.
#[inline]
pub fn add_assign(device: &Device, target: &mut [f32], source: &[f32]) {
    zip_in_place(device, Add, target, source);
}

/// target += factor · source, one rounding. Panics when lengths differ.
#[inline]
pub fn axpy(device: &Device, factor: f32, source: &[f32], target: &mut [f32]) {
    zip_in_place(device, AddScaled(factor), target, source);
}

/// values = factor · values.
#[inline]
pub fn scale(device: &Device, factor: f32, values: &mut [f32]) {
    device.chunks_mut(CHUNK, values, |_, values| dispatch(device.isa(), Scale { factor, values }));
}

/// Length of a task: whole rows, some [`CHUNK`] values.
#[inline(always)]
fn rows_chunk(row: &[f32], values: &[f32]) -> usize {
    let n = row.len();
    assert!(values.len().is_multiple_of(n), "{} values in rows of {n}", values.len());
    (CHUNK / n.max(1)).max(1) * n.max(1)
}

struct Zip<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a [f32],
    z: &'a mut [f32],
}

impl<F: Binary> Kernel for Zip<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        zip_values(s, self.f, self.x, self.y, self.z);
    }
}

#[inline(always)]
fn zip_values<S: Simd, F: Binary>(s: S, f: F, x: &[f32], y: &[f32], z: &mut [f32]) {
    let (x, x_tail) = x.as_chunks::<LANES>();
    let (y, y_tail) = y.as_chunks::<LANES>();
    let (z, z_tail) = z.as_chunks_mut::<LANES>();
    for ((x, y), z) in x.iter().zip(y).zip(z) {
        s.store(f.value(s, s.load(x), s.load(y)), z);
    }
    if !z_tail.is_empty() {
        s.store_partial(f.value(s, s.load_partial(x_tail), s.load_partial(y_tail)), z_tail);
    }
}

struct ZipInPlace<'a, F> {
    f: F,
    x: &'a mut [f32],
    y: &'a [f32],
}

impl<F: Binary> Kernel for ZipInPlace<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        zip_values_in_place(s, self.f, self.x, self.y);
    }
}

#[inline(always)]
fn zip_values_in_place<S: Simd, F: Binary>(s: S, f: F, x: &mut [f32], y: &[f32]) {
    let (x, x_tail) = x.as_chunks_mut::<LANES>();
    let (y, y_tail) = y.as_chunks::<LANES>();
    for (x, y) in x.iter_mut().zip(y) {
        s.store(f.value(s, s.load(x), s.load(y)), x);
    }
    if !x_tail.is_empty() {
        s.store_partial(f.value(s, s.load_partial(x_tail), s.load_partial(y_tail)), x_tail);
    }
}

/// Rows shorter than this are repeated in registers, because most of their vectors would be tails.
const SHORT: usize = 64;

/// A short row over and over, so that sixteen values of it from any place are one load.
struct Repeated {
    values: [f32; SHORT + LANES],
    len: usize,
    place: usize,
}

impl Repeated {
    #[inline(always)]
    fn new(row: &[f32]) -> Repeated {
        let mut values = [0.0; SHORT + LANES];
        let filled = row.len() + LANES;
        for (i, value) in values[..filled].iter_mut().enumerate() {
            *value = row[i % row.len()];
        }
        Repeated { values, len: row.len(), place: 0 }
    }

    /// The next sixteen values.
    #[inline(always)]
    fn next<S: Simd>(&mut self, s: S) -> S::Float {
        let vector = s.load(&self.values[self.place..]);
        self.place = (self.place + LANES) % self.len;
        vector
    }
}

struct ZipRow<'a, F> {
    f: F,
    x: &'a [f32],
    row: &'a [f32],
    z: &'a mut [f32],
}

impl<F: Binary> Kernel for ZipRow<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ZipRow { f, x, row, z } = self;
        let n = row.len();
        if n >= SHORT {
            for (x, z) in x.chunks_exact(n).zip(z.chunks_exact_mut(n)) {
                zip_values(s, f, x, row, z);
            }
            return;
        }
        let mut row = Repeated::new(row);
        let (x, x_tail) = x.as_chunks::<LANES>();
        let (z, z_tail) = z.as_chunks_mut::<LANES>();
        for (x, z) in x.iter().zip(z) {
            s.store(f.value(s, s.load(x), row.next(s)), z);
        }
        if !z_tail.is_empty() {
            s.store_partial(f.value(s, s.load_partial(x_tail), row.next(s)), z_tail);
        }
    }
}

struct ZipRowInPlace<'a, F> {
    f: F,
    x: &'a mut [f32],
    row: &'a [f32],
}

impl<F: Binary> Kernel for ZipRowInPlace<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ZipRowInPlace { f, x, row } = self;
        let n = row.len();
        if n >= SHORT {
            for x in x.chunks_exact_mut(n) {
                zip_values_in_place(s, f, x, row);
            }
            return;
        }
        let mut row = Repeated::new(row);
        let (x, x_tail) = x.as_chunks_mut::<LANES>();
        for x in x {
            s.store(f.value(s, s.load(x), row.next(s)), x);
        }
        if !x_tail.is_empty() {
            s.store_partial(f.value(s, s.load_partial(x_tail), row.next(s)), x_tail);
        }
    }
}

struct Scale<'a> {
    factor: f32,
    values: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        let (values, tail) = self.values.as_chunks_mut::<LANES>();
        for value in values {
            s.store(s.mul(factor, s.load(value)), value);
        }
        if !tail.is_empty() {
            s.store_partial(s.mul(factor, s.load_partial(tail)), tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    fn devices() -> impl Iterator<Item = Device> {
        Isa::available().flat_map(|isa| [1, 2, 3].map(|threads| Device::new(isa, threads)))
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn operand(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + seed) % 1013) as f32 / 11.0 - 40.03).collect()
    }

    fn check(f: impl Binary, plain: fn(f32, f32) -> f32) {
        for device in devices() {
            for len in [0, 1, 8, 15, 16, 17, 100, CHUNK, 2 * CHUNK + 5] {
                let (x, y) = (operand(len, 1), operand(len, 500));
                let expected: Vec<f32> = x.iter().zip(&y).map(|(&x, &y)| plain(x, y)).collect();
                let mut z = vec![f32::NAN; len];
                zip(&device, f, &x, &y, &mut z);
                assert_eq!(bits(&z), bits(&expected), "{device:?} {len}");
                z.copy_from_slice(&x);
                zip_in_place(&device, f, &mut z, &y);
                assert_eq!(bits(&z), bits(&expected), "{device:?} {len}");
            }
            for n in [1, 2, 3, 10, 15, 16, 17, 32, 63, 64, 65, 100, CHUNK, CHUNK + 3] {
                for rows in [0, 1, 2, 7, 9000 / n + 1] {
                    let (x, row) = (operand(rows * n, 7), operand(n, 300));
                    let expected: Vec<f32> = (0..rows * n).map(|i| plain(x[i], row[i % n])).collect();
                    let mut z = vec![f32::NAN; rows * n];
                    zip_row(&device, f, &x, &row, &mut z);
                    assert_eq!(bits(&z), bits(&expected), "{device:?} {rows} {n}");
                    z.copy_from_slice(&x);
                    zip_row_in_place(&device, f, &mut z, &row);
                    assert_eq!(bits(&z), bits(&expected), "{device:?} {rows} {n}");
                }
            }
        }
    }

    #[test]
    fn drivers_give_the_bits_of_the_plain_loop() {
        check(Add, |x, y| x + y);
        check(Sub, |x, y| x - y);
        check(Mul, |x, y| x * y);
        check(Div, |x, y| x / y);
        check(AddScaled(0.3), |x, y| y.mul_add(0.3, x));
    }

    #[test]
    fn scaled_sums_of_vectors() {
        for device in devices() {
            for len in [0, 1, 16, 33, CHUNK + 1] {
                let (x, y) = (operand(len, 3), operand(len, 4));
                let mut sum = x.clone();
                add_assign(&device, &mut sum, &y);
                assert!((0..len).all(|i| sum[i].to_bits() == (x[i] + y[i]).to_bits()));
                let mut scaled = x.clone();
                axpy(&device, -0.1, &y, &mut scaled);
                assert!((0..len).all(|i| scaled[i].to_bits() == y[i].mul_add(-0.1, x[i]).to_bits()));
                scale(&device, 0.7, &mut scaled);
                assert!((0..len).all(|i| scaled[i].to_bits() == (0.7 * y[i].mul_add(-0.1, x[i])).to_bits()));
            }
        }
    }

    #[test]
    #[should_panic(expected = "10 values in rows of 3")]
    fn broken_rows_are_refused() {
        zip_row_in_place(&Device::new(Isa::scalar(), 1), Add, &mut [0.0; 10], &[1.0; 3]);
    }

    #[test]
    #[should_panic(expected = "one length: 3 4 4")]
    fn different_lengths_are_refused() {
        zip(&Device::new(Isa::scalar(), 1), Add, &[0.0; 3], &[1.0; 4], &mut [0.0; 4]);
    }
}
