//! A search for hyper-parameters, as the program runs it.
//!
//! * [`Plan`]: the settings that stay, and the space of those that do not; a trial's values make settings of them.
//! * [`Bench`]: one trial, trained on the rows of each fold.
//! * [`Store`]: trials in a file of SQLite, which processes share and which outlives them.
//! * [`importance`], [`page`]: what the trials show.

mod bench;
mod importance;
mod options;
mod plan;
mod report;
mod store;

pub use bench::{Bench, Score};
pub use importance::{Importance, importance};
pub use options::{Budget, Early, TuneOptions};
pub use plan::Plan;
pub use report::{Found, end_text, page, values_text};
pub use store::{Claim, Record, Store};
