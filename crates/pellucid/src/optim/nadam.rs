//! NAdam: Adam with Nesterov's momentum.
//!
//! ```text
//! μₜ = β₁ (1 - 0.5 · 0.96^(t · momentum_decay))
//! m ← β₁ m + (1 - β₁) g
//! v ← β₂ v + (1 - β₂) g²
//! w ← w - lr · (μₜ₊₁ m / (1 - μ₁…μₜ₊₁) + (1 - μₜ) g / (1 - μ₁…μₜ)) / (√(v / (1 - β₂ᵗ)) + eps)
//! ```
//! Dozat, "Incorporating Nesterov momentum into Adam", 2016, in the form that PyTorch has.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::adam::{Moments, check_betas};
use super::error::{divisor, not_negative};
use super::method::{Counters, Method, Now, Settings, Stretch};

/// NAdam. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NAdam {
    /// Learning rate; 0.002.
    pub lr: f64,
    /// β₁ and β₂, the rates at which the moments forget, each in [0, 1); 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the divisor, more than 0; 1e-8.
    pub eps: f64,
    /// How fast the momentum rises from β₁ / 2 to β₁, 0 or more; 0.004.
    pub momentum_decay: f64,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Default for NAdam {
    fn default() -> NAdam {
        NAdam { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, momentum_decay: 4e-3, weight_decay: 0.0 }
    }
}

impl NAdam {
    /// μₜ
    fn momentum(&self, t: u64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * libm::pow(0.96, t as f64 * self.momentum_decay))
    }
}

impl Method for NAdam {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        check_betas(self.betas)?;
        not_negative("momentum_decay", self.momentum_decay)?;
        divisor("eps", self.eps)
    }

    fn slots(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    /// The products are μ₁…μₜ and β₂ᵗ.
    fn advance(&self, counters: &mut Counters) {
        counters.multiply([self.momentum(counters.step), self.betas[1]]);
    }

    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        let Counters { step, products: [product, beta2] } = now.counters;
        let (momentum, next) = (self.momentum(step), self.momentum(step + 1));
        stretch.apply(Step {
            moments: Moments::new(self.betas),
            gradient: (now.rate * (1.0 - momentum) / (1.0 - product)) as f32,
            average: (now.rate * next / (1.0 - product * next)) as f32,
            root: (1.0 / (1.0 - beta2).sqrt()) as f32,
            eps: self.eps as f32,
        })
    }
}

#[derive(Clone, Copy)]
struct Step {
    moments: Moments,
    /// The rate with which the gradient counts.
    gradient: f32,
    /// The rate with which its average counts.
    average: f32,
    /// 1 / √(1 - β₂ᵗ)
    root: f32,
    eps: f32,
}

impl Rule<2> for Step {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [m, v]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
        let [m, v] = self.moments.update(s, g, m, v);
        let size = s.fma(s.sqrt(v), s.splat(self.root), s.splat(self.eps));
        let step = s.fma(s.splat(self.average), m, s.mul(s.splat(self.gradient), g));
        (s.sub(w, s.div(step, size)), [m, v])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{follows, power};

    #[test]
    fn follows_its_formula() {
        follows("nadam:lr=0.01,momentum_decay=0.5", |t, w, g, [m, v, product]| {
            let momentum = |t: i32| 0.9 * (1.0 - 0.5 * libm::pow(0.96, 0.5 * f64::from(t)));
            if t == 1 {
                *product = 1.0;
            }
            *product *= momentum(t);
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let size = (*v / (1.0 - power(0.999, t))).sqrt() + 1e-8;
            let next = momentum(t + 1);
            let direction = next * *m / (1.0 - *product * next) + (1.0 - momentum(t)) * g / (1.0 - *product);
            *w -= 0.01 * direction / size;
        });
    }
}
