//! Reshape: other sizes for the values of a sample.

use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::Reshape;

/// The op as a layer: [batch, a, b, …] → [batch, c, d, …]. Notation: `reshape 1x8x8`.
impl Layer for Reshape {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        builder.add(self.clone(), &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        (1..=8).contains(&self.shape.len()).then(|| Item::new("reshape").with(self.shape.as_slice()))
    }
}

/// `reshape SIZE`
pub(crate) fn reshape<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Reshape, NotationError> {
    Ok(Reshape { shape: read.dimensions("shape")? })
}
