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

    /// a · 2^power with one rounding, subnormal results and overflow included; for integral powers of magnitude up to
    /// 252, and a of magnitude 2⁻²⁴ to 2²⁴. A NaN `a` gives NaN.
    #[inline(always)]
    fn ldexp(self, a: Self::Float, power: Self::Float) -> Self::Float {
        // 1.5·2²³ + n has n in its lowest bits, here n = power + 2·127. Each half of n, moved to where the exponent
        // stands, is a power of two; the product with the first is exact.
        let sum = self.float_bits(self.add(power, self.splat((3 << 22) as f32 + 254.0)));
        let half = self.shift_right::<1>(sum);
        let first = self.bits_float(self.shift_left::<23>(half));
        let second = self.bits_float(self.shift_left::<23>(self.sub_int(sum, half)));
        self.mul(self.mul(a, first), second)
    }

    /// Row i, lane j of the result is row j, lane i of `rows`.
    #[inline(always)]
    fn transpose(self, rows: [Self::Float; LANES]) -> [Self::Float; LANES] {
        let rows = rows.map(|row| self.to_array(row));
        std::array::from_fn(|i| self.load(&std::array::from_fn::<_, LANES, _>(|j| rows[j][i])))
    }

    /// Of the thirty-two values of `a` and then `b`: those at even places, and those at odd places.
    #[inline(always)]
    fn even_odd(self, a: Self::Float, b: Self::Float) -> (Self::Float, Self::Float) {
        let both = [self.to_array(a), self.to_array(b)];
        let values = both.as_flattened();
        let every_other = |first: usize| self.load(&std::array::from_fn::<_, LANES, _>(|i| values[2 * i + first]));
        (every_other(0), every_other(1))
    }

    /// The way back from [`Simd::even_odd`]: `even` and `odd` in turns, as two vectors.
    #[inline(always)]
    fn interleave(self, even: Self::Float, odd: Self::Float) -> (Self::Float, Self::Float) {
        let both = [self.to_array(even), self.to_array(odd)];
        let half = |first: usize| self.load(&std::array::from_fn::<_, LANES, _>(|i| both[i % 2][first + i / 2]));
        (half(0), half(LANES / 2))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies every operation to three vectors; each result as bits. NaN results are made one: the payload is free.
    struct Everything<'a>([&'a [f32; LANES]; 3]);

    impl Kernel for Everything<'_> {
        type Output = Vec<(&'static str, [u32; LANES])>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let [x, y, z] = self.0;
            let (a, b, c) = (s.load(x), s.load(y), s.load(z));
            let float = |v: S::Float| s.to_array(v).map(|x| if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() });
            let int = |v: S::Int| s.to_array(s.bits_float(v)).map(f32::to_bits);
            let mask = |m: S::Mask| s.to_array(s.select(m, s.splat(1.0), s.splat(0.0))).map(f32::to_bits);
            let all = |value: u32| [value; LANES];
            let (i, j) = (s.float_bits(a), s.float_bits(b));
            let small = s.max(s.min(a, s.splat(2e9)), s.splat(-2e9));
            let power = s.to_float(s.sub_int(s.and(i, s.splat_int(255)), s.splat_int(150)));
            let one_to_two = s.bits_float(s.or(s.shift_right::<9>(j), s.splat_int(0x3f800000)));
            let mut partial = [9.0; LANES];
            s.store_partial(s.load_partial(&x[..5]), &mut partial[..7]);
            let beginnings = (0..=LANES).map(|count| {
                let mut beginning = [9.0; LANES];
                s.store_partial(a, &mut beginning[..count]);
                ("beginning", beginning.map(f32::to_bits))
            });
            let columns =
                s.transpose(std::array::from_fn(|row| s.add_int(i, s.splat_int(row as i32))).map(|i| s.bits_float(i)));
            let mut results = vec![
                ("splat", float(s.splat(x[0]))),
                ("partial", partial.map(f32::to_bits)),
                ("add", float(s.add(a, b))),
                ("sub", float(s.sub(a, b))),
                ("mul", float(s.mul(a, b))),
                ("div", float(s.div(a, b))),
                ("fma", float(s.fma(a, b, c))),
                ("fnma", float(s.fnma(a, b, c))),
                ("sqrt", float(s.sqrt(a))),
                ("max", float(s.max(a, b))),
                ("min", float(s.min(a, b))),
                ("abs", float(s.abs(a))),
                ("neg", float(s.neg(a))),
                ("copysign", float(s.copysign(a, b))),
                ("round", float(s.round(a))),
                ("lt", mask(s.lt(a, b))),
                ("le", mask(s.le(a, b))),
                ("eq", mask(s.eq(a, b))),
                ("any", all(u32::from(s.any(s.lt(a, b))))),
                ("none", all(u32::from(s.any(s.lt(a, a))))),
                ("splat_int", int(s.splat_int(-7))),
                ("lane_index", int(s.lane_index())),
                ("add_int", int(s.add_int(i, j))),
                ("sub_int", int(s.sub_int(i, j))),
                ("mul_low", int(s.mul_low(i, j))),
                ("mul_high", int(s.mul_high(i, j))),
                ("and", int(s.and(i, j))),
                ("or", int(s.or(i, j))),
                ("xor", int(s.xor(i, j))),
                ("shift_left", int(s.shift_left::<13>(i))),
                ("shift_right", int(s.shift_right::<13>(i))),
                ("shift_right_signed", int(s.shift_right_signed::<13>(i))),
                ("to_int", int(s.to_int(small))),
                ("to_float", float(s.to_float(i))),
                ("ldexp", float(s.ldexp(one_to_two, power))),
                ("ldexp of NaN", float(s.ldexp(s.select(s.eq(b, b), one_to_two, b), power))),
                ("reduce_add", float(s.splat(s.reduce_add(a)))),
            ];
            let ((even, odd), (first, second)) = (s.even_odd(a, b), s.interleave(a, b));
            let pairs = [("even", even), ("odd", odd), ("first", first), ("second", second)];
            results.extend(pairs.map(|(name, value)| (name, int(s.float_bits(value)))));
            results.extend(beginnings);
            results.extend(columns.map(|column| ("transpose", int(s.float_bits(column)))));
            results
        }
    }

    const SPECIAL: [f32; 24] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        3.3333333,
        1e-40,
        -1e-45,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        8388609.5,
        4194304.5,
        -4194303.5,
        1.0000001,
        2e9,
        1e38,
    ];

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_portable_code() {
        let mut state = 1u32;
        for round in 0..2000 {
            let mut vector = || {
                std::array::from_fn(|_| {
                    state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                    let pick = (state >> 16) as usize;
                    // Every other round any bits at all, else special values.
                    if round % 2 == 0 { SPECIAL[pick % SPECIAL.len()] } else { f32::from_bits(state ^ state >> 15) }
                })
            };
            let (x, y, z) = (vector(), vector(), vector());
            let reference = Everything([&x, &y, &z]).run(Scalar);
            for isa in Isa::available() {
                let results = dispatch(isa, Everything([&x, &y, &z]));
                for (got, expected) in results.iter().zip(&reference) {
                    assert_eq!(got, expected, "{isa}: {x:?} {y:?} {z:?}");
                }
            }
        }
    }

    #[test]
    fn portable_operations_mean_what_they_say() {
        let s = Scalar;
        let nan = s.splat(f32::NAN);
        assert_eq!(s.max(nan, s.splat(1.0)), [1.0; LANES]);
        assert!(s.max(s.splat(1.0), nan)[0].is_nan());
        assert_eq!(s.max(s.splat(0.0), s.splat(-0.0))[0].to_bits(), (-0.0f32).to_bits());
        assert_eq!(s.fnma(s.splat(2.0), s.splat(3.0), s.splat(10.0)), [4.0; LANES]);
        assert_eq!(s.round(s.splat(2.5)), [2.0; LANES]);
        assert_eq!(s.mul_high(s.splat_int(-1), s.splat_int(-1)), [-2; LANES]);
        assert_eq!(s.shift_right::<31>(s.splat_int(-1)), [1; LANES]);
        assert_eq!(s.shift_right_signed::<31>(s.splat_int(-1)), [-1; LANES]);
        let rows: [[f32; LANES]; LANES] = std::array::from_fn(|i| std::array::from_fn(|j| (i * LANES + j) as f32));
        let columns = s.transpose(rows);
        assert!((0..LANES).all(|i| (0..LANES).all(|j| columns[i][j] == rows[j][i])));
        assert_eq!(s.reduce_add(rows[0]), 120.0);
        let (even, odd) = s.even_odd(rows[0], rows[1]);
        assert!((0..LANES).all(|i| even[i] == (2 * i) as f32 && odd[i] == (2 * i + 1) as f32));
        assert_eq!(s.interleave(even, odd), (rows[0], rows[1]));
        for (a, power, expected) in [
            (1.5, 3.0, 12.0),
            (1.0, -149.0, f32::from_bits(1)),
            (1.25, -149.0, f32::from_bits(1)),
            (1.0, -150.0, 0.0),
            (1.25, -150.0, f32::from_bits(1)),
            (0.5, 128.0, 2f32 * (1u128 << 126) as f32),
            (-1.0, 128.0, f32::NEG_INFINITY),
        ] {
            assert_eq!(s.ldexp(s.splat(a), s.splat(power))[0], expected);
        }
    }

    #[test]
    fn names_of_instruction_sets() {
        for isa in Isa::available() {
            assert_eq!(isa.name().parse::<Isa>(), Ok(isa));
        }
        let error = "sse9".parse::<Isa>().expect_err("there is no such set").to_string();
        assert!(error.contains("sse9") && error.contains("scalar"), "{error}");
    }
}
