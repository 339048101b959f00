//! Layers, initialisers and losses: they add nodes to a graph and name parameters.

mod head;
mod init;
mod layer;
mod layers;
mod loss;
mod network;
pub mod notation;
mod ready;
mod sequential;
mod summary;
mod table;

pub use head::{backbone, backbone_graph, with_head};
pub use init::{Fans, Init, InitError};
pub use layer::Layer;
pub use layers::{
    ActivationWord, AdaptivePool, AveragePool, BatchNorm, Block, Concat, Conv, ConvTranspose, Dense, Depthwise,
    Embedding, First, FromLast, GlobalPool, GroupNorm, LayerNorm, MaxPool, MultiHeadAttention, Pad, Padding, PoolKind,
    Positions, Prelu, Recurrent, RecurrentKind, Repeat, Residual, RmsNorm, Slide, Tokens, Transformer,
    TransformerDecoder, Upsample,
};
pub use loss::{Link, Loss, LossError, LossLayer, OutputMismatch};
pub use network::{BuiltNetwork, NetworkError, NetworkOptions, build};
pub use ready::{READY, ReadyNetwork, ready};
pub use sequential::{INPUT, Sequential};
pub use summary::{Summary, SummaryOptions, SummaryRow};
pub use table::{LayerTable, Lowering};

/// [`build`] for a line of text.
///
/// # Errors
/// What [`notation::Network::parse`] and [`build`] refuse.
pub fn network(text: &str, input_shape: &[usize], outputs: Option<usize>) -> Result<crate::graph::Graph, NetworkError> {
    build(&notation::Network::parse(text)?, input_shape, outputs)
}
