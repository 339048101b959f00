//! Parametric ReLU: the slope for negative values is learnt.

use std::sync::Arc;

use super::activation::{digits, layer_item};
use crate::graph::{BuildError, BuildProblem, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, Word};
use crate::nn::{Init, Layer};
use crate::ops;
use crate::tensor::Dim;

/// y = x where x > 0, else a·x with a learnt slope a. Parameter: `weight` of length 1 or `channels`, a [`Role::Scale`].
///
/// Notation: `prelu` (one slope), `channel_prelu` (one for each channel), both with the first slope as their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prelu {
    /// The slope to begin with; 0.25 by default, as in PyTorch.
    pub slope: f32,
    /// A slope for each channel (axis 1) instead of one for all; false by default.
    pub per_channel: bool,
}

impl Default for Prelu {
    fn default() -> Prelu {
        Prelu { slope: 0.25, per_channel: false }
    }
}

impl Layer for Prelu {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let slopes = match builder.shape(x).axes().get(1) {
            _ if !self.per_channel => 1,
            Some(Dim::Fixed(channels)) => *channels,
            _ => {
                let message = "one slope for each channel needs an axis of channels behind the batch";
                return Err(builder.error(BuildProblem::Layer(message.to_string())).suggest("use 'prelu'"));
            }
        };
        let init = Arc::new(Init::Constant(self.slope));
        let slope = builder.sized_parameter("weight", &[slopes], Role::Scale, init)?;
        builder.add(ops::Prelu, &[x, slope])
    }

    fn to_notation(&self) -> Option<Item> {
        self.as_activation().map(layer_item)
    }

    fn as_activation(&self) -> Option<Word> {
        let word = if self.per_channel { "channel_prelu" } else { "prelu" };
        let given = [digits(self.slope)];
        let numbers = if self.slope == Prelu::default().slope { &[] } else { &given[..] };
        Some(Word::new(word, numbers))
    }
}
