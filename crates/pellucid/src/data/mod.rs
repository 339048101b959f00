//! Sources, typed columns, preprocessing, augmentation, splits.

pub mod augment;
pub mod builtin;
pub mod download;
pub mod files;
pub mod generate;
pub mod idx;
pub mod images;
pub mod mnist;
pub mod sequences;
pub mod series;
pub mod sources;

mod dataset;
pub mod pipeline;
mod read;
mod split;
pub mod table;
mod task;
pub mod text;

pub use augment::{AugmentError, Augmentation};
pub use dataset::{Dataset, DatasetError, Features};
pub use pipeline::{FitOptions, InputColumns, Pipeline, PipelineError, Transformed};
pub use read::{ByteRows, ReadBytes, ReadError};
pub use split::{Division, Fold, Fractions, Split, SplitError};
pub use table::{Table, TableError, TableOptions};
pub use task::{TargetScaling, Task, TaskKind};
