//! The fit loop, events, early stopping, checkpoints, history.

mod history;

pub use history::{EpochRecord, History};
