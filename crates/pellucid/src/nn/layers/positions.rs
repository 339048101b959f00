//! Positions: without them, attention does not know the order of the steps.

use std::sync::Arc;

use crate::graph::{BuildError, BuildProblem, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Init, Layer, Lowering};
use crate::ops;
use crate::tensor::Dim;

/// Adds to each step of x [batch, time, width] what says where it stands. Notation: `positions learnt`, `positions learnt
/// context=512`, `positions sinusoidal`. (The third way, `rotary`, belongs to attention.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// Learnt values, the parameter `weight` [context, width], normal with a standard deviation of 0.02: [`ops::LearntPositions`].
    Learnt {
        /// Most steps of a sequence; by default those that the network is built for.
        context: Option<usize>,
    },
    /// Sines and cosines: [`ops::SinusoidalPositions`].
    Sinusoidal,
}

impl Layer for Positions {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let &[Dim::Batch, Dim::Fixed(time), Dim::Fixed(width)] = builder.shape(x).axes() else {
            let message = "positions need sequences, [batch, time, width]".to_string();
            return Err(builder.error(BuildProblem::Layer(message)));
        };
        match self {
            Positions::Sinusoidal => builder.add(ops::SinusoidalPositions, &[x]),
            Positions::Learnt { context } => {
                let context = context.unwrap_or(time);
                let init = Arc::new(Init::Normal { mean: 0.0, std: 0.02 });
                let weight = builder.sized_parameter("weight", &[context, width], Role::Weight, init)?;
                builder.add(ops::LearntPositions { context }, &[x, weight])
            }
        }
    }

    fn to_notation(&self) -> Option<Item> {
        let item = Item::new("positions");
        Some(match self {
            Positions::Sinusoidal => item.with("sinusoidal"),
            Positions::Learnt { context: None } => item.with("learnt"),
            Positions::Learnt { context: Some(context) } => item.with("learnt").option("context", *context),
        })
    }
}

/// `positions learnt|sinusoidal [context=STEPS]`
pub(crate) fn positions<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Positions, NotationError> {
    match read.word("kind", &["learnt", "sinusoidal"])?.map(|word| word.name) {
        Some("learnt") => Ok(Positions::Learnt { context: read.option_size("context", 1)? }),
        Some(_) => Ok(Positions::Sinusoidal),
        None => {
            Err(read.error("'positions' needs a kind").suggest("write 'positions learnt' or 'positions sinusoidal'"))
        }
    }
}
