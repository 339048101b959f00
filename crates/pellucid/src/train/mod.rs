//! The fit loop, events, early stopping, checkpoints, history. What a run does is a function of data, settings and
//! seed: not of threads, instruction sets, or how often it was interrupted.

mod augmented;
mod batch;
mod buckets;
mod error;
mod evaluate;
mod event;
mod features;
mod fit;
mod history;
mod options;
mod order;
mod part;
mod problem;
mod rate_finder;
mod score;
mod state;
mod stopping;
mod updater;
mod whitening;

pub(crate) use batch::fill as fill_batch;
pub use error::TrainError;
pub use evaluate::Outputs;
pub use event::{Control, EndReason, Event, Silent, Watcher};
pub use features::FrozenFeatures;
pub use fit::{Fit, Fitted};
pub use history::{EpochRecord, History};
pub use options::{BatchSize, EarlyStopping, FitOptions, Windows};
pub use part::Part;
pub use problem::Problem;
pub use rate_finder::{RatePoint, RateRange, proposed_rate, rate_range};
pub use score::{evaluate, evaluate_windows, metric_names, readable, report};
pub use whitening::{Whitening, WhiteningError};
