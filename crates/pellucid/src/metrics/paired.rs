//! Two ways of training compared over the same seeds: Student's paired t-test.
//!
//! With the differences d_i of n pairs, t = mean(d) · √n / deviation(d), of n - 1 degrees of freedom; p is the probability of a |t| at
//! least as large where both are equally good: I_x((n - 1)/2, 1/2) at x = (n - 1) / (n - 1 + t²), the regularised incomplete beta function.
//! (Student, "The probable error of a mean", 1908; the continued fraction after Lentz, in Press et al., "Numerical recipes", 2007,
//! section 6.4.)

use super::mean_and_deviation;

/// What a paired test gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedTest {
    /// Mean of the differences, second minus first.
    pub difference: f64,
    /// Their standard deviation (n - 1).
    pub deviation: f64,
    /// Student's t; infinite where all differences are the same.
    pub t: f64,
    /// Probability of such a difference by chance, 0 to 1.
    pub p: f64,
}

/// Compares values in pairs; `None` for fewer than two, unequally many, or values that are not finite.
pub fn paired_test(first: &[f64], second: &[f64]) -> Option<PairedTest> {
    let n = first.len();
    let all = first.iter().chain(second);
    if n < 2 || n != second.len() || !all.into_iter().all(|value| value.is_finite()) {
        return None;
    }
    let differences: Vec<f64> = second.iter().zip(first).map(|(b, a)| b - a).collect();
    let (difference, deviation) = mean_and_deviation(&differences);
    if deviation == 0.0 {
        let (t, p) = if difference == 0.0 { (0.0, 1.0) } else { (f64::INFINITY.copysign(difference), 0.0) };
        return Some(PairedTest { difference, deviation, t, p });
    }
    let t = difference * libm::sqrt(n as f64) / deviation;
    let freedom = (n - 1) as f64;
    let p = incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    Some(PairedTest { difference, deviation, t, p })
}

/// I_x(a, b), the regularised incomplete beta function, for 0 ≤ x ≤ 1.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges quickly on one side; the other follows from I_x(a, b) = 1 - I_{1-x}(b, a).
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    libm::exp(front) / a * beta_fraction(a, b, x)
}

/// The continued fraction of the incomplete beta function.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const TERMS: usize = 300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..TERMS {
        let m = m as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            change = d * c;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_sleep_data_give_his_t() {
        // Hours of sleep gained by ten patients with two drugs (Student, 1908; t = 4.0621, p = 0.002833 with 9 degrees of freedom).
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let found = paired_test(&first, &second).expect("ten pairs");
        assert!((found.difference - 1.58).abs() < 1e-12);
        assert!((found.t - 4.062_127_683_382_037).abs() < 1e-9, "{found:?}");
        assert!((found.p - 0.002_832_890_197).abs() < 1e-9, "{found:?}");
        let turned = paired_test(&second, &first).expect("ten pairs");
        assert!((turned.t + found.t).abs() < 1e-12 && (turned.p - found.p).abs() < 1e-12);
    }

    #[test]
    fn two_pairs_follow_the_cauchy_distribution() {
        // With one degree of freedom p = 1 - 2/π · atan |t|.
        let found = paired_test(&[0.0, 0.0], &[1.0, 2.0]).expect("two pairs");
        let expected = 1.0 - std::f64::consts::FRAC_2_PI * libm::atan(found.t.abs());
        assert!((found.t - 3.0).abs() < 1e-12 && (found.p - expected).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn equal_differences_are_certain_and_pairs_without_partner_are_none() {
        assert_eq!(paired_test(&[1.0, 2.0], &[1.5, 2.5]).map(|test| test.p), Some(0.0));
        assert_eq!(paired_test(&[1.0, 2.0], &[1.0, 2.0]).map(|test| (test.t, test.p)), Some((0.0, 1.0)));
        assert_eq!(paired_test(&[1.0], &[2.0]), None);
        assert_eq!(paired_test(&[1.0, 2.0], &[2.0]), None);
        assert_eq!(paired_test(&[1.0, f64::NAN], &[2.0, 3.0]), None);
    }
}
