//! Dropout of channels and of whole samples.

use super::activation::digits;
use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::{SpatialDropout, StochasticDepth};

/// The op as a layer. Notation: `spatial-dropout 0.2`.
impl Layer for SpatialDropout {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        builder.add(*self, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("spatial-dropout").with(digits(self.rate)))
    }
}

/// The op as a layer. Notation: `stochastic-depth 0.2` at the end of a branch, as in
/// `residual(dense 64 relu -> dense 64 -> stochastic-depth 0.2)`.
impl Layer for StochasticDepth {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        builder.add(*self, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("stochastic-depth").with(digits(self.rate)))
    }
}

/// A rate from 0 to 1.
fn rate(read: &mut Reader<'_>) -> Result<f32, NotationError> {
    let rate = read.number("rate")?;
    if (0.0..=1.0).contains(&rate) {
        return Ok(rate as f32);
    }
    let word = read.item().word();
    Err(read.error(format!("rate of '{word}' must be from 0 to 1: the probability of being dropped")))
}

/// `spatial-dropout RATE`
pub(crate) fn spatial_dropout<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<SpatialDropout, NotationError> {
    Ok(SpatialDropout { rate: rate(read)? })
}

/// `stochastic-depth RATE`
pub(crate) fn stochastic_depth<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<StochasticDepth, NotationError> {
    Ok(StochasticDepth { rate: rate(read)? })
}
