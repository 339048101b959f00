//! Softplus: y = ln(1 + exp(β x)) / β, and y = x where β x is above a threshold; dy/dx = σ(β x), and 1 above the
//! threshold, σ the logistic function.
//!
//! With z = β x, ln(1 + exp z) = max(z, 0) + ln(1 + exp(-|z|)), where nothing overflows.
//!
//! Dugas, Bengio, Bélisle, Nadeau and Garcia, "Incorporating second-order functional knowledge for better option
//! pricing", 2000.

use kernels::math::{SIGMOID_ULP, exp, log1p, sigmoid};
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::activation::activation_cases;
use super::check::{Bound, Case};
use super::{Activation, Attributes, ShapeError, attributes_of};

/// y = ln(1 + exp(beta · x)) / beta, and y = x where beta · x > threshold
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Softplus {
    /// Sharpness, above 0; 1 by default.
    pub beta: f32,
    /// Where the line begins; 20 by default, which makes no difference in f32.
    pub threshold: f32,
}

impl Default for Softplus {
    fn default() -> Softplus {
        Softplus { beta: 1.0, threshold: 20.0 }
    }
}

impl Unary for Softplus {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        let beta = s.splat(self.beta);
        let z = s.mul(beta, x);
        let curve = s.add(s.max(s.splat(0.0), z), log1p(s, exp(s, s.neg(s.abs(z)))));
        s.select(s.lt(s.splat(self.threshold), z), x, s.div(curve, beta))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        let z = s.mul(s.splat(self.beta), x);
        s.select(s.lt(s.splat(self.threshold), z), s.splat(1.0), sigmoid(s, z))
    }
}

impl Activation for Softplus {
    const NAME: &'static str = "Softplus";
    const FLOPS: u64 = 20;
    const FORMULAS: Option<[&'static str; 2]> = Some(["y = ln(1 + exp(β x)) / β", "∂L/∂x = dy · σ(β x)"]);

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn check(&self) -> Result<(), ShapeError> {
        ShapeError::expect_setting("beta", self.beta, "a number above 0", |beta| beta > 0.0)?;
        ShapeError::expect_setting("threshold", self.threshold, "a number", |_| true)
    }

    fn exact(&self, x: f64) -> f64 {
        let (beta, threshold) = (f64::from(self.beta), f64::from(self.threshold));
        let z = beta * x;
        if z > threshold { x } else { (z.max(0.0) + libm::log1p(libm::exp(-z.abs()))) / beta }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(4.0, "exponential, logarithm, a sum and a quotient");
    let gradient = Bound::relative(SIGMOID_ULP + 0.5, "the logistic function's own, and one product");
    let of = |softplus: Softplus| activation_cases(softplus, &[softplus.threshold / softplus.beta], value, gradient);
    // (With powers of two β x is exact.)
    [Softplus::default(), Softplus { beta: 2.0, threshold: 2.0 }].into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        let softplus = Softplus::default();
        assert_eq!(at(softplus, 0.0), (std::f32::consts::LN_2, 0.5));
        assert_eq!(at(softplus, f32::INFINITY), (f32::INFINITY, 1.0));
        assert_eq!(at(softplus, f32::NEG_INFINITY), (0.0, 0.0));
        assert!(at(softplus, -80.0).0 > 0.0);
        assert_eq!(at(softplus, f32::MAX), (f32::MAX, 1.0));
        // A threshold that is never reached is no overflow, and one that is low makes a line.
        assert_eq!(at(Softplus { beta: 1.0, threshold: 1e30 }, 200.0), (200.0, 1.0));
        assert_eq!(at(Softplus { beta: 2.0, threshold: 1.0 }, 0.75), (0.75, 1.0));
        nan_goes_through(softplus);
    }
}
