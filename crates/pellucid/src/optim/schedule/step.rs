//! lr · γ^⌊units / size⌋

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula};
use crate::optim::OptimError;
use crate::optim::error::{check, positive};

/// The rate times `gamma` after every `step_size` units; PyTorch's StepLR. `step:30:0.1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Units (epochs, if not set otherwise) between two changes, 1 or more; 30.
    pub step_size: u64,
    /// The factor, more than 0; 0.1.
    pub gamma: f64,
}

impl Default for Step {
    fn default() -> Step {
        Step { step_size: 30, gamma: 0.1 }
    }
}

impl Formula for Step {
    fn check(&self) -> Result<(), OptimError> {
        check("step_size", self.step_size as f64, self.step_size > 0, "1 or more")?;
        positive("gamma", self.gamma)
    }

    fn bare(&self) -> &'static [&'static str] {
        &["step_size", "gamma"]
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        at.base * libm::pow(self.gamma, (at.units() / self.step_size) as f64)
    }
}
