//! A network that sees and predicts changes from the last step.

use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering, Sequential};
use crate::ops::{Add, Last, Reshape, Slice, Subtract};
use crate::tensor::Dim;

/// x [batch, time, columns] → f(x - x_last) + x_last [batch, steps · predicted]: what it predicts begins where the series ends,
/// at whatever level that is. With a linear f this is NLinear: Zeng, Chen, Zhang and Xu, "Are transformers effective for time
/// series forecasting?", AAAI 2023.
///
/// The first `predicted` columns are those that f predicts, step by step. Notation: `from-last(flatten -> dense)`,
/// `from-last(lstm 32 -> last -> dense)`, `from-last(…) predicted=2`.
#[derive(Clone, Debug)]
pub struct FromLast {
    /// f
    pub network: Sequential,
    /// Columns that are predicted; 1 by default.
    pub predicted: usize,
}

impl Layer for FromLast {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let &[Dim::Batch, Dim::Fixed(_), Dim::Fixed(columns)] = builder.shape(x).axes() else {
            let message = "from-last needs sequences [batch, time, columns]".to_string();
            return Err(builder.error(BuildProblem::Layer(message)));
        };
        if self.predicted > columns {
            let message = format!("{} columns cannot be predicted, there are {columns}", self.predicted);
            return Err(builder.error(BuildProblem::Layer(message)));
        }
        let last = builder.add(Last::default(), &[x])?;
        let step = builder.add(Reshape { shape: vec![1, columns] }, &[last])?;
        let change = builder.add(Subtract, &[x, step])?;
        let changes = self.network.build(builder, change)?;
        let outputs = match builder.shape(changes).axes() {
            &[Dim::Batch, Dim::Fixed(outputs)] if outputs % self.predicted == 0 => outputs,
            _ => {
                let shape = builder.shape(changes);
                let needed = format!("the network in from-last must end in [batch, steps · {}]", self.predicted);
                return Err(builder.error(BuildProblem::Layer(format!("{needed}, it ends in {shape}"))));
            }
        };
        let from = builder.add(Slice { axis: 1, start: 0, end: self.predicted }, &[last])?;
        let from = builder.add(Reshape { shape: vec![1, self.predicted] }, &[from])?;
        let changes = builder.add(Reshape { shape: vec![outputs / self.predicted, self.predicted] }, &[changes])?;
        let values = builder.add(Add, &[changes, from])?;
        builder.add(Reshape { shape: vec![outputs] }, &[values])
    }

    fn to_notation(&self) -> Option<Item> {
        let item = Item::new("from-last").branch(self.network.to_notation()?);
        Some(if self.predicted == 1 { item } else { item.option("predicted", self.predicted) })
    }
}

/// `from-last(NETWORK) [predicted=N]`
pub(crate) fn from_last<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<FromLast, NotationError> {
    let branches = read.branches(1..=1)?;
    let predicted = read.option_size("predicted", 1)?.unwrap_or(1);
    Ok(FromLast { network: context.last_network(&branches[0])?, predicted })
}
