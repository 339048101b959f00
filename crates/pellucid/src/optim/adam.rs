//! Adam, and AMSGrad.
//!
//! ```text
//! m ← β₁ m + (1 - β₁) g
//! v ← β₂ v + (1 - β₂) g²
//! w ← w - lr · m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + eps)
//! ```
//! Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1. With `amsgrad` the greatest v so far
//! stands in the last line: Reddi, Kale and Kumar, "On the convergence of Adam and beyond", 2018.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{divisor, fraction};
use super::method::{Counters, Method, Now, Settings, Stretch};

/// Adam. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate; 0.001.
    pub lr: f64,
    /// β₁ and β₂, the rates at which the moments forget, each in [0, 1); 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the divisor, more than 0; 1e-8.
    pub eps: f64,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
    /// Divides by the greatest second moment so far; false.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

/// What is wrong with β₁ and β₂.
pub(super) fn check_betas(betas: [f64; 2]) -> Result<(), OptimError> {
    betas.iter().try_for_each(|beta| fraction("betas", *beta))
}

impl Method for Adam {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        check_betas(self.betas)?;
        divisor("eps", self.eps)
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.amsgrad { &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"] } else { &["exp_avg", "exp_avg_sq"] }
    }

    fn advance(&self, counters: &mut Counters) {
        counters.multiply(self.betas);
    }

    #[inline]
    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        let [beta1, beta2] = now.counters.products;
        let step = Step {
            moments: Moments::new(self.betas),
            rate: (now.rate / (1.0 - beta1)) as f32,
            root: (1.0 / (1.0 - beta2).sqrt()) as f32,
            eps: self.eps as f32,
        };
        if self.amsgrad { stretch.apply(Greatest(step)) } else { stretch.apply(step) }
    }
}

/// The moving averages of the gradient and of its square.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    /// 1 - β₁
    first: f32,
    /// 1 - β₂
    second: f32,
}

impl Moments {
    pub fn new([beta1, beta2]: [f64; 2]) -> Moments {
        Moments { first: (1.0 - beta1) as f32, second: (1.0 - beta2) as f32 }
    }

    /// m + (1 - β₁)(g - m) and v + (1 - β₂)(g² - v)
    #[inline(always)]
    pub fn update<S: Simd>(self, s: S, g: S::Float, m: S::Float, v: S::Float) -> [S::Float; 2] {
        let m = s.fma(s.splat(self.first), s.sub(g, m), m);
        let v = s.fma(s.splat(self.second), s.sub(s.mul(g, g), v), v);
        [m, v]
    }
}

#[derive(Clone, Copy)]
struct Step {
    moments: Moments,
    /// lr / (1 - β₁ᵗ)
    rate: f32,
    /// 1 / √(1 - β₂ᵗ)
    root: f32,
    eps: f32,
}

impl Step {
    #[inline(always)]
    fn move_by<S: Simd>(self, s: S, w: S::Float, m: S::Float, v: S::Float) -> S::Float {
        let size = s.fma(s.sqrt(v), s.splat(self.root), s.splat(self.eps));
        s.fnma(s.splat(self.rate), s.div(m, size), w)
    }
}

impl Rule<2> for Step {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [m, v]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
        let [m, v] = self.moments.update(s, g, m, v);
        (self.move_by(s, w, m, v), [m, v])
    }
}

#[derive(Clone, Copy)]
struct Greatest(Step);

impl Rule<3> for Greatest {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [m, v, max]: [S::Float; 3]) -> (S::Float, [S::Float; 3]) {
        let [m, v] = self.0.moments.update(s, g, m, v);
        // In this order a NaN in v is kept.
        let max = s.max(max, v);
        (self.0.move_by(s, w, m, max), [m, v, max])
    }
}

#[cfg(test)]
mod tests {
    use super::super::OptimizerConfig;
    use super::super::tests::{follows, power};

    #[test]
    fn follows_its_formula() {
        let adam = |t, w: &mut f64, g: f64, m: &mut f64, v: &mut f64, max: Option<&mut f64>| {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.99 * *v + 0.01 * g * g;
            let v = match max {
                Some(max) => {
                    *max = max.max(*v);
                    *max
                }
                None => *v,
            };
            let (m, v) = (*m / (1.0 - power(0.9, t)), v / (1.0 - power(0.99, t)));
            *w -= 0.01 * m / (v.sqrt() + 1e-8);
        };
        follows("adam:lr=0.01,betas=0.9:0.99", |t, w, g, [m, v]| adam(t, w, g, m, v, None));
        follows("adam:lr=0.01,betas=0.9:0.99,weight_decay=0.1", |t, w, g, [m, v]| {
            adam(t, w, g + 0.1 * *w, m, v, None);
        });
        follows("adam:lr=0.01,betas=0.9:0.99,amsgrad", |t, w, g, [m, v, max]| adam(t, w, g, m, v, Some(max)));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (text, message) in [
            ("adam:betas=0.9:1", "'betas' must be at least 0 and less than 1, got 1"),
            ("adam:eps=0", "'eps' must be more than 1e-45, the least number of f32, got 0"),
            ("adam:eps=1e-60", "'eps' must be more than 1e-45, the least number of f32, got 1e-60"),
        ] {
            assert_eq!(OptimizerConfig::parse(text).unwrap_err().to_string(), message);
        }
        assert!(OptimizerConfig::parse("adam:betas=0.9").is_err());
    }
}
