//! One op = one file: formula, shape rule, forward, backward, what backward needs, its cases.

mod activation;
mod celu;
mod dense;
mod elu;
mod exp;
mod gelu;
mod gelu_tanh;
mod hard_sigmoid;
mod hard_swish;
mod leaky_relu;
mod mish;
mod op;
#[cfg(test)]
mod points;
mod relu;
mod relu6;
mod selu;
mod sigmoid;
mod silu;
mod softplus;
mod softsign;
mod tanh;

pub use activation::{Activation, attributes_of};
pub use celu::Celu;
pub use dense::Dense;
pub use elu::Elu;
pub use exp::Exp;
pub use gelu::Gelu;
pub use gelu_tanh::GeluTanh;
pub use hard_sigmoid::HardSigmoid;
pub use hard_swish::HardSwish;
pub use leaky_relu::LeakyRelu;
pub use mish::Mish;
pub use op::{Attributes, Backward, Forward, MAX_INPUTS, Memory, Op, Reads, Run, ShapeError, Sizes};
pub use relu::Relu;
pub use relu6::Relu6;
pub use selu::Selu;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use softplus::Softplus;
pub use softsign::Softsign;
pub use tanh::Tanh;
