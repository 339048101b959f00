//! Adamax: Adam with the infinity norm.
//!
//! ```text
//! m ← β₁ m + (1 - β₁) g
//! u ← max(β₂ u, |g| + eps)
//! w ← w - lr / (1 - β₁ᵗ) · m / u
//! ```
//! Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 2, with eps where PyTorch has it.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::adam::check_betas;
use super::error::divisor;
use super::method::{Counters, Method, Now, Settings, Stretch};

/// Adamax. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adamax {
    /// Learning rate; 0.002.
    pub lr: f64,
    /// β₁ and β₂, the rates at which the moments forget, each in [0, 1); 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the magnitude of the gradient, more than 0; 1e-8.
    pub eps: f64,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Default for Adamax {
    fn default() -> Adamax {
        Adamax { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

impl Method for Adamax {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        check_betas(self.betas)?;
        divisor("eps", self.eps)
    }

    fn slots(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_inf"]
    }

    fn advance(&self, counters: &mut Counters) {
        counters.multiply([self.betas[0], 1.0]);
    }

    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        stretch.apply(Step {
            rate: (now.rate / (1.0 - now.counters.products[0])) as f32,
            share: (1.0 - self.betas[0]) as f32,
            beta2: self.betas[1] as f32,
            eps: self.eps as f32,
        })
    }
}

#[derive(Clone, Copy)]
struct Step {
    /// lr / (1 - β₁ᵗ)
    rate: f32,
    /// 1 - β₁
    share: f32,
    beta2: f32,
    eps: f32,
}

impl Rule<2> for Step {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [m, u]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
        let m = s.fma(s.splat(self.share), s.sub(g, m), m);
        let u = s.max(s.mul(s.splat(self.beta2), u), s.add(s.abs(g), s.splat(self.eps)));
        (s.fnma(s.splat(self.rate), s.div(m, u), w), [m, u])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{follows, power};

    #[test]
    fn follows_its_formula() {
        follows("adamax:betas=0.9:0.99", |t, w, g, [m, u]| {
            *m = 0.9 * *m + 0.1 * g;
            *u = (0.99 * *u).max(g.abs() + 1e-8);
            *w -= 0.002 / (1.0 - power(0.9, t)) * *m / *u;
        });
    }
}
