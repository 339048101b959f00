//! Sources, typed columns, preprocessing, splits, batches.

mod dataset;
mod task;

pub use dataset::{Dataset, DatasetError, Features};
pub use task::{TargetScaling, Task, TaskKind};
