//! min + (lr - min) (1 + cos(π t / steps)) / 2
//!
//! Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, equation 5.

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula, half_cosine};
use crate::optim::OptimError;
use crate::optim::error::not_negative;

/// The rate goes down to `min_lr` along half a cosine, update by update, and stays there; PyTorch's CosineAnnealingLR,
/// which goes up again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Updates until the end; the whole run.
    pub steps: Option<u64>,
    /// The rate at the end; 0.
    pub min_lr: f64,
}

impl Formula for Cosine {
    fn check(&self) -> Result<(), OptimError> {
        not_negative("min_lr", self.min_lr)
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        half_cosine(at.base, self.min_lr, at.progress(self.steps))
    }
}
