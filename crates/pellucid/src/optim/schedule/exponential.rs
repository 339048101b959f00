//! lr · γ^units

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula};
use crate::optim::OptimError;
use crate::optim::error::positive;

/// The rate times `gamma` after every unit; PyTorch's ExponentialLR. `exponential:0.95`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exponential {
    /// The factor after each unit (epoch, if not set otherwise), more than 0; 0.95.
    pub gamma: f64,
}

impl Default for Exponential {
    fn default() -> Exponential {
        Exponential { gamma: 0.95 }
    }
}

impl Formula for Exponential {
    fn check(&self) -> Result<(), OptimError> {
        positive("gamma", self.gamma)
    }

    fn bare(&self) -> &'static [&'static str] {
        &["gamma"]
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        at.base * libm::pow(self.gamma, at.units() as f64)
    }
}
