//! Portable lanes: an array. The reference for all others, and what runs where nothing else is known.

use super::{LANES, Simd};

/// The token of the portable code; everyone may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar;

type F = [f32; LANES];
type I = [i32; LANES];

// Sixteen lanes written out wherever an operation is used were a sixth of the program, most of it never run: here each
// operation stands once, behind a call.

#[inline(never)]
fn map<A: Copy, B: Copy + Default>(a: &[A; LANES], f: impl Fn(A) -> B) -> [B; LANES] {
    let mut out = [B::default(); LANES];
    for i in 0..LANES {
        out[i] = f(a[i]);
    }
    out
}

#[inline(never)]
fn zip<A: Copy, B: Copy + Default>(a: &[A; LANES], b: &[A; LANES], f: impl Fn(A, A) -> B) -> [B; LANES] {
    let mut out = [B::default(); LANES];
    for i in 0..LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

/// `mul_add` is one instruction where the target has it, and the platform's exact emulation where not.
#[inline(never)]
fn fma(a: &F, b: &F, c: &F) -> F {
    std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
}

#[inline(never)]
fn select(mask: &[bool; LANES], yes: &F, no: &F) -> F {
    std::array::from_fn(|i| if mask[i] { yes[i] } else { no[i] })
}

impl Simd for Scalar {
    type Float = F;
    type Int = I;
    type Mask = [bool; LANES];

    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        [value; LANES]
    }
    #[inline(always)]
    fn load(self, source: &[f32]) -> F {
        let mut lanes = [0.0; LANES];
        lanes.copy_from_slice(&source[..LANES]);
        lanes
    }
    #[inline(always)]
    fn load_partial(self, source: &[f32]) -> F {
        let mut lanes = [0.0; LANES];
        lanes[..source.len()].copy_from_slice(source);
        lanes
    }
    #[inline(always)]
    fn store(self, value: F, target: &mut [f32]) {
        target[..LANES].copy_from_slice(&value);
    }
    #[inline(always)]
    fn store_partial(self, value: F, target: &mut [f32]) {
        target.copy_from_slice(&value[..target.len()]);
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        zip(&a, &b, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        zip(&a, &b, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        zip(&a, &b, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        zip(&a, &b, |x, y| x / y)
    }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        fma(&a, &b, &c)
    }
    #[inline(always)]
    fn fnma(self, a: F, b: F, c: F) -> F {
        self.fma(self.neg(a), b, c)
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        map(&a, f32::sqrt)
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        zip(&a, &b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        zip(&a, &b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn abs(self, a: F) -> F {
        map(&a, f32::abs)
    }
    #[inline(always)]
    fn neg(self, a: F) -> F {
        map(&a, |x| -x)
    }
    #[inline(always)]
    fn copysign(self, a: F, sign: F) -> F {
        zip(&a, &sign, f32::copysign)
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        map(&a, f32::round_ties_even)
    }
    #[inline(always)]
    fn lt(self, a: F, b: F) -> Self::Mask {
        zip(&a, &b, |x, y| x < y)
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> Self::Mask {
        zip(&a, &b, |x, y| x <= y)
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> Self::Mask {
        zip(&a, &b, |x, y| x == y)
    }
    #[inline(always)]
    fn select(self, mask: Self::Mask, yes: F, no: F) -> F {
        select(&mask, &yes, &no)
    }
    #[inline(always)]
    fn any(self, mask: Self::Mask) -> bool {
        mask.contains(&true)
    }
    #[inline(always)]
    fn splat_int(self, value: i32) -> I {
        [value; LANES]
    }
    #[inline(always)]
    fn lane_index(self) -> I {
        std::array::from_fn(|lane| lane as i32)
    }
    #[inline(always)]
    fn add_int(self, a: I, b: I) -> I {
        zip(&a, &b, i32::wrapping_add)
    }
    #[inline(always)]
    fn sub_int(self, a: I, b: I) -> I {
        zip(&a, &b, i32::wrapping_sub)
    }
    #[inline(always)]
    fn mul_low(self, a: I, b: I) -> I {
        zip(&a, &b, i32::wrapping_mul)
    }
    #[inline(always)]
    fn mul_high(self, a: I, b: I) -> I {
        zip(&a, &b, |x, y| ((u64::from(x as u32) * u64::from(y as u32)) >> 32) as i32)
    }
    #[inline(always)]
    fn and(self, a: I, b: I) -> I {
        zip(&a, &b, |x, y| x & y)
    }
    #[inline(always)]
    fn or(self, a: I, b: I) -> I {
        zip(&a, &b, |x, y| x | y)
    }
    #[inline(always)]
    fn xor(self, a: I, b: I) -> I {
        zip(&a, &b, |x, y| x ^ y)
    }
    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: I) -> I {
        map(&a, |x| x << BITS)
    }
    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: I) -> I {
        map(&a, |x| ((x as u32) >> BITS) as i32)
    }
    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(self, a: I) -> I {
        map(&a, |x| x >> BITS)
    }
    #[inline(always)]
    fn to_int(self, a: F) -> I {
        map(&a, |x| x.round_ties_even() as i32)
    }
    #[inline(always)]
    fn to_float(self, a: I) -> F {
        map(&a, |x| x as f32)
    }
    #[inline(always)]
    fn float_bits(self, a: F) -> I {
        map(&a, |x| x.to_bits() as i32)
    }
    #[inline(always)]
    fn bits_float(self, a: I) -> F {
        map(&a, |x| f32::from_bits(x as u32))
    }
}
