//! min + (lr - min) (1 + cos(π t / period)) / 2, t counted from the last restart
//!
//! Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula, half_cosine};
use crate::optim::OptimError;
use crate::optim::error::{check, not_negative};

/// The rate goes down along half a cosine, update by update, and starts anew, each period `period_factor` times the one
/// before; PyTorch's CosineAnnealingWarmRestarts. `cosine_restarts:10:2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CosineRestarts {
    /// Units (epochs, if not set otherwise) of the first period, 1 or more; 10.
    pub first_period: u64,
    /// Each period is so many times the one before, 1 or more; 1.
    pub period_factor: u64,
    /// The rate at the end of a period; 0.
    pub min_lr: f64,
}

impl Default for CosineRestarts {
    fn default() -> CosineRestarts {
        CosineRestarts { first_period: 10, period_factor: 1, min_lr: 0.0 }
    }
}

impl Formula for CosineRestarts {
    fn check(&self) -> Result<(), OptimError> {
        check("first_period", self.first_period as f64, self.first_period > 0, "1 or more")?;
        check("period_factor", self.period_factor as f64, self.period_factor > 0, "1 or more")?;
        not_negative("min_lr", self.min_lr)
    }

    fn bare(&self) -> &'static [&'static str] {
        &["first_period", "period_factor"]
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        let mut period = self.first_period as f64;
        let mut units = at.fraction_of_units();
        if self.period_factor == 1 {
            units %= period;
        } else {
            while units >= period {
                units -= period;
                period *= self.period_factor as f64;
            }
        }
        half_cosine(at.base, self.min_lr, units / period)
    }
}
