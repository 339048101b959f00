//! Branches side by side.

use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering, Sequential};
use crate::ops::{Concatenate, MAX_INPUTS};

/// Several networks on the same input, their outputs joined. Parameters of branch 1 are called `1.…` within the layer.
///
/// Notation: `concat(dense 8 relu, identity)`, `concat(dense 8, dense 4) axis=1`, with an activation behind it if there is one.
#[derive(Clone, Debug, Default)]
pub struct Concat {
    /// The branches, one to sixteen.
    pub branches: Vec<Sequential>,
    /// Along which axis, the batch being 0. By default along the features: axis 1, the channels, of pictures
    /// [batch, channels, height, width], the last axis of everything else.
    pub axis: Option<usize>,
}

impl Layer for Concat {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let mut outputs = Vec::with_capacity(self.branches.len());
        for (number, branch) in self.branches.iter().enumerate() {
            outputs.push(builder.scoped(number, |builder| branch.build(builder, x))?);
        }
        let Some(&first) = outputs.first() else {
            return Err(builder.error(BuildProblem::Layer("concat needs at least one branch".to_string())));
        };
        let rank = builder.shape(first).rank();
        let axis = self.axis.unwrap_or(if rank == 4 { 1 } else { rank.saturating_sub(1) });
        builder.add(Concatenate { axis }, &outputs)
    }

    fn to_notation(&self) -> Option<Item> {
        let mut item = Item::new("concat");
        for branch in &self.branches {
            item = item.branch(branch.to_notation()?);
        }
        Some(match self.axis {
            Some(axis) => item.option("axis", axis),
            None => item,
        })
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `concat(NETWORK, NETWORK, …) [ACTIVATION] [axis=AXIS]`
pub(crate) fn concat<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Concat, NotationError> {
    let networks = read.branches(2..=MAX_INPUTS)?;
    let branches = networks.iter().map(|network| context.network(network)).collect::<Result<_, _>>()?;
    Ok(Concat { branches, axis: read.option_size("axis", 1)? })
}
