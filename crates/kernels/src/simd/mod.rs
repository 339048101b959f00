//! Sixteen f32 lanes over whatever the processor has, behind a token that proves it.
//!
//! A kernel is written once, as a [`Kernel`] over a [`Simd`] token. Every instruction set shows the same sixteen lanes
//! (one AVX-512 register, two AVX2 registers, four NEON registers, an array), and every operation is either exact or
//! correctly rounded, so all of them give the same bits. A token cannot be made without asking the processor, hence
//! holding one is the proof that its instructions may be executed.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

pub use isa::{Isa, dispatch};
pub use scalar::Scalar;

/// Lanes of a vector, on every instruction set: what makes the order of a reduction the same everywhere.
pub const LANES: usize = 16;

/// A computation that is compiled once for each instruction set. See [`dispatch`].
pub trait Kernel {
    /// What the computation returns.
    type Output;
    /// Runs it with the operations of the token `simd`. Implementations carry `#[inline(always)]`, and so does
    /// everything that they call, down to the operations: only then is the code compiled for that instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The operations on sixteen lanes. `Float` holds f32, `Int` holds the same bits as i32, `Mask` one truth value a lane.
///
/// Arithmetic is IEEE 754 with round-to-nearest-even; subnormals are kept; a NaN result may carry any payload, but
/// [`Simd::max`] and [`Simd::min`] are exact in what they do with one.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Sixteen f32.
    type Float: Copy;
    /// Sixteen i32 (or u32: two's complement, wrapping).
    type Int: Copy;
    /// Sixteen truth values.
    type Mask: Copy;

    /// Rows of the matrix-product tile that fit the registers (see the `gemm` module).
    const TILE_ROWS: usize;
    /// Vectors in one row of that tile.
    const TILE_VECTORS: usize;

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Float;
    /// The first sixteen values of `source`; panics when there are fewer.
    fn load(self, source: &[f32]) -> Self::Float;
    /// `source` (at most sixteen values) followed by zeros.
    fn load_partial(self, source: &[f32]) -> Self::Float;
    /// Writes all lanes to the first sixteen places of `target`; panics when there are fewer.
    fn store(self, value: Self::Float, target: &mut [f32]);
    /// Writes the first `target.len()` (at most sixteen) lanes.
    fn store_partial(self, value: Self::Float, target: &mut [f32]);
    /// a + b
    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// a - b
    fn sub(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// a · b
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// a / b, correctly rounded
    fn div(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// a · b + c with one rounding
    fn fma(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;
    /// c - a · b with one rounding
    fn fnma(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;
    /// √a, correctly rounded
    fn sqrt(self, a: Self::Float) -> Self::Float;
    /// `if a > b { a } else { b }`: a NaN on either side gives b.
    fn max(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// `if a < b { a } else { b }`: a NaN on either side gives b.
    fn min(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// |a|
    fn abs(self, a: Self::Float) -> Self::Float;
    /// -a (flips the sign bit)
    fn neg(self, a: Self::Float) -> Self::Float;
    /// Magnitude of `a`, sign bit of `sign`.
    fn copysign(self, a: Self::Float, sign: Self::Float) -> Self::Float;
    /// Nearest integral value, ties to even.
    fn round(self, a: Self::Float) -> Self::Float;
    /// a < b, false with a NaN
    fn lt(self, a: Self::Float, b: Self::Float) -> Self::Mask;
    /// a ≤ b, false with a NaN
    fn le(self, a: Self::Float, b: Self::Float) -> Self::Mask;
    /// a = b, false with a NaN
    fn eq(self, a: Self::Float, b: Self::Float) -> Self::Mask;
    /// `yes` where the mask holds, else `no`
    fn select(self, mask: Self::Mask, yes: Self::Float, no: Self::Float) -> Self::Float;
    /// True when any lane of the mask holds.
    fn any(self, mask: Self::Mask) -> bool;

    /// `value` in every lane.
    fn splat_int(self, value: i32) -> Self::Int;
    /// 0, 1, … 15
    fn lane_index(self) -> Self::Int;
    /// a + b, wrapping
    fn add_int(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// a - b, wrapping
    fn sub_int(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// Low 32 bits of a · b
    fn mul_low(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// High 32 bits of the unsigned product a · b
    fn mul_high(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// Bitwise and
    fn and(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// Bitwise or
    fn or(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// Bitwise exclusive or
    fn xor(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// a << BITS
    fn shift_left<const BITS: u32>(self, a: Self::Int) -> Self::Int;
    /// a >> BITS, zeros shifted in
    fn shift_right<const BITS: u32>(self, a: Self::Int) -> Self::Int;
    /// a >> BITS, sign shifted in
    fn shift_right_signed<const BITS: u32>(self, a: Self::Int) -> Self::Int;
    /// The integral value of a lane, rounded to nearest even; only for |a| < 2³¹.
    fn to_int(self, a: Self::Float) -> Self::Int;
    /// The nearest f32 of a signed lane.
    fn to_float(self, a: Self::Int) -> Self::Float;
    /// The bits, reinterpreted.
    fn float_bits(self, a: Self::Float) -> Self::Int;
    /// The bits, reinterpreted.
    fn bits_float(self, a: Self::Int) -> Self::Float;

    /// Row i, lane j of the result is row j, lane i of `rows`.
    #[inline(always)]
    fn transpose(self, rows: [Self::Float; LANES]) -> [Self::Float; LANES] {
        let rows = rows.map(|row| self.to_array(row));
        std::array::from_fn(|i| self.load(&std::array::from_fn::<_, LANES, _>(|j| rows[j][i])))
    }

    /// The lanes as an array.
    #[inline(always)]
    fn to_array(self, a: Self::Float) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        self.store(a, &mut lanes);
        lanes
    }

    /// Sum of the lanes as a fixed tree: lane i with i + 8, then + 4, + 2, + 1.
    #[inline(always)]
    fn reduce_add(self, a: Self::Float) -> f32 {
        let mut lanes = self.to_array(a);
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                lanes[lane] += lanes[lane + half];
            }
        }
        lanes[0]
    }
}
