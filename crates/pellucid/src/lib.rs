//! Pellucid: neural networks from scratch.
#![forbid(unsafe_code)]

pub mod tensor;
pub mod ops;
pub mod graph;
pub mod nn;
pub mod optim;
pub mod metrics;
pub mod data;
pub mod model;
pub mod train;
