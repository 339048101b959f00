//! NEON: four registers hold the sixteen lanes.

use std::arch::aarch64::*;

use super::{Kernel, LANES, Simd};

/// Proof that the processor has NEON (which every AArch64 processor that Rust's standard library supports has).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neon(());

impl Neon {
    /// Asks the processor.
    pub fn detect() -> Option<Neon> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    /// Runs `kernel` in code compiled for NEON.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn enabled<K: Kernel>(token: Neon, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the processor has NEON.
        unsafe { enabled(self, kernel) }
    }
}

type F = [float32x4_t; 4];
type I = [int32x4_t; 4];
type M = [uint32x4_t; 4];

/// The four registers of a vector, made one by one.
#[inline(always)]
fn each<T>(register: impl Fn(usize) -> T) -> [T; 4] {
    [register(0), register(1), register(2), register(3)]
}

impl Simd for Neon {
    type Float = F;
    type Int = I;
    type Mask = M;

    // 24 accumulator registers, 4 of the lane operand and a broadcast: 29 of 32.
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [vdupq_n_f32(value); 4] }
    }
    #[inline(always)]
    fn load(self, source: &[f32]) -> F {
        let source = &source[..LANES];
        // SAFETY: the token proves the instruction; the slice has sixteen values.
        each(|i| unsafe { vld1q_f32(source.as_ptr().add(4 * i)) })
    }
    #[inline(always)]
    fn load_partial(self, source: &[f32]) -> F {
        let mut lanes = [0.0; LANES];
        lanes[..source.len()].copy_from_slice(source);
        self.load(&lanes)
    }
    #[inline(always)]
    fn store(self, value: F, target: &mut [f32]) {
        let target = &mut target[..LANES];
        for i in 0..4 {
            // SAFETY: the token proves the instruction; the slice has sixteen places.
            unsafe { vst1q_f32(target.as_mut_ptr().add(4 * i), value[i]) }
        }
    }
    #[inline(always)]
    fn store_partial(self, value: F, target: &mut [f32]) {
        let mut lanes = [0.0; LANES];
        self.store(value, &mut lanes);
        target.copy_from_slice(&lanes[..target.len()]);
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vaddq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vsubq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vmulq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vdivq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
    }
    #[inline(always)]
    fn fnma(self, a: F, b: F, c: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vfmsq_f32(c[i], a[i], b[i]) })
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vsqrtq_f32(a[i]) })
    }
    // Not the instruction FMAX, which returns the NaN.
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instructions.
        each(|i| unsafe { vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i]) })
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instructions.
        each(|i| unsafe { vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i]) })
    }
    #[inline(always)]
    fn abs(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vabsq_f32(a[i]) })
    }
    #[inline(always)]
    fn neg(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vnegq_f32(a[i]) })
    }
    #[inline(always)]
    fn copysign(self, a: F, sign: F) -> F {
        // SAFETY: the token proves that the processor has the instructions.
        each(|i| unsafe { vbslq_f32(vdupq_n_u32(1 << 31), sign[i], a[i]) })
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vrndnq_f32(a[i]) })
    }
    #[inline(always)]
    fn lt(self, a: F, b: F) -> M {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vcltq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> M {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vcleq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> M {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vceqq_f32(a[i], b[i]) })
    }
    #[inline(always)]
    fn select(self, mask: M, yes: F, no: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vbslq_f32(mask[i], yes[i], no[i]) })
    }
    #[inline(always)]
    fn any(self, mask: M) -> bool {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe { vmaxvq_u32(vorrq_u32(vorrq_u32(mask[0], mask[1]), vorrq_u32(mask[2], mask[3]))) != 0 }
    }
    #[inline(always)]
    fn splat_int(self, value: i32) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [vdupq_n_s32(value); 4] }
    }
    #[inline(always)]
    fn lane_index(self) -> I {
        let index: [i32; LANES] = std::array::from_fn(|lane| lane as i32);
        // SAFETY: the token proves the instruction; the array has sixteen values.
        each(|i| unsafe { vld1q_s32(index.as_ptr().add(4 * i)) })
    }
    #[inline(always)]
    fn add_int(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vaddq_s32(a[i], b[i]) })
    }
    #[inline(always)]
    fn sub_int(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vsubq_s32(a[i], b[i]) })
    }
    #[inline(always)]
    fn mul_low(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vmulq_s32(a[i], b[i]) })
    }
    #[inline(always)]
    fn mul_high(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instructions.
        each(|i| unsafe {
            let (a, b) = (vreinterpretq_u32_s32(a[i]), vreinterpretq_u32_s32(b[i]));
            let low = vmull_u32(vget_low_u32(a), vget_low_u32(b));
            let high = vmull_high_u32(a, b);
            // The odd 32-bit parts are the upper halves of the 64-bit products.
            vreinterpretq_s32_u32(vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high)))
        })
    }
    #[inline(always)]
    fn and(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vandq_s32(a[i], b[i]) })
    }
    #[inline(always)]
    fn or(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vorrq_s32(a[i], b[i]) })
    }
    #[inline(always)]
    fn xor(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { veorq_s32(a[i], b[i]) })
    }
    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: I) -> I {
        // SAFETY: the token proves that the processor has the instructions.
        each(|i| unsafe { vshlq_s32(a[i], vdupq_n_s32(BITS as i32)) })
    }
    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: I) -> I {
        // SAFETY: the token proves that the processor has the instructions; a negative count shifts to the right.
        each(|i| unsafe { vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a[i]), vdupq_n_s32(-(BITS as i32)))) })
    }
    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(self, a: I) -> I {
        // SAFETY: as above.
        each(|i| unsafe { vshlq_s32(a[i], vdupq_n_s32(-(BITS as i32))) })
    }
    #[inline(always)]
    fn to_int(self, a: F) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vcvtnq_s32_f32(a[i]) })
    }
    #[inline(always)]
    fn to_float(self, a: I) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vcvtq_f32_s32(a[i]) })
    }
    #[inline(always)]
    fn float_bits(self, a: F) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vreinterpretq_s32_f32(a[i]) })
    }
    #[inline(always)]
    fn bits_float(self, a: I) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        each(|i| unsafe { vreinterpretq_f32_s32(a[i]) })
    }
    #[inline(always)]
    fn even_odd(self, a: F, b: F) -> (F, F) {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe {
            let even = [vuzp1q_f32(a[0], a[1]), vuzp1q_f32(a[2], a[3]), vuzp1q_f32(b[0], b[1]), vuzp1q_f32(b[2], b[3])];
            let odd = [vuzp2q_f32(a[0], a[1]), vuzp2q_f32(a[2], a[3]), vuzp2q_f32(b[0], b[1]), vuzp2q_f32(b[2], b[3])];
            (even, odd)
        }
    }
    #[inline(always)]
    fn interleave(self, even: F, odd: F) -> (F, F) {
        let pairs = |i: usize| {
            // SAFETY: the token proves that the processor has the instructions.
            unsafe { [vzip1q_f32(even[i], odd[i]), vzip2q_f32(even[i], odd[i])] }
        };
        let [a, b, c, d] = [pairs(0), pairs(1), pairs(2), pairs(3)];
        ([a[0], a[1], b[0], b[1]], [c[0], c[1], d[0], d[1]])
    }
}
