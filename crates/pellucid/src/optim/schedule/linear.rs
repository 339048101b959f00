//! lr · (start + (end - start) t / steps)

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula};
use crate::optim::OptimError;
use crate::optim::error::not_negative;

/// The factor on the rate goes evenly from `start_factor` to `end_factor`, update by update, and stays there; PyTorch's
/// LinearLR. `linear:0.1:1,steps=500` is a warm-up, `linear` alone goes down to 0 over the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// The factor at the first update, 0 or more; 1.
    pub start_factor: f64,
    /// The factor at the end, 0 or more; 0.
    pub end_factor: f64,
    /// Updates until the end; the whole run.
    pub steps: Option<u64>,
}

impl Default for Linear {
    fn default() -> Linear {
        Linear { start_factor: 1.0, end_factor: 0.0, steps: None }
    }
}

impl Formula for Linear {
    fn check(&self) -> Result<(), OptimError> {
        not_negative("start_factor", self.start_factor)?;
        not_negative("end_factor", self.end_factor)
    }

    fn bare(&self) -> &'static [&'static str] {
        &["start_factor", "end_factor"]
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        at.base * (self.start_factor + (self.end_factor - self.start_factor) * at.progress(self.steps))
    }
}
