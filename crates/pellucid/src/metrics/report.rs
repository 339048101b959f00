//! What the metrics of a task have in common: how they are fed, and the result.

use serde::Serialize;

use super::{Calibration, ClassScores, ConfusionMatrix, Histogram, MetricsError, RocPoint, Scores};

/// How much is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Only what running sums give, in memory independent of the rows: leaves out `roc_auc`, `roc_auc_ovr_macro`,
    /// `roc_auc_macro`, `average_precision`, `median_ae`, the ROC curve and the histogram. For every epoch.
    Running,
    /// Everything; rows are kept for ranking, in at most 64 MiB (see [`MAX_COLLECTED`](super::MAX_COLLECTED)).
    #[default]
    Full,
}

/// Metrics of one task, fed batch by batch.
pub trait Metrics {
    /// Counts a batch: `targets` `[rows]` or `[rows, labels or outputs]`, `outputs` `[rows, width]` as the task says
    /// (probabilities, or predicted numbers), `weights` `[rows]`.
    ///
    /// # Errors
    /// If the arrays do not fit; then nothing of them is counted.
    fn update(&mut self, targets: &[f32], outputs: &[f32], weights: Option<&[f32]>) -> Result<(), MetricsError>;

    /// The metrics of all rows so far.
    fn report(&self) -> Report;
}

/// Everything that is known about the predictions on one part of the data. Parts that a task does not have are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The metrics by name, the most telling first.
    pub scores: Scores,
    /// Rows that were judged.
    pub rows: u64,
    /// Rows that `roc_auc`, `average_precision`, `median_ae`, the ROC curve and the histogram are computed from: all of
    /// them, or an even sample where memory would pass its limit; 0 with [`Detail::Running`].
    pub ranked_rows: u64,
    /// Precision, recall, F1 and support of each class or label.
    pub per_class: Vec<ClassScores>,
    /// Targets against predictions (one of two or of many classes).
    pub confusion: Option<ConfusionMatrix>,
    /// The metrics of each output, if there are several (regression).
    pub per_output: Vec<Scores>,
    /// The ROC curve, thinned to at most 256 points (two classes).
    pub roc: Vec<RocPoint>,
    /// How often the predicted probability came true (two classes: of the positive one; many classes: of the predicted one).
    pub calibration: Option<Calibration>,
    /// Distribution of prediction - target (regression; of the first output if there are several).
    pub residuals: Option<Histogram>,
}
