//! Adaptive and global pooling: an output of the same size, whatever that of the input.

use super::pool::{spread_over, written};
use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::{AdaptiveAveragePool, AdaptiveMaxPool, Flatten, GlobalAveragePool, GlobalMaxPool};

/// What is taken of the values of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// Their mean.
    Average,
    /// The greatest.
    Max,
}

/// y = the mean or the greatest value of each of the even parts of a channel: [batch, channels, height, width] →
/// [batch, channels, output…], and so for [batch, channels, length].
///
/// Notation: `adaptive-avgpool 3x2`, `adaptive-maxpool 4`; one number stands for each axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptivePool {
    /// Mean or greatest value.
    pub kind: PoolKind,
    /// Places of the output along each axis, or one number for each.
    pub output: Vec<usize>,
}

/// y = the mean or the greatest value of each channel: [batch, channels, height, width] or [batch, channels, length] →
/// [batch, channels].
///
/// Notation: `global-avgpool`, `global-maxpool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalPool(
    /// Mean or greatest value.
    pub PoolKind,
);

impl PoolKind {
    fn word(self, average: &'static str, max: &'static str) -> &'static str {
        match self {
            PoolKind::Average => average,
            PoolKind::Max => max,
        }
    }
}

impl AdaptivePool {
    fn word(&self) -> &'static str {
        self.kind.word("adaptive-avgpool", "adaptive-maxpool")
    }
}

impl Layer for AdaptivePool {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let output = spread_over(builder, x, self.word(), &[&self.output])?.swap_remove(0);
        match self.kind {
            PoolKind::Average => builder.add(AdaptiveAveragePool { output }, &[x]),
            PoolKind::Max => builder.add(AdaptiveMaxPool { output }, &[x]),
        }
    }

    fn to_notation(&self) -> Option<Item> {
        (!self.output.is_empty()).then(|| Item::new(self.word()).with(written(&self.output)))
    }
}

impl Layer for GlobalPool {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let y = match self.0 {
            PoolKind::Average => builder.add(GlobalAveragePool, &[x])?,
            PoolKind::Max => builder.add(GlobalMaxPool, &[x])?,
        };
        builder.add(Flatten, &[y])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new(self.0.word("global-avgpool", "global-maxpool")))
    }
}

/// `adaptive-avgpool SIZE` or `adaptive-maxpool SIZE`
pub(crate) fn adaptive_pool<'a>(read: &mut Reader<'a>, kind: PoolKind) -> Result<AdaptivePool, NotationError> {
    Ok(AdaptivePool { kind, output: read.dimensions("size")? })
}

/// `adaptive-avgpool SIZE`
pub(crate) fn adaptive_average<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<AdaptivePool, NotationError> {
    adaptive_pool(read, PoolKind::Average)
}

/// `adaptive-maxpool SIZE`
pub(crate) fn adaptive_max<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<AdaptivePool, NotationError> {
    adaptive_pool(read, PoolKind::Max)
}

/// `global-avgpool`
pub(crate) fn global_average<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<GlobalPool, NotationError> {
    Ok(GlobalPool(PoolKind::Average))
}

/// `global-maxpool`
pub(crate) fn global_max<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<GlobalPool, NotationError> {
    Ok(GlobalPool(PoolKind::Max))
}
