//! Scaled exponential linear unit: y = λ x where x > 0, else λ a (exp(x) - 1); dy/dx = λ where x > 0, else
//! λ a exp(x) = y + λ a, so λ a at x = 0. λ = 1.0507… and a = 1.6733… keep mean 0 and variance 1.
//!
//! Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017.

use kernels::math::{EXPM1_ULP, expm1};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// λ
const SCALE: f32 = 1.050_701;
/// λ a
const NEGATIVE: f32 = (1.050_700_987_355_480_5 * 1.673_263_242_354_377_2) as f32;

/// y = λ x where x > 0, else λ a (exp(x) - 1)
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Selu;

impl Unary for Selu {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        let negative = s.mul(s.splat(NEGATIVE), expm1(s, x));
        s.select(s.lt(s.splat(0.0), x), s.mul(s.splat(SCALE), x), negative)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        s.select(s.lt(s.splat(0.0), y), s.splat(SCALE), s.add(y, s.splat(NEGATIVE)))
    }
}

impl Activation for Selu {
    const NAME: &'static str = "Selu";
    const FLOPS: u64 = 13;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["y = λ x for x > 0, else λ α (exp(x) - 1)", "∂L/∂x = λ dy for x > 0, else dy (y + λ α)"]);

    fn exact(&self, x: f64) -> f64 {
        let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
        scale * if x > 0.0 { x } else { alpha * libm::expm1(x) }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(EXPM1_ULP + 1.5, "exp(x) - 1, a product, and constants that are rounded");
    let gradient = Bound::relative(1.5, "y + λ a cancels, in units of λ a").and_absolute(8.0);
    activation_cases(Selu, &[0.0], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Selu, 0.0), (0.0, NEGATIVE));
        assert_eq!(at(Selu, 1.0), (SCALE, SCALE));
        assert_eq!(at(Selu, f32::NEG_INFINITY), (-NEGATIVE, 0.0));
        assert_eq!(at(Selu, f32::INFINITY), (f32::INFINITY, SCALE));
        nan_goes_through(Selu);
    }
}
