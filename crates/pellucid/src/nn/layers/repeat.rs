//! The same layers several times, each time with parameters of their own.

use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::Item;
use crate::nn::{Layer, Sequential};

/// `times` copies of `body`, one behind the other, each with its own parameters: `3 * (dense 64 relu)`. Within a sequence
/// it takes as many numbers as its layers, as if they had been written out.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// How often; never leaves the input as it is.
    pub times: usize,
    /// What is repeated.
    pub body: Sequential,
}

impl Layer for Repeat {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        self.build_at(builder, x, &mut 0)
    }

    fn build_at(&self, builder: &mut GraphBuilder, x: ValueId, position: &mut usize) -> Result<ValueId, BuildError> {
        (0..self.times).try_fold(x, |x, _| self.body.build_all(builder, x, position))
    }

    fn to_notation(&self) -> Option<Item> {
        let body = self.body.to_notation().filter(|_| self.times > 0)?;
        match body.items() {
            [item] if item.repeat() == 1 => Some(item.clone().repeated(self.times)),
            _ => Some(Item::group(body).repeated(self.times)),
        }
    }
}
