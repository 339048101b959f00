//! Pellucid: neural networks from scratch.
#![forbid(unsafe_code)]

pub mod data;
pub mod graph;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod suggest;
pub mod tensor;
pub mod train;

pub use kernels::device::Device;
pub use kernels::simd::Isa;
