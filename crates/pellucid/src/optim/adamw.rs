//! AdamW: Adam with decoupled weight decay.
//!
//! ```text
//! w ← w (1 - lr λ), then Adam
//! ```
//! Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2, with λ times the learning rate as
//! PyTorch has it.

use serde::{Deserialize, Serialize};

use super::method::{Counters, Method, Now, Settings, Stretch};
use super::{Adam, OptimError};

/// AdamW. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate; 0.001.
    pub lr: f64,
    /// β₁ and β₂, the rates at which the moments forget, each in [0, 1); 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the divisor, more than 0; 1e-8.
    pub eps: f64,
    /// λ of the decoupled weight decay; 0.01.
    pub weight_decay: f64,
    /// Divides by the greatest second moment so far; false.
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> AdamW {
        AdamW { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-2, amsgrad: false }
    }
}

impl AdamW {
    fn adam(&self) -> Adam {
        Adam { lr: self.lr, betas: self.betas, eps: self.eps, weight_decay: 0.0, amsgrad: self.amsgrad }
    }
}

impl Method for AdamW {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: true }
    }

    fn check(&self) -> Result<(), OptimError> {
        self.adam().check()
    }

    fn slots(&self) -> &'static [&'static str] {
        self.adam().slots()
    }

    fn advance(&self, counters: &mut Counters) {
        self.adam().advance(counters);
    }

    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        self.adam().update(now, stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{follows, power};

    #[test]
    fn follows_its_formula() {
        follows("adamw:lr=0.01,weight_decay=0.1", |t, w, g, [m, v]| {
            *w *= 1.0 - 0.01 * 0.1;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let (m, v) = (*m / (1.0 - power(0.9, t)), *v / (1.0 - power(0.999, t)));
            *w -= 0.01 * m / (v.sqrt() + 1e-8);
        });
    }
}
