//! One layer = one file: what it adds to a graph, and how it is written in the notation.

mod activation;
mod adaptive_pool;
mod average_pool;
mod concat;
mod dense;
mod dropout;
mod flatten;
mod identity;
mod max_pool;
mod normalisation;
mod pool;
mod prelu;
mod repeat;
mod resample;
mod reshape;
mod residual;
mod stretches;
mod written;

pub use activation::ActivationWord;
pub use adaptive_pool::{AdaptivePool, GlobalPool, PoolKind};
pub use average_pool::AveragePool;
pub use concat::Concat;
pub use dense::Dense;
pub use max_pool::MaxPool;
pub use normalisation::{BatchNorm, GroupNorm, LayerNorm, RmsNorm};
pub use prelu::Prelu;
pub use repeat::Repeat;
pub use resample::{Pad, Upsample};
pub use residual::Residual;

pub(super) use activation::{ACTIVATIONS, digits};
pub(super) use adaptive_pool::{adaptive_average, adaptive_max, global_average, global_max};
pub(super) use average_pool::average_pool;
pub(super) use concat::concat;
pub(super) use dense::dense;
pub(super) use dropout::dropout;
pub(super) use flatten::flatten;
pub(super) use identity::identity;
pub(super) use max_pool::max_pool;
pub(super) use normalisation::{batch_norm, group_norm, layer_norm, rms_norm};
pub(super) use resample::{pad, upsample};
pub(super) use reshape::reshape;
pub(super) use residual::residual;
pub(super) use stretches::{spatial_dropout, stochastic_depth};
pub(super) use written::Written;
