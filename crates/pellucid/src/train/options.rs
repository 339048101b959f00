//! How to train: what a run needs to be told besides network, loss and data.

use serde::{Deserialize, Serialize};

use super::{TrainError, metric_names};
use crate::data::{Augmentation, Task};
use crate::optim::{Clipping, Groups, OptimizerConfig, ScheduleConfig};

/// Rows of one update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// So many, fewer at the end of an epoch.
    Rows(usize),
    /// All training rows.
    Full,
}

impl BatchSize {
    /// The number of rows for a training part of `rows`.
    pub fn rows(self, rows: usize) -> usize {
        match self {
            BatchSize::Rows(size) => size.min(rows),
            BatchSize::Full => rows,
        }
    }
}

impl std::fmt::Display for BatchSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BatchSize::Rows(rows) => rows.fmt(f),
            BatchSize::Full => f.write_str("full"),
        }
    }
}

impl std::str::FromStr for BatchSize {
    type Err = String;
    fn from_str(text: &str) -> Result<BatchSize, String> {
        match text.parse() {
            Ok(rows) if rows > 0 => Ok(BatchSize::Rows(rows)),
            _ if text == "full" => Ok(BatchSize::Full),
            _ => Err(format!("a batch size is a number from 1 or 'full', got '{text}'")),
        }
    }
}

impl Serialize for BatchSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            BatchSize::Rows(rows) => serializer.serialize_u64(*rows as u64),
            BatchSize::Full => serializer.serialize_str("full"),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<BatchSize, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(rows) => rows.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How the rows are gone through where they are consecutive windows of one long sequence, their targets too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Windows {
    /// As any rows: each for itself.
    #[default]
    Apart,
    /// Each for itself, and in each epoch they begin elsewhere, by less than a window: no token is always the first.
    Shifted,
    /// The same, and each row of a batch goes on where the row of the batch before ended: ops keep their state (truncated
    /// backpropagation through time). In their own order, then; windows that fill no batch are left out.
    Carried,
}

impl Windows {
    /// As any rows.
    pub fn are_apart(&self) -> bool {
        *self == Windows::Apart
    }
}

/// Ends a run that gets no better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Epochs without improvement after which the run ends.
    pub patience: usize,
    /// How much better counts as better; 0 or more.
    pub min_delta: f64,
    /// The validation metric that is watched: `loss` (smaller is better) or another (larger is better, but for errors
    /// such as `rmse`).
    pub monitor: String,
}

impl EarlyStopping {
    /// Is there such a metric for this task?
    ///
    /// # Errors
    /// [`TrainError::Settings`], which names those that there are.
    pub fn check(&self, task: &Task) -> Result<(), TrainError> {
        let names = metric_names(task);
        if names.contains(&self.monitor) {
            return Ok(());
        }
        let (monitor, known) = (&self.monitor, names.join(", "));
        Err(TrainError::Settings(format!("there is no metric '{monitor}' to watch; there are: {known}")))
    }
}

impl Default for EarlyStopping {
    /// Patience 10, any improvement counts, `loss` is watched.
    fn default() -> EarlyStopping {
        EarlyStopping { patience: 10, min_delta: 0.0, monitor: "loss".to_string() }
    }
}

/// Settings of the fit loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Epochs at most.
    pub epochs: usize,
    /// Rows of one update.
    pub batch_size: BatchSize,
    /// Seed of initial values, order and dropout.
    pub seed: u64,
    /// What is done to the training rows, if they are pictures.
    #[serde(default, skip_serializing_if = "Augmentation::is_none")]
    pub augmentation: Augmentation,
    /// What the rows have to do with each other, if they are windows of one sequence.
    #[serde(default, skip_serializing_if = "Windows::are_apart")]
    pub windows: Windows,
    /// Rows in a new order every epoch; in their own order if not. A full batch is never reordered.
    pub shuffle: bool,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: ScheduleConfig,
    /// Settings for groups of parameters: penalties, rates.
    pub groups: Groups,
    /// Limit on gradients.
    pub clipping: Option<Clipping>,
    /// Early stopping on the validation part. Without one, all epochs are run and the last values are kept.
    pub early_stopping: Option<EarlyStopping>,
    /// Keep the parameters of the best validation epoch instead of the last; needs a validation part.
    pub restore_best: bool,
    /// After so many epochs all parameters are trained, those too that the network has frozen; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thaw: Option<usize>,
    /// Updates between checkpoints within an epoch; none within an epoch if absent.
    pub checkpoint_every: Option<u64>,
}

impl Default for FitOptions {
    /// 20 epochs of batches of 32 in a new order each, Adam at its own rate, constant; no augmentation, no penalties, no clipping, no
    /// early stopping; seed 0.
    fn default() -> FitOptions {
        FitOptions {
            epochs: 20,
            batch_size: BatchSize::Rows(32),
            seed: 0,
            augmentation: Augmentation::default(),
            windows: Windows::Apart,
            shuffle: true,
            optimizer: OptimizerConfig::Adam(Default::default()),
            schedule: ScheduleConfig::default(),
            groups: Groups::default(),
            clipping: None,
            early_stopping: None,
            restore_best: false,
            thaw: None,
            checkpoint_every: None,
        }
    }
}
