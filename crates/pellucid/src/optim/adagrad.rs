//! Adagrad.
//!
//! ```text
//! sum ← sum + g²
//! w ← w - lr / (1 + (t - 1) lr_decay) · g / (√sum + eps)
//! ```
//! Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011, with
//! the decay of the learning rate that PyTorch has.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{divisor, not_negative};
use super::method::{Method, Now, Settings, Stretch};

/// Adagrad. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// Learning rate; 0.01.
    pub lr: f64,
    /// The rate of update t (from 1) is divided by 1 + (t - 1) · this; 0 or more; 0.
    pub lr_decay: f64,
    /// What the sum of squares begins with, 0 or more; 0.
    pub initial_accumulator_value: f64,
    /// Added to the divisor, more than 0; 1e-10.
    pub eps: f64,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Default for Adagrad {
    fn default() -> Adagrad {
        Adagrad { lr: 1e-2, lr_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10, weight_decay: 0.0 }
    }
}

impl Method for Adagrad {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        not_negative("lr_decay", self.lr_decay)?;
        not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        divisor("eps", self.eps)
    }

    fn slots(&self) -> &'static [&'static str] {
        &["sum"]
    }

    fn initial(&self) -> f32 {
        self.initial_accumulator_value as f32
    }

    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        let before = (now.counters.step - 1) as f64;
        let rate = (now.rate / (1.0 + before * self.lr_decay)) as f32;
        stretch.apply(Step { rate, eps: self.eps as f32 })
    }
}

#[derive(Clone, Copy)]
struct Step {
    rate: f32,
    eps: f32,
}

impl Rule<1> for Step {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [sum]: [S::Float; 1]) -> (S::Float, [S::Float; 1]) {
        let sum = s.fma(g, g, sum);
        let direction = s.div(g, s.add(s.sqrt(sum), s.splat(self.eps)));
        (s.fnma(s.splat(self.rate), direction, w), [sum])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::follows;

    #[test]
    fn follows_its_formula() {
        follows("adagrad:lr=0.1", |_, w, g, [sum]| {
            *sum += g * g;
            *w -= 0.1 * g / (sum.sqrt() + 1e-10);
        });
        follows("adagrad:lr=0.1,lr_decay=0.5,initial_accumulator_value=0.25,eps=0.01", |t, w, g, [sum]| {
            if t == 1 {
                *sum = 0.25;
            }
            *sum += g * g;
            *w -= 0.1 / (1.0 + 0.5 * f64::from(t - 1)) * g / (sum.sqrt() + 0.01);
        });
    }
}
