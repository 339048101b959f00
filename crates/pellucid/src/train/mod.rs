//! The fit loop, events, early stopping, checkpoints, history.
