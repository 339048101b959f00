//! Metrics: pure functions and their streaming form.
