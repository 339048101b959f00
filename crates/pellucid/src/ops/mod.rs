//! One op = one file: formula, shape rule, forward, backward, what backward needs, its cases.

mod activation;
mod dense;
mod op;
mod relu;

pub use activation::Activation;
pub use dense::Dense;
pub use op::{Attributes, Backward, Forward, MAX_INPUTS, Memory, Op, Reads, Run, ShapeError, Sizes};
pub use relu::Relu;
