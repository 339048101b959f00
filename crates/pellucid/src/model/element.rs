//! Values of other types, read as f32.

use safetensors::Dtype;

use super::error::Fault;

/// The first value that f32 cannot hold: its place in the bytes handed in, and the value.
pub(super) struct Inexact {
    pub index: usize,
    pub value: String,
}

impl Inexact {
    /// The error of `tensor`, of whose values so many came before the bytes.
    pub fn fault(self, tensor: &str, dtype: Dtype, before: usize) -> Fault {
        let (tensor, dtype) = (tensor.to_string(), dtype.to_string());
        Fault::Inexact { tensor, dtype, index: before + self.index, value: self.value }
    }
}

/// True for the types that [`append`] reads.
pub(super) fn is_readable(dtype: Dtype) -> bool {
    use Dtype::*;
    matches!(dtype, F32 | F16 | BF16 | F64 | BOOL | I8 | U8 | I16 | U16 | I32 | U32 | I64 | U64)
}

/// Appends the little-endian values in `bytes` (a whole number of them) to `out`.
///
/// F16 and BF16 are exact. F64 is rounded to the nearest f32 (a finite value beyond the range of f32 is an error).
/// Whole numbers and truth values must be exact, or the first that is not is the error.
pub(super) fn append(dtype: Dtype, bytes: &[u8], out: &mut Vec<f32>) -> Result<(), Inexact> {
    match dtype {
        Dtype::F32 => out.extend(bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes))),
        Dtype::F16 => out.extend(bytes.as_chunks::<2>().0.iter().map(|&bytes| half_to_f32(u16::from_le_bytes(bytes)))),
        // bfloat16 is the upper half of an f32.
        Dtype::BF16 => out.extend(
            bytes.as_chunks::<2>().0.iter().map(|&bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)),
        ),
        Dtype::F64 => each(bytes, out, f64::from_le_bytes, |value| {
            let nearest = value as f32;
            (nearest.is_finite() || !value.is_finite()).then_some(nearest)
        })?,
        Dtype::BOOL => each(bytes, out, u8::from_le_bytes, |value| (value <= 1).then_some(f32::from(value)))?,
        Dtype::I8 => each(bytes, out, i8::from_le_bytes, |value| Some(f32::from(value)))?,
        Dtype::U8 => each(bytes, out, u8::from_le_bytes, |value| Some(f32::from(value)))?,
        Dtype::I16 => each(bytes, out, i16::from_le_bytes, |value| Some(f32::from(value)))?,
        Dtype::U16 => each(bytes, out, u16::from_le_bytes, |value| Some(f32::from(value)))?,
        Dtype::I32 => each(bytes, out, i32::from_le_bytes, |value| exact(i128::from(value)))?,
        Dtype::U32 => each(bytes, out, u32::from_le_bytes, |value| exact(i128::from(value)))?,
        Dtype::I64 => each(bytes, out, i64::from_le_bytes, |value| exact(i128::from(value)))?,
        Dtype::U64 => each(bytes, out, u64::from_le_bytes, |value| exact(i128::from(value)))?,
        other => unreachable!("{other} was refused before its bytes were read"),
    }
    Ok(())
}

fn each<const N: usize, T: Copy + ToString>(
    bytes: &[u8],
    out: &mut Vec<f32>,
    read: impl Fn([u8; N]) -> T,
    convert: impl Fn(T) -> Option<f32>,
) -> Result<(), Inexact> {
    for (index, &bytes) in bytes.as_chunks::<N>().0.iter().enumerate() {
        let value = read(bytes);
        out.push(convert(value).ok_or_else(|| Inexact { index, value: value.to_string() })?);
    }
    Ok(())
}

fn exact(value: i128) -> Option<f32> {
    let nearest = value as f32;
    (nearest as i128 == value).then_some(nearest)
}

