//! Sources, typed columns, preprocessing, splits, batches.

pub mod download;
pub mod idx;
pub mod mnist;

mod dataset;
pub mod table;
mod task;

pub use dataset::{Dataset, DatasetError, Features};
pub use table::{Table, TableError, TableOptions};
pub use task::{TargetScaling, Task, TaskKind};
