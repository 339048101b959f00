//! Sources, typed columns, preprocessing, splits, batches.

pub mod download;
pub mod idx;
pub mod mnist;

mod dataset;
mod task;

pub use dataset::{Dataset, DatasetError, Features};
pub use task::{TargetScaling, Task, TaskKind};
