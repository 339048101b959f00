//! AVX2 with FMA: two registers hold the sixteen lanes.

use std::arch::x86_64::*;

use super::{Kernel, LANES, Simd};

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// Asks the processor.
    pub fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    /// Runs `kernel` in code compiled for AVX2 and FMA.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn enabled<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the processor has these features.
        unsafe { enabled(self, kernel) }
    }

    /// All bits of the first `count` lanes; panics when there are fewer lanes.
    #[inline(always)]
    fn first_lanes(self, count: usize) -> I {
        assert!(count <= LANES);
        // SAFETY: the token proves that the processor has the instructions.
        unsafe {
            let count = _mm256_set1_epi32(count as i32);
            let low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
            [_mm256_cmpgt_epi32(count, low), _mm256_cmpgt_epi32(count, high)]
        }
    }
}

type F = [__m256; 2];
type I = [__m256i; 2];

impl Simd for Avx2 {
    type Float = F;
    type Int = I;
    type Mask = F;

    // 12 accumulator registers, 2 of the right matrix and a broadcast: 15 of 16.
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    fn load(self, source: &[f32]) -> F {
        let source = &source[..LANES];
        // SAFETY: the token proves the instruction; the slice has sixteen values.
        unsafe { [_mm256_loadu_ps(source.as_ptr()), _mm256_loadu_ps(source.as_ptr().add(8))] }
    }
    #[inline(always)]
    fn load_partial(self, source: &[f32]) -> F {
        let [low, high] = self.first_lanes(source.len());
        let data = source.as_ptr();
        // SAFETY: the token proves the instruction; lanes beyond the slice are masked off and not read.
        unsafe { [_mm256_maskload_ps(data, low), _mm256_maskload_ps(data.wrapping_add(8), high)] }
    }
    #[inline(always)]
    fn store(self, value: F, target: &mut [f32]) {
        let target = &mut target[..LANES];
        // SAFETY: the token proves the instruction; the slice has sixteen places.
        unsafe {
            _mm256_storeu_ps(target.as_mut_ptr(), value[0]);
            _mm256_storeu_ps(target.as_mut_ptr().add(8), value[1]);
        }
    }
    #[inline(always)]
    fn store_partial(self, value: F, target: &mut [f32]) {
        // Masked stores take dozens of cycles on some processors: whole vectors that overlap do not.
        let mut lanes = [0.0; LANES];
        self.store(value, &mut lanes);
        let (count, lanes, data) = (target.len(), lanes.as_ptr(), target.as_mut_ptr());
        // SAFETY: the token proves the instructions; places end at `count` in the slice, and before it in the lanes.
        unsafe {
            match count {
                16 => self.store(value, target),
                8..16 => {
                    _mm256_storeu_ps(data, value[0]);
                    _mm256_storeu_ps(data.add(count - 8), _mm256_loadu_ps(lanes.add(count - 8)));
                }
                4..8 => {
                    _mm_storeu_ps(data, _mm256_castps256_ps128(value[0]));
                    _mm_storeu_ps(data.add(count - 4), _mm_loadu_ps(lanes.add(count - 4)));
                }
                0..4 => (0..count).for_each(|i| *data.add(i) = *lanes.add(i)),
                _ => unreachable!("at most as many places as lanes"),
            }
        }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn fnma(self, a: F, b: F, c: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn sqrt(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])] }
    }
    #[inline(always)]
    fn abs(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_andnot_ps(_mm256_set1_ps(-0.0), a[0]), _mm256_andnot_ps(_mm256_set1_ps(-0.0), a[1])] }
    }
    #[inline(always)]
    fn neg(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_xor_ps(a[0], _mm256_set1_ps(-0.0)), _mm256_xor_ps(a[1], _mm256_set1_ps(-0.0))] }
    }
    #[inline(always)]
    fn copysign(self, a: F, sign: F) -> F {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe {
            let bit = _mm256_set1_ps(-0.0);
            let join = |a, sign| _mm256_or_ps(_mm256_andnot_ps(bit, a), _mm256_and_ps(bit, sign));
            [join(a[0], sign[0]), join(a[1], sign[1])]
        }
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe {
            [
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a[0]),
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a[1]),
            ]
        }
    }
    #[inline(always)]
    fn lt(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1])] }
    }
    #[inline(always)]
    fn le(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_cmp_ps::<_CMP_LE_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_LE_OQ>(a[1], b[1])] }
    }
    #[inline(always)]
    fn eq(self, a: F, b: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_cmp_ps::<_CMP_EQ_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_EQ_OQ>(a[1], b[1])] }
    }
    #[inline(always)]
    fn select(self, mask: F, yes: F, no: F) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_blendv_ps(no[0], yes[0], mask[0]), _mm256_blendv_ps(no[1], yes[1], mask[1])] }
    }
    #[inline(always)]
    fn any(self, mask: F) -> bool {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { _mm256_movemask_ps(_mm256_or_ps(mask[0], mask[1])) != 0 }
    }
    #[inline(always)]
    fn splat_int(self, value: i32) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_set1_epi32(value); 2] }
    }
    #[inline(always)]
    fn lane_index(self) -> I {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe { [_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)] }
    }
    #[inline(always)]
    fn add_int(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub_int(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_low(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_mullo_epi32(a[0], b[0]), _mm256_mullo_epi32(a[1], b[1])] }
    }
    #[inline(always)]
    fn and(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])] }
    }
    #[inline(always)]
    fn or(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])] }
    }
    #[inline(always)]
    fn xor(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_xor_si256(a[0], b[0]), _mm256_xor_si256(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_high(self, a: I, b: I) -> I {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe {
            let high = |a, b| {
                let even = _mm256_srli_epi64::<32>(_mm256_mul_epu32(a, b));
                let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
                _mm256_blend_epi32::<0xaa>(even, odd)
            };
            [high(a[0], b[0]), high(a[1], b[1])]
        }
    }
    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe {
            [
                _mm256_sll_epi32(a[0], _mm_cvtsi32_si128(BITS as i32)),
                _mm256_sll_epi32(a[1], _mm_cvtsi32_si128(BITS as i32)),
            ]
        }
    }
    #[inline(always)]
    fn shift_right<const BITS: u32>(self, a: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe {
            [
                _mm256_srl_epi32(a[0], _mm_cvtsi32_si128(BITS as i32)),
                _mm256_srl_epi32(a[1], _mm_cvtsi32_si128(BITS as i32)),
            ]
        }
    }
    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(self, a: I) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe {
            [
                _mm256_sra_epi32(a[0], _mm_cvtsi32_si128(BITS as i32)),
                _mm256_sra_epi32(a[1], _mm_cvtsi32_si128(BITS as i32)),
            ]
        }
    }
    #[inline(always)]
    fn to_int(self, a: F) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_cvtps_epi32(a[0]), _mm256_cvtps_epi32(a[1])] }
    }
    #[inline(always)]
    fn to_float(self, a: I) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])] }
    }
    #[inline(always)]
    fn float_bits(self, a: F) -> I {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_castps_si256(a[0]), _mm256_castps_si256(a[1])] }
    }
    #[inline(always)]
    fn bits_float(self, a: I) -> F {
        // SAFETY: the token proves that the processor has the instruction.
        unsafe { [_mm256_castsi256_ps(a[0]), _mm256_castsi256_ps(a[1])] }
    }
    #[inline(always)]
    fn even_odd(self, a: F, b: F) -> (F, F) {
        let (a, b) = (self.even_odd_of(a), self.even_odd_of(b));
        ([a[0], b[0]], [a[1], b[1]])
    }
    #[inline(always)]
    fn interleave(self, even: F, odd: F) -> (F, F) {
        (self.interleaved(even[0], odd[0]), self.interleaved(even[1], odd[1]))
    }
    #[inline(always)]
    fn transpose(self, rows: [F; LANES]) -> [F; LANES] {
        let mut out = rows;
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let square = self.transpose_square(std::array::from_fn(|row| rows[8 * i + row][j]));
            for row in 0..8 {
                out[8 * j + row][i] = square[row];
            }
        }
        out
    }
}

