//! Metrics: pure functions and their streaming form.

mod scores;

pub use scores::Scores;
