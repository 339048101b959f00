//! What a run recorded, epoch by epoch.

use serde::{Deserialize, Serialize};

use crate::metrics::Scores;

/// One finished epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Updates made since the start of the run.
    pub step: u64,
    /// Learning rate of the last update.
    pub learning_rate: f64,
    /// Seconds since the start of the fit loop.
    pub seconds: f64,
    /// Metrics over the training batches of the epoch as they were seen (`loss` first).
    pub train: Scores,
    /// Metrics on the validation part at the end of the epoch, if there is one.
    pub validation: Option<Scores>,
}

/// All finished epochs of a run, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The epochs, first to last.
    pub epochs: Vec<EpochRecord>,
}