/// IEEE 754 binary16 as binary32, exactly; the bits of a NaN are kept.
fn half_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half & 0x3ff);
    match exponent {
        // Zero and subnormal: fraction * 2^-24, a product that f32 holds exactly.
        0 => {
            let magnitude = fraction as f32 * (1.0 / 16_777_216.0);
            f32::from_bits(sign | magnitude.to_bits())
        }
        // Infinity and NaN.
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        // The exponents' biases are 15 and 127.
        _ => f32::from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_exact() {
        for half in 0..=u16::MAX {
            let value = half_to_f32(half);
            let (exponent, fraction) = (i32::from(half >> 10) & 31, f64::from(half & 0x3ff));
            assert_eq!(value.is_sign_negative(), half >> 15 == 1, "{half:#06x}");
            let power = |exponent: i32| libm::exp2(f64::from(exponent));
            let expected = match exponent {
                0 => fraction * power(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => {
                    assert!(value.is_nan(), "{half:#06x}");
                    // Binary32 has 13 more bits of fraction than binary16.
                    assert_eq!(value.to_bits() & 0x7f_ffff, (u32::from(half) & 0x3ff) * 8192, "{half:#06x}");
                    continue;
                }
                _ => (1024.0 + fraction) * power(exponent - 25),
            };
            assert_eq!(f64::from(value.abs()), expected, "{half:#06x}");
        }
    }

    fn read(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, (usize, String)> {
        let mut out = Vec::new();
        append(dtype, bytes, &mut out).map_err(|error| (error.index, error.value))?;
        Ok(out)
    }

    #[test]
    fn f32_and_bfloat16_keep_every_bit() {
        for bits in [0, 0x8000_0000, 1, 0x7f80_0000, 0xff80_0000, 0x7fc0_1234, 0x3f80_0001] {
            let values = read(Dtype::F32, &u32::to_le_bytes(bits)).expect("any bits are an f32");
            assert_eq!(values[0].to_bits(), bits);
        }
        for upper in [0u16, 0x8000, 0x3f80, 0xc049, 0x7f80, 0x7fc1] {
            let values = read(Dtype::BF16, &upper.to_le_bytes()).expect("any bits are a bfloat16");
            assert_eq!(values[0].to_bits(), u32::from(upper) << 16);
        }
    }

    #[test]
    fn f64_is_rounded_and_its_range_checked() {
        let bytes: Vec<u8> =
            [0.1, -0.0, f64::INFINITY, 1e-60].iter().flat_map(|value: &f64| value.to_le_bytes()).collect();
        assert_eq!(read(Dtype::F64, &bytes).expect("in range"), [0.1, -0.0, f32::INFINITY, 0.0]);
        assert!(read(Dtype::F64, &f64::NAN.to_le_bytes()).expect("NaN is NaN")[0].is_nan());
        let bytes = [1.0f64.to_le_bytes(), 1e39f64.to_le_bytes()].concat();
        assert_eq!(read(Dtype::F64, &bytes).expect_err("too large").0, 1);
    }

    #[test]
    fn whole_numbers_are_exact_or_refused() {
        assert_eq!(read(Dtype::I8, &[0x80, 0x7f]).expect("exact"), [-128.0, 127.0]);
        assert_eq!(read(Dtype::U8, &[0x80, 0xff]).expect("exact"), [128.0, 255.0]);
        assert_eq!(read(Dtype::I16, &[0, 0x80]).expect("exact"), [-32768.0]);
        assert_eq!(read(Dtype::U16, &[0xff, 0xff]).expect("exact"), [65535.0]);
        assert_eq!(read(Dtype::BOOL, &[0, 1]).expect("exact"), [0.0, 1.0]);
        assert_eq!(read(Dtype::BOOL, &[0, 1, 2]), Err((2, "2".into())));
        assert_eq!(read(Dtype::I64, &(1i64 << 40).to_le_bytes()).expect("exact"), [1_099_511_627_776.0]);
        assert_eq!(read(Dtype::U64, &u64::MAX.to_le_bytes()), Err((0, u64::MAX.to_string())));
        assert_eq!(read(Dtype::I32, &16_777_217i32.to_le_bytes()), Err((0, "16777217".into())));
        assert_eq!(read(Dtype::U32, &16_777_216u32.to_le_bytes()).expect("exact"), [16_777_216.0]);
        assert_eq!(read(Dtype::I64, &i64::MIN.to_le_bytes()).expect("exact"), [i64::MIN as f32]);
    }
}
