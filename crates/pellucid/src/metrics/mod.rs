//! Metrics: pure functions and their streaming form.
//!
//! Names and definitions are scikit-learn's, computed in f64. [`binary`], [`multiclass`], [`multilabel`] and
//! [`regression`] judge arrays at once; [`BinaryMetrics`] and its siblings take them batch by batch and give the same
//! bits wherever the stream is split, because they add row by row.
//!
//! Conventions:
//! - a probability of 0.5 and more is the positive class; of equal largest probabilities the first wins;
//! - precision, recall and F1 are 0 where nothing was predicted or nothing was there (`zero_division=0`); macro averages
//!   go over the classes that occur in targets or predictions;
//! - a score without a value is NaN: `roc_auc` with one class only, `r2` of a constant target, everything without rows;
//! - logarithms see probabilities within 2.2e-16 and 1 - 2.2e-16;
//! - row weights are at least 0; counts such as `support` are then sums of weights.

mod binary;
mod calibration;
mod collector;
mod confusion;
mod forecast;
mod histogram;
mod multiclass;
mod multilabel;
mod paired;
mod ranking;
mod regression;
mod report;
mod rows;
mod scores;
mod spread;
mod tokens;

pub use binary::{BinaryMetrics, binary};
pub use calibration::{Calibration, CalibrationBin};
pub use collector::MAX_COLLECTED;
pub use confusion::{ClassCounts, ClassScores, ConfusionMatrix};
pub use forecast::forecast;
pub use histogram::Histogram;
pub use multiclass::{MAX_DETAILED_CLASSES, MulticlassMetrics, multiclass};
pub use multilabel::{MultilabelMetrics, multilabel};
pub use paired::{PairedTest, paired_test};
pub use ranking::{Ranking, RocPoint};
pub use regression::{RegressionMetrics, regression};
pub use report::{Detail, Metrics, Report};
pub use rows::MetricsError;
pub use scores::{Scores, is_error};
pub use spread::mean_and_deviation;
pub use tokens::TokenMetrics;
