//! lr · (1 - t / steps)^power

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula};
use crate::optim::OptimError;
use crate::optim::error::not_negative;

/// The rate goes down to 0 along a power of the time left, update by update; PyTorch's PolynomialLR. `polynomial:2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Polynomial {
    /// The power, 0 or more; 1.
    pub power: f64,
    /// Updates until the end; the whole run.
    pub steps: Option<u64>,
}

impl Default for Polynomial {
    fn default() -> Polynomial {
        Polynomial { power: 1.0, steps: None }
    }
}

impl Formula for Polynomial {
    fn check(&self) -> Result<(), OptimError> {
        not_negative("power", self.power)
    }

    fn bare(&self) -> &'static [&'static str] {
        &["power"]
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        at.base * libm::pow(1.0 - at.progress(self.steps), self.power)
    }
}
