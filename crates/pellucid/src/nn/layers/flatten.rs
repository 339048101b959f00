//! Flatten: every sample becomes one row.

use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::Flatten;

/// The op as a layer: [batch, a, b, …] → [batch, a·b·…]. Notation: `flatten`.
impl Layer for Flatten {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        builder.add(*self, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("flatten"))
    }
}

/// `flatten`
pub(crate) fn flatten<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Flatten, NotationError> {
    Ok(Flatten)
}
