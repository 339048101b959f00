//! The same rate for all updates.

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula};
use crate::optim::OptimError;

/// The same rate for all updates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {}

impl Formula for Constant {
    fn check(&self) -> Result<(), OptimError> {
        Ok(())
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        at.base
    }
}