impl Avx2 {
    /// The even places of sixteen values, and the odd ones.
    #[inline(always)]
    fn even_odd_of(self, [low, high]: F) -> F {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe {
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(low, high));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0b11_01_11_01>(low, high));
            // The shuffles work on halves of a register, so the second pair comes from `high`.
            let (even, odd) =
                (_mm256_permute4x64_pd::<0b11_01_10_00>(even), _mm256_permute4x64_pd::<0b11_01_10_00>(odd));
            [_mm256_castpd_ps(even), _mm256_castpd_ps(odd)]
        }
    }

    /// Eight values and eight others in turns.
    #[inline(always)]
    fn interleaved(self, even: __m256, odd: __m256) -> F {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe {
            // The first and the second two pairs of each half.
            let (low, high) = (_mm256_unpacklo_ps(even, odd), _mm256_unpackhi_ps(even, odd));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        }
    }

    #[inline(always)]
    fn transpose_square(self, rows: [__m256; 8]) -> [__m256; 8] {
        // SAFETY: the token proves that the processor has the instructions.
        unsafe {
            let (mut pairs, mut fours, mut out) = (rows, rows, rows);
            for i in 0..4 {
                pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            // Then row 4 g + j holds, in its half h, column 4 h + j of the rows 4 g … 4 g + 3.
            for i in 0..4 {
                let (low, high) = (pairs[i / 2 * 4 + i % 2], pairs[i / 2 * 4 + i % 2 + 2]);
                let (low, high) = (_mm256_castps_pd(low), _mm256_castps_pd(high));
                fours[2 * i] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, high));
                fours[2 * i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, high));
            }
            for j in 0..4 {
                out[j] = _mm256_permute2f128_ps::<0x20>(fours[j], fours[4 + j]);
                out[4 + j] = _mm256_permute2f128_ps::<0x31>(fours[j], fours[4 + j]);
            }
            out
        }
    }
}
