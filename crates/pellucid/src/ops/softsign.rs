//! Softsign: y = x / (1 + |x|); dy/dx = 1 / (1 + |x|)².
//!
//! Bergstra, Desjardins, Lamblin and Bengio, "Quadratic polynomials learn better image features", 2009.

use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;
use super::activation::activation_cases;
use super::check::{Bound, Case};

/// y = x / (1 + |x|)
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Softsign;

impl Unary for Softsign {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        // ∞ / ∞ would be NaN.
        let x = s.max(s.splat(-f32::MAX), s.min(s.splat(f32::MAX), x));
        s.div(x, s.add(s.splat(1.0), s.abs(x)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        let inverse = s.div(s.splat(1.0), s.add(s.splat(1.0), s.abs(x)));
        s.mul(inverse, inverse)
    }
}

impl Activation for Softsign {
    const NAME: &'static str = "Softsign";
    const FLOPS: u64 = 3;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = x / (1 + |x|)", "∂L/∂x = dy / (1 + |x|)²"]);

    fn exact(&self, x: f64) -> f64 {
        x / (1.0 + x.abs())
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(1.5, "a sum and a quotient");
    let gradient = Bound::relative(4.0, "a sum, a quotient, its square, a product");
    activation_cases(Softsign, &[0.0], value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Softsign, 0.0), (0.0, 1.0));
        assert_eq!(at(Softsign, 1.0), (0.5, 0.25));
        assert_eq!(at(Softsign, f32::INFINITY), (1.0, 0.0));
        assert_eq!(at(Softsign, f32::NEG_INFINITY), (-1.0, 0.0));
        nan_goes_through(Softsign);
    }
}
