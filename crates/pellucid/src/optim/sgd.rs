//! Stochastic gradient descent, with momentum.
//!
//! ```text
//! b ← μ b + (1 - dampening) g      (b ← g at the first update)
//! w ← w - lr b                     nesterov: w ← w - lr (g + μ b)
//! ```
//! Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Nesterov's momentum in the form of
//! Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, section 2, as PyTorch
//! has it: the learning rate is not part of b.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{check, not_negative};
use super::method::{Method, Now, Settings, Stretch};

/// Stochastic gradient descent. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate; 0.001.
    pub lr: f64,
    /// μ, 0 or more; 0 for none.
    pub momentum: f64,
    /// Takes this part off a gradient before it is added to the momentum; 0.
    pub dampening: f64,
    /// Looks ahead by the momentum; needs momentum and no dampening; false.
    pub nesterov: bool,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Sgd {
    /// An update is w ← w - lr g and nothing else.
    pub fn is_plain(&self) -> bool {
        self.momentum == 0.0 && self.weight_decay == 0.0
    }
}

impl Default for Sgd {
    fn default() -> Sgd {
        Sgd { lr: 1e-3, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl Method for Sgd {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        not_negative("momentum", self.momentum)?;
        check("dampening", self.dampening, self.dampening.is_finite(), "a number")?;
        if self.nesterov {
            check("momentum", self.momentum, self.momentum > 0.0, "more than 0 with nesterov")?;
            check("dampening", self.dampening, self.dampening == 0.0, "0 with nesterov")?;
        }
        Ok(())
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    #[inline]
    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        let rate = now.rate as f32;
        if self.momentum == 0.0 {
            return stretch.apply(Plain { rate });
        }
        let share = if now.counters.step == 1 { 1.0 } else { 1.0 - self.dampening } as f32;
        let momentum = self.momentum as f32;
        if self.nesterov {
            stretch.apply(Momentum::<true> { rate, momentum, share })
        } else {
            stretch.apply(Momentum::<false> { rate, momentum, share })
        }
    }
}

#[derive(Clone, Copy)]
struct Plain {
    rate: f32,
}

impl Rule<0> for Plain {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, _: [S::Float; 0]) -> (S::Float, [S::Float; 0]) {
        (s.fnma(s.splat(self.rate), g, w), [])
    }
}

#[derive(Clone, Copy)]
struct Momentum<const NESTEROV: bool> {
    rate: f32,
    momentum: f32,
    share: f32,
}

impl<const NESTEROV: bool> Rule<1> for Momentum<NESTEROV> {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [b]: [S::Float; 1]) -> (S::Float, [S::Float; 1]) {
        let momentum = s.splat(self.momentum);
        let b = s.fma(momentum, b, s.mul(s.splat(self.share), g));
        let direction = if NESTEROV { s.fma(momentum, b, g) } else { b };
        (s.fnma(s.splat(self.rate), direction, w), [b])
    }
}

#[cfg(test)]
mod tests {
    use super::super::OptimizerConfig;
    use super::super::tests::follows;

    #[test]
    fn follows_its_formula() {
        follows("sgd:lr=0.1", |_, w, g, _: &mut [f64; 0]| *w -= 0.1 * g);
        follows("sgd:lr=0.1,momentum=0.9,weight_decay=0.01", |_, w, g, [b]| {
            *b = 0.9 * *b + g + 0.01 * *w;
            *w -= 0.1 * *b;
        });
        follows("sgd:lr=0.1,momentum=0.9,dampening=0.25", |t, w, g, [b]| {
            *b = if t == 1 { g } else { 0.9 * *b + 0.75 * g };
            *w -= 0.1 * *b;
        });
        follows("sgd:lr=0.1,momentum=0.9,nesterov", |_, w, g, [b]| {
            *b = 0.9 * *b + g;
            *w -= 0.1 * (g + 0.9 * *b);
        });
    }

    #[test]
    fn nesterov_needs_momentum_and_no_dampening() {
        for (text, message) in [
            ("sgd:nesterov", "'momentum' must be more than 0 with nesterov, got 0"),
            ("sgd:momentum=0.9,dampening=0.1,nesterov", "'dampening' must be 0 with nesterov, got 0.1"),
            ("sgd:momentum=-1", "'momentum' must be 0 or more, got -1"),
        ] {
            assert_eq!(OptimizerConfig::parse(text).unwrap_err().to_string(), message);
        }
    }
}
