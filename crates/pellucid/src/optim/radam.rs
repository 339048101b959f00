//! RAdam: Adam that waits until its second moment can be trusted.
//!
//! ```text
//! m ← β₁ m + (1 - β₁) g
//! v ← β₂ v + (1 - β₂) g²
//! ρ∞ = 2 / (1 - β₂) - 1,  ρₜ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)
//! ρₜ > 5:  w ← w - lr · r · m / (1 - β₁ᵗ) · √(1 - β₂ᵗ) / (√v + eps)
//!          r = √((ρₜ - 4)(ρₜ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρₜ))
//! else:    w ← w - lr · m / (1 - β₁ᵗ)
//! ```
//! Liu et al., "On the variance of the adaptive learning rate and beyond", 2020, algorithm 2, with the threshold 5 and
//! eps where PyTorch has it.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::adam::{Moments, check_betas};
use super::error::divisor;
use super::method::{Counters, Method, Now, Settings, Stretch};

/// RAdam. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RAdam {
    /// Learning rate; 0.001.
    pub lr: f64,
    /// β₁ and β₂, the rates at which the moments forget, each in [0, 1); 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the divisor, more than 0; 1e-8.
    pub eps: f64,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Default for RAdam {
    fn default() -> RAdam {
        RAdam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

impl RAdam {
    /// r, or none while the second moment cannot be trusted; `beta2` is β₂ᵗ.
    fn rectification(&self, t: u64, beta2: f64) -> Option<f64> {
        let longest = 2.0 / (1.0 - self.betas[1]) - 1.0;
        let length = longest - 2.0 * t as f64 * beta2 / (1.0 - beta2);
        let of = |length: f64| (length - 4.0) * (length - 2.0) / length;
        (length > 5.0).then(|| (of(length) / of(longest)).sqrt())
    }
}

impl Method for RAdam {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        check_betas(self.betas)?;
        divisor("eps", self.eps)
    }

    fn slots(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    fn advance(&self, counters: &mut Counters) {
        counters.multiply(self.betas);
    }

    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        let Counters { step, products: [beta1, beta2] } = now.counters;
        let moments = Moments::new(self.betas);
        let rate = now.rate / (1.0 - beta1);
        match self.rectification(step, beta2) {
            Some(r) => {
                let rate = (rate * r * (1.0 - beta2).sqrt()) as f32;
                stretch.apply(Step::<true> { moments, rate, eps: self.eps as f32 })
            }
            None => stretch.apply(Step::<false> { moments, rate: rate as f32, eps: self.eps as f32 }),
        }
    }
}

#[derive(Clone, Copy)]
struct Step<const ADAPTIVE: bool> {
    moments: Moments,
    rate: f32,
    eps: f32,
}

impl<const ADAPTIVE: bool> Rule<2> for Step<ADAPTIVE> {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [m, v]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
        let [m, v] = self.moments.update(s, g, m, v);
        let direction = if ADAPTIVE { s.div(m, s.add(s.sqrt(v), s.splat(self.eps))) } else { m };
        (s.fnma(s.splat(self.rate), direction, w), [m, v])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{follows, power};

    #[test]
    fn follows_its_formula_before_and_after_the_threshold() {
        // With β₂ = 0.999, ρₜ passes 5 at the sixth update; with 0.5 it never does.
        for beta2 in [0.999, 0.5] {
            follows(&format!("radam:lr=0.01,betas=0.9:{beta2}"), |t, w, g, [m, v]| {
                *m = 0.9 * *m + 0.1 * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                let m = *m / (1.0 - power(0.9, t));
                let (longest, power) = (2.0 / (1.0 - beta2) - 1.0, power(beta2, t));
                let length = longest - 2.0 * f64::from(t) * power / (1.0 - power);
                assert_eq!(length > 5.0, beta2 == 0.999 && t >= 6);
                if length > 5.0 {
                    let r = (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length);
                    *w -= 0.01 * r.sqrt() * m * (1.0 - power).sqrt() / (v.sqrt() + 1e-8);
                } else {
                    *w -= 0.01 * m;
                }
            });
        }
    }
}
