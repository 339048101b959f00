//! Huber loss of d = p - t: l = d²/2 for |d| ≤ δ, else δ (|d| - δ/2); ∂l/∂p = d, kept within ±δ.
//!
//! With c = d kept within ±δ both branches are c (d - c/2). Huber, "Robust estimation of a location parameter",
//! Annals of Mathematical Statistics 35, 1964.

use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, expect_positive};
use crate::ops::ShapeError;

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

    fn check(&self) -> Result<(), ShapeError> {
        expect_positive("delta", self.delta)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, pairs};
    use super::*;

    #[test]
    fn formula_and_derivative() {
        for delta in [0.8, 1.0, 2.5] {
            let d = f64::from(delta);
            let definition = |p: f64, t: f64| {
                let e = (p - t).abs();
                if e <= d { e * e / 2.0 } else { d * (e - d / 2.0) }
            };
            check(Huber { delta }, definition, &pairs());
        }
    }
}
