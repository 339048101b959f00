//! How far an f32 is from the true value, in units in the last place.

/// Fails, with both values, unless `got` is within `bound` ULP of `expected`.
///
/// A ULP is the distance of neighbouring f32 at the true value, 2⁻¹⁴⁹ below the normal ones; ∞ counts as 2¹²⁸, where the
/// next f32 would stand. NaN matches NaN alone, and a true ±0 only itself, sign included.
pub fn within(got: f32, expected: f64, bound: f64) -> Result<f64, String> {
    let error = error(got, expected);
    if error <= bound { Ok(error) } else { Err(format!("got {got:e}, expected {expected:e}: {error} ULP")) }
}

fn error(got: f32, expected: f64) -> f64 {
    if expected.is_nan() || got.is_nan() {
        return if expected.is_nan() && got.is_nan() { 0.0 } else { f64::NAN };
    }
    if expected == 0.0 {
        return if got.to_bits() == (expected as f32).to_bits() { 0.0 } else { f64::INFINITY };
    }
    let top = (1u128 << 127) as f64 * 2.0;
    let (got, expected) = (f64::from(got).clamp(-top, top), expected.clamp(-top, top));
    // The exponent field of an f64, bounded by that of f32: then 23 places down.
    let exponent = ((expected.to_bits() >> 52 & 0x7ff) as i32 - 1023).clamp(-126, 127);
    let ulp = f64::from_bits(((exponent - 23 + 1023) as u64) << 52);
    (got - expected).abs() / ulp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_and_neighbours() {
        for value in [1.0f32, -3.7, 1e-30, f32::MIN_POSITIVE, f32::MAX, f32::from_bits(1), 1e-40] {
            assert_eq!(within(value, f64::from(value), 0.0), Ok(0.0));
            let next = f32::from_bits(value.to_bits() + 1);
            assert_eq!(within(next, f64::from(value), 1.0), Ok(1.0), "{value}");
            assert!(within(next, f64::from(value), 0.99).is_err(), "{value}");
            assert!(within(-value, f64::from(value), 1.0).is_err() || value.abs() < 1e-44);
        }
        assert_eq!(within(1.0, 1.0 + f64::from(f32::EPSILON) / 4.0, 0.25), Ok(0.25));
    }

    #[test]
    fn zeros_have_signs() {
        assert!(within(0.0, 0.0, 0.0).is_ok() && within(-0.0, -0.0, 0.0).is_ok());
        assert!(within(-0.0, 0.0, 1e9).is_err() && within(0.0, -0.0, 1e9).is_err());
        assert!(within(1e-45, 0.0, 1e9).is_err());
        // Half of the smallest f32 may round either way.
        let smallest = f64::from(f32::from_bits(1));
        assert_eq!(within(0.0, smallest / 2.0, 0.5), Ok(0.5));
        assert_eq!(within(f32::from_bits(1), smallest / 2.0, 0.5), Ok(0.5));
    }

    #[test]
    fn nan_and_infinity_match_themselves() {
        assert!(within(f32::NAN, f64::NAN, 0.0).is_ok());
        for other in [0.0, 1.0, f64::INFINITY] {
            assert!(within(f32::NAN, other, f64::INFINITY).is_err());
            assert!(within(other as f32, f64::NAN, f64::INFINITY).is_err());
        }
        assert!(within(f32::INFINITY, f64::INFINITY, 0.0).is_ok() && within(f32::INFINITY, 1e300, 0.0).is_ok());
        assert!(within(f32::NEG_INFINITY, f64::NEG_INFINITY, 0.0).is_ok());
        assert!(within(f32::NEG_INFINITY, f64::INFINITY, 1e6).is_err());
        assert_eq!(within(f32::MAX, f64::INFINITY, 1.0), Ok(1.0));
        assert!(within(f32::INFINITY, 1.0, 1e6).is_err());
        // A bound that is NaN lets nothing pass.
        assert!(within(1.0, 1.0, f64::NAN).is_err());
    }
}
