//! Gaussian error linear unit: y = x Φ(x), Φ(x) = (1 + erf(x / √2)) / 2; dy/dx = Φ(x) + x exp(-x²/2) / √(2π).
//!
//! Hendrycks and Gimpel, "Gaussian error linear units", 2016.

use kernels::math::{erf, exp};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// 1 / √(2π)
const INVERSE_SQRT_2_PI: f32 = 0.398_942_3;

/// Φ(x)
#[inline(always)]
fn distribution<S: Simd>(s: S, x: S::Float) -> S::Float {
    let erf = erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2)));
    s.fma(s.splat(0.5), erf, s.splat(0.5))
}

/// y = x Φ(x), Φ the distribution function of the standard normal distribution
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Gelu;

impl Unary for Gelu {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        // -∞ · 0 would be NaN.
        let x = s.max(s.splat(-f32::MAX), x);
        s.mul(x, distribution(s, x))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        // ±∞ · 0 would be NaN; beyond ±20 the density is 0.
        let bounded = s.max(s.splat(-20.0), s.min(s.splat(20.0), x));
        let density = s.mul(s.splat(INVERSE_SQRT_2_PI), exp(s, s.mul(s.splat(-0.5), s.mul(bounded, bounded))));
        s.fma(bounded, density, distribution(s, bounded))
    }
}

impl Activation for Gelu {
    const NAME: &'static str = "Gelu";
    const FLOPS: u64 = 26;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = x Φ(x), Φ(x) = (1 + erf(x/√2)) / 2", "∂L/∂x = dy (Φ(x) + x φ(x)), φ(x) = exp(-x²/2) / √(2π)"]);

    fn exact(&self, x: f64) -> f64 {
        0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(2.0, "1 + erf cancels for negative x, down to -5.5").and_absolute(6.0);
    let gradient = Bound::relative(2.0, "1 + erf cancels for negative x").and_absolute(4.0);
    activation_cases(Gelu, &[], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Gelu, 0.0), (0.0, 0.5));
        assert_eq!(at(Gelu, f32::INFINITY), (f32::INFINITY, 1.0));
        assert_eq!(at(Gelu, f32::NEG_INFINITY), (0.0, 0.0));
        assert_eq!(at(Gelu, -f32::MAX), (0.0, 0.0));
        assert_eq!(at(Gelu, f32::MAX), (f32::MAX, 1.0));
        nan_goes_through(Gelu);
    }
}
