//! Adadelta.
//!
//! ```text
//! s ← ρ s + (1 - ρ) g²
//! δ = √(a + eps) / √(s + eps) · g
//! a ← ρ a + (1 - ρ) δ²
//! w ← w - lr δ
//! ```
//! Zeiler, "ADADELTA: an adaptive learning rate method", 2012, algorithm 1.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{divisor, fraction};
use super::method::{Method, Now, Settings, Stretch};

/// Adadelta. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adadelta {
    /// Learning rate; 1.
    pub lr: f64,
    /// ρ, the rate at which the averages forget, in [0, 1); 0.9.
    pub rho: f64,
    /// Added below the roots, more than 0; 1e-6.
    pub eps: f64,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Default for Adadelta {
    fn default() -> Adadelta {
        Adadelta { lr: 1.0, rho: 0.9, eps: 1e-6, weight_decay: 0.0 }
    }
}

impl Method for Adadelta {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        fraction("rho", self.rho)?;
        divisor("eps", self.eps)
    }

    fn slots(&self) -> &'static [&'static str] {
        &["square_avg", "acc_delta"]
    }

    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        stretch.apply(Step { rate: now.rate as f32, share: (1.0 - self.rho) as f32, eps: self.eps as f32 })
    }
}

#[derive(Clone, Copy)]
struct Step {
    rate: f32,
    /// 1 - ρ
    share: f32,
    eps: f32,
}

impl Rule<2> for Step {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [square, a]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
        let (share, eps) = (s.splat(self.share), s.splat(self.eps));
        let square = s.fma(share, s.sub(s.mul(g, g), square), square);
        // One root of the quotient instead of the quotient of two: roots are slow.
        let delta = s.mul(s.sqrt(s.div(s.add(a, eps), s.add(square, eps))), g);
        let a = s.fma(share, s.sub(s.mul(delta, delta), a), a);
        (s.fnma(s.splat(self.rate), delta, w), [square, a])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::follows;

    #[test]
    fn follows_its_formula() {
        follows("adadelta", |_, w, g, [square, a]| {
            *square = 0.9 * *square + 0.1 * g * g;
            let delta = (*a + 1e-6).sqrt() / (*square + 1e-6).sqrt() * g;
            *a = 0.9 * *a + 0.1 * delta * delta;
            *w -= delta;
        });
    }
}
