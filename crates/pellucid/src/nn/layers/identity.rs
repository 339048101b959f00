//! Identity: nothing; the straight branch beside others.

use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::Identity;

/// The op as a layer. Notation: `identity`, as in `concat(identity, dense 8 relu)`.
impl Layer for Identity {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        builder.add(*self, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("identity"))
    }
}

/// `identity`
pub(crate) fn identity<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Identity, NotationError> {
    Ok(Identity)
}
