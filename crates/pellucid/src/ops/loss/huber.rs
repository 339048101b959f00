//! Huber loss of d = p - t: l = d²/2 for |d| ≤ δ, else δ (|d| - δ/2); ∂l/∂p = d, kept within ±δ.
//!
//! With c = d kept within ±δ both branches are c (d - c/2). Huber, "Robust estimation of a location parameter",
//! Annals of Mathematical Statistics 35, 1964.

use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, SUM_ULP, element_cases, expect_positive};
use crate::ops::ShapeError;
use crate::ops::check::{Bound, Case, Values};

/// Quadratic up to δ, linear beyond.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Huber {
    /// δ, above 0; the default is 1.
    #[serde(default = "default_delta")]
    pub delta: f32,
}

fn default_delta() -> f32 {
    1.0
}

impl Default for Huber {
    fn default() -> Huber {
        Huber { delta: default_delta() }
    }
}

impl Pairwise for Huber {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let d = s.sub(p, t);
        let c = within(s, d, self.delta);
        s.mul(c, s.fnma(s.splat(0.5), c, d))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        within(s, s.sub(p, t), self.delta)
    }
}

/// d kept within ±bound; NaN stays.
#[inline(always)]
pub(super) fn within<S: Simd>(s: S, d: S::Float, bound: f32) -> S::Float {
    s.max(s.splat(-bound), s.min(s.splat(bound), d))
}

impl ElementLoss for Huber {
    const NAME: &'static str = "HuberLoss";
    const FLOPS: u64 = 6;
    const FORMULAS: Option<[&'static str; 2]> =
        Some(["L = mean of d²/2 for |d| ≤ δ, else δ (|d| - δ/2), d = p - t", "∂L/∂p = min(max(d, -δ), δ) / n"]);

    fn check(&self) -> Result<(), ShapeError> {
        expect_positive("delta", self.delta)
    }

    fn exact(&self, p: f64, t: f64) -> f64 {
        let (d, delta) = ((p - t).abs(), f64::from(self.delta));
        if d <= delta { d * d / 2.0 } else { delta * (d - delta / 2.0) }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let (delta, targets) = (0.8f32, vec![-1.0, 0.5]);
    let kinks = targets.iter().flat_map(|t| [t - delta, t + delta]).collect();
    let values = [Values::AwayFrom { spread: 2.0, kinks, margin: 0.01 }, Values::Choice(targets)];
    let value = Bound::relative(SUM_ULP, "two differences, a product, a sum of positive terms");
    let gradient = Bound::relative(4.0, "a difference, a quotient, two products");
    element_cases(Huber { delta }, values, value, gradient)
}
