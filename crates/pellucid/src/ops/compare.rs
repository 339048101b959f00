//! Comparing results: with a reference in f64 within a bound, or with other bits.
//!
//! A value passes only if `difference <= bound` holds, so a NaN on either side never does unless both are NaN, and an
//! infinity only equals itself.

use std::fmt;

/// How two arrays differ.
#[derive(Clone, Debug, PartialEq)]
pub enum Mismatch {
    /// Another number of values.
    Length {
        /// How many there are.
        got: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Values are off.
    Values {
        /// Sizes of the array.
        dims: Vec<usize>,
        /// How many values are off.
        count: usize,
        /// The position that is furthest off, one number an axis.
        worst: Vec<usize>,
        /// What is there.
        got: f64,
        /// What should be there.
        expected: f64,
        /// The difference in units of the bound; infinite where there can be no difference.
        excess: f64,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Length { got, expected } => write!(f, "{got} values, expected {expected}"),
            Mismatch::Values { dims, count, worst, got, expected, excess } => {
                let all: usize = dims.iter().product();
                write!(
                    f,
                    "{count} of {all} values {dims:?} are off, worst at {worst:?}: {got:e}, expected {expected:e}"
                )?;
                if excess.is_finite() { write!(f, " ({excess:.3} times the bound)") } else { Ok(()) }
            }
        }
    }
}

/// Passes if every value differs from the expected one by at most `bound(position)`.
pub fn compare(dims: &[usize], got: &[f32], expected: &[f64], bound: impl Fn(usize) -> f64) -> Result<(), Mismatch> {
    differences(dims, got.len(), expected.len(), |i| {
        let (got, expected) = (f64::from(got[i]), expected[i]);
        let excess = if got == expected || (got.is_nan() && expected.is_nan()) {
            0.0
        } else {
            let (difference, bound) = ((got - expected).abs(), bound(i));
            if difference <= bound {
                0.0
            } else if difference.is_finite() {
                difference / bound
            } else {
                f64::INFINITY
            }
        };
        (got, expected, excess)
    })
}

/// Passes if all bits are equal; zeros of different sign are not, NaNs of any payload are.
pub fn compare_bits(dims: &[usize], got: &[f32], expected: &[f32]) -> Result<(), Mismatch> {
    differences(dims, got.len(), expected.len(), |i| {
        let same = got[i].to_bits() == expected[i].to_bits() || (got[i].is_nan() && expected[i].is_nan());
        (f64::from(got[i]), f64::from(expected[i]), if same { 0.0 } else { f64::INFINITY })
    })
}

/// Collects where `at` gives (got, expected, excess) with an excess.
fn differences(
    dims: &[usize],
    got: usize,
    expected: usize,
    at: impl Fn(usize) -> (f64, f64, f64),
) -> Result<(), Mismatch> {
    if got != expected {
        return Err(Mismatch::Length { got, expected });
    }
    let mut count = 0;
    let mut worst: Option<(usize, (f64, f64, f64))> = None;
    for i in 0..got {
        let here = at(i);
        if here.2 == 0.0 {
            continue;
        }
        count += 1;
        if worst.is_none_or(|(_, (_, _, most))| here.2.total_cmp(&most).is_gt()) {
            worst = Some((i, here));
        }
    }
    let Some((place, (got, expected, excess))) = worst else { return Ok(()) };
    Err(Mismatch::Values { dims: dims.to_vec(), count, worst: position(dims, place), got, expected, excess })
}

/// The place as one number an axis.
fn position(dims: &[usize], mut place: usize) -> Vec<usize> {
    let mut position: Vec<usize> = dims
        .iter()
        .rev()
        .map(|&size| {
            let at = place % size.max(1);
            place /= size.max(1);
            at
        })
        .collect();
    position.reverse();
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: f32 = 1e-45;

    #[test]
    fn values_within_the_bound_pass() {
        for (got, expected, bound) in [
            (&[][..], &[][..], 0.0),
            (&[0.0, -0.0], &[-0.0, 0.0], 0.0),
            (&[1.0, 2.0], &[1.25, 1.75], 0.25),
            (&[f32::NAN], &[f64::NAN], 0.0),
            (&[f32::INFINITY, f32::NEG_INFINITY], &[f64::INFINITY, f64::NEG_INFINITY], 0.0),
            (&[TINY], &[0.0], 2e-45),
        ] {
            assert_eq!(compare(&[got.len()], got, expected, |_| bound), Ok(()), "{got:?} {expected:?}");
        }
    }

    #[test]
    fn everything_else_fails() {
        for (got, expected, bound) in [
            (&[1.0][..], &[1.0, 1.0][..], 1.0),
            (&[], &[1.0], 1.0),
            (&[1.0, 2.0], &[2.0, 1.0], 0.5),
            (&[1.0], &[1.26], 0.25),
            (&[f32::NAN], &[1.0], f64::INFINITY),
            (&[1.0], &[f64::NAN], f64::INFINITY),
            (&[f32::MAX], &[f64::INFINITY], 1.0),
            (&[f32::INFINITY], &[f64::NEG_INFINITY], 1.0),
            (&[f32::INFINITY], &[1.0], 1.0),
            (&[TINY], &[0.0], 1e-46),
            (&[0.0], &[0.5], f64::NAN),
        ] {
            assert!(compare(&[expected.len()], got, expected, |_| bound).is_err(), "{got:?} {expected:?}");
        }
    }

    #[test]
    fn bits_tell_zeros_apart_but_not_nans() {
        let quiet = f32::from_bits(0x7fc0_0001);
        assert_eq!(compare_bits(&[2], &[f32::NAN, TINY], &[quiet, TINY]), Ok(()));
        assert!(compare_bits(&[1], &[0.0], &[-0.0]).is_err());
        assert!(compare_bits(&[1], &[1.0], &[1.0 + f32::EPSILON]).is_err());
        assert!(compare_bits(&[1], &[f32::NAN], &[0.0]).is_err());
        assert!(compare_bits(&[0], &[], &[0.0]).is_err());
    }

    #[test]
    fn a_mismatch_says_how_many_and_where() {
        let got = [0.0, 1.0, 2.0, 3.0, 4.0, 7.0];
        let expected = [0.0, 1.5, 2.0, 3.0, 4.0, 5.0];
        let mismatch = compare(&[2, 3], &got, &expected, |_| 0.25).expect_err("two values are off");
        let text = "2 of 6 values [2, 3] are off, worst at [1, 2]: 7e0, expected 5e0 (8.000 times the bound)";
        assert_eq!(mismatch.to_string(), text);
    }
}
