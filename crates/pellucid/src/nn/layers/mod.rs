//! One layer = one file: what it adds to a graph, and how it is written in the notation.

mod activation;
mod dense;
mod repeat;
mod written;

pub use activation::ActivationWord;
pub use dense::Dense;
pub use repeat::Repeat;

pub(super) use activation::ACTIVATIONS;
pub(super) use dense::dense;
pub(super) use written::Written;
