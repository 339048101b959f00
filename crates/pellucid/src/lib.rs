//! Pellucid: neural networks from scratch.
//!
//! A network is a static graph of ops ([`graph`]), built by layers or from a line of text ([`nn`]), trained by a fit loop
//! ([`train`]) on a data set ([`data`]), saved with all that is needed to use it ([`model`]), and looked into ([`explain`], [`diagnose`]).
#![forbid(unsafe_code)]

pub mod data;
pub mod diagnose;
pub mod explain;
pub mod generate;
pub mod graph;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod suggest;
pub mod tensor;
pub mod train;
pub mod tune;

pub use kernels::device::Device;
pub use kernels::simd::Isa;

/// The example of the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
