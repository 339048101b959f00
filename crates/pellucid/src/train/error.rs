//! Why a run could not begin or go on.

use crate::graph::{BuildError, PlanError};
use crate::model::CheckpointError;
use crate::optim::OptimError;

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// No rows to train on.
    #[error("there are no rows to train on")]
    NoRows,
    /// The data does not fit the network.
    #[error("the {what} of the data is {found}, the network takes {expected}")]
    Data {
        /// Which shape.
        what: &'static str,
        /// The network's.
        expected: String,
        /// The data's.
        found: String,
    },
    /// Features of frozen layers that are no data set.
    #[error(transparent)]
    Dataset(#[from] crate::data::DatasetError),
    /// A row could not be read.
    #[error(transparent)]
    Read(#[from] crate::data::ReadError),
    /// An augmentation that does not fit the data.
    #[error(transparent)]
    Augment(#[from] crate::data::AugmentError),
    /// A setting that does not fit the others.
    #[error("{0}")]
    Settings(String),
    /// Loss and network do not fit.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The batch is too large.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Metrics of outputs and targets that do not fit.
    #[error(transparent)]
    Metrics(#[from] crate::metrics::MetricsError),
    /// The optimiser's settings.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file of features could not be written.
    #[error(transparent)]
    Features(#[from] crate::model::ContainerError),
    /// The checkpoint is of another run.
    #[error(
        "the checkpoint belongs to another run: {what} is {found} there, {expected} here; start anew without --resume, or with the settings of that run"
    )]
    OtherRun {
        /// What differs.
        what: &'static str,
        /// Here.
        expected: String,
        /// There.
        found: String,
    },
    /// NaN or infinity.
    #[error("{what} became {value} at step {step} (epoch {epoch}), first in layer {layer}; {advice}")]
    NotFinite {
        /// `the loss` or `a gradient`.
        what: &'static str,
        /// What it was.
        value: f32,
        /// The update, from 1, that could not be made.
        step: u64,
        /// The epoch, from 1.
        epoch: usize,
        /// The layer or parameter where it was seen first.
        layer: String,
        /// What usually helps.
        advice: &'static str,
    },
}
