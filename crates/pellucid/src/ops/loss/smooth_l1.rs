//! Smooth L1 loss of d = p - t: l = d²/(2β) for |d| ≤ β, else |d| - β/2; ∂l/∂p = d/β, kept within ±1. It is the Huber
//! loss with δ = β, divided by β.
//!
//! Girshick, "Fast R-CNN", ICCV 2015 (there β = 1).

use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::huber::within;
use super::{ElementLoss, expect_positive};
use crate::ops::ShapeError;

/// Quadratic up to β, of slope 1 beyond.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SmoothL1 {
    /// β, above 0 (0 would be the absolute error); the default is 1.
    #[serde(default = "default_beta")]
    pub beta: f32,
}

fn default_beta() -> f32 {
    1.0
}

impl Default for SmoothL1 {
    fn default() -> SmoothL1 {
        SmoothL1 { beta: default_beta() }
    }
}

impl Pairwise for SmoothL1 {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let d = s.sub(p, t);
        let c = within(s, d, self.beta);
        s.mul(s.div(c, s.splat(self.beta)), s.fnma(s.splat(0.5), c, d))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        s.div(within(s, s.sub(p, t), self.beta), s.splat(self.beta))
    }
}

impl ElementLoss for SmoothL1 {
    const NAME: &'static str = "SmoothL1Loss";
    const FLOPS: u64 = 7;

    fn check(&self) -> Result<(), ShapeError> {
        expect_positive("beta", self.beta)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, pairs};
    use super::*;

    #[test]
    fn formula_and_derivative() {
        for beta in [0.5, 1.0, 3.0] {
            let b = f64::from(beta);
            let definition = |p: f64, t: f64| {
                let e = (p - t).abs();
                if e <= b { e * e / (2.0 * b) } else { e - b / 2.0 }
            };
            check(SmoothL1 { beta }, definition, &pairs());
        }
    }
}
