//! Dropout: in training, each value is zero with some probability; at inference nothing happens.

use super::activation::digits;
use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::Dropout;

/// The op as a layer. Notation: `dropout 0.5`; `dropout` alone has the rate 0.5.
impl Layer for Dropout {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        builder.add(*self, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("dropout").with(digits(self.rate)))
    }
}

/// `dropout [RATE]`
pub(crate) fn dropout<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Dropout, NotationError> {
    let Some(rate) = read.optional_number("rate")? else { return Ok(Dropout::default()) };
    if !(0.0..=1.0).contains(&rate) {
        let place = read.item().arguments().iter().find(|argument| argument.key().is_none());
        let place = place.map_or(read.item().span(), |argument| argument.span());
        let error = read.error_at(place, "rate of 'dropout' must be from 0 to 1: the share of values that become 0");
        let percent = rate > 1.0 && rate <= 100.0;
        return Err(if percent { error.did_you_mean(Some(&(rate / 100.0).to_string())) } else { error });
    }
    Ok(Dropout { rate: rate as f32 })
}
