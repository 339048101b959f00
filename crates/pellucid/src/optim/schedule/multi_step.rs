//! lr · γ^(milestones reached)

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula};
use crate::optim::OptimError;
use crate::optim::error::positive;

/// The rate times `gamma` at each milestone; PyTorch's MultiStepLR. `multi_step:30:60:80,gamma=0.2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiStep {
    /// Units (epochs, if not set otherwise) after which the rate changes, in any order; none.
    pub milestones: Vec<u64>,
    /// The factor, more than 0; 0.1.
    pub gamma: f64,
}

impl Default for MultiStep {
    fn default() -> MultiStep {
        MultiStep { milestones: Vec::new(), gamma: 0.1 }
    }
}

impl Formula for MultiStep {
    fn check(&self) -> Result<(), OptimError> {
        positive("gamma", self.gamma)
    }

    fn bare(&self) -> &'static [&'static str] {
        &["milestones"]
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        let units = at.units();
        let reached = self.milestones.iter().filter(|milestone| units >= **milestone).count();
        at.base * libm::pow(self.gamma, reached as f64)
    }
}
