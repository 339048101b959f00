//! Smooth L1 loss of d = p - t: l = d²/(2β) for |d| ≤ β, else |d| - β/2; ∂l/∂p = d/β, kept within ±1. It is the Huber
//! loss with δ = β, divided by β.
//!
//! Girshick, "Fast R-CNN", ICCV 2015 (there β = 1).

use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::huber::within;
use super::{ElementLoss, SUM_ULP, element_cases, expect_positive};
use crate::ops::ShapeError;
use crate::ops::check::{Bound, Case, Values};

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
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["L = mean of d²/2β for |d| ≤ β, else |d| - β/2, d = p - t", "∂L/∂p = min(max(d/β, -1), 1) / n"]);

    fn check(&self) -> Result<(), ShapeError> {
        expect_positive("beta", self.beta)
    }

    fn exact(&self, p: f64, t: f64) -> f64 {
        let (d, beta) = ((p - t).abs(), f64::from(self.beta));
        if d <= beta { d * d / (2.0 * beta) } else { d - beta / 2.0 }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let (beta, targets) = (0.6f32, vec![-1.0, 0.5]);
    let kinks = targets.iter().flat_map(|t| [t - beta, t + beta]).collect();
    let values = [Values::AwayFrom { spread: 2.0, kinks, margin: 0.01 }, Values::Choice(targets)];
    let value = Bound::relative(SUM_ULP, "two differences, a product, a quotient, a sum of positive terms");
    let gradient = Bound::relative(5.0, "a difference, two quotients, two products");
    element_cases(SmoothL1 { beta }, values, value, gradient)
}
